"""The writer of a book: decides on requests and records the accepted ones in groups.

Requests that arrive during a transaction wait for the next one and share its fsync (group commit).
A transaction holds the lock on the book's head, so its decisions see everything recorded, and
several ledger processes can write to one book. A refused request affects no other: it leaves the
states in memory unchanged and adds nothing to the transaction.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
import structlog
from gigaledger.common import metrics
from gigaledger.ledger.domain.book import Book
from gigaledger.ledger.domain.catalogue import REVERSAL
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Refused, Rule, Violation
from gigaledger.ledger.log.log_source import LogSource, entry_of, row_of
from gigaledger.ledger.log.recorder import Clock
from gigaledger.ledger.log.submissions import (
    BookQuery,
    Future,
    Receipt,
    RejectedRequest,
    RequestSequence,
    ResultFuture,
    Submission,
    attempt_row,
)
from gigaledger.ledger.log.tables import AttemptRow, Head, LogTables, Recording, RequestRow
from gigaledger.ledger.log.writer_pool import WriterConnection, WriterPool

MAX_GROUP_EVENTS = 5000
"""Bounds the memory of a transaction, and how long it holds the head."""
MAX_CATCH_UP_EVENTS = 10_000
"""After more events of other processes, dropping all states is cheaper than updating them."""
MAX_QUEUED_REQUESTS = 10_000
"""With more requests waiting, callers are asked to come back."""
MAX_TRIES = 2
"""A group is repeated once on a new connection, which request ids make safe."""

_log = structlog.get_logger("gigaledger.writer")


class StoreUnavailableError(RuntimeError):
    """PostgreSQL can't be reached. Whether the request was recorded may be unknown."""


class WriterBusyError(RuntimeError):
    """The writer's queue is full."""


_Item = Submission[Any] | RejectedRequest | BookQuery[Any]


@dataclass(slots=True)
class _Group:
    """What one transaction records, and the results it delivers once it is committed."""

    recording: Recording = field(default_factory=Recording)
    attempts: list[AttemptRow] = field(default_factory=list)
    results: list[tuple[ResultFuture, object]] = field(default_factory=list)
    accepted: dict[str, tuple[RequestRow, Receipt]] = field(default_factory=dict)
    broken: set[RequestSequence] = field(default_factory=set)


