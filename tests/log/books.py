"""Books in a real PostgreSQL, with writers like those of ledger processes."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import LiteralString, TypeVar

import psycopg
from gigaledger.ledger.api.requests import submission_of
from gigaledger.ledger.domain.refusals import Refused, Violation
from gigaledger.ledger.log.books import create_book
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.ledger.log.submissions import Receipt, Submission
from gigaledger.ledger.log.tables import EventRow, Head, LogTables
from gigaledger.ledger.log.writer import BookWriter
from gigaledger.ledger.log.writer_pool import WriterPool
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, NewEvent, StreamCheck
from psycopg import sql

from tests.facts import parties

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
LIMIT_SECONDS = 60
_POLL_SECONDS = 0.01
"""Leaves the processors to the process that is waited for."""
"""Limit of every wait."""
T = TypeVar("T")

SIDES = parties("SUP", "CUS")
LOG_TABLES = (
    *("event", "request", "natural_key", "reversal", "link", "attempt"),
    *("tree_node", "checkpoint", "signing_key", "head"),
)


class Clock:
    """A server's clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


@dataclass(frozen=True)
class HeadLock:
    """The lock on the head of a book while a test holds it."""

    connection: psycopg.Connection
    """Sees who waits; in autocommit mode."""

    def waiting(self, count: int) -> list[int]:
        """Wait until so many connections wait for the lock; return their process ids."""

        def found() -> list[int] | None:
            rows = self.connection.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall()
            return [pid for (pid,) in rows] if len(rows) == count else None

        return until(found)


@dataclass(frozen=True)
class LoggedBook:
    """A book and its log."""

    url: str
    schema: str
    clock: Clock = field(default_factory=Clock)

    def connect(self) -> psycopg.Connection:
        """Connect as the ledger does."""
        return psycopg.connect(self.url, options=SESSION_OPTIONS, autocommit=True)

    @contextmanager
    def writer(self) -> Iterator[BookWriter]:
        """Return a writer, like that of another ledger process."""
        pool = WriterPool(self.connect)
        try:
            yield BookWriter(pool, self.schema, self.clock, imported=False)
        finally:
            pool.close()

    @contextmanager
    def held(self) -> Iterator[HeadLock]:
        """Hold the lock on the head: appends wait until the end of the block."""
        with (
            psycopg.connect(self.url) as holding,
            psycopg.connect(self.url, autocommit=True) as seeing,
        ):
            LogTables(self.schema).lock_head(holding)
            yield HeadLock(seeing)

    @contextmanager
    def sharing_a_transaction(self, writer: BookWriter) -> Iterator[None]:
        """Let all submissions within the block share one transaction of the writer."""
        with self.held() as lock:
            first = writer.submit(submission("first", *parties("NOBODY"), validate_only=True))
            lock.waiting(1)
            yield
        answer(first)

    def rows(self) -> list[EventRow]:
        """Return the log."""
        with self.connect() as connection:
            return LogTables(self.schema).between(connection, 1, 1 << 62)

    def head(self) -> Head:
        """Return the head of the log."""
        with self.connect() as connection:
            return LogTables(self.schema).lock_head(connection)

    def select(self, columns: LiteralString, table: str) -> list[tuple[object, ...]]:
        """Return columns of a table, sorted."""
        statement = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(
            sql.SQL(columns), sql.Identifier(self.schema, table)
        )
        with self.connect() as connection:
            return connection.execute(statement).fetchall()

    def attempts(self) -> list[tuple[object, ...]]:
        """Return refused requests: id, actor and rules, in their order."""
        rows = self.select("number, request_id, actor, rules", "attempt")
        return [tuple(row[1:]) for row in rows]

    def transactions(self, positions: Sequence[int]) -> set[object]:
        """Return the transactions that recorded events."""
        return {xmin for position, xmin in self.xmins("position") if position in positions}

    def xmins(self, column: LiteralString, table: str = "event") -> list[tuple[object, ...]]:
        """Return the rows of a table by a column, each with the transaction that wrote it."""
        return self.select(f"{column}, xmin::text", table)


def new_book(url: str, name: str = "main") -> LoggedBook:
    """Create a book, opened at `NOW`."""
    with psycopg.connect(url, options=SESSION_OPTIONS, autocommit=True) as connection:
        row = create_book(connection, name, name.title(), NOW, imported=False)
    return LoggedBook(url, row.schema_name)


def until(condition: Callable[[], T | None]) -> T:
    """Poll a condition and return its first result that is not None."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        found = condition()
        if found is not None:
            return found
        time.sleep(_POLL_SECONDS)
    raise AssertionError("what was waited for did not come")


def at_version(stream: str, version: int) -> StreamCheck:
    """A check that a stream is at a version."""
    return StreamCheck(stream=stream, version=version)


def append_request(
    request_id: str, *events: Event, checks: Sequence[StreamCheck] = (), validate_only: bool = False
) -> AppendEventsRequest:
    """A request as callers send it."""
    return AppendEventsRequest(
        book="books/main",
        request_id=request_id,
        events=[NewEvent(event=event) for event in events],
        checks=checks,
        validate_only=validate_only,
    )


def submission(
    request_id: str, *events: Event, checks: Sequence[StreamCheck] = (), validate_only: bool = False
) -> Submission[Future[Receipt]]:
    """A request as the writer takes it."""
    return submission_of(
        append_request(request_id, *events, checks=checks, validate_only=validate_only), Future()
    )


def answer(future: Future[Receipt]) -> Receipt:
    """Return the receipt that a request was given."""
    return future.result(LIMIT_SECONDS)


def append(
    writer: BookWriter, request_id: str, *events: Event, checks: Sequence[StreamCheck] = ()
) -> Receipt:
    """Append in one request, and wait for the receipt."""
    return answer(writer.submit(submission(request_id, *events, checks=checks)))


def refusal(future: Future[Receipt]) -> Sequence[Violation]:
    """Return the violations of a refused request; fail if it was accepted."""
    error = future.exception(LIMIT_SECONDS)
    assert isinstance(error, Refused), error
    return error.violations


def refused(
    writer: BookWriter, request_id: str, *events: Event, checks: Sequence[StreamCheck] = ()
) -> Sequence[Violation]:
    """Append in one request, and return its violations."""
    return refusal(writer.submit(submission(request_id, *events, checks=checks)))


def positions(receipt: Receipt) -> list[int]:
    """Return the positions of the facts of a request."""
    return [position for position, _, _, _ in receipt.entries]


def codes(violations: Sequence[Violation]) -> list[str]:
    """Return the codes of the violated rules."""
    return [violation.rule.code for violation in violations]
