"""Reading the log: neither pages nor filters omit an event."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import psycopg
import pytest
from gigaledger.ledger.log import reader as reading
from gigaledger.ledger.log.reader import Borrow, Filter, LogReader, Page
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsResponse

from tests.facts import definitive, fact, invoiced, parties, placed
from tests.log.books import SIDES, LoggedBook, append

DAYS = tuple(dt.date(2026, 2, day) for day in (1, 2, 3))
DAY_2 = DAYS[1]
HEAD = 57
STREAMS = ("purchaseOrders/PO-1", "purchaseOrders/PO-2", "agreements/AGR", "parties/SUP", "none/X")
FILTERS = [
    Filter(stream, fact_types, agreement, party, first, last)
    for stream in ("", *STREAMS)
    for fact_types in ((), ("goods_received",), ("invoice_issued", "party_registered"))
    for agreement in ("", "AGR", "NONE")
    for party in ("", "SUP", "THIRD")
    for first, last in ((None, None), (DAY_2, None), (None, DAY_2), (DAY_2, DAY_2))
]


@pytest.fixture
def filled(book: LoggedBook) -> LoggedBook:
    """A book of 57 facts of two orders, on three days."""
    with book.writer() as writer:
        append(writer, "start", *SIDES, *parties("THIRD"), definitive())
        append(writer, "one", placed(agreement="AGR"))
        append(writer, "two", placed(purchase_order="PO-2", supplier="THIRD"))
        for number in range(25):
            day = DAYS[number % 3]
            order = f"PO-{number % 2 + 1}"
            goods = fact("goods_received", on=day, purchase_order=order, line=1, quantity=1)
            append(writer, f"r-{number}", goods, invoiced(1, f"I-{number}", purchase_order=order))
    return book


@pytest.fixture
async def connection(filled: LoggedBook) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection as the ledger reads with."""
    async with await psycopg.AsyncConnection.connect(
        filled.url, options=SESSION_OPTIONS, autocommit=True
    ) as connection:
        yield connection


def events_of(page: Page) -> list[RecordedEvent]:
    """Return the events of a page."""
    events = list(ReadEventsResponse.FromString(page.events).events)
    assert len(events) == page.count
    return events


def matches(chosen: Filter, row: RecordedEvent, recorded: dict[object, tuple[object, ...]]) -> bool:
    """Whether a filter lets a row through, by its definition."""
    kind, effective, agreement, involved = recorded[row.position]
    assert isinstance(effective, dt.date)
    assert isinstance(involved, list)
    return (
        (not chosen.stream or row.stream == chosen.stream)
        and (not chosen.fact_types or kind in chosen.fact_types)
        and (not chosen.agreement or agreement == chosen.agreement)
        and (not chosen.party or chosen.party in involved)
        and (chosen.effective_from is None or effective >= chosen.effective_from)
        and (chosen.effective_to is None or effective <= chosen.effective_to)
    )


def lending(connection: psycopg.AsyncConnection) -> Borrow:
    """Borrow a connection, as a pool does."""

    @asynccontextmanager
    async def lend() -> AsyncIterator[psycopg.AsyncConnection]:
        yield connection

    return lend


async def all_of(
    connection: psycopg.AsyncConnection, book: LoggedBook, chosen: Filter, after: int, to: int
) -> list[RecordedEvent]:
    """Read all pages."""
    found: list[RecordedEvent] = []
    async for page in LogReader(book.schema).pages(lending(connection), after, chosen, to):
        found += events_of(page)
    return found


async def test_without_a_filter_every_event_is_returned(
    filled: LoggedBook, connection: psycopg.AsyncConnection
) -> None:
    rows = await all_of(connection, filled, Filter(), 0, HEAD)

    assert [
        (
            row.position,
            row.stream,
            row.stream_version,
            row.event_id,
            row.recorded_time.ToDatetime(dt.UTC),
            row.event.SerializeToString(deterministic=True),
        )
        for row in rows
    ] == [
        (
            row.position,
            row.stream,
            row.stream_version,
            str(row.event_id),
            row.recorded_at,
            row.event,
        )
        for row in filled.rows()
    ]


async def test_a_stream_filter_gives_its_versions(
    filled: LoggedBook, connection: psycopg.AsyncConnection
) -> None:
    rows = await all_of(connection, filled, Filter(stream="purchaseOrders/PO-1"), 0, HEAD)

    assert [row.stream_version for row in rows] == list(range(1, 28))


async def test_filters_exclude_exactly_what_does_not_match(
    filled: LoggedBook, connection: psycopg.AsyncConnection
) -> None:
    columns = "position, fact_type, effective_date, agreement, parties"
    recorded = {row[0]: row[1:] for row in filled.select(columns, "event")}
    everything = await all_of(connection, filled, Filter(), 0, HEAD)
    reader = LogReader(filled.schema)
    random = Random(7)  # noqa: S311 - the same choices each time
    for chosen in FILTERS:
        after, to, limit = random.randint(0, HEAD), random.randint(0, HEAD), random.randint(1, 7)
        found: list[int] = []
        through = after
        while through < to:
            page = await reader.page(connection, through, chosen, to, limit)
            assert through < page.through_position <= to
            found += [event.position for event in events_of(page)]
            through = page.through_position

        assert found == [
            row.position
            for row in everything
            if after < row.position <= to and matches(chosen, row, recorded)
        ]


async def test_a_filter_without_matches_reports_progress(
    filled: LoggedBook, connection: psycopg.AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SCAN_POSITIONS", 20)
    reader = LogReader(filled.schema)
    chosen = Filter(party="NOBODY")

    pages = [page async for page in reader.pages(lending(connection), 0, chosen)]

    assert [page.through_position for page in pages] == [20, 40, HEAD]


async def test_the_id_of_an_event(filled: LoggedBook, connection: psycopg.AsyncConnection) -> None:
    reader = LogReader(filled.schema)

    assert await reader.event_id(connection, 6) == filled.rows()[5].event_id
    assert await reader.event_id(connection, HEAD + 1) is None
    assert await reader.event_id(connection, 0) is None


async def test_pages_are_bounded_in_bytes(
    filled: LoggedBook, connection: psycopg.AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [len(row.event) for row in filled.rows()]
    monkeypatch.setattr(reading, "PAGE_BYTES", 300)
    reader = LogReader(filled.schema)

    pages = [page async for page in reader.pages(lending(connection), 0, Filter())]

    assert sum(page.count for page in pages) == HEAD
    assert len(pages) > 5
    start = 0
    for page in pages:
        assert sum(sizes[start : start + page.count - 1]) < 300
        start += page.count
        assert page.through_position == start