class BookWriter:
    """Writes to one book, in the threads of a pool."""

    def __init__(
        self,
        pool: WriterPool,
        schema: str,
        clock: Clock,
        *,
        imported: bool,
        deliver: Callable[[Callable[[], None]], object] = lambda complete: complete(),
    ) -> None:
        """Write once a request is submitted.

        Args:
            pool: lends a thread and a connection while requests wait.
            schema: schema of the book.
            clock: the server's clock.
            imported: whether facts carry their recorded times.
            deliver: called in a thread of the pool once for each group, with a function that
                completes its futures; moves the call to the thread that owns them.
        """
        self._pool = pool
        self._deliver = deliver
        self._tables = LogTables(schema)
        self._clock = clock
        self._imported = imported
        self._waiting: deque[_Item] = deque()
        self._lock = threading.Lock()
        self._scheduled = False
        self._forget()

    def submit(self, submission: Submission[Future]) -> Future:
        """Queue a request, and return its future.

        Raises:
            WriterBusyError: too many requests are waiting.
        """
        self._put(submission)
        return submission.future

    def query(self, query: BookQuery[Future]) -> Future:
        """Queue a question, and return its future.

        Raises:
            WriterBusyError: too many requests are waiting.
        """
        self._put(query)
        return query.future

    def record_rejection(self, rejected: RejectedRequest) -> None:
        """Queue a malformed request for the attempt log.

        Raises:
            WriterBusyError: too many requests are waiting.
        """
        self._put(rejected)

    def _put(self, item: _Item) -> None:
        with self._lock:
            if len(self._waiting) >= MAX_QUEUED_REQUESTS:
                raise WriterBusyError("the book's queue is full")
            self._waiting.append(item)
            idle, self._scheduled = not self._scheduled, True
        if idle:
            self._pool.schedule(self)

    @property
    def streams_in_memory(self) -> int:
        """How many streams have their state in memory."""
        return self._book.streams_in_memory

    def evict(self, streams: int) -> None:
        """Keep the states of at most so many streams."""
        self._book.evict(streams)

    def release(self) -> bool:
        """Give the thread back; return False if requests wait, so that it must be scheduled."""
        with self._lock:
            self._scheduled = bool(self._waiting)
            return not self._scheduled

    def forget_if_idle(self) -> bool:
        """Drop all states, unless it has a thread or waits for one; return whether it did."""
        with self._lock:
            if self._scheduled:
                return False
            self._forget()
            return True

    def write_group(self, connection: WriterConnection) -> None:
        """Process the requests that wait, up to the size of a group."""
        batch: list[_Item] = []
        events = 0
        while self._waiting and events < MAX_GROUP_EVENTS:
            item = self._waiting.popleft()
            batch.append(item)
            events += len(item.request.events) if isinstance(item, Submission) else 1
        self._process(batch, connection)

    def _forget(self) -> None:
        self._source = LogSource(self._tables)
        self._book = Book(self._source, imported=self._imported)

    def _process(self, batch: Sequence[_Item], connection: WriterConnection) -> None:
        """Process a batch in one transaction, and complete every future."""
        failure: Exception
        for _ in range(MAX_TRIES):
            try:
                with metrics.GROUP_SECONDS.labels(self._tables.schema).time():
                    group = self._transact(batch, connection.get())
            except psycopg.OperationalError as error:
                failure = StoreUnavailableError(f"PostgreSQL is not available: {error}")
                failure.__cause__ = error
                _log.warning("connection lost", schema=self._tables.schema, error=str(error))
                self._fail(connection)
            except Exception as error:  # noqa: BLE001 - becomes every caller's error
                failure = error
                self._fail(connection)
                break
            else:
                for sequence in group.broken:
                    sequence.broken = True
                _observe(self._tables.schema, len(batch), group)
                self._complete(group.results)
                return
        if len(batch) > 1 and not isinstance(failure, StoreUnavailableError):
            # A bug in the processing of one item must not fail the others.
            for item in batch:
                self._process([item], connection)
            return
        _log.error("not recorded", schema=self._tables.schema, exc_info=failure)
        for item in batch:
            if item.sequence is not None:
                item.sequence.broken = True
        self._complete([(item.future, failure) for item in batch])

    def _complete(self, results: Sequence[tuple[ResultFuture, object]]) -> None:
        self._deliver(partial(_complete, results))

    def _fail(self, connection: WriterConnection) -> None:
        """Drop the states of a transaction that was not committed, and its connection."""
        connection.close()
        self._forget()

    def _transact(self, batch: Sequence[_Item], connection: psycopg.Connection) -> _Group:
        """Decide on a batch and record what is accepted, in one transaction."""
        book, source = self._book, self._source
        group = _Group()
        submissions = [item for item in batch if isinstance(item, Submission)]
        # In pipeline mode, statements that do not depend on each other share a round trip.
        source.begin(connection)
        with connection.pipeline(), connection.transaction():
            request_ids = [item.request.request_id for item in submissions]
            head, known = self._tables.lock_head_and_find(connection, request_ids)
            book.start(head.position, head.recorded_at, self._missed(connection, book, head))
            new = [item.request for item in submissions if item.request.request_id not in known]
            source.prefetch_streams({name for r in new for name in book.wanted_streams(r)})
            source.prefetch_keys({key for r in new for key in book.wanted_keys(r)})
            for item in batch:
                if isinstance(item, Submission):
                    self._decide(connection, book, group, item, known)
                elif isinstance(item, BookQuery):
                    group.results.append((item.future, item.run(book, self._clock())))
                else:
                    _reject(group, item)
            self._insert(connection, book, group)
        source.end()
        book.finish()
        return group

    def _missed(
        self, connection: psycopg.Connection, book: Book, head: Head
    ) -> Sequence[tuple[str, Entry]]:
        """Return the entries of other processes since the last transaction, with their streams."""
        if head.position == book.position:
            return ()
        if head.position - book.position > MAX_CATCH_UP_EVENTS:
            book.forget()
            return ()
        rows = self._tables.after(connection, book.position)
        return [(stream, entry_of(row)) for stream, row in rows]

    def _decide(
        self,
        connection: psycopg.Connection,
        book: Book,
        group: _Group,
        submission: Submission[Any],
        known: Mapping[str, RequestRow],
    ) -> None:
        request, sequence = submission.request, submission.sequence
        result: Receipt | Refused
        broken = sequence is not None and (sequence.broken or sequence in group.broken)
        if broken and submission.in_sequence:
            group.results.append((submission.future, _sequence_broken()))
            return
        try:
            result = self._replay(connection, group, submission, known) or self._accept(
                book, group, submission
            )
        except Refused as refused:
            result = refused
            if sequence is not None:
                group.broken.add(sequence)
            if not submission.validate_only:
                actor = request.events[0].actor
                row = attempt_row(self._clock(), request.request_id, actor, refused)
                group.attempts.append(row)
        group.results.append((submission.future, result))

    def _replay(
        self,
        connection: psycopg.Connection,
        group: _Group,
        submission: Submission[Any],
        known: Mapping[str, RequestRow],
    ) -> Receipt | None:
        """Return the receipt of a request that was accepted before (HR-ID-01); None for a new one.

        Raises:
            Refused: the request id was used for other content.
        """
        request_id = submission.request.request_id
        if request_id in group.accepted:
            row, receipt = group.accepted[request_id]
        elif request_id in known:
            row, receipt = known[request_id], None
        else:
            return None
        check_same_content(submission, row)
        if receipt is None:
            rows = self._tables.between(connection, row.first_position, row.last_position)
            receipt = Receipt.of_rows(rows)
        return Receipt(receipt.entries, receipt.recorded_at, replayed=True)

    def _accept(self, book: Book, group: _Group, submission: Submission[Any]) -> Receipt:
        request = submission.request
        if submission.validate_only:
            tried = book.try_out(request, self._clock())
            entries = [(0, item.entry.stream, item.entry.version, "") for item in tried]
            return Receipt(entries, tried[-1].entry.recorded_at, replayed=False)
        accepted = book.accept(request, self._clock())
        rows = [row_of(item) for item in accepted]
        receipt = Receipt.of_rows(rows)
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
        group.accepted[request.request_id] = request_row, receipt
        return receipt

    def _insert(self, connection: psycopg.Connection, book: Book, group: _Group) -> None:
        if group.recording.rows:
            head = Head(book.position, book.recorded_at)
            self._tables.record(connection, head, group.recording)
        if group.attempts:
            self._tables.insert_attempts(connection, group.attempts)


