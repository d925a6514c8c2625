"""Requests that are tried one after another, and never recorded.

Each is decided on as if those accepted before it were recorded, on the book as it was when the
first was tried. The decisions are the writer's, in a read-only snapshot: nothing waits for a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from gigaledger.ledger.domain.book import Book
from gigaledger.ledger.domain.refusals import Refused, Rule, Violation
from gigaledger.ledger.log.log_source import LogSource
from gigaledger.ledger.log.recorder import Clock
from gigaledger.ledger.log.submissions import Receipt, Submission
from gigaledger.ledger.log.tables import LogTables, RequestRow
from gigaledger.ledger.log.writer import check_same_content

MAX_TRIAL_EVENTS = 100_000
"""Bounds the memory of a trial, which keeps the accepted events."""


class Trial:
    """A book in memory on top of a snapshot of its log. Used by one thread at a time."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        schema: str,
        clock: Clock,
        *,
        imported: bool,
    ) -> None:
        """Prepare a trial. It connects with its first request.

        Args:
            connect: opens a connection with the ledger's role, in autocommit mode.
            schema: schema of the book.
            clock: the server's clock.
            imported: whether facts carry their recorded times.
        """
        self._connect = connect
        self._tables = LogTables(schema)
        self._clock = clock
        self._imported = imported
        self._connection: psycopg.Connection | None = None
        self._accepted: dict[str, tuple[RequestRow, Receipt]] = {}

    def decide(self, submission: Submission[Any]) -> Receipt:
        """Return the receipt that a request would get, with positions of 0.

        Raises:
            Refused: the request would be refused, or the trial holds too many events.
            psycopg.Error: the database can't be reached.
        """
        connection = self._connection or self._begin()
        request = submission.request
        row, receipt = self._accepted.get(request.request_id, (None, None))
        row = row or self._tables.request(connection, request.request_id)
        if row is not None:
            check_same_content(submission, row)
            if receipt is None:
                rows = self._tables.between(connection, row.first_position, row.last_position)
                receipt = Receipt.of_rows(rows)
            return Receipt(receipt.entries, receipt.recorded_at, replayed=True)
        if len(self._book.pending) + len(request.events) > MAX_TRIAL_EVENTS:
            message = f"a stream tries at most {MAX_TRIAL_EVENTS} facts"
            raise Refused([Violation(Rule.BATCH_SIZE, "events", message)])
        accepted = self._book.accept(request, self._clock())
        entries = [(0, item.entry.stream, item.entry.version, "") for item in accepted]
        receipt = Receipt(entries, accepted[-1].entry.recorded_at, replayed=False)
        first, last = accepted[0].entry.position, accepted[-1].entry.position
        row = RequestRow(request.request_id, submission.content_hash, first, last)
        self._accepted[request.request_id] = row, receipt
        return receipt

    def close(self) -> None:
        """Drop the snapshot."""
        if self._connection is not None:
            self._connection.close()

    def _begin(self) -> psycopg.Connection:
        connection = self._connection = self._connect()
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        head = self._tables.head(connection)
        source = LogSource(self._tables)
        source.begin(connection)
        self._book = Book(source, imported=self._imported)
        self._book.start(head.position, head.recorded_at, ())
        return connection
