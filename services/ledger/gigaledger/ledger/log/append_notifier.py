"""Notifies a process of the appends of all processes, to all books, over one connection.

Nothing is polled: PostgreSQL loses a notification only if the connection breaks. The connection is
therefore checked regularly, and after a new one everyone who waits looks at the log again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import psycopg
import structlog
from gigaledger.common.backoff import Backoff
from gigaledger.ledger.log.tables import CHANNEL, parse_append
from psycopg import sql

CHECK_SECONDS = 5.0
"""Interval at which the connection is checked, and limit of the check."""

_log = structlog.get_logger("gigaledger.append_notifier")


class AppendListener(Protocol):
    """Is notified of the appends to all books."""

    def appended(self, schema: str, position: int) -> None:
        """Note that the log of a book reaches a position."""

    def missed(self) -> None:
        """Note that any book may have been appended to without a notification."""


class AppendNotifier:
    """One connection that listens on behalf of all books and all readers of a process.

    Attributes:
        listeners: those who are notified of all appends.
        closed: whether the process is shutting down, so that readers must stop.
    """

    def __init__(self, connect: Callable[[], Awaitable[psycopg.AsyncConnection]]) -> None:
        """Listen once `run` is started.

        Args:
            connect: opens a connection in autocommit mode.
        """
        self._connect = connect
        self._events: dict[str, asyncio.Event] = {}
        self.listeners: set[AppendListener] = set()
        self.closed = False

    async def run(self) -> None:
        """Listen until cancelled, and reconnect after the connection is lost."""
        backoff = Backoff()
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._listen(connection, backoff)
                finally:
                    await connection.close()
            except (psycopg.OperationalError, TimeoutError) as error:
                seconds = backoff.next_seconds()
                _log.warning("not listening", error=str(error), retry_seconds=seconds)
                await asyncio.sleep(seconds)

    async def _listen(self, connection: psycopg.AsyncConnection, backoff: Backoff) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        backoff.reset()
        self._wake_all()
        for listener in self.listeners:
            listener.missed()
        while True:
            async for notification in connection.notifies(timeout=CHECK_SECONDS):
                schema, position = parse_append(notification.payload)
                self._wake(schema)
                for listener in self.listeners:
                    listener.appended(schema, position)
            async with asyncio.timeout(CHECK_SECONDS):
                await connection.execute("SELECT")

    def _wake(self, schema: str) -> None:
        event = self._events.pop(schema, None)
        if event is not None:
            event.set()

    def _wake_all(self) -> None:
        for schema in list(self._events):
            self._wake(schema)

    def next_append(self, schema: str) -> asyncio.Event:
        """Return the event that the next append to a book sets; it may be set without an append.

        Call this before reading the log: an append between reading and waiting is then noticed.
        """
        return self._events.setdefault(schema, asyncio.Event())

    def close(self) -> None:
        """Wake all readers, so that they stop."""
        self.closed = True
        self._wake_all()
        for listener in self.listeners:
            listener.missed()
