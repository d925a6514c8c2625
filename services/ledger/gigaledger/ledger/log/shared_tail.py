"""The end of a book's log, read once for all who follow it."""

from __future__ import annotations

import asyncio

from gigaledger.ledger.log.reader import Filter, Lend, LogReader, Page


class Tail:
    """Shares what was read last among followers who have come equally far.

    Followers who are up to date wake together and want the same page: it is read once, however many
    they are. What is recorded does not change, so a page with events in it never gets old.
    """

    def __init__(self, reader: LogReader, lend: Lend) -> None:
        """Read one book.

        Args:
            reader: reads the book.
            lend: lends a connection.
        """
        self._reader = reader
        self._lend = lend
        self._after_position = -1
        self._reading: asyncio.Task[Page] | None = None

    async def page(self, after_position: int) -> Page:
        """Return the next events after a position, as of this call or later."""
        joined = self._reading_after(after_position)
        if joined is not None:
            page = await asyncio.shield(joined)
            if page.count:
                return page
            # It began before this call, and what it did not find may be there now.
        reading = self._reading_after(after_position)
        if reading is joined or reading is None:
            reading = asyncio.create_task(self._read(after_position))
            self._after_position, self._reading = after_position, reading
        return await asyncio.shield(reading)

    def _reading_after(self, position: int) -> asyncio.Task[Page] | None:
        return self._reading if self._after_position == position else None

    async def _read(self, after_position: int) -> Page:
        try:
            async with self._lend() as connection:
                return await self._reader.page(connection, after_position, Filter())
        except BaseException:
            # Whoever asks next is not to get the failure of an earlier reading.
            if self._reading is asyncio.current_task():
                self._reading = None
            raise
