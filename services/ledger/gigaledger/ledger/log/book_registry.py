"""The books that a ledger process has open: connections, writers, and what wakes followers."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import psycopg
from gigaledger.common.transparency.notes import Signer
from gigaledger.ledger.log.append_notifier import Wakeups
from gigaledger.ledger.log.books import BookRow, find_book, list_books
from gigaledger.ledger.log.reader import LogReader
from gigaledger.ledger.log.recorder import Clock
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.ledger.log.sealer import Sealer
from gigaledger.ledger.log.shared_tail import Tail
from gigaledger.ledger.log.writer import BookWriter
from psycopg_pool import AsyncConnectionPool, ConnectionPool

READING_CONNECTIONS = 8
WRITING_CONNECTIONS = 2
PROVING_CONNECTIONS = 4
BOOKS_PAGE = 1000
CONNECT_SECONDS = 10
"""How long a call waits for a connection before it is told to come back."""


class UnknownBookError(LookupError):
    """There is no book of this id."""


class Shelf:
    """Opens books on demand and keeps them open. An async context manager."""

    def __init__(self, url: str, clock: Clock, keys: Sequence[Signer] = ()) -> None:
        """Keep books of a database.

        Args:
            url: a login that may take the ledger's role.
            clock: the server's clock.
            keys: those that books are sealed with, the oldest first. Without them none is sealed.
        """
        self._url = url
        self._clock = clock
        kwargs = {"options": SESSION_OPTIONS, "connect_timeout": CONNECT_SECONDS}
        self._reading_pool = AsyncConnectionPool(
            url,
            kwargs={**kwargs, "autocommit": True},
            min_size=1,
            max_size=READING_CONNECTIONS,
            timeout=CONNECT_SECONDS,
            open=False,
            check=AsyncConnectionPool.check_connection,
        )
        self.writing_pool = ConnectionPool(
            url,
            kwargs=kwargs,
            min_size=0,
            max_size=WRITING_CONNECTIONS,
            timeout=CONNECT_SECONDS,
            open=False,
            check=ConnectionPool.check_connection,
        )
        self.proving_pool = ConnectionPool(
            url,
            kwargs=kwargs,
            min_size=0,
            max_size=PROVING_CONNECTIONS,
            timeout=CONNECT_SECONDS,
            open=False,
            check=ConnectionPool.check_connection,
        )
        self.seals = bool(keys)
        sealer = Sealer(self.proving_pool, keys, clock, self._all_books) if keys else None
        self.wakeups = Wakeups(self._listening, sealer.note_append if sealer else _ignore)
        self._running = [self.wakeups.run, *([sealer.run] if sealer else [])]
        self._books: dict[str, BookRow] = {}
        self._writers: dict[str, BookWriter] = {}
        self._tails: dict[str, Tail] = {}

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._reading_pool.open()
        await asyncio.to_thread(self.writing_pool.open)
        await asyncio.to_thread(self.proving_pool.open)
        self._tasks = [asyncio.create_task(run()) for run in self._running]
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Finish what writers have under way, and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers.values():
            await asyncio.to_thread(writer.close)
        await self._reading_pool.close()
        await asyncio.to_thread(self.writing_pool.close)
        await asyncio.to_thread(self.proving_pool.close)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection for reading."""
        async with self._reading_pool.connection() as connection:
            yield connection

    async def book(self, book: str) -> BookRow:
        """Return a book.

        Raises:
            UnknownBookError: there is none of this id.
        """
        if book not in self._books:
            async with self.reading() as connection:
                row = await find_book(connection, book)
            if row is None:
                raise UnknownBookError(f"there is no book {book}")
            self._books[book] = row
        return self._books[book]

    async def _all_books(self) -> list[BookRow]:
        found: list[BookRow] = []
        async with self.reading() as connection:
            while rows := await list_books(connection, found[-1].book if found else "", BOOKS_PAGE):
                found += rows
        return found

    def writer(self, book: BookRow) -> BookWriter:
        """Return the writer of a book."""
        if book.book not in self._writers:
            self._writers[book.book] = BookWriter(
                self._connect,
                self.writing_pool,
                book.schema_name,
                self._clock,
                imported=book.imported,
                deliver=asyncio.get_running_loop().call_soon_threadsafe,
            )
        return self._writers[book.book]

    def tail(self, book: BookRow) -> Tail:
        """Return what followers of a book share."""
        if book.book not in self._tails:
            self._tails[book.book] = Tail(LogReader(book.schema_name), self.reading)
        return self._tails[book.book]

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._url, options=SESSION_OPTIONS, connect_timeout=CONNECT_SECONDS, autocommit=True
        )

    async def _listening(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self._url, options=SESSION_OPTIONS, connect_timeout=CONNECT_SECONDS, autocommit=True
        )


def _ignore(_schema: str) -> None:
    """Take no notice of an append: nothing is sealed."""


def utc_now() -> dt.datetime:
    """Return the server's clock."""
    return dt.datetime.now(dt.UTC)
