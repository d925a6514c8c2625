"""The tables of a book's log. Every statement stays within the schema of one book."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from gigaledger.ledger.domain.book_view import NaturalKey
from gigaledger.ledger.log.wire import prefix_of
from psycopg import sql
from psycopg.rows import class_row

_EVENT_COLUMNS = (
    "position, stream, stream_version, event_id, recorded_at, fact_type, effective_date,"
    " agreement, parties, event"
)
_OF_EVENT = ", ".join(f"event.{name.strip()}" for name in _EVENT_COLUMNS.split(","))

CHANNEL = "gigaledger"
"""Channel of notifications of appends; see `parse_append`."""


def parse_append(payload: str) -> tuple[str, int]:
    """Return the schema of the book and the position of its head from a notification."""
    schema, position = payload.split()
    return schema, int(position)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log: position and recorded time of its last event."""

    position: int
    recorded_at: dt.datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of the log. `event` is the serialized event, byte for byte."""

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
    """An accepted request, and the positions of its events."""

    request_id: str
    content_hash: bytes
    first_position: int
    last_position: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A refused request."""

    attempted_at: dt.datetime
    request_id: str
    actor: str
    rules: Sequence[str]
    message: str


def _key_text(key: NaturalKey) -> str:
    """Return a natural key as one text from which its parts can be read again."""
    return json.dumps(key.key)


@dataclass(slots=True)
class Recording:
    """A group of events that are recorded together.

    Attributes:
        rows: the events.
        requests: the requests that they came in.
        keys: natural keys with the positions that use them.
        links: streams that count an event besides its own, with its position.
        reversals: positions of reversed entries, with those of their reversals.
    """

    rows: list[EventRow] = field(default_factory=list)
    requests: list[RequestRow] = field(default_factory=list)
    keys: list[tuple[NaturalKey, int]] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)
    reversals: list[tuple[int, int]] = field(default_factory=list)

    def inserts(self) -> Iterator[tuple[str, str, Sequence[Sequence[object]]]]:
        """Yield a name, the INSERT and its columns, for each table."""
        rows, requests = self.rows, self.requests
        yield (
            "new_event",
            _INSERT_EVENTS,
            (
                [row.position for row in rows],
                [row.stream for row in rows],
                [row.stream_version for row in rows],
                [row.event_id for row in rows],
                [row.recorded_at for row in rows],
                [row.fact_type for row in rows],
                [row.effective_date for row in rows],
                [row.agreement for row in rows],
                [",".join(row.parties) for row in rows],
                [
                    prefix_of(
                        row.position,
                        row.stream,
                        row.stream_version,
                        row.event_id,
                        row.recorded_at,
                        len(row.event),
                    )
                    for row in rows
                ],
                [row.event for row in rows],
            ),
        )
        yield (
            "new_request",
            _INSERT_REQUESTS,
            (
                [row.request_id for row in requests],
                [row.content_hash for row in requests],
                [row.first_position for row in requests],
                [row.last_position for row in requests],
            ),
        )
        yield (
            "new_key",
            _INSERT_KEYS,
            (
                [key.kind for key, _ in self.keys],
                [_key_text(key) for key, _ in self.keys],
                [position for _, position in self.keys],
            ),
        )
        yield (
            "new_link",
            _INSERT_LINKS,
            ([stream for stream, _ in self.links], [position for _, position in self.links]),
        )
        yield (
            "new_reversal",
            _INSERT_REVERSALS,
            (
                [target for target, _ in self.reversals],
                [position for _, position in self.reversals],
            ),
        )


