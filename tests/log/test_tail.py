"""Subscriptions to a book share the pages they read, and each gets every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from gigaledger.ledger.log.reader import LogReader
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.ledger.log.shared_tail import SharedTail

from tests.facts import parties
from tests.log.books import LoggedBook, append

FOLLOWERS = 20


class Lender:
    """Lends connections to a book, and counts them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lent = 0

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[psycopg.AsyncConnection]:
        self.lent += 1
        async with await psycopg.AsyncConnection.connect(
            self.url, options=SESSION_OPTIONS, autocommit=True
        ) as connection:
            yield connection


@pytest.fixture
def lender(book: LoggedBook) -> Lender:
    """Lends connections to the book."""
    return Lender(book.url)


@pytest.fixture
def tail(book: LoggedBook, lender: Lender) -> SharedTail:
    """The end of the book."""
    return SharedTail(LogReader(book.schema), lender.lend)


async def test_a_page_is_read_once_for_all_subscriptions(
    book: LoggedBook, lender: Lender, tail: SharedTail
) -> None:
    with book.writer() as writer:
        append(writer, "start", *parties("A", "B"))

    pages = await asyncio.gather(*(tail.page(1) for _ in range(FOLLOWERS)))
    later = await tail.page(1)

    assert {page.count for page in pages} == {2}
    assert later.events == pages[0].events
    assert lender.lent == 1


async def test_events_after_an_empty_page_are_found(
    book: LoggedBook, lender: Lender, tail: SharedTail
) -> None:
    assert [page.count for page in await asyncio.gather(tail.page(1), tail.page(1))] == [0, 0]
    before = lender.lent

    with book.writer() as writer:
        append(writer, "start", *parties("A"))
    pages = await asyncio.gather(*(tail.page(1) for _ in range(FOLLOWERS)))

    assert {page.count for page in pages} == {1}
    assert lender.lent == before + 1


async def test_subscriptions_at_different_positions_get_their_own_pages(
    book: LoggedBook, tail: SharedTail
) -> None:
    with book.writer() as writer:
        append(writer, "start", *parties("A", "B", "C"))

    pages = await asyncio.gather(*(tail.page(after) for after in (0, 3, 1, 2, 0, 3)))

    assert [page.count for page in pages] == [4, 1, 3, 2, 4, 1]


async def test_a_cancelled_subscription_does_not_affect_others(
    book: LoggedBook, tail: SharedTail
) -> None:
    with book.writer() as writer:
        append(writer, "start", *parties("A"))
    first, second = (asyncio.create_task(tail.page(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).count == 2


async def test_a_failure_is_not_kept(lender: Lender, tail: SharedTail) -> None:
    url, lender.url = lender.url, "host=/nowhere"
    with pytest.raises(psycopg.OperationalError):
        await tail.page(0)
    lender.url = url

    assert (await tail.page(0)).count == 1
