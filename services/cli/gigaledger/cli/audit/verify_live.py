"""`gigaledger audit verify` and `export` of a book that is served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import grpc
from gigaledger.audit.export.book_file import Header, write
from gigaledger.audit.recompute.comparison import Figures, HistoryError, differences
from gigaledger.audit.verify import published
from gigaledger.audit.verify.exceptions import (
    exceptions,
    published_exceptions,
    published_reviews,
    reviews,
)
from gigaledger.audit.verify.filters import Filters
from gigaledger.audit.verify.verification import (
    Finding,
    Kind,
    Verification,
    listing_findings,
)
from gigaledger.cli import client
from gigaledger.cli.audit.verify import Report, held_against, progress
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.common.quantities import QuantityError
from gigaledger.common.transparency.leaves import WireError, recorded_events
from gigaledger.common.transparency.notes import Verifier
from gigaledger.exceptions.catalogue import RULES
from gigaledger.v1 import audit_pb2 as pb
from gigaledger.v1.audit_pb2_grpc import AuditServiceStub
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsRequest
from gigaledger.v1.projections_pb2 import ReadSpec

PAGE = 1000
READ_EVENTS = "/gigaledger.v1.LedgerService/ReadEvents"


class UnreadableAnswerError(CommandError):
    """The ledger sends something other than events."""


def verify_live(
    book: str,
    trusted: Sequence[Verifier],
    kept: str | None,
    ledger: str,
    projections: str | None,
    *,
    allow_unsealed: bool,
) -> Report:
    """Verify a book that is served.

    Args:
        book: resource name of the book.
        trusted: the public keys that the auditor holds.
        kept: a checkpoint that the auditor kept, as it was signed.
        ledger: address of the ledger.
        projections: address of the projections whose figures are recomputed; None for none.
        allow_unsealed: whether events beyond the last checkpoint are accepted.
    """
    proven = _Proven(Figures() if projections is not None else None)
    with client.ledger_channel(ledger) as channel:
        stub = AuditServiceStub(channel)
        keys = _keys(stub, book)
        listed = _checkpoints(stub, book)
        notes = [checkpoint.note for checkpoint in listed]
        report, checkpoints = held_against(keys, trusted, book, notes, kept)
        report.findings += listing_findings(listed)
        report.findings += checkpoints.key_findings(keys)
        verification = Verification(checkpoints.roots)
        with progress("Verifying", checkpoints.size) as advance:
            try:
                for leaf in read_leaves(channel, ReadEventsRequest(book=book)):
                    report.findings += verification.add(leaf)
                    proven.waiting.append(leaf)
                    if verification.proven == verification.count:
                        report.findings += proven.take()
                    advance()
            except UnreadableAnswerError as error:
                position = verification.count + 1
                report.findings.append(Finding(position, Kind.UNREADABLE, str(error)))
        report.findings += verification.finish(allow_unsealed=allow_unsealed)
        wrong = verification.first_wrong_size
        if wrong is not None:
            report.findings += _altered(stub, f"{book}/checkpoints/{wrong}", verification)
        report.events = verification.count
        if report.holds:
            report.findings += proven.take()
        if report.holds:
            _ask_filters(channel, proven.filters, book, report)
        if proven.figures is not None and projections is not None and report.holds:
            _compare(channel, (proven.figures, proven.leaves), book, projections, report)
    return report


@dataclass
class _Proven:
    """What is derived from events, once a checkpoint proves them.

    Attributes:
        figures: recomputes figures; None if they were not requested.
        filters: what filtered reads must return.
        leaves: the bytes of the events, if figures were requested.
        waiting: the bytes of events that nothing proves yet.
    """

    figures: Figures | None
    filters: Filters = field(default_factory=Filters)
    leaves: list[bytes] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)

    def take(self) -> Iterator[Finding]:
        """Take the waiting events; yield what cannot be so."""
        for leaf in self.waiting:
            recorded = RecordedEvent.FromString(leaf)
            try:
                self.filters.add(recorded)
                if self.figures is not None:
                    self.figures.add(recorded)
                    self.leaves.append(leaf)
            except (HistoryError, QuantityError) as error:
                yield Finding(recorded.position, Kind.UNREADABLE, str(error))
        self.waiting.clear()


def _altered(stub: AuditServiceStub, name: str, verification: Verification) -> Iterable[Finding]:
    """Return the altered events by the hashes that were sealed with a checkpoint.

    None if the ledger lacks the checkpoint, because the auditor kept it from another history.
    """
    try:
        sealed = stub.GetLeafHashes(pb.GetLeafHashesRequest(name=name))
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return []
    return list(verification.explain(sealed.first_position, sealed.hashes))


def export_book(book: str, ledger: str, out: Callable[[str], object]) -> int:
    """Write a book up to its latest checkpoint as lines; return its number of events."""
    with client.ledger_channel(ledger) as channel:
        stub = AuditServiceStub(channel)
        latest = stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book)).checkpoint
        keys = tuple(_keys(stub, book))
        notes = [one.note for one in _checkpoints(stub, book) if one.size <= latest.size]
        leaves = read_leaves(channel, ReadEventsRequest(book=book, to_position=latest.size))
        with progress("Exporting", latest.size) as advance:
            for line in write(
                Header(book, latest.size, len(notes), keys), _each(leaves, advance), notes
            ):
                out(line)
        return int(latest.size)


def latest_note(book: str, ledger: str) -> str:
    """Return the latest checkpoint of a book, as it is signed."""
    with client.ledger_channel(ledger) as channel:
        stub = AuditServiceStub(channel)
        answer = stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book))
        note: str = answer.checkpoint.note
        return note


def _keys(stub: AuditServiceStub, book: str) -> Iterable[pb.SigningKey]:
    return list(stub.ListSigningKeys(pb.ListSigningKeysRequest(parent=book)).keys)


def _checkpoints(stub: AuditServiceStub, book: str) -> list[pb.Checkpoint]:
    # Requested first, so that a ledger that seals nothing says why.
    stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book))
    request = pb.ListCheckpointsRequest(parent=book, page_size=PAGE)
    found: list[pb.Checkpoint] = []
    while True:
        page = stub.ListCheckpoints(request)
        found += page.checkpoints
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def read_leaves(channel: grpc.Channel, request: ReadEventsRequest) -> Iterator[bytes]:
    """Yield the bytes of each event as the ledger sends them.

    Raises:
        UnreadableAnswerError: what it sends is not events.
    """
    read: Callable[[ReadEventsRequest], Iterable[bytes]] = channel.unary_stream(
        READ_EVENTS, request_serializer=ReadEventsRequest.SerializeToString
    )
    try:
        for answer in read(request):
            yield from recorded_events(answer)
    except WireError as error:
        message = f"what the ledger sends is not events: {error}"
        raise UnreadableAnswerError(message, ExitCode.NOT_VERIFIED) from error


def _ask_filters(channel: grpc.Channel, filters: Filters, book: str, report: Report) -> None:
    """Query the events of each value that occurs, and compare them with the bytes."""
    with progress("Asking filters", len(filters), 10) as advance:
        for query in filters.query():
            request = ReadEventsRequest(book=book, to_position=report.events, filter=query.filter())
            given = [
                RecordedEvent.FromString(leaf).position for leaf in read_leaves(channel, request)
            ]
            report.findings += query.compare(given)
            advance()
    report.filters = len(filters)


def _add(figures: Figures, recorded: RecordedEvent, report: Report) -> None:
    try:
        figures.add(recorded)
    except HistoryError as error:
        report.findings.append(Finding(figures.position + 1, Kind.POSITION, str(error)))


def _compare(
    channel: grpc.Channel,
    history: tuple[Figures, list[bytes]],
    book: str,
    projections: str,
    report: Report,
) -> None:
    """Recompute what the projections publish."""
    figures, leaves = history
    with client.projections(projections) as stub:
        read = ReadSpec(min_position=figures.position)
        position, answers = published.ask(stub, book, read)
        evaluated, flagged, counts = published.ask_exceptions(stub, book, read)
    for leaf in read_leaves(
        channel, ReadEventsRequest(book=book, from_position=figures.position + 1)
    ):
        if figures.position < max(position, evaluated):
            _add(figures, RecordedEvent.FromString(leaf), report)
            leaves.append(leaf)
    report.figures = len(answers)
    wrong = figures.compare(answers, position)
    known = [one for one in flagged if one.rule in RULES]
    report.exceptions = len(known)
    report.not_evaluated = tuple(sorted({one.rule for one in flagged} - set(RULES)))
    own = exceptions(leaves[:evaluated])
    own |= reviews(leaves[:evaluated], [one.exception for one in flagged])
    stated = published_exceptions(known) | published_reviews(flagged) | counts
    if report.not_evaluated:
        # The counts cover rules that this version does not know.
        own, stated = (
            {key: found[key] for key in found.keys() - counts} for found in (own, stated)
        )
    wrong += differences(own, stated, evaluated)
    report.findings += [
        Finding(difference.position, Kind.FIGURE, str(difference)) for difference in wrong
    ]


def _each(leaves: Iterable[bytes], advance: Callable[[], None]) -> Iterator[bytes]:
    for leaf in leaves:
        yield leaf
        advance()
