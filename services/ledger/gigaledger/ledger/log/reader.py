"""Reads the log of a book in order of position. Events are not decoded."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

Borrow = Callable[[], AbstractAsyncContextManager[psycopg.AsyncConnection]]

PAGE_ROWS = 10_000
PAGE_BYTES = 2 * 1024 * 1024
"""Limits of a page. A slow reader holds two pages in memory, and a response stays below 4 MiB, the
default limit of gRPC clients."""
MAX_POSITION = 2**63 - 1
SCAN_POSITIONS = 50_000
"""Positions that one statement scans with a filter, so that progress is reported regularly."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on events, all of which must hold. An empty value or None is no condition."""

    stream: str = ""
    fact_types: Sequence[str] = ()
    agreement: str = ""
    party: str = ""
    effective_from: dt.date | None = None
    effective_to: dt.date | None = None

    @property
    def matches_all(self) -> bool:
        """Whether every event matches."""
        return self == Filter()


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order of position.

    Attributes:
        events: the field `events` of a response, serialized.
        count: number of events.
        through_position: all events up to this position have been scanned.
        through_event_id: id of the event at that position; None if there is none.
        head_position: position of the last event of the log when the page was read.
    """

    events: bytes
    count: int
    through_position: int
    through_event_id: UUID | None
    head_position: int


@dataclass(frozen=True, slots=True)
class AttemptPageRow:
    """A refused request in the attempt log."""

    number: int
    attempted_at: dt.datetime
    request_id: str
    actor: str
    rules: Sequence[str]
    message: str


class LogReader:
    """Reads one book. Each method uses a connection only while it runs."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    async def page(
        self,
        connection: psycopg.AsyncConnection,
        after_position: int,
        chosen: Filter,
        to_position: int | None = None,
        limit: int = PAGE_ROWS,
    ) -> Page:
        """Return the next events after a position.

        Args:
            connection: the connection.
            after_position: where to continue.
            chosen: which events.
            to_position: the last position to scan; None for the head.
            limit: most events to return.
        """
        given = [name for name in _CONDITIONS if getattr(chosen, name)]
        values = {
            **{name: getattr(chosen, name) for name in given},
            "fact_types": list(chosen.fact_types),
            "after": after_position,
            "end": _end_of_page(after_position, chosen, to_position, limit),
            "limit": limit,
            "bytes": PAGE_BYTES,
        }
        statement = _page_statement(self._schema, tuple(given))
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(statement, values)
            row = await cursor.fetchone()
        if row is None:
            raise AssertionError("a book has a head")
        events, count, through, event_id, head = row
        return Page(events or b"", count, through, event_id, head)

    async def pages(
        self, borrow: Borrow, after_position: int, chosen: Filter, to_position: int | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield all pages after a position, up to another or to the head at the time of the call.

        The next page is read while the consumer processes the current one.

        Args:
            borrow: borrows a connection. None is held between pages, so slow readers block no one.
            after_position: where to begin.
            chosen: which events.
            to_position: the last position to scan; None for the head.
        """

        async def read(after: int, to: int | None) -> Page:
            async with borrow() as connection:
                return await self.page(connection, after, chosen, to)

        page = await read(after_position, to_position)
        end = page.head_position if to_position is None else min(to_position, page.head_position)
        while page.through_position < end:
            following = asyncio.create_task(read(page.through_position, end))
            try:
                yield page
                page = await following
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        if page.through_position > after_position:
            yield page

    async def event_id(self, connection: psycopg.AsyncConnection, position: int) -> UUID | None:
        """Return the id of the event at a position; None if there is none."""
        statement = sql.SQL("SELECT event_id FROM {}.event WHERE position = %s").format(
            sql.Identifier(self._schema)
        )
        row = await (await connection.execute(statement, (position,), binary=True)).fetchone()
        return row[0] if row else None

    async def position_at(
        self, connection: psycopg.AsyncConnection, instant: dt.datetime
    ) -> tuple[int, dt.datetime] | None:
        """Return the last position recorded by an instant, and its recorded time; None if none was.

        Recorded times ascend with positions, so a binary search finds it.
        """
        statement = sql.SQL(_POSITION_AT).format(schema=sql.Identifier(self._schema))
        cursor = await connection.execute(statement, {"instant": instant}, binary=True)
        row = await cursor.fetchone()
        return (row[0], row[1]) if row else None

    async def attempts(
        self, connection: psycopg.AsyncConnection, before_number: int | None, limit: int
    ) -> list[AttemptPageRow]:
        """Return the refused requests before a number, newest first."""
        statement = sql.SQL(
            "SELECT number, attempted_at, request_id, actor, rules, message FROM {schema}.attempt"
            " WHERE %(before)s::bigint IS NULL OR number < %(before)s"
            " ORDER BY number DESC LIMIT %(limit)s"
        ).format(schema=sql.Identifier(self._schema))
        async with connection.cursor(row_factory=class_row(AttemptPageRow)) as cursor:
            await cursor.execute(statement, {"before": before_number, "limit": limit})
            return await cursor.fetchall()


_CONDITIONS: dict[str, LiteralString] = {
    "stream": "stream = %(stream)s",
    "fact_types": "fact_type = ANY(%(fact_types)s)",
    "agreement": "agreement = %(agreement)s",
    "party": "%(party)s = ANY(parties)",
    "effective_from": "effective_date >= %(effective_from)s",
    "effective_to": "effective_date <= %(effective_to)s",
}
"""The condition on rows of each field of a filter."""

_PAGE = """
    WITH bound AS (
        SELECT position AS head,
               least(position, %(end)s::bigint) AS last
        FROM {schema}.head
    ),
    found AS (
        SELECT position, prefix, event FROM {schema}.event
        WHERE position > %(after)s::bigint AND position <= (SELECT last FROM bound){conditions}
        ORDER BY position LIMIT %(limit)s::bigint
    ),
    measured AS (
        SELECT *, sum(octet_length(event)) OVER (ROWS UNBOUNDED PRECEDING)
                  - octet_length(event) < %(bytes)s::bigint AS fits
        FROM found
    ),
    page AS (
        SELECT count(*) AS found, count(*) FILTER (WHERE fits) AS count,
               max(position) FILTER (WHERE fits) AS last,
               string_agg(prefix || event, '') FILTER (WHERE fits) AS events
        FROM measured
    )
    SELECT page.events, page.count, through.position,
           (SELECT event_id FROM {schema}.event WHERE event.position = through.position),
           bound.head
    FROM page, bound, LATERAL (
        SELECT CASE WHEN page.found = %(limit)s::bigint OR page.count < page.found THEN page.last
                    ELSE greatest(bound.last, %(after)s::bigint) END AS position
    ) AS through
"""

_POSITION_AT = """
    WITH RECURSIVE search (low, high) AS (
        SELECT 0::bigint, position FROM {schema}.head
        UNION ALL
        SELECT CASE WHEN recorded_at <= %(instant)s THEN middle ELSE low END,
               CASE WHEN recorded_at <= %(instant)s THEN high ELSE middle - 1 END
        FROM search, LATERAL (
            SELECT position AS middle, recorded_at FROM {schema}.event
            WHERE position = (low + high + 1) / 2
        ) AS looked_at
        WHERE low < high
    )
    SELECT position, recorded_at FROM search JOIN {schema}.event ON position = low
    WHERE low = high
"""


def _end_of_page(
    after_position: int, chosen: Filter, to_position: int | None, limit: int
) -> int | None:
    """Return the last position that one statement scans; None if only the head bounds it.

    Positions have no gaps, so a range of positions bounds the number of rows. Thus PostgreSQL never
    scans more than it returns, whatever plan it chooses for a book without statistics.
    """
    ends = [to_position] if to_position is not None else []
    if not chosen.stream:
        positions = limit if chosen.matches_all else SCAN_POSITIONS
        ends.append(min(after_position + positions, MAX_POSITION))
    return min(ends, default=None)


@cache
def _page_statement(schema: str, given: tuple[str, ...]) -> bytes:
    conditions = sql.SQL("").join(sql.SQL(" AND " + _CONDITIONS[name]) for name in given)
    statement = sql.SQL(_PAGE).format(schema=sql.Identifier(schema), conditions=conditions)
    return statement.as_bytes()
