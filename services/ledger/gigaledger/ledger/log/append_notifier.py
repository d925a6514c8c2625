"""Wakes the readers of a book when any process has appended to it.

A notification is lost if its connection breaks. Therefore `wait` returns after a second at the
latest, and its caller reads the log again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog
from gigaledger.common.backoff import Backoff
from gigaledger.ledger.log.tables import CHANNEL
from psycopg import sql

POLL_SECONDS = 1.0
"""Longest wait for a notification, which may have been lost."""

_log = structlog.get_logger("gigaledger.append_notifier")


class AppendNotifier:
    """One connection that listens on behalf of all books and all readers of a process.

    Attributes:
        closed: whether the process is shutting down, so that readers must stop.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[psycopg.AsyncConnection]],
        on_append: Callable[[str], None] = lambda _schema: None,
    ) -> None:
        """Listen once `run` is started.

        Args:
            connect: opens a connection in autocommit mode.
            on_append: called with the schema of a book for each append to it.
        """
        self._connect = connect
        self._on_append = on_append
        self._events: dict[str, asyncio.Event] = {}
        self.closed = False

    async def run(self) -> None:
        """Listen until cancelled, and reconnect after the connection is lost."""
        backoff = Backoff()
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    backoff.reset()
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            except psycopg.OperationalError as error:
                seconds = backoff.next_seconds()
                _log.warning("not listening", error=str(error), retry_seconds=seconds)
                await asyncio.sleep(seconds)

    def _wake(self, schema: str) -> None:
        self._on_append(schema)
        event = self._events.pop(schema, None)
        if event is not None:
            event.set()

    def next_append(self, schema: str) -> asyncio.Event:
        """Return the event that the next append to a book sets.

        Call this before reading the log: an append between reading and waiting is then noticed.
        """
        return self._events.setdefault(schema, asyncio.Event())

    def close(self) -> None:
        """Wake all readers, so that they stop."""
        self.closed = True
        for event in self._events.values():
            event.set()

    @staticmethod
    async def wait(appended: asyncio.Event) -> None:
        """Wait for an append, for at most a second."""
        try:
            await asyncio.wait_for(appended.wait(), POLL_SECONDS)
        except TimeoutError:
            return
