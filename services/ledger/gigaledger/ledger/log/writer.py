"""The writer of a book: decides on requests and records what is accepted, one group at a time.

Requests that arrive while a transaction is under way wait for the next one, and share it and its
fsync. A transaction holds the lock on the book's head, so the decisions in it see everything that
is recorded, and several ledger processes can write to one book. A refused request refuses only
itself: it leaves the states in memory as they were and adds nothing to the transaction.
"""

from __future__ import annotations

import datetime as dt
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import psycopg
import structlog
from gigaledger.common import metrics
from gigaledger.ledger.domain.book import Book, Request
from gigaledger.ledger.domain.catalogue import REVERSAL
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Refused, Rule, Violation
from gigaledger.ledger.log.aggregates import MAPPER, LogSource, logged, row_of
from gigaledger.ledger.log.recorder import BookRecorder, Clock
from gigaledger.ledger.log.tables import (
    AttemptRow,
    EventRow,
    Head,
    LogTables,
    Recording,
    RequestRow,
)
from psycopg_pool import ConnectionPool

MAX_GROUP_EVENTS = 5000
"""Bounds how long a transaction holds the head, and the memory that it takes."""
MAX_CATCH_UP_EVENTS = 10_000
"""Where others wrote more than this in between, it is cheaper to forget all than to look."""
MAX_QUEUED_REQUESTS = 10_000
"""Beyond these a caller is told to come back rather than to wait."""
MAX_ATTEMPT_TEXT = 2000
"""How much is kept of each text of a refused request."""
RECONNECT_ATTEMPTS = 2
"""A group is tried again once on a new connection: request ids make that safe."""

_log = structlog.get_logger("gigaledger.writer")


class StoreUnavailableError(RuntimeError):
    """PostgreSQL can't be reached now. Whether a group was recorded may be unknown."""


class WriterBusyError(RuntimeError):
    """Too many requests are waiting."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the facts of a request are recorded.

    Attributes:
        entries: position, stream, version and event id of each; position 0 and no id for a request
            that was only validated.
        recorded_at: when the last was recorded.
        replayed: whether the request had been accepted before.
    """

    entries: Sequence[tuple[int, str, int, str]]
    recorded_at: dt.datetime
    replayed: bool


@dataclass(slots=True, eq=False)
class RequestSequence:
    """Requests to one book of which none is recorded after one that was not."""

    broken: bool = False


class Answer(Protocol):
    """Where a caller waits: a future, of asyncio or of concurrent.futures."""

    def done(self) -> bool:
        """Tell whether the caller has gone away."""

    def set_result(self, result: Any, /) -> None:
        """Tell the caller what came of it."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Tell the caller what stands against it."""


_Answer = TypeVar("_Answer", bound=Answer)


@dataclass(slots=True)
class Submission(Generic[_Answer]):
    """A request on its way to the writer.

    Attributes:
        request: the facts.
        content_hash: SHA-256 of the content in the server's canonical form.
        answer: gets a receipt once the request is durable, or fails with `Refused` or
            `StoreUnavailableError`.
        validate_only: whether only to say what would happen.
        succession: what the request breaks where it is not recorded.
        in_sequence: whether it is recorded only as long as its succession is not broken.
    """

    request: Request
    content_hash: bytes
    answer: _Answer
    validate_only: bool = False
    succession: RequestSequence | None = None
    in_sequence: bool = False


@dataclass(slots=True)
class RejectedRequest:
    """A request that was refused for its form, on its way to the attempt log.

    Attributes:
        row: what is kept.
        answer: gets None once it is durable, or fails with `StoreUnavailableError`.
        succession: what it breaks.
    """

    row: AttemptRow
    answer: Answer
    succession: RequestSequence | None = None


@dataclass(slots=True)
class BookQuery(Generic[_Answer]):
    """A question to the book as decisions see it, at its head. Nothing is recorded.

    Attributes:
        ask: answers from the book, which it leaves as it was, by the server's clock.
        answer: gets what `ask` returns, or fails as a submission does.
    """

    ask: Callable[[Book, dt.datetime], object]
    answer: _Answer
    succession: None = None


_Item = Submission[Any] | RejectedRequest | BookQuery[Any]
_Outcome = object


@dataclass(slots=True)
class _Group:
    """What one transaction records, and the answers that it gives once it is committed."""

    recording: Recording = field(default_factory=Recording)
    attempts: list[AttemptRow] = field(default_factory=list)
    answers: list[tuple[Answer, _Outcome]] = field(default_factory=list)
    fresh: dict[str, tuple[RequestRow, Receipt]] = field(default_factory=dict)
    broken: set[RequestSequence] = field(default_factory=set)


