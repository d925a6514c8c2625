"""Reads the log of a book for callers: rows in order of position, without decoding an event."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

PAGE_ROWS = 2000
PAGE_BYTES = 2 * 1024 * 1024
"""What is read at once, and what a slow reader holds in memory: so many rows, and no more once they
are so large. An answer stays below the 4 MiB that clients of gRPC take by default."""
SCAN_POSITIONS = 50_000
"""Positions that a filter looks at in one statement, so that it tells how far it has come."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to read. What is empty or None does not restrict; the rest must all hold."""

    stream: str = ""
    fact_types: Sequence[str] = ()
    agreement: str = ""
    party: str = ""
    effective_from: dt.date | None = None
    effective_to: dt.date | None = None

    @property
    def matches_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Filter()


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order of position.

    Attributes:
        events: as the field `events` of an answer, serialized.
        count: how many there are.
        through_position: everything up to this position has been looked at.
    """

    events: bytes
    count: int
    through_position: int


@dataclass(frozen=True, slots=True)
class AttemptPageRow:
    """A refused request as it is listed."""

    number: int
    attempted_at: dt.datetime
    request_id: str
    actor: str
    rules: Sequence[str]
    message: str


class LogReader:
    """Reads one book. Each method takes a connection for as long as it runs."""

    def __init__(self, schema: str) -> None:
        self._schema = sql.Identifier(schema)

    async def page(
        self,
        connection: psycopg.AsyncConnection,
        after_position: int,
        to_position: int,
        chosen: Filter,
        limit: int = PAGE_ROWS,
    ) -> Page:
        """Return the next events after a position, up to another.

        Args:
            connection: the connection.
            after_position: where to go on.
            to_position: the last position to look at; not beyond the head.
            chosen: which events.
            limit: most rows to return.
        """
        if chosen.matches_all or chosen.stream:
            end = to_position
        else:
            end = min(to_position, after_position + SCAN_POSITIONS)
        conditions, values = _conditions(chosen)
        statement = sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE bytes_before < %(bytes)s),"
            " max(position) FILTER (WHERE bytes_before < %(bytes)s),"
            " string_agg(prefix || event, '' ORDER BY position)"
            " FILTER (WHERE bytes_before < %(bytes)s)"
            " FROM (SELECT position, prefix, event, sum(octet_length(event))"
            " OVER (ORDER BY position) - octet_length(event) AS bytes_before"
            " FROM (SELECT position, prefix, event FROM {schema}.event"
            " WHERE position > %(after)s AND position <= %(end)s{conditions}"
            " ORDER BY position LIMIT %(limit)s) AS found) AS measured"
        ).format(schema=self._schema, conditions=sql.SQL("").join(conditions))
        values |= {"after": after_position, "end": end, "limit": limit, "bytes": PAGE_BYTES}
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(statement, values)
            row = await cursor.fetchone()
        if row is None:
            raise AssertionError("an aggregate has one row")
        found, count, last, events = row
        cut = found == limit or count < found
        through = last if cut else max(end, after_position)
        return Page(events or b"", count, through)

    async def pages(
        self,
        connection: psycopg.AsyncConnection,
        after_position: int,
        to_position: int,
        chosen: Filter,
    ) -> AsyncIterator[Page]:
        """Yield all pages after a position, up to another."""
        while after_position < to_position:
            page = await self.page(connection, after_position, to_position, chosen)
            after_position = page.through_position
            yield page

    async def event_id(self, connection: psycopg.AsyncConnection, position: int) -> UUID | None:
        """Return the id of the event at a position; None where there is none."""
        statement = sql.SQL("SELECT event_id FROM {}.event WHERE position = %s").format(
            self._schema
        )
        row = await (await connection.execute(statement, (position,), binary=True)).fetchone()
        return row[0] if row else None

    async def attempts(
        self, connection: psycopg.AsyncConnection, before_number: int | None, limit: int
    ) -> list[AttemptPageRow]:
        """Return refused requests, the newest first, before a number."""
        statement = sql.SQL(
            "SELECT number, attempted_at, request_id, actor, rules, message FROM {schema}.attempt"
            " WHERE %(before)s::bigint IS NULL OR number < %(before)s"
            " ORDER BY number DESC LIMIT %(limit)s"
        ).format(schema=self._schema)
        async with connection.cursor(row_factory=class_row(AttemptPageRow)) as cursor:
            await cursor.execute(statement, {"before": before_number, "limit": limit})
            return await cursor.fetchall()


def _conditions(chosen: Filter) -> tuple[list[sql.SQL], dict[str, Any]]:
    wanted: list[tuple[object, LiteralString, str]] = [
        (chosen.stream, " AND stream = %(stream)s", "stream"),
        (chosen.fact_types, " AND fact_type = ANY(%(fact_types)s)", "fact_types"),
        (chosen.agreement, " AND agreement = %(agreement)s", "agreement"),
        (chosen.party, " AND %(party)s = ANY(parties)", "party"),
        (chosen.effective_from, " AND effective_date >= %(effective_from)s", "effective_from"),
        (chosen.effective_to, " AND effective_date <= %(effective_to)s", "effective_to"),
    ]
    given = [(value, clause, name) for value, clause, name in wanted if value]
    values: dict[str, Any] = {
        name: list(value) if isinstance(value, (list, tuple)) else value for value, _, name in given
    }
    return [sql.SQL(clause) for _, clause, _ in given], values