# PostgreSQL has no ragged arrays, so parties are joined by commas, which their ids never contain.
_INSERT_EVENTS = f"""
    INSERT INTO {{schema}}.event ({_EVENT_COLUMNS}, prefix)
    SELECT position, stream, stream_version, event_id, recorded_at, fact_type, effective_date,
           agreement, string_to_array(parties, ','), event, prefix
    FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::uuid[], %b::timestamptz[], %b::text[],
                %b::date[], %b::text[], %b::text[], %b::bytea[], %b::bytea[])
        AS new (position, stream, stream_version, event_id, recorded_at, fact_type, effective_date,
                agreement, parties, prefix, event)
"""  # noqa: S608 - literals
_INSERT_REQUESTS = (
    "INSERT INTO {schema}.request"
    " SELECT * FROM unnest(%b::text[], %b::bytea[], %b::bigint[], %b::bigint[])"
)
_INSERT_KEYS = (
    "INSERT INTO {schema}.natural_key SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[])"
)
_INSERT_LINKS = "INSERT INTO {schema}.link SELECT * FROM unnest(%b::text[], %b::bigint[])"
_INSERT_REVERSALS = "INSERT INTO {schema}.reversal SELECT * FROM unnest(%b::bigint[], %b::bigint[])"


class LogTables:
    """Statements on the log of one book. Each runs in its connection's transaction."""

    def __init__(self, schema: str) -> None:
        """Use the tables in a schema."""
        self.schema = schema
        self._schema = sql.Identifier(schema).as_string()

    def _sql(self, statement: str) -> bytes:
        """Return a statement with `{schema}` replaced by the book's schema."""
        return statement.replace("{schema}", self._schema).encode()

    def lock_head(self, connection: psycopg.Connection) -> Head:
        """Lock the head, so that no one else appends to the book until the transaction ends."""
        head, _ = self.lock_head_and_find(connection, ())
        return head

    def lock_head_and_find(
        self, connection: psycopg.Connection, request_ids: Sequence[str]
    ) -> tuple[Head, Mapping[str, RequestRow]]:
        """Lock the head; return it with those of the requests that were accepted before."""
        locked = connection.execute(
            self._sql("SELECT position, recorded_at FROM {schema}.head FOR UPDATE")
        )
        seen = connection.execute(
            self._sql(
                "SELECT request_id, content_hash, first_position, last_position"
                " FROM {schema}.request WHERE request_id = ANY(%s)"
            ),
            (list(request_ids),),
            binary=True,
        )
        row = locked.fetchone()
        if row is None:
            raise AssertionError("a book has a head")
        return Head(*row), {found[0]: RequestRow(*found) for found in seen}

    def head_position(self, connection: psycopg.Connection) -> int:
        """Return the position of the last event; 0 if there is none."""
        return self.head(connection).position

    def head(self, connection: psycopg.Connection) -> Head:
        """Return the head without a lock on it."""
        found = connection.execute(self._sql("SELECT position, recorded_at FROM {schema}.head"))
        row = found.fetchone()
        if row is None:
            raise AssertionError("a book has a head")
        return Head(*row)

    def request(self, connection: psycopg.Connection, request_id: str) -> RequestRow | None:
        """Return a request that was accepted; None if no such request was."""
        found = connection.execute(
            self._sql(
                "SELECT request_id, content_hash, first_position, last_position"
                " FROM {schema}.request WHERE request_id = %s"
            ),
            (request_id,),
            binary=True,
        ).fetchone()
        return None if found is None else RequestRow(*found)

    def record(self, connection: psycopg.Connection, head: Head, recording: Recording) -> None:
        """Insert accepted events, move the head, and notify the readers of the log.

        This is one statement, so that a group takes one round trip. PostgreSQL delivers the
        notification when the transaction commits.
        """
        parts, values = [], list[object]()
        for name, statement, columns in recording.inserts():
            if columns[0]:
                parts.append(f"{name} AS ({statement})")
                values += columns
        moved = "moved AS (UPDATE {schema}.head SET position = %s, recorded_at = %s)"
        connection.execute(
            self._sql(f"WITH {', '.join([*parts, moved])} SELECT pg_notify(%s, %s)"),
            (*values, head.position, head.recorded_at, CHANNEL, f"{self.schema} {head.position}"),
        )

    def insert_attempts(self, connection: psycopg.Connection, rows: Sequence[AttemptRow]) -> None:
        """Insert refused requests."""
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

    def after(
        self, connection: psycopg.Connection, after_position: int
    ) -> list[tuple[str, EventRow]]:
        """Return the rows after a position, once for each stream whose rules count them."""
        statement = self._sql(
            f"SELECT stream AS history, {_EVENT_COLUMNS} FROM {{schema}}.event"  # noqa: S608
            " WHERE position > %s"
            f" UNION ALL SELECT link.stream, {_OF_EVENT} FROM {{schema}}.link"
            " JOIN {schema}.event USING (position) WHERE link.position > %s"
            " ORDER BY position, history"
        )
        rows = connection.execute(statement, (after_position, after_position), binary=True)
        return [(history, EventRow(*columns)) for history, *columns in rows]

    def key_positions(
        self, connection: psycopg.Connection, keys: Iterable[NaturalKey]
    ) -> dict[NaturalKey, int]:
        """Return the positions of the unreversed events that use natural keys."""
        wanted = {(key.kind, _key_text(key)): key for key in keys}
        found = connection.execute(
            self._sql(
                "SELECT k.kind, k.key, max(k.position) FROM {schema}.natural_key k"
                " JOIN unnest(%s::text[], %s::text[]) AS wanted (kind, key) USING (kind, key)"
                " WHERE NOT EXISTS (SELECT FROM {schema}.reversal r WHERE r.target = k.position)"
                " GROUP BY k.kind, k.key"
            ),
            ([kind for kind, _ in wanted], [text for _, text in wanted]),
        )
        return {wanted[kind, text]: position for kind, text, position in found}

    def reversal_of(self, connection: psycopg.Connection, position: int) -> int | None:
        """Return the position that reverses an event; None if it is not reversed."""
        statement = self._sql("SELECT position FROM {schema}.reversal WHERE target = %s")
        row = connection.execute(statement, (position,)).fetchone()
        return row[0] if row else None

    def dependant(
        self, connection: psycopg.Connection, stream: str, agreement: str, party: str
    ) -> int | None:
        """Return the first unreversed event of another stream that concerns an agreement or party.

        No index supports this query, which only the reversal of an agreement's or a party's
        opening needs.
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
        """Return the row at a position; None if there is none."""
        rows = self._events(connection, "position = %s", (position,))
        return rows[0] if rows else None

    def between(self, connection: psycopg.Connection, first: int, last: int) -> list[EventRow]:
        """Return the rows from one position to another, inclusive."""
        return self._events(
            connection, "position BETWEEN %s AND %s ORDER BY position", (first, last)
        )

    def histories(
        self, connection: psycopg.Connection, streams: Iterable[str]
    ) -> dict[str, list[EventRow]]:
        """Return the rows of streams and those linked to them, in order of position."""
        wanted = list(streams)
        statement = self._sql(
            f"SELECT stream AS history, {_EVENT_COLUMNS} FROM {{schema}}.event"  # noqa: S608
            " WHERE stream = ANY(%s)"
            f" UNION ALL SELECT link.stream, {_OF_EVENT} FROM {{schema}}.link"
            " JOIN {schema}.event USING (position) WHERE link.stream = ANY(%s)"
            " ORDER BY history, position"
        )
        found: dict[str, list[EventRow]] = {stream: [] for stream in wanted}
        for history, *columns in connection.execute(statement, (wanted, wanted), binary=True):
            found[history].append(EventRow(*columns))
        return found

    def _events(
        self, connection: psycopg.Connection, condition: LiteralString, values: Sequence[Any]
    ) -> list[EventRow]:
        statement = self._sql(
            f"SELECT {_EVENT_COLUMNS} FROM {{schema}}.event WHERE {condition}"  # noqa: S608 - literals
        )
        with connection.cursor(row_factory=class_row(EventRow), binary=True) as cursor:
            return cursor.execute(statement, values).fetchall()