class BookWriter:
    """Writes to one book from a thread of its own."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        pool: ConnectionPool,
        schema: str,
        clock: Clock,
        *,
        imported: bool,
        deliver: Callable[[Callable[[], None]], object] = lambda give: give(),
    ) -> None:
        """Start the thread.

        Args:
            connect: opens a connection that works as the ledger's role.
            pool: connections for the recorder.
            schema: schema of the book.
            clock: the server's clock.
            imported: whether recorded times come with the facts.
            deliver: called in the writer's thread, once for a group, with what gives the answers;
                for answers that are not to be given in this thread.
        """
        self._connect = connect
        self._deliver = deliver
        self._tables = LogTables(schema)
        self._recorder = BookRecorder(pool, self._tables, clock)
        self._clock = clock
        self._imported = imported
        self._connection: psycopg.Connection | None = None
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"writer-{schema}", daemon=True)
        self._thread.start()

    def submit(self, submission: Submission[_Answer]) -> _Answer:
        """Hand a request over, and return its answer.

        Raises:
            WriterBusyError: too many requests are waiting.
        """
        self._put(submission)
        return submission.answer

    def inquire(self, inquiry: BookQuery[_Answer]) -> _Answer:
        """Hand a question over, and return its answer.

        Raises:
            WriterBusyError: too many requests are waiting.
        """
        self._put(inquiry)
        return inquiry.answer

    def note_attempt(self, attempt: RejectedRequest) -> None:
        """Hand over a request that was refused for its form.

        Raises:
            WriterBusyError: too many requests are waiting.
        """
        self._put(attempt)

    def close(self) -> None:
        """Finish what is queued, and stop."""
        self._queue.put(None)
        self._thread.join()
        self._drop_connection()

    def _put(self, item: _Item) -> None:
        if self._queue.qsize() >= MAX_QUEUED_REQUESTS:
            raise WriterBusyError("the book's queue is full")
        self._queue.put(item)

    def _run(self) -> None:
        while True:
            batch, last = self._next_batch()
            if batch:
                self._record(batch)
            if last:
                return

    def _next_batch(self) -> tuple[list[_Item], bool]:
        """Wait for a request and take those that wait with it. True at the end of all."""
        batch: list[_Item] = []
        events = 0
        item = self._queue.get()
        while True:
            if item is None:
                return batch, True
            batch.append(item)
            events += len(item.request.events) if isinstance(item, Submission) else 1
            if events >= MAX_GROUP_EVENTS:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False

    def _record(self, batch: Sequence[_Item]) -> None:
        """Record a batch and answer it, whatever happens."""
        failure: Exception
        for _ in range(RECONNECT_ATTEMPTS):
            try:
                with metrics.GROUP_SECONDS.labels(self._tables.schema).time():
                    group = self._transact(batch)
            except psycopg.OperationalError as error:
                failure = StoreUnavailableError(f"PostgreSQL is not available: {error}")
                failure.__cause__ = error
                _log.warning("connection lost", schema=self._tables.schema, error=str(error))
                self._drop_connection()
            except Exception as error:  # noqa: BLE001 - every caller is told, and the writer lives on
                failure = error
                self._drop_connection()
                break
            else:
                for succession in group.broken:
                    succession.broken = True
                _observe(self._tables.schema, len(batch), group)
                self._give(group.answers)
                return
        if len(batch) > 1 and not isinstance(failure, StoreUnavailableError):
            # One of them breaks the writer: that is a fault of ours, and only it shall fail.
            for item in batch:
                self._record([item])
            return
        _log.error("not recorded", schema=self._tables.schema, exc_info=failure)
        for item in batch:
            if item.succession is not None:
                item.succession.broken = True
        self._give([(item.answer, failure) for item in batch])

    def _give(self, answers: Sequence[tuple[Answer, _Outcome]]) -> None:
        self._deliver(partial(_give, answers))

    def _transact(self, batch: Sequence[_Item]) -> _Group:
        """Decide on a batch and record what is accepted, in one transaction."""
        connection, book, source = self._ready()
        group = _Group()
        submissions = [item for item in batch if isinstance(item, Submission)]
        # Statements that do not wait for each other's answers go to PostgreSQL together.
        with connection.pipeline(), connection.transaction():
            request_ids = [item.request.request_id for item in submissions]
            head, known = self._tables.open(connection, request_ids)
            book.start(head.position, head.recorded_at, self._news(connection, book, head))
            fresh = [item.request for item in submissions if item.request.request_id not in known]
            source.read_ahead({name for request in fresh for name in book.wanted_streams(request)})
            source.read_keys_ahead({key for request in fresh for key in book.wanted_keys(request)})
            for item in batch:
                if isinstance(item, Submission):
                    self._decide(connection, book, group, item, known)
                elif isinstance(item, BookQuery):
                    group.answers.append((item.answer, item.ask(book, self._clock())))
                else:
                    _note(group, item)
            self._insert(connection, book, group)
        return group

    def _news(
        self, connection: psycopg.Connection, book: Book, head: Head
    ) -> Sequence[tuple[str, Entry]]:
        """Return what other processes wrote since the last transaction, by stream."""
        if head.position == book.position:
            return ()
        if head.position - book.position > MAX_CATCH_UP_EVENTS:
            book.forget()
            return ()
        rows = self._tables.news(connection, book.position)
        return [(stream, MAPPER.to_domain_event(logged(row))) for stream, row in rows]

    def _ready(self) -> tuple[psycopg.Connection, Book, LogSource]:
        if self._connection is None or self._connection.closed:
            self._drop_connection()
            self._connection = self._connect()
            self._source = LogSource(self._recorder, self._tables, self._connection)
            self._book = Book(self._source, imported=self._imported)
        return self._connection, self._book, self._source

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _decide(
        self,
        connection: psycopg.Connection,
        book: Book,
        group: _Group,
        submission: Submission[Any],
        known: Mapping[str, RequestRow],
    ) -> None:
        request, succession = submission.request, submission.succession
        answer: Receipt | Refused
        broken = succession is not None and (succession.broken or succession in group.broken)
        if broken and submission.in_sequence:
            group.answers.append((submission.answer, _stopped()))
            return
        try:
            answer = self._seen_before(connection, group, submission, known) or self._accept(
                book, group, submission
            )
        except Refused as refused:
            answer = refused
            if succession is not None:
                group.broken.add(succession)
            if not submission.validate_only:
                group.attempts.append(
                    attempt(self._clock(), request.request_id, request.events[0].actor, refused)
                )
        group.answers.append((submission.answer, answer))

    def _seen_before(
        self,
        connection: psycopg.Connection,
        group: _Group,
        submission: Submission[Any],
        known: Mapping[str, RequestRow],
    ) -> Receipt | None:
        """Return the first answer to a request that was accepted before (HR-ID-01).

        Raises:
            Refused: the id was used for other content.
        """
        request_id = submission.request.request_id
        if request_id in group.fresh:
            row, receipt = group.fresh[request_id]
        elif request_id in known:
            row, receipt = known[request_id], None
        else:
            return None
        if row.content_hash != submission.content_hash:
            message = (
                f"request id {request_id!r} was used for other content, "
                f"recorded from position {row.first_position} to {row.last_position}"
            )
            values = {
                "first_position": str(row.first_position),
                "last_position": str(row.last_position),
            }
            raise Refused([Violation(Rule.ID_01, "request_id", message, values)])
        if receipt is None:
            rows = self._tables.between(connection, row.first_position, row.last_position)
            receipt = _receipt(rows)
        return Receipt(receipt.entries, receipt.recorded_at, replayed=True)

    def _accept(self, book: Book, group: _Group, submission: Submission[Any]) -> Receipt:
        request = submission.request
        if submission.validate_only:
            tried = book.try_out(request, self._clock())
            entries = [(0, item.entry.stream, item.entry.version, "") for item in tried]
            return Receipt(entries, tried[-1].entry.recorded_at, replayed=False)
        accepted = book.accept(request, self._clock())
        rows = [row_of(item) for item in accepted]
        receipt = _receipt(rows)
        request_row = RequestRow(
            request.request_id, submission.content_hash, rows[0].position, rows[-1].position
        )
        group.recording.rows += rows
        group.recording.requests.append(request_row)
        for item in accepted:
            position = item.entry.position
            group.recording.keys += [(key, position) for key in item.keys]
            group.recording.links += [(stream, position) for stream in item.links]
            if item.entry.kind == REVERSAL:
                group.recording.reversals.append((item.entry.fact.position, position))
        group.fresh[request.request_id] = request_row, receipt
        return receipt

    def _insert(self, connection: psycopg.Connection, book: Book, group: _Group) -> None:
        if group.recording.rows:
            head = Head(book.position, book.recorded_at)
            self._tables.record(connection, head, group.recording)
        if group.attempts:
            self._tables.insert_attempts(connection, group.attempts)


def _observe(schema: str, requests: int, group: _Group) -> None:
    metrics.GROUP_REQUESTS.labels(schema).observe(requests)
    metrics.EVENTS_APPENDED.labels(schema).inc(len(group.recording.rows))
    for row in group.attempts:
        for rule in row.rules:
            metrics.REQUESTS_REFUSED.labels(schema, rule).inc()


def _stopped() -> Refused:
    message = "an earlier request of the stream was not recorded, and this one was to follow it"
    return Refused([Violation(Rule.STREAM_STOPPED, "in_sequence", message)])


def attempt(now: dt.datetime, request_id: str, actor: str, refused: Refused) -> AttemptRow:
    """Return what the attempt log keeps of a refusal, of whatever a caller may have sent."""
    rules = sorted({violation.rule.code for violation in refused.violations})
    return AttemptRow(now, _kept(request_id), _kept(actor), rules, _kept(str(refused)))


def _kept(text: str) -> str:
    """Return a text as PostgreSQL can hold it: every character but one, and not without end."""
    return text[:MAX_ATTEMPT_TEXT].replace("\0", "\N{SYMBOL FOR NULL}")


def _receipt(rows: Sequence[EventRow]) -> Receipt:
    entries = [(row.position, row.stream, row.stream_version, str(row.event_id)) for row in rows]
    return Receipt(entries, rows[-1].recorded_at, replayed=False)


def _note(group: _Group, noted: RejectedRequest) -> None:
    group.attempts.append(noted.row)
    group.answers.append((noted.answer, None))
    if noted.succession is not None:
        group.broken.add(noted.succession)


def _give(answers: Sequence[tuple[Answer, _Outcome]]) -> None:
    for answer, outcome in answers:
        if answer.done():
            continue  # The caller has gone away.
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
