"""Wakes open pages when something is appended: one subscription for each book that is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress

from gigaledger.client import AsyncClient, GigaledgerError

REST_SECONDS = 1.0
"""Shortest time between two updates of a page."""
REST_FACTOR = 5.0
"""Pages rest this many times as long as an update took: busy services are asked less often."""
KEEPALIVE_SECONDS = 15.0
"""Longest silence of a stream of server-sent events: a page that has gone is noticed by then."""

Rendered = tuple[int, str]
"""Status of HTTP, and the page."""


class _Follower:
    """The subscription to one book, shared by its pages.

    Attributes:
        pages: number of pages that are open.
        position: the log has reached it, as far as pages are notified. It changes at most once in
            `rest_seconds`, so that all pages ask for the same one.
        rest_seconds: see `REST_SECONDS` and `REST_FACTOR`.
        ended: the ledger stays away.
        changed: is set, and replaced, when one of them changes.
    """

    def __init__(self, client: AsyncClient, book: str) -> None:
        self.pages = 0
        self.position = 0
        self.rest_seconds = REST_SECONDS
        self.ended = False
        self.changed = asyncio.Event()
        self._book = client.book(book)
        self._reached = 0
        self._announced_at = -REST_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._follow())

    def wake(self) -> None:
        """Wake all pages."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def close(self) -> None:
        """End the subscription."""
        if self._timer is not None:
            self._timer.cancel()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _follow(self) -> None:
        try:
            head = (await self._book.info()).head_position
            self._move(head)
            async with aclosing(self._book.subscribe(head)) as updates:
                async for update in updates:
                    if update.position > self._reached:
                        self._move(update.position)
        except GigaledgerError:
            self.ended = True
            self.wake()

    def _move(self, position: int) -> None:
        self._reached = position
        if self._timer is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time(), self._announced_at + self.rest_seconds)
            self._timer = loop.call_at(due, self._announce)

    def _announce(self) -> None:
        self._timer = None
        self._announced_at = asyncio.get_running_loop().time()
        self.position = self._reached
        self.wake()


class Live:
    """The books that pages are open of."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._followers: dict[str, _Follower] = {}
        self._closed = False

    async def events(self, book: str, after: int) -> AsyncGenerator[str, None]:
        """Yield server-sent events: the position that the log has reached, beyond the page's own.

        Ends if the ledger stays away, and at `close`: the page connects again by itself.

        Args:
            book: id of the book.
            after: the position that the page shows.
        """
        yield "retry: 1000\n\n"
        async with self._following(book) as follower:
            while not (follower.ended or self._closed):
                changed = follower.changed
                if follower.position > after:
                    after = follower.position
                    yield f"event: position\ndata: {after}\n\n"
                    continue
                try:
                    async with asyncio.timeout(KEEPALIVE_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    yield ": nothing new\n\n"

    def updated(self, book: str, seconds: float) -> None:
        """Take note of how long an update of a page took."""
        if book in self._followers:
            self._followers[book].rest_seconds = max(REST_SECONDS, REST_FACTOR * seconds)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for follower in self._followers.values():
            follower.wake()

    @asynccontextmanager
    async def _following(self, book: str) -> AsyncGenerator[_Follower, None]:
        follower = self._followers.get(book)
        if follower is None or follower.ended:
            follower = self._followers[book] = _Follower(self._client, book)
        follower.pages += 1
        try:
            yield follower
        finally:
            follower.pages -= 1
            if not follower.pages:
                if self._followers.get(book) is follower:
                    del self._followers[book]
                await follower.close()


class Updates:
    """Renders an update once for all pages that show the same."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, asyncio.Task[Rendered]]] = {}

    async def rendered(
        self, address: str, position: int, render: Callable[[], Coroutine[None, None, Rendered]]
    ) -> Rendered:
        """Return a page that reflects at least a position.

        Args:
            address: what the page shows.
            position: what the update was announced for.
            render: renders it.
        """
        known, task = self._latest.get(address, (0, None))
        if task is None or known < position:
            task = asyncio.create_task(render())
            self._latest[address] = (position, task)
            task.add_done_callback(lambda done: self._forget_later(address, done))
        return await asyncio.shield(task)

    def _forget_later(self, address: str, task: asyncio.Task[Rendered]) -> None:
        asyncio.get_running_loop().call_later(REST_SECONDS, self._forget, address, task)

    def _forget(self, address: str, task: asyncio.Task[Rendered]) -> None:
        if address in self._latest and self._latest[address][1] is task:
            del self._latest[address]
