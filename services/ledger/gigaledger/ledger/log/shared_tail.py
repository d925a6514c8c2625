"""The end of a book's log, read once for all subscriptions of a process."""

from __future__ import annotations

import asyncio

from gigaledger.ledger.log.reader import Borrow, Filter, LogReader, Page


class SharedTail:
    """Shares the last page read among subscriptions that have reached the same position.

    Subscriptions that are up to date wake together and need the same page: it is read once for all
    of them. The log is immutable, so a page that holds events never becomes stale.
    """

    def __init__(self, reader: LogReader, borrow: Borrow) -> None:
        """Read one book.

        Args:
            reader: reader of the book.
            borrow: borrows a connection.
        """
        self._reader = reader
        self._borrow = borrow
        self._after_position = -1
        self._reading: asyncio.Task[Page] | None = None

    async def page(self, after_position: int) -> Page:
        """Return the next events after a position, as of this call or later."""
        joined = self._reading_after(after_position)
        if joined is not None:
            page = await asyncio.shield(joined)
            if page.count:
                return page
            # The reading began before this call: events may have been appended since.
        reading = self._reading_after(after_position)
        if reading is joined or reading is None:
            reading = asyncio.create_task(self._read(after_position))
            self._after_position, self._reading = after_position, reading
        return await asyncio.shield(reading)

    def _reading_after(self, position: int) -> asyncio.Task[Page] | None:
        return self._reading if self._after_position == position else None

    async def _read(self, after_position: int) -> Page:
        try:
            async with self._borrow() as connection:
                return await self._reader.page(connection, after_position, Filter())
        except BaseException:
            # A later call must not receive the failure of this one.
            if self._reading is asyncio.current_task():
                self._reading = None
            raise
