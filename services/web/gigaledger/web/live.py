"""Wakes open pages when something is appended: one subscription for each book that is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress

from gigaledger.client import AsyncClient, GigaledgerError

KEEPALIVE_SECONDS = 15.0
"""Longest silence of a stream of server-sent events: a page that has gone is noticed by then."""


class _Follower:
    """The subscription to one book, shared by its pages."""

    def __init__(self, client: AsyncClient, book: str) -> None:
        self.pages = 0
        self.position = 0
        self.failed = False
        self.changed = asyncio.Condition()
        self._book = client.book(book)
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            head = (await self._book.info()).head_position
            await self._move(head)
            async with aclosing(self._book.subscribe(head)) as updates:
                async for update in updates:
                    await self._move(max(update.position, self.position))
        except GigaledgerError:
            self.failed = True
            await self._move(self.position)

    async def _move(self, position: int) -> None:
        async with self.changed:
            self.position = position
            self.changed.notify_all()


class Live:
    """The books that pages are open of."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._followers: dict[str, _Follower] = {}
        self._closed = False

    async def events(self, book: str, after: int) -> AsyncGenerator[str, None]:
        """Yield server-sent events: each position that the log reaches, beyond the page's own.

        Positions that follow each other quickly are skipped; the latest is sent. Ends if the ledger
        stays away, or at `close`: the page connects again by itself.

        Args:
            book: id of the book.
            after: the position that the page shows.
        """
        yield "retry: 1000\n\n"
        async with self._following(book) as follower:
            while True:
                async with follower.changed:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(KEEPALIVE_SECONDS):
                            while not (
                                follower.position > after or follower.failed or self._closed
                            ):
                                await follower.changed.wait()
                    if follower.failed or self._closed:
                        return
                    position = follower.position
                if position > after:
                    after = position
                    yield f"event: position\ndata: {position}\n\n"
                else:
                    yield ": nothing new\n\n"

    async def close(self) -> None:
        """End all streams."""
        self._closed = True
        for follower in list(self._followers.values()):
            async with follower.changed:
                follower.changed.notify_all()

    @asynccontextmanager
    async def _following(self, book: str) -> AsyncGenerator[_Follower, None]:
        follower = self._followers.get(book)
        if follower is None or follower.failed:
            follower = self._followers[book] = _Follower(self._client, book)
        follower.pages += 1
        try:
            yield follower
        finally:
            follower.pages -= 1
            if not follower.pages:
                if self._followers.get(book) is follower:
                    del self._followers[book]
                follower.task.cancel()
                with suppress(asyncio.CancelledError):
                    await follower.task
