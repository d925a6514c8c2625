"""`gigaledger append`: facts from a file into a book, in the order of the file."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode, Interrupted
from gigaledger.cli.ledger.csv_facts import read_csv
from gigaledger.cli.ledger.json_lines import read_json_lines
from gigaledger.cli.ledger.requests import FileRequest, InputError
from gigaledger.cli.output import error_console, notice
from gigaledger.client import Appended, Book, GigaledgerError
from gigaledger.ledger.domain.book import MAX_EVENTS_PER_REQUEST
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

STDIN = "-"
PROGRESS_AFTER_SECONDS = 1.0
_TRIAL_FULL = ("BATCH_SIZE", "events")
"""Rule and field of the refusal if a trial holds as many facts as it can."""

FileFormat = Literal["jsonl", "csv"]
FileLine = FileRequest | InputError
"""What a line of a file holds: a request, or why it can't be read."""


@dataclass
class Tally:
    """Counts of the requests of a file, by outcome."""

    appended_requests: int = 0
    appended_events: int = 0
    replayed_requests: int = 0
    refused_requests: int = 0
    last_position: int = 0

    def count(self, response: Appended) -> None:
        """Count an accepted request."""
        if response.replayed:
            self.replayed_requests += 1
        else:
            self.appended_requests += 1
            self.appended_events += len(response.receipts)
        self.last_position = max([self.last_position, *(r.position for r in response.receipts)])

    def summary(self) -> str:
        """Return the counts in a sentence."""
        parts = [
            f"{self.appended_events:,} events appended in {self.appended_requests:,} requests",
            f"{self.replayed_requests:,} requests were recorded before",
        ]
        if self.refused_requests:
            parts.append(f"{self.refused_requests:,} requests refused")
        end = f"; last position {self.last_position:,}" if self.last_position else ""
        return ", ".join(parts) + end + "."


@dataclass
class CheckedFile:
    """What would become of a file.

    Attributes:
        events: how many would be appended.
        requests: in how many requests.
        recorded: requests that are recorded already.
        refused: requests that would be refused.
        unreadable: lines that can't be read.
        read_only_from: place of the first line that was read but not tried; empty if all were.
    """

    events: int = 0
    requests: int = 0
    recorded: int = 0
    refused: int = 0
    unreadable: int = 0
    read_only_from: str = ""

    def count(self, response: Appended) -> None:
        """Count a request that would be accepted."""
        if response.replayed:
            self.recorded += 1
        else:
            self.requests += 1
            self.events += len(response.receipts)

    def summary(self) -> str:
        """Return the counts in sentences."""
        parts = [f"{self.events:,} events in {self.requests:,} requests would be appended"]
        if self.recorded:
            parts.append(f"{self.recorded:,} requests are recorded already")
        if self.refused:
            parts.append(f"{self.refused:,} would be refused")
        if self.unreadable:
            parts.append(f"{self.unreadable:,} lines can't be read")
        said = [f"{', '.join(parts)}. Nothing was recorded."]
        if self.unreadable and self.refused:
            said.append("A line may be refused only because it builds on one that can't be read.")
        if self.read_only_from:
            said.append(
                f"From {self.read_only_from} on, lines were read but not tried: there are more "
                "than the ledger tries together. Append what is before, then check again."
            )
        return " ".join(said)

    def exit_code(self) -> ExitCode:
        """Return the exit code: OK only if the whole file was tried and would be appended."""
        if self.unreadable:
            return ExitCode.INVALID_INPUT
        return ExitCode.REFUSED if self.refused or self.read_only_from else ExitCode.OK


class RequestRefusedError(CommandError):
    """The ledger refused a request of a file."""

    def __init__(self, request: FileRequest, error: GigaledgerError) -> None:
        lines = client.violation_lines(error) or [f"  {error.message}"]
        super().__init__(
            "\n".join([f"{request.place}: refused (request {request.request.request_id})", *lines]),
            ExitCode.REFUSED,
            "Nothing of this line was recorded. Mend it and append the file again: lines that were "
            "recorded are not recorded twice.",
        )


def file_format(path: str, given: FileFormat | None) -> FileFormat:
    """Return the format of a file: as given, else by its ending; JSON Lines on standard input."""
    if given:
        return given
    return "csv" if path.lower().endswith(".csv") else "jsonl"


@contextmanager
def opened(path: str, given: FileFormat | None) -> Iterator[tuple[Iterator[FileLine], int]]:
    """Open a file of requests; yield them and its size in bytes, 0 if unknown.

    Raises:
        CommandError: it can't be opened.
    """
    read = read_csv if file_format(path, given) == "csv" else read_json_lines
    if path == STDIN:
        yield read(sys.stdin.buffer, "stdin"), 0
        return
    try:
        file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - closed below; open errors apart
    except OSError as error:
        code = (
            ExitCode.NOT_FOUND if isinstance(error, FileNotFoundError) else ExitCode.INVALID_INPUT
        )
        raise CommandError(f"cannot read {path}: {error.strerror}", code) from None
    with file:
        yield read(file, Path(path).name), Path(path).stat().st_size


