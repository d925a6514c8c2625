"""The books of a ledger process: their writers, and the connections that all of them share."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Self
from weakref import WeakValueDictionary

import psycopg
from gigaledger.common.postgres.connections import Database
from gigaledger.common.transparency.notes import Signer
from gigaledger.ledger.log.append_notifier import AppendNotifier
from gigaledger.ledger.log.books import BookRow, find_book, list_books
from gigaledger.ledger.log.reader import LogReader
from gigaledger.ledger.log.recorder import Clock
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.ledger.log.sealer import Sealer
from gigaledger.ledger.log.shared_tail import SharedTail
from gigaledger.ledger.log.trial import Trial
from gigaledger.ledger.log.writer import BookWriter, WriterBusyError
from gigaledger.ledger.log.writer_pool import WRITER_THREADS, WriterPool

READING_CONNECTIONS = 8
"""Connections that read the log for callers."""
SEALING_CONNECTIONS = 3
"""Connections that seal books, prove events and create books."""
MAX_TRIALS = 4
"""Trials under way in a process; each has a connection, and keeps what it accepted in memory."""
LISTENING_CONNECTIONS = 1
MAX_CONNECTIONS = (
    READING_CONNECTIONS + WRITER_THREADS + SEALING_CONNECTIONS + MAX_TRIALS + LISTENING_CONNECTIONS
)
"""Connections of a process to PostgreSQL, however many books there are."""
BOOKS_PAGE = 1000


class UnknownBookError(LookupError):
    """No book has this id."""


class BookRegistry:
    """Finds books and their writers. An async context manager.

    Attributes:
        notifier: wakes the readers that wait for an append.
        sealing_pool: connections for sealing books, proving events and creating books.
        seals: whether books are sealed.
    """

    def __init__(self, url: str, clock: Clock, keys: Sequence[Signer] = ()) -> None:
        """Connect to a database when entered.

        Args:
            url: a login that is a member of the ledger's role.
            clock: the server's clock.
            keys: signing keys, the oldest first. Without keys, books are not sealed.
        """
        self._database = Database(url, SESSION_OPTIONS)
        self._clock = clock
        self._reading_pool = self._database.async_pool(READING_CONNECTIONS, autocommit=True)
        self.sealing_pool = self._database.pool(SEALING_CONNECTIONS)
        self.seals = bool(keys)
        sealer = Sealer(self.sealing_pool, keys, clock, self._all_books) if keys else None
        self.notifier = AppendNotifier(self._database.connect_async)
        if sealer is not None:
            self.notifier.listeners.add(sealer)
        self._background = [self.notifier.run, *([sealer.run] if sealer else [])]
        self._books: dict[str, BookRow] = {}
        self._writers: dict[str, BookWriter] = {}
        # A tail keeps a page, and is dropped with the last subscription that uses it.
        self._tails: WeakValueDictionary[str, SharedTail] = WeakValueDictionary()
        self._trials: list[Trial] = []

    async def __aenter__(self) -> Self:
        """Open the pools and start the background tasks."""
        await self._reading_pool.open()
        await asyncio.to_thread(self.sealing_pool.open)
        self._writer_pool = WriterPool(self._database.connect)
        self._tasks = [asyncio.create_task(run()) for run in self._background]
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Let the writers finish, and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._writer_pool.close)
        await self._reading_pool.close()
        await asyncio.to_thread(self.sealing_pool.close)

    def connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection]:
        """Return a context manager that borrows a connection for reading from the pool."""
        return self._reading_pool.connection()

    async def book(self, book: str) -> BookRow:
        """Return a book by its id.

        Raises:
            UnknownBookError: no book has this id.
        """
        if book not in self._books:
            async with self.connection() as connection:
                row = await find_book(connection, book)
            if row is None:
                raise UnknownBookError(f"there is no book {book}")
            self._books[book] = row
        return self._books[book]

    async def _all_books(self) -> list[BookRow]:
        found: list[BookRow] = []
        async with self.connection() as connection:
            while rows := await list_books(connection, found[-1].book if found else "", BOOKS_PAGE):
                found += rows
        return found

    def writer(self, book: BookRow) -> BookWriter:
        """Return the writer of a book."""
        if book.book not in self._writers:
            self._writers[book.book] = BookWriter(
                self._writer_pool,
                book.schema_name,
                self._clock,
                imported=book.imported,
                deliver=asyncio.get_running_loop().call_soon_threadsafe,
            )
        return self._writers[book.book]

    def start_trial(self, book: BookRow) -> Trial:
        """Return a trial of requests to a book.

        Raises:
            WriterBusyError: too many trials are under way.
        """
        if len(self._trials) >= MAX_TRIALS:
            raise WriterBusyError("too many files are being tried")
        trial = Trial(self._database.connect, book.schema_name, self._clock, imported=book.imported)
        self._trials.append(trial)
        return trial

    async def end_trial(self, trial: Trial) -> None:
        """Drop a trial and its connection."""
        self._trials.remove(trial)
        await asyncio.to_thread(trial.close)

    def shared_tail(self, book: BookRow) -> SharedTail:
        """Return the end of a book's log, which all subscriptions of the process share."""
        tail = self._tails.get(book.book)
        if tail is None:
            tail = self._tails[book.book] = SharedTail(LogReader(book.schema_name), self.connection)
        return tail


def utc_now() -> dt.datetime:
    """Return the time of the server's clock."""
    return dt.datetime.now(dt.UTC)
