"""`gigaledger audit verify` and `export`: a live book, or a file of one, against its proofs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from gigaledger.v1 import audit_pb2 as pb
from gigaledger.v1.audit_pb2_grpc import AuditServiceStub
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsRequest
from gigaledger.v1.projections_pb2 import ReadSpec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.audit import published
from services.audit.exported import (
    ExportError,
    Header,
    read_event,
    read_footer,
    read_header,
    readable,
    write,
)
from services.audit.figures import Figures, HistoryError
from services.audit.filters import Filters
from services.audit.verification import Checkpoints, Finding, Kind, Verification, trusted_keys
from services.command import client
from services.command.errors import CommandError, ExitCode
from services.command.output import error_console
from services.proofs.leaves import recorded_events
from services.proofs.notes import NoteError, Verifier

PAGE = 1000
READ_EVENTS = "/gigaledger.v1.LedgerService/ReadEvents"


@dataclass
class Report:
    """What was verified, and what is wrong.

    Attributes:
        book: resource name of the book.
        origin: of its checkpoints.
        size: of the latest checkpoint.
        checkpoints: how many were held against the events.
        events: how many were read.
        filters: how many filtered reads were held against the events; None where none were.
        figures: how many published figures were recomputed; None where none were asked for.
        findings: what is wrong.
    """

    book: str
    origin: str
    size: int = 0
    checkpoints: int = 0
    events: int = 0
    filters: int | None = None
    figures: int | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.findings


def read_key(text: str) -> Verifier:
    """Return a public key, given as it is or as a file that holds it.

    Raises:
        CommandError: neither.
    """
    path = Path(text)
    try:
        return Verifier.parse(path.read_text("utf-8") if path.is_file() else text)
    except (NoteError, OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--key {text}: {error}", ExitCode.USAGE) from error


def verify_live(
    book: str, key: Verifier, kept: str | None, ledger: str, projections: str | None
) -> Report:
    """Verify a book that is served.

    Args:
        book: resource name of the book.
        key: the public key that the auditor holds.
        kept: a checkpoint that the auditor kept, as it was signed.
        ledger: address of the ledger.
        projections: address of the projections whose figures are recomputed; None for none.
    """
    filters = Filters()
    figures = Figures() if projections is not None else None
    with client.audit(ledger) as channel:
        stub = AuditServiceStub(channel)
        report, checkpoints = _held_against(_keys(stub, book), key, book, kept, _notes(stub, book))
        verification = Verification(checkpoints.roots)
        with _progress("Verifying", checkpoints.size) as advance:
            for leaf in _leaves(channel, ReadEventsRequest(book=book)):
                report.findings += verification.add(leaf)
                if report.holds:
                    recorded = RecordedEvent.FromString(leaf)
                    filters.add(recorded)
                    _add(figures, recorded, report)
                advance()
        report.findings += verification.finish()
        wrong = verification.first_wrong_size
        if wrong is not None:
            name = f"{book}/checkpoints/{wrong}"
            sealed = stub.GetLeafHashes(pb.GetLeafHashesRequest(name=name))
            report.findings += verification.explain(sealed.first_position, sealed.hashes)
        report.events = verification.count
        if report.holds:
            _ask_filters(channel, filters, book, report)
        if figures is not None and projections is not None and report.holds:
            _compare(channel, figures, book, projections, report)
    return report


def verify_file(path: Path, key: Verifier, kept: str | None) -> Report:
    """Verify a file, with nothing but the public key.

    Raises:
        CommandError: it can't be read as a book.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            header = read_header(next(file, ""))
            notes = read_footer(_last_line(path))
            report, checkpoints = _held_against(header.keys, key, header.book, kept, notes)
            verification = Verification(checkpoints.roots)
            with _progress("Verifying", header.size) as advance:
                for line in file:
                    try:
                        found = read_event(line)
                    except ExportError as error:
                        position = verification.count + 1
                        report.findings.append(Finding(position, Kind.UNREADABLE, str(error)))
                        continue
                    if found is None:
                        break
                    report.findings += verification.add(found[0])
                    report.findings += _shown(*found, verification.count)
                    advance()
                if any(True for _ in file):
                    message = "there are lines after the checkpoints"
                    report.findings.append(Finding(verification.count, Kind.READABLE, message))
    except (ExportError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}", ExitCode.INVALID_INPUT) from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", ExitCode.NOT_FOUND) from error
    report.findings += verification.finish()
    report.events = verification.count
    if report.events != header.size:
        message = f"the file says that it holds {header.size} events, but holds {report.events}"
        report.findings.append(Finding(report.events, Kind.TRUNCATED, message))
    return report


def export_book(book: str, ledger: str, out: Callable[[str], object]) -> int:
    """Write a book, up to its latest checkpoint, as lines; return how many events it has."""
    with client.audit(ledger) as channel:
        stub = AuditServiceStub(channel)
        latest = stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book)).checkpoint
        keys = tuple(_keys(stub, book))
        notes = [note for size, note in _sized_notes(stub, book) if size <= latest.size]
        leaves = _leaves(channel, ReadEventsRequest(book=book, to_position=latest.size))
        with _progress("Exporting", latest.size) as advance:
            for line in write(Header(book, latest.size, keys), _each(leaves, advance), notes):
                out(line)
        return int(latest.size)


