"""`gigaledger audit verify FILE`: a book in a file against its proofs, and what both ways share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gigaledger.audit.export.book_file import (
    ExportError,
    event_line,
    read_event,
    read_footer,
    read_header,
)
from gigaledger.audit.verify.verification import (
    Checkpoints,
    Finding,
    Kind,
    Verification,
    trusted_keys,
)
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import error_console
from gigaledger.common.transparency.notes import NoteError, Verifier
from gigaledger.v1 import audit_pb2 as pb
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

STEP = 1000
"""Events after which progress is shown."""


@dataclass
class Report:
    """The result of a verification.

    Attributes:
        book: resource name of the book.
        origin: origin of its checkpoints.
        size: size of the latest checkpoint.
        checkpoints: number of checkpoints compared with the events.
        events: number of events read.
        filters: number of filtered queries compared with the events; None if none were made.
        figures: number of published figures recomputed; None if they were not requested.
        exceptions: number of exceptions evaluated again; None if they were not requested.
        not_evaluated: rules of published exceptions that this version does not know.
        findings: the faults.
    """

    book: str
    origin: str
    size: int = 0
    checkpoints: int = 0
    events: int = 0
    filters: int | None = None
    figures: int | None = None
    exceptions: int | None = None
    not_evaluated: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.findings


def read_keys(text: str) -> list[Verifier]:
    """Return public keys: one that is given as it is, or those in a file, one a line.

    Raises:
        CommandError: neither.
    """
    path = Path(text)
    try:
        lines = path.read_text("utf-8").split() if path.is_file() else [text]
        return [Verifier.parse(line) for line in lines or [""]]
    except (NoteError, OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--key {text}: {error}", ExitCode.USAGE) from error


def verify_file(
    path: Path, trusted: Sequence[Verifier], kept: str | None, *, allow_unsealed: bool
) -> Report:
    """Verify a file with nothing but the public keys.

    Raises:
        CommandError: it can't be read as a book.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            header = read_header(next(file, ""))
            notes = read_footer(_last_line(path))
            report, checkpoints = held_against(header.keys, trusted, header.book, notes, kept)
            report.findings += checkpoints.key_findings(header.keys)
            if len(notes) != header.checkpoints:
                message = (
                    f"the file says that it holds {header.checkpoints} checkpoints, but holds"
                    f" {len(notes)}"
                )
                report.findings.append(Finding(0, Kind.TRUNCATED, message))
            verification = Verification(checkpoints.roots)
            with progress("Verifying", header.size) as advance:
                for line in file:
                    try:
                        leaf = read_event(line)
                    except ExportError as error:
                        position = verification.count + 1
                        report.findings.append(Finding(position, Kind.UNREADABLE, str(error)))
                        continue
                    if leaf is None:
                        break
                    report.findings += verification.add(leaf)
                    report.findings += _shown(leaf, line, verification.count)
                    advance()
                if any(True for _ in file):
                    message = "there are lines after the checkpoints"
                    report.findings.append(Finding(verification.count, Kind.READABLE, message))
    except (ExportError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}", ExitCode.INVALID_INPUT) from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", ExitCode.NOT_FOUND) from error
    report.findings += verification.finish(allow_unsealed=allow_unsealed)
    report.events = verification.count
    if report.events != header.size:
        message = f"the file says that it holds {header.size} events, but holds {report.events}"
        report.findings.append(Finding(report.events, Kind.TRUNCATED, message))
    return report


def held_against(
    keys: Iterable[pb.SigningKey],
    trusted: Sequence[Verifier],
    book: str,
    notes: Iterable[str],
    kept: str | None = None,
) -> tuple[Report, Checkpoints]:
    """Return the checkpoints that a book must match, with the findings about them."""
    followed, findings = trusted_keys(list(keys), trusted)
    checkpoints = Checkpoints(followed)
    if not checkpoints.origin.endswith(f"/{book}"):
        message = f"{book} is not the book of {checkpoints.origin}, whose key it is verified with"
        findings.append(Finding(0, Kind.FORK, message))
    for note in notes:
        checkpoints.add_in_order(note)
    report = Report(book, checkpoints.origin, checkpoints.size, len(checkpoints.roots), findings=[])
    if kept is not None:
        checkpoints.add(kept)
    report.findings += findings + checkpoints.findings
    if not checkpoints.roots:
        message = "there is no checkpoint that a trusted key has signed: nothing is proven"
        report.findings.append(Finding(0, Kind.SIGNATURE, message))
    return report, checkpoints


def _shown(leaf: bytes, line: str, position: int) -> Iterator[Finding]:
    """Yield a line that is not the one an export writes for its bytes."""
    try:
        if event_line(leaf) == line:
            return
        message = f"what the line shows of event {position} is not so"
    except ExportError as error:
        message = f"what the line shows of event {position}: {error}"
    yield Finding(position, Kind.READABLE, message)


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


@contextmanager
def progress(what: str, total: int, step: int = STEP) -> Iterator[Callable[[], None]]:
    """Show progress on a terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    task = bar.add_task(what, total=total)
    seen = 0

    def advance() -> None:
        nonlocal seen
        seen += 1
        if not seen % step:
            bar.update(task, completed=seen)

    with bar:
        yield advance