def append_requests(
    book: Book,
    requests: Iterator[FileLine],
    *,
    keep_going: bool = False,
    done: Callable[[FileRequest], None] = lambda _request: None,
) -> Tally:
    """Append the requests of a file in their order.

    A request whose outcome is unknown is repeated with the same id, for as long as the retry policy
    of the book's client allows.

    Args:
        book: the book.
        requests: of the file, in order.
        keep_going: report a refused request and continue, instead of stopping.
        done: called for each request that was answered; may raise.

    Raises:
        CommandError: a request was refused or can't be read; what was appended before it stays.
        Interrupted: by Ctrl-C or a signal.
        GigaledgerError: the ledger can't be reached.
    """
    tally = Tally()
    waiting: deque[FileRequest] = deque()

    def sent() -> Iterator[AppendEventsRequest]:
        for line in requests:
            item = _for_book(line, book)
            if isinstance(item, InputError):
                raise item
            waiting.append(item)
            yield item.request

    try:
        for outcome in book.append_stream(sent(), in_sequence=not keep_going):
            item = waiting.popleft()
            if outcome.appended is not None:
                tally.count(outcome.appended)
            elif outcome.error is not None:
                refused = RequestRefusedError(item, outcome.error)
                if not keep_going:
                    raise refused
                tally.refused_requests += 1
                notice(refused.message)
            done(item)
    except (CommandError, GigaledgerError):
        notice(f"Stopped. {tally.summary()}")
        raise
    except KeyboardInterrupt:
        notice(
            f"Stopped. At least {tally.summary()} Append the file again to continue: what is "
            "recorded is not recorded twice."
        )
        raise Interrupted from None
    return tally


def check_requests(
    book: Book,
    requests: Iterator[FileLine],
    *,
    done: Callable[[FileRequest], None] = lambda _request: None,
) -> CheckedFile:
    """Try the requests of a file, each on top of those before it, and record nothing.

    Every line that can't be read or would be refused is reported, in the order of the file.

    Args:
        book: the book.
        requests: of the file, in order.
        done: called for each request that was answered; may raise.

    Raises:
        Interrupted: by Ctrl-C or a signal.
        GigaledgerError: the ledger can't be reached.
    """
    checked = CheckedFile()
    waiting: deque[FileRequest] = deque()
    unreadable: deque[tuple[int, InputError]] = deque()
    sent, answered = 0, 0

    def tried() -> Iterator[AppendEventsRequest]:
        nonlocal sent
        for line in requests:
            item = _for_book(line, book)
            if isinstance(item, InputError):
                unreadable.append((sent, item))
            elif not checked.read_only_from:
                item.request.validate_only = True
                waiting.append(item)
                sent += 1
                yield item.request

    def report_unreadable() -> None:
        """Report the lines before the next request that is answered."""
        while unreadable and unreadable[0][0] <= answered:
            notice(unreadable.popleft()[1].message)
            checked.unreadable += 1

    try:
        for outcome in book.append_stream(tried()):
            report_unreadable()
            item = waiting.popleft()
            answered += 1
            if outcome.appended is not None:
                checked.count(outcome.appended)
            elif outcome.error is not None and _is_full(outcome.error, item):
                checked.read_only_from = checked.read_only_from or item.place
            elif outcome.error is not None:
                checked.refused += 1
                lines = client.violation_lines(outcome.error) or [f"  {outcome.error.message}"]
                notice("\n".join([f"{item.place}: would be refused", *lines]))
            done(item)
    except KeyboardInterrupt:
        notice(f"Stopped. So far: {checked.summary()}")
        raise Interrupted from None
    report_unreadable()
    return checked


def _is_full(error: GigaledgerError, item: FileRequest) -> bool:
    """Return whether a request is refused because the trial holds as many facts as it can."""
    found = [(violation.rule, violation.field) for violation in error.violations]
    return found == [_TRIAL_FULL] and len(item.request.events) <= MAX_EVENTS_PER_REQUEST


def append_file(book: Book, path: str, given: FileFormat | None, *, keep_going: bool) -> Tally:
    """Append a file, with progress shown if it takes longer than a second.

    Raises:
        CommandError: the file or a request of it is refused.
        GigaledgerError: the ledger can't be reached.
    """
    with (
        opened(path, given) as (requests, size),
        file_progress(f"Appending {path}", size) as advance,
    ):
        return append_requests(book, requests, keep_going=keep_going, done=advance)


def check_file(book: Book, path: str, given: FileFormat | None) -> CheckedFile:
    """Try a file and record nothing, with progress shown if it takes longer than a second.

    Raises:
        CommandError: the file can't be opened.
        GigaledgerError: the ledger can't be reached.
    """
    with (
        opened(path, given) as (requests, size),
        file_progress(f"Checking {path}", size) as advance,
    ):
        return check_requests(book, requests, done=advance)


@contextmanager
def file_progress(title: str, size: int) -> Iterator[Callable[[FileRequest], None]]:
    """Show how much of a file is done, once it takes longer than a second, on a terminal."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[requests]} requests"),
        TimeRemainingColumn(),
        console=error_console(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    task = progress.add_task(title, total=size or None, requests=0)
    started = time.monotonic()
    requests = 0

    def advance(item: FileRequest) -> None:
        nonlocal requests
        requests += 1
        progress.update(task, completed=item.read_bytes, requests=requests)
        if not progress.live.is_started and time.monotonic() - started > PROGRESS_AFTER_SECONDS:
            progress.start()

    try:
        yield advance
    finally:
        progress.stop()


def _for_book(line: FileLine, book: Book) -> FileLine:
    """Return a line; an error if it names another book."""
    if isinstance(line, InputError) or line.request.book in {"", book.name}:
        return line
    return InputError(
        line.place,
        f"the line is for {line.request.book}, not {book.name}: "
        "leave book out, or name it with --book",
    )