def latest_note(book: str, ledger: str) -> str:
    """Return the latest checkpoint of a book, as it is signed."""
    with client.audit(ledger) as channel:
        stub = AuditServiceStub(channel)
        answer = stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book))
        note: str = answer.checkpoint.note
        return note


def _held_against(
    keys: Iterable[pb.SigningKey],
    key: Verifier,
    book: str,
    kept: str | None,
    notes: Iterable[str],
) -> tuple[Report, Checkpoints]:
    """Return what a book is held against, with what is wrong with that."""
    trusted, findings = trusted_keys(list(keys), key)
    checkpoints = Checkpoints(trusted)
    for note in notes:
        checkpoints.add(note)
    report = Report(book, checkpoints.origin, checkpoints.size, len(checkpoints.roots), findings=[])
    if kept is not None:
        checkpoints.add(kept)
    report.findings += findings + checkpoints.findings
    if not checkpoints.roots:
        message = "there is no checkpoint that a trusted key has signed: nothing is proven"
        report.findings.append(Finding(0, Kind.SIGNATURE, message))
    return report, checkpoints


def _keys(stub: AuditServiceStub, book: str) -> Iterable[pb.SigningKey]:
    return list(stub.ListSigningKeys(pb.ListSigningKeysRequest(parent=book)).keys)


def _notes(stub: AuditServiceStub, book: str) -> Iterator[str]:
    # Asked first, so that a ledger that seals nothing says why.
    stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book))
    return (note for _, note in _sized_notes(stub, book))


def _sized_notes(stub: AuditServiceStub, book: str) -> Iterator[tuple[int, str]]:
    request = pb.ListCheckpointsRequest(parent=book, page_size=PAGE)
    while True:
        page = stub.ListCheckpoints(request)
        yield from ((one.size, one.note) for one in page.checkpoints)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _leaves(channel: grpc.Channel, request: ReadEventsRequest) -> Iterator[bytes]:
    read: Callable[[ReadEventsRequest], Iterable[bytes]] = channel.unary_stream(
        READ_EVENTS, request_serializer=ReadEventsRequest.SerializeToString
    )
    for answer in read(request):
        yield from recorded_events(answer)


def _ask_filters(channel: grpc.Channel, filters: Filters, book: str, report: Report) -> None:
    """Ask for the events of each value that occurs, and compare with what the bytes say."""
    with _progress("Asking filters", len(filters), 10) as advance:
        for asked in filters.asked():
            request = ReadEventsRequest(book=book, to_position=report.events, filter=asked.filter())
            given = [RecordedEvent.FromString(leaf).position for leaf in _leaves(channel, request)]
            report.findings += asked.compare(given)
            advance()
    report.filters = len(filters)


def _add(figures: Figures | None, recorded: RecordedEvent, report: Report) -> None:
    if figures is None:
        return
    try:
        figures.add(recorded)
    except HistoryError as error:
        report.findings.append(Finding(figures.position + 1, Kind.POSITION, str(error)))


def _compare(
    channel: grpc.Channel, figures: Figures, book: str, projections: str, report: Report
) -> None:
    """Recompute what the projections publish."""
    with client.projections(projections) as stub:
        position, answers = published.ask(stub, book, ReadSpec(min_position=figures.position))
    for leaf in _leaves(channel, ReadEventsRequest(book=book, from_position=figures.position + 1)):
        if figures.position < position:
            _add(figures, RecordedEvent.FromString(leaf), report)
    report.figures = len(answers)
    report.findings += [
        Finding(difference.position, Kind.FIGURE, str(difference))
        for difference in figures.compare(answers, position)
    ]


def _shown(leaf: bytes, shown: Any, position: int) -> Iterator[Finding]:
    """Yield where a line shows something else than its bytes say."""
    try:
        said = readable(leaf)
    except ExportError:
        return  # The verification has named it.
    if shown != said:
        yield Finding(position, Kind.READABLE, f"what the line shows of event {position} is not so")


def _last_line(path: Path) -> str:
    """Return the last line of a file without reading all of it."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        found = b""
        while end > 0 and b"\n" not in found.rstrip(b"\n"):
            start = max(0, end - 65_536)
            file.seek(start)
            found = file.read(end - start) + found
            end = start
    return found.rstrip(b"\n").rpartition(b"\n")[2].decode()


def _each(leaves: Iterable[bytes], advance: Callable[[], None]) -> Iterator[bytes]:
    for leaf in leaves:
        yield leaf
        advance()


@contextmanager
def _progress(what: str, total: int, step: int = PAGE) -> Iterator[Callable[[], None]]:
    """Show how far it has come, on a terminal, after each so many."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    task = progress.add_task(what, total=total)
    seen = 0

    def advance() -> None:
        nonlocal seen
        seen += 1
        if not seen % step:
            progress.update(task, completed=seen)

    with progress:
        yield advance