def check_same_content(submission: Submission[Any], row: RequestRow) -> None:
    """Check that a request is the one that was accepted with its id (HR-ID-01).

    Raises:
        Refused: the request id was used for other content.
    """
    if row.content_hash == submission.content_hash:
        return
    message = (
        f"request id {row.request_id!r} was used for other content, "
        f"recorded from position {row.first_position} to {row.last_position}"
    )
    values = {"first_position": str(row.first_position), "last_position": str(row.last_position)}
    raise Refused([Violation(Rule.ID_01, "request_id", message, values)])


def _observe(schema: str, requests: int, group: _Group) -> None:
    metrics.GROUP_REQUESTS.labels(schema).observe(requests)
    metrics.EVENTS_APPENDED.labels(schema).inc(len(group.recording.rows))
    for row in group.attempts:
        for rule in row.rules:
            metrics.REQUESTS_REFUSED.labels(schema, rule).inc()


def _sequence_broken() -> Refused:
    message = "not recorded, because an earlier request of the stream was not recorded"
    return Refused([Violation(Rule.STREAM_STOPPED, "in_sequence", message)])


def _reject(group: _Group, rejected: RejectedRequest) -> None:
    group.attempts.append(rejected.row)
    group.results.append((rejected.future, None))
    if rejected.sequence is not None:
        group.broken.add(rejected.sequence)


def _complete(results: Sequence[tuple[ResultFuture, object]]) -> None:
    for future, result in results:
        if future.done():
            continue  # Its caller has cancelled it.
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
