"""Wakes those who follow a book when something was appended to it, by whichever process.

A notification can be lost with its connection, so nobody may wait for one alone: `wait` returns
after a second at the latest, and the caller looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog
from gigaledger.ledger.log.tables import CHANNEL
from psycopg import sql

POLL_SECONDS = 1.0
"""How long a follower trusts that no notification was lost."""
RECONNECT_SECONDS = 0.5

_log = structlog.get_logger("gigaledger.wakeups")


class Wakeups:
    """One connection that listens for all books and all followers of a process.

    Attributes:
        ended: whether followers are to stop, for the process does.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[psycopg.AsyncConnection]],
        on_append: Callable[[str], None] = lambda _schema: None,
    ) -> None:
        """Listen from `run` on.

        Args:
            connect: opens a connection in autocommit mode.
            on_append: called with the schema of each book that something was appended to.
        """
        self._connect = connect
        self._on_append = on_append
        self._events: dict[str, asyncio.Event] = {}
        self.ended = False

    async def run(self) -> None:
        """Listen until cancelled, connecting again when the connection is lost."""
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            except psycopg.OperationalError as error:
                _log.warning("not listening", error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    def _wake(self, schema: str) -> None:
        self._on_append(schema)
        event = self._events.pop(schema, None)
        if event is not None:
            event.set()

    def expect(self, schema: str) -> asyncio.Event:
        """Return what will be set by the next append to a book.

        To be called before looking at the log, so that nothing falls between looking and waiting.
        """
        return self._events.setdefault(schema, asyncio.Event())

    def end(self) -> None:
        """Wake all followers for the last time."""
        self.ended = True
        for event in self._events.values():
            event.set()

    @staticmethod
    async def wait(expected: asyncio.Event) -> None:
        """Wait for an append, a second at the most."""
        try:
            await asyncio.wait_for(expected.wait(), POLL_SECONDS)
        except TimeoutError:
            return
