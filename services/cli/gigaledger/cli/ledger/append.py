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
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

STDIN = "-"
PROGRESS_AFTER_SECONDS = 1.0
MAX_DRY_RUN_EVENTS = 1000
"""What one request may bring: lines that build on each other are tried together."""

FileFormat = Literal["jsonl", "csv"]


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
def opened(path: str, given: FileFormat | None) -> Iterator[tuple[Iterator[FileRequest], int]]:
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
    requests: Iterator[FileRequest],
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
        for item in requests:
            _check_book(item, book)
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


def dry_run(book: Book, requests: Iterator[FileRequest]) -> str:
    """Ask whether a file would be accepted; nothing is recorded.

    Requests at its start that are already recorded are skipped. The others are tried together
    because later lines may need facts of earlier ones.

    Returns:
        The answer in a sentence.

    Raises:
        CommandError: a line would be refused.
        GigaledgerError: the ledger can't be reached.
    """
    recorded = 0
    items: list[FileRequest] = []
    owners: list[FileRequest] = []
    together = AppendEventsRequest(book=book.name, validate_only=True)
    for item in requests:
        _check_book(item, book)
        item.request.validate_only = True
        if not items and _is_recorded(book, item):
            recorded += 1
            continue
        if len(together.events) + len(item.request.events) > MAX_DRY_RUN_EVENTS:
            raise CommandError(
                f"{item.place}: a dry run takes at most {MAX_DRY_RUN_EVENTS:,} events, because "
                "lines that build on each other are tried together",
                ExitCode.USAGE,
                "Split the file, and append one part before the next is tried.",
            )
        items.append(item)
        together.events.extend(item.request.events)
        owners += [item] * len(item.request.events)
        together.checks.extend(item.request.checks)
        together.request_id = item.request.request_id
    if items:
        try:
            book.send(together)
        except GigaledgerError as error:
            if not _is_refusal(error):
                raise
            raise RequestRefusedError(_owner(error, owners), error) from error
    return (
        f"Dry run: {len(owners):,} events in {len(items):,} requests would be appended, "
        f"{recorded:,} requests were recorded before. Nothing was recorded now."
    )


def append_file(
    book: Book,
    path: str,
    given: FileFormat | None,
    *,
    keep_going: bool,
) -> Tally:
    """Append a file, with progress shown if it takes longer than a second.

    Raises:
        CommandError: the file or a request of it is refused.
        GigaledgerError: the ledger can't be reached.
    """
    with opened(path, given) as (requests, size), file_progress(path, size) as advance:
        return append_requests(book, requests, keep_going=keep_going, done=advance)


@contextmanager
def file_progress(path: str, size: int) -> Iterator[Callable[[FileRequest], None]]:
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
    task = progress.add_task(f"Appending {path}", total=size or None, requests=0)
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


def _check_book(item: FileRequest, book: Book) -> None:
    if item.request.book not in {"", book.name}:
        raise InputError(
            item.place,
            f"the line is for {item.request.book}, not {book.name}: "
            "leave book out, or name it with --book",
        )


def _is_refusal(error: GigaledgerError) -> bool:
    return client.exit_code(error) is ExitCode.REFUSED


def _is_recorded(book: Book, item: FileRequest) -> bool:
    try:
        return book.send(item.request).replayed
    except GigaledgerError as error:
        if _is_refusal(error):
            return False
        raise


def _owner(error: GigaledgerError, owners: list[FileRequest]) -> FileRequest:
    """Return the line that a refusal is about: its fields start with events[N]."""
    for violation in error.violations:
        index = violation.field.removeprefix("events[").partition("]")[0]
        if index.isdecimal() and int(index) < len(owners):
            return owners[int(index)]
    return owners[0]
