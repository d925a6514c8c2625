"""`gigaledger append`: facts from a file into a book, in the order of the file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import grpc
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.ledger.append_stream import appended_in_turn
from gigaledger.cli.ledger.csv_facts import read_csv
from gigaledger.cli.ledger.json_lines import read_json_lines
from gigaledger.cli.ledger.requests import FileRequest, InputError
from gigaledger.cli.output import error_console, notice
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventsResponse,
    GetBookRequest,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

STDIN = "-"
PROGRESS_AFTER_SECONDS = 1.0
MAX_DRY_RUN_EVENTS = 1000
"""What one request may bring: lines that build on each other are tried together."""

FileFormat = Literal["jsonl", "csv"]


@dataclass
class Tally:
    """What became of the requests of a file."""

    appended_requests: int = 0
    appended_events: int = 0
    replayed_requests: int = 0
    refused_requests: int = 0
    last_position: int = 0

    def count(self, response: AppendEventsResponse) -> None:
        """Count an accepted request."""
        if response.replayed:
            self.replayed_requests += 1
        else:
            self.appended_requests += 1
            self.appended_events += len(response.receipts)
        self.last_position = max([self.last_position, *(r.position for r in response.receipts)])

    def summary(self) -> str:
        """Say it in a line."""
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

    def __init__(self, request: FileRequest, error: grpc.RpcError) -> None:
        lines = client.violation_lines(error) or [f"  {error.details()}"]
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
    """Open a file of requests, and tell its size in bytes; 0 where unknown.

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
    stub: LedgerServiceStub,
    book: str,
    requests: Iterator[FileRequest],
    *,
    keep_going: bool = False,
    done: Callable[[FileRequest], None] = lambda _request: None,
    between: Callable[[], None] = lambda: None,
) -> Tally:
    """Append the requests of a file in their order.

    A request whose outcome is unknown is repeated with the same id.

    Args:
        stub: the ledger.
        book: resource name of the book.
        requests: of the file, in order.
        keep_going: go on after a refused request, telling of it, instead of stopping.
        done: told of each request that was answered.
        between: called while waiting to repeat; may raise.

    Raises:
        CommandError: a request was refused or can't be read; what was appended before it stays.
        grpc.RpcError: the ledger can't be reached.
    """
    tally = Tally()
    try:
        for item, outcome in appended_in_turn(
            stub, _of_book(requests, book), in_sequence=not keep_going, between=between
        ):
            if isinstance(outcome, AppendEventsResponse):
                tally.count(outcome)
            else:
                refused = RequestRefusedError(item, outcome)
                if not keep_going:
                    raise refused
                tally.refused_requests += 1
                notice(refused.message)
            done(item)
    except (CommandError, grpc.RpcError):
        notice(f"Stopped. {tally.summary()}")
        raise
    return tally


def _of_book(requests: Iterator[FileRequest], book: str) -> Iterator[FileRequest]:
    for item in requests:
        item.request.book = _own_book(item, book)
        yield item


def dry_run(stub: LedgerServiceStub, book: str, requests: Iterator[FileRequest]) -> str:
    """Ask what would become of a file; nothing is recorded.

    Requests at its start that are recorded already are passed over. The others are tried as one
    request, because later lines may need what earlier ones bring.

    Returns:
        What to tell the user.

    Raises:
        CommandError: a line would be refused.
        grpc.RpcError: the ledger can't be reached.
    """
    recorded = 0
    items: list[FileRequest] = []
    owners: list[FileRequest] = []
    together = AppendEventsRequest(book=book, validate_only=True)
    for item in requests:
        item.request.book = _own_book(item, book)
        item.request.validate_only = True
        if not items and _is_recorded(stub, item):
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
            client.repeated(stub.AppendEvents, together)
        except grpc.RpcError as error:
            if not _is_refusal(error):
                raise
            raise RequestRefusedError(_owner(error, owners), error) from error
    return (
        f"Dry run: {len(owners):,} events in {len(items):,} requests would be appended, "
        f"{recorded:,} requests were recorded before. Nothing was recorded now."
    )


def append_file(
    stub: LedgerServiceStub,
    book: str,
    path: str,
    given: FileFormat | None,
    *,
    keep_going: bool,
) -> Tally:
    """Append a file, with progress shown where it takes longer than a second.

    Raises:
        CommandError: the file or a request of it is refused.
        grpc.RpcError: the ledger can't be reached.
    """
    stub.GetBook(GetBookRequest(name=book), timeout=client.CALL_SECONDS)
    with opened(path, given) as (requests, size), file_progress(path, size) as advance:
        return append_requests(stub, book, requests, keep_going=keep_going, done=advance)


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


def _own_book(item: FileRequest, book: str) -> str:
    if item.request.book not in {"", book}:
        raise InputError(
            item.place,
            f"the line is for {item.request.book}, not {book}: leave book out, or name it with "
            "--book",
        )
    return book


def _is_refusal(error: grpc.RpcError) -> bool:
    return client.exit_code(error) is ExitCode.REFUSED


def _is_recorded(stub: LedgerServiceStub, item: FileRequest) -> bool:
    try:
        return client.repeated(stub.AppendEvents, item.request).replayed
    except grpc.RpcError as error:
        if _is_refusal(error):
            return False
        raise


def _owner(error: grpc.RpcError, owners: list[FileRequest]) -> FileRequest:
    """Return the line that a refusal is about: its fields start with events[N]."""
    for violation in client.violations(error):
        index = violation.field.removeprefix("events[").partition("]")[0]
        if index.isdecimal() and int(index) < len(owners):
            return owners[int(index)]
    return owners[0]
