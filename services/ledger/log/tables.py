"""The tables of a book's log, as those who write and decide use them.

Every statement stays within the schema of one book.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

_EVENT_COLUMNS = (
    "position, stream, stream_version, event_id, recorded_at, fact_type, effective_date,"
    " agreement, parties, event"
)
_EVENT_TYPES = (
    *("int8", "text", "int8", "uuid", "timestamptz", "text", "date"),
    *("text", "text[]", "bytea"),
)


CHANNEL = "gigaledger"
"""Where appends are notified, with the schema of the book."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends."""

    position: int
    recorded_at: dt.datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of the log. `event` is what was stored, byte for byte."""

    position: int
    stream: str
    stream_version: int
    event_id: UUID
    recorded_at: dt.datetime
    fact_type: str
    effective_date: dt.date | None
    agreement: str
    parties: Sequence[str]
    event: bytes


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request that was accepted, and where its events are."""

    request_id: str
    content_hash: bytes
    first_position: int
    last_position: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A request that was refused."""

    attempted_at: dt.datetime
    request_id: str
    actor: str
    rules: Sequence[str]
    message: str


class LogTables:
    """The statements on the log of one book. Each joins the transaction of its connection."""

    def __init__(self, schema: str) -> None:
        """Compose the statements for a schema."""
        self.schema = schema

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self.schema))

    def lock_head(self, connection: psycopg.Connection) -> Head:
        """Take the lane: nobody else appends to the book until the transaction ends."""
        row = connection.execute(
            self._sql("SELECT position, recorded_at FROM {schema}.head FOR UPDATE")
        ).fetchone()
        if row is None:
            raise AssertionError("a book has a head")
        position, recorded_at = row
        return Head(position, recorded_at)

    def head_position(self, connection: psycopg.Connection) -> int:
        """Return the position of the last event; 0 where there is none."""
        row = connection.execute(self._sql("SELECT position FROM {schema}.head")).fetchone()
        if row is None:
            raise AssertionError("a book has a head")
        return int(row[0])

    def advance_head(self, connection: psycopg.Connection, head: Head) -> None:
        """Move the head, and wake those who follow the log once the transaction is committed."""
        connection.execute(
            self._sql("UPDATE {schema}.head SET position = %s, recorded_at = %s"),
            (head.position, head.recorded_at),
        )
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self.schema))

    def insert_events(self, connection: psycopg.Connection, rows: Iterable[EventRow]) -> None:
        """Add rows to the log."""
        statement = self._sql(
            f"COPY {{schema}}.event ({_EVENT_COLUMNS}) FROM STDIN (FORMAT BINARY)"
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(_EVENT_TYPES)
            for row in rows:
                copy.write_row(
                    (
                        *(row.position, row.stream, row.stream_version, row.event_id),
                        *(row.recorded_at, row.fact_type, row.effective_date, row.agreement),
                        *(list(row.parties), row.event),
                    )
                )

    def insert_requests(self, connection: psycopg.Connection, rows: Sequence[RequestRow]) -> None:
        """Keep what was accepted."""
        connection.execute(
            self._sql(
                "INSERT INTO {schema}.request"
                " SELECT * FROM unnest(%s::text[], %s::bytea[], %s::bigint[], %s::bigint[])"
            ),
            (
                [row.request_id for row in rows],
                [row.content_hash for row in rows],
                [row.first_position for row in rows],
                [row.last_position for row in rows],
            ),
        )

    def insert_keys(
        self, connection: psycopg.Connection, rows: Sequence[tuple[str, Sequence[str], int]]
    ) -> None:
        """Keep natural keys: kind, key and position."""
        with connection.cursor() as cursor:
            cursor.executemany(
                self._sql("INSERT INTO {schema}.natural_key VALUES (%s, %s, %s)"),
                [(kind, list(key), position) for kind, key, position in rows],
            )

    def insert_links(self, connection: psycopg.Connection, rows: Sequence[tuple[str, int]]) -> None:
        """Keep which streams count an event besides its own: stream and position."""
        with connection.cursor() as cursor:
            cursor.executemany(self._sql("INSERT INTO {schema}.link VALUES (%s, %s)"), rows)

    def insert_reversals(
        self, connection: psycopg.Connection, rows: Sequence[tuple[int, int]]
    ) -> None:
        """Keep what is reversed: the target's position and that of the reversal."""
        with connection.cursor() as cursor:
            cursor.executemany(self._sql("INSERT INTO {schema}.reversal VALUES (%s, %s)"), rows)

    def insert_attempts(self, connection: psycopg.Connection, rows: Sequence[AttemptRow]) -> None:
        """Keep what was refused."""
        with connection.cursor() as cursor:
            cursor.executemany(
                self._sql(
                    "INSERT INTO {schema}.attempt"
                    " (attempted_at, request_id, actor, rules, message) VALUES (%s, %s, %s, %s, %s)"
                ),
                [
                    (row.attempted_at, row.request_id, row.actor, list(row.rules), row.message)
                    for row in rows
                ],
            )

    def requests(
        self, connection: psycopg.Connection, request_ids: Sequence[str]
    ) -> Mapping[str, RequestRow]:
        """Return those of the requests that were accepted before."""
        with connection.cursor(row_factory=class_row(RequestRow)) as cursor:
            statement = self._sql("SELECT * FROM {schema}.request WHERE request_id = ANY(%s)")
            found = cursor.execute(statement, (list(request_ids),)).fetchall()
        return {row.request_id: row for row in found}

    def changed_streams(self, connection: psycopg.Connection, after_position: int) -> list[str]:
        """Return the streams that were written to, or linked to, after a position."""
        statement = self._sql(
            "SELECT stream FROM {schema}.event WHERE position > %s"
            " UNION SELECT stream FROM {schema}.link WHERE position > %s"
        )
        rows = connection.execute(statement, (after_position, after_position)).fetchall()
        return [stream for (stream,) in rows]

    def key_position(
        self, connection: psycopg.Connection, kind: str, key: Sequence[str]
    ) -> int | None:
        """Return where a natural key is used by an event that is not reversed."""
        statement = self._sql(
            "SELECT max(k.position) FROM {schema}.natural_key k"
            " WHERE k.kind = %s AND k.key = %s"
            " AND NOT EXISTS (SELECT FROM {schema}.reversal r WHERE r.target = k.position)"
        )
        row = connection.execute(statement, (kind, list(key))).fetchone()
        return row[0] if row else None

    def reversal_of(self, connection: psycopg.Connection, position: int) -> int | None:
        """Return the position that reverses an event."""
        statement = self._sql("SELECT position FROM {schema}.reversal WHERE target = %s")
        row = connection.execute(statement, (position,)).fetchone()
        return row[0] if row else None

    def dependant(
        self, connection: psycopg.Connection, stream: str, agreement: str, party: str
    ) -> int | None:
        """Return the first event outside a stream that stands and concerns an agreement or party.

        No index serves this: it is asked only when the opening of an agreement or a party is
        reversed.
        """
        statement = self._sql(
            "SELECT min(e.position) FROM {schema}.event e"
            " WHERE e.stream <> %(stream)s"
            " AND (e.agreement = nullif(%(agreement)s, '') OR %(party)s = ANY(e.parties))"
            " AND e.fact_type <> 'entry_reversed'"
            " AND NOT EXISTS (SELECT FROM {schema}.reversal r WHERE r.target = e.position)"
        )
        values = {"stream": stream, "agreement": agreement, "party": party}
        row = connection.execute(statement, values).fetchone()
        return row[0] if row else None

    def event(self, connection: psycopg.Connection, position: int) -> EventRow | None:
        """Return the row at a position."""
        rows = self._events(connection, "position = %s", (position,))
        return rows[0] if rows else None

    def between(self, connection: psycopg.Connection, first: int, last: int) -> list[EventRow]:
        """Return the rows from one position to another."""
        return self._events(
            connection, "position BETWEEN %s AND %s ORDER BY position", (first, last)
        )

    def of_stream(self, connection: psycopg.Connection, stream: str) -> list[EventRow]:
        """Return the rows of a stream and those linked to it, in order of position."""
        return self._events(
            connection,
            "stream = %s OR position IN (SELECT position FROM {schema}.link WHERE stream = %s)"
            " ORDER BY position",
            (stream, stream),
        )

    def _events(
        self, connection: psycopg.Connection, condition: LiteralString, values: Sequence[Any]
    ) -> list[EventRow]:
        statement = self._sql(
            f"SELECT {_EVENT_COLUMNS} FROM {{schema}}.event WHERE {condition}"  # noqa: S608 - literals
        )
        with connection.cursor(row_factory=class_row(EventRow), binary=True) as cursor:
            return cursor.execute(statement, values).fetchall()
