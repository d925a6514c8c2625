"""Writers of many books share threads, connections and memory."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from gigaledger.ledger.log.writer import BookWriter
from gigaledger.ledger.log.writer_pool import WriterPool

from tests.facts import certified, claimed, definitive, parties
from tests.log.books import (
    SIDES,
    LoggedBook,
    answer,
    append,
    codes,
    new_book,
    positions,
    refused,
    submission,
)

BOOKS = 30
THREADS = 2
MAX_STREAMS = 12


@pytest.fixture
def pool(database_url: str) -> Iterator[WriterPool]:
    """A pool of few threads."""
    pool = WriterPool(LoggedBook(database_url, "").connect, threads=THREADS)
    yield pool
    pool.close()


@pytest.fixture
def small_pool(database_url: str) -> Iterator[WriterPool]:
    """A pool with room for few states.

    It has one thread, so that the states after a group are counted before the next is answered.
    """
    pool = WriterPool(LoggedBook(database_url, "").connect, threads=1, max_streams=MAX_STREAMS)
    yield pool
    pool.close()


def writer_of(pool: WriterPool, book: LoggedBook) -> BookWriter:
    return BookWriter(pool, book.schema, book.clock, imported=False)


def connections(url: str) -> int:
    """Return how many connections other than this one the database has."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        ).fetchone()
    assert row is not None
    return int(row[0]) - 1


def test_books_share_the_connections_of_a_pool(database_url: str, pool: WriterPool) -> None:
    books = [new_book(database_url, f"book-{number}") for number in range(BOOKS)]
    futures = [writer_of(pool, book).submit(submission("first", *SIDES)) for book in books]

    assert [positions(answer(future)) for future in futures] == [[2, 3]] * BOOKS
    assert 1 <= connections(database_url) <= THREADS


def test_a_book_that_waits_for_its_head_does_not_hold_up_others(
    database_url: str, pool: WriterPool
) -> None:
    first, second = new_book(database_url, "first"), new_book(database_url, "second")
    with first.held() as lock:
        waiting = writer_of(pool, first).submit(submission("a", *SIDES))
        lock.waiting(1)
        assert positions(append(writer_of(pool, second), "a", *SIDES)) == [2, 3]
    assert positions(answer(waiting)) == [2, 3]


def test_states_of_all_books_stay_within_the_bound(
    database_url: str, small_pool: WriterPool
) -> None:
    books = [new_book(database_url, f"book-{number}") for number in range(BOOKS)]
    writers = [writer_of(small_pool, book) for book in books]
    for number, writer in enumerate(writers):
        append(writer, "sides", *parties(f"A{number}", f"B{number}"))

    assert writers[-1].streams_in_memory > 0
    append(writers[-1], "more", *parties("C"))
    assert sum(writer.streams_in_memory for writer in writers) <= MAX_STREAMS + 1


def test_a_book_with_more_streams_than_the_bound_keeps_those_used_last(
    database_url: str, small_pool: WriterPool
) -> None:
    writer = writer_of(small_pool, new_book(database_url))
    append(writer, "many", *parties(*(f"P{number}" for number in range(3 * MAX_STREAMS))))
    append(writer, "one", *parties("Q"))
    append(writer, "another", *parties("R"))

    assert 0 < writer.streams_in_memory <= MAX_STREAMS + 1


def test_decisions_do_not_depend_on_states_in_memory(
    database_url: str, small_pool: WriterPool
) -> None:
    """Capacity that is certified is counted after the states were dropped for other books."""
    writer = writer_of(small_pool, new_book(database_url))
    append(writer, "agreement", *SIDES, definitive(), claimed(1_000_000))
    append(writer, "certificate", certified(600_000))
    other = writer_of(small_pool, new_book(database_url, "other"))
    append(other, "many", *parties(*(f"P{number}" for number in range(3 * MAX_STREAMS))))
    append(other, "more", *parties("Q"))
    assert writer.streams_in_memory == 0

    assert codes(refused(writer, "much", certified(600_000, "CERT-2"))) == ["HR-CAP-01"]
    assert positions(append(writer, "rest", certified(400_000, "CERT-2"))) == [7]
