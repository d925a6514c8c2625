"""An `ApplicationRecorder` of the eventsourcing library on a book's log.

It fulfils the library's contract and adds a guarantee: positions have no gaps and are in the order
of commit. A position is assigned under the lock on the book's head row, in the transaction that
inserts the event. Thus a reader at position P has seen everything up to P, and a rollback leaves no
gap.

The library's own PostgreSQL recorder numbers events by a sequence, and two of its settings insert
without a lock; with either, readers that follow the log miss events. Neither is used here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)
from gigaledger.ledger.log.tables import CHANNEL, EventRow, Head, LogTables, Recording
from psycopg import sql
from psycopg_pool import ConnectionPool
from uuid_utils.compat import uuid7

NOTIFICATION_BATCH = 500
"""Notifications that a subscription reads in one query."""
POLL_SECONDS = 1.0
"""Longest wait for a NOTIFY, which may have been lost."""

Clock = Callable[[], dt.datetime]


class BookRecorder(ApplicationRecorder):
    """Records the events of one book. Originator ids are stream names."""

    def __init__(self, pool: ConnectionPool, tables: LogTables, clock: Clock) -> None:
        """Record through a pool of connections with the ledger's role."""
        super().__init__()
        self._pool = pool
        self._tables = tables
        self._clock = clock

    def insert_events(self, stored_events: Sequence[StoredEvent], **_kwargs: Any) -> Sequence[int]:
        """Record events, all or none, and return their positions.

        Raises:
            IntegrityError: a stream already has an event of this version.
        """
        if not stored_events:
            return []
        with self._pool.connection() as connection:
            head = self._tables.lock_head(connection)
            recorded_at = max(self._clock(), head.recorded_at)
            rows = [
                EventRow(
                    position=position,
                    stream=str(stored.originator_id),
                    stream_version=stored.originator_version,
                    event_id=uuid7(),
                    recorded_at=recorded_at,
                    fact_type=stored.topic,
                    effective_date=None,
                    agreement="",
                    parties=(),
                    event=stored.state,
                )
                for position, stored in enumerate(stored_events, start=head.position + 1)
            ]
            try:
                head = Head(rows[-1].position, recorded_at)
                self._tables.record(connection, head, Recording(rows))
            except psycopg.errors.UniqueViolation as error:
                raise IntegrityError(error) from error
        return [row.position for row in rows]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return events of a stream in ascending or descending order of version."""
        direction: LiteralString = "DESC" if desc else "ASC"
        statement: LiteralString = (
            "SELECT stream, stream_version, fact_type, event FROM {schema}.event"  # noqa: S608
            " WHERE stream = %s"
            " AND (%s::bigint IS NULL OR stream_version > %s)"
            " AND (%s::bigint IS NULL OR stream_version <= %s)"
            f" ORDER BY stream_version {direction} LIMIT %s"
        )
        rows = self._fetch(statement, (str(originator_id), gt, gt, lte, lte, limit))
        return [StoredEvent(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events of the book in order of position."""
        after = -1 if start is None else start - 1 if inclusive_of_start else start
        rows = self._fetch(
            "SELECT stream, stream_version, fact_type, event, position FROM {schema}.event"
            " WHERE position > %s AND (%s::bigint IS NULL OR position <= %s)"
            " AND (cardinality(%s::text[]) = 0 OR fact_type = ANY(%s)) ORDER BY position LIMIT %s",
            (after, stop, stop, list(topics), list(topics), limit),
        )
        return [Notification(*row) for row in rows]

    def max_notification_id(self) -> int | None:
        """Return the position of the last event; None if there is none."""
        with self._pool.connection() as connection:
            return self._tables.head_position(connection) or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Return an endless iterator over events in order of position."""
        return BookSubscription(self, gt=gt, topics=topics)

    def wait_for_append(self, seconds: float) -> None:
        """Wait for an append, for at most this long."""
        with self._pool.connection() as connection:
            connection.autocommit = True
            try:
                channel = sql.Identifier(CHANNEL)
                connection.execute(sql.SQL("LISTEN {}").format(channel))
                for _ in connection.notifies(timeout=seconds, stop_after=1):
                    pass
                connection.execute("UNLISTEN *")
            finally:
                connection.autocommit = False

    def _fetch(self, statement: LiteralString, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        composed = sql.SQL(statement).format(schema=sql.Identifier(self._tables.schema))
        with self._pool.connection() as connection, connection.cursor(binary=True) as cursor:
            return cursor.execute(composed, values).fetchall()


class BookSubscription(Subscription[BookRecorder]):
    """Follows a book. It also polls, because a NOTIFY can be lost."""

    def __init__(self, recorder: BookRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._waiting: list[Notification] = []

    def __next__(self) -> Notification:
        """Return the next event, and wait for it if necessary.

        Raises:
            StopIteration: the subscription was stopped.
        """
        while not self._has_been_stopped:
            if not self._waiting:
                self._waiting = self._read()
            if self._waiting:
                notification = self._waiting.pop()
                self._last_notification_id = notification.id
                return notification
            self._recorder.wait_for_append(POLL_SECONDS)
        raise StopIteration

    def _read(self) -> list[Notification]:
        """Return the next events in descending order."""
        found = self._recorder.select_notifications(
            start=self._last_notification_id or 0,
            limit=NOTIFICATION_BATCH,
            topics=self._topics,
            inclusive_of_start=False,
        )
        return list(reversed(found))
