"""Workers: follow the log of every book through the ledger's gRPC API, and fold.

Projections of a book that have come equally far go on together: the log is read once for all of
them, and what they fold of it is written in one transaction. What stops one does not stop another.
Several processes may run workers on one database; the locks on the rows of progress let one of them
write, and the others find that they were overtaken and go on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import grpc
import psycopg
import psycopg_pool
import structlog
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import (
    ListBooksRequest,
    SubscribeEventsRequest,
    SubscribeEventsResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from psycopg_pool import AsyncConnectionPool

from services.projections import store
from services.projections.catalogue import PROJECTIONS
from services.projections.names import schema_of
from services.projections.projection import Projection
from services.projections.sessions import SESSION_OPTIONS
from services.runtime.server import MAX_MESSAGE_BYTES

BOOKS_POLL_SECONDS = 0.5
"""How soon a new book is followed."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0
WRITING_CONNECTIONS = 8
READ_AHEAD_RESPONSES = 16
BATCH_EVENTS = 10_000
"""What one transaction writes, at the most, give or take a response."""

_PASSING = (psycopg.OperationalError, psycopg_pool.PoolTimeout)
"""Failures of PostgreSQL that go by."""

_log = structlog.get_logger("gigaledger.projections")


class Workers:
    """The workers of a process. An async context manager: they run while it is entered."""

    def __init__(
        self, database_url: str, ledger_address: str, on_written: Callable[[str], None]
    ) -> None:
        """Follow the books of a ledger.

        Args:
            database_url: where the read models are kept.
            ledger_address: host:port of the ledger service.
            on_written: called with the schema of a book after each transaction.
        """
        self._pool = AsyncConnectionPool(
            database_url,
            kwargs={"options": SESSION_OPTIONS, "autocommit": True},
            min_size=1,
            max_size=WRITING_CONNECTIONS,
            open=False,
            check=AsyncConnectionPool.check_connection,
        )
        self._ledger_address = ledger_address
        self._on_written = on_written
        self._followed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start following."""
        await self._stack.enter_async_context(self._pool)
        channel = grpc.aio.insecure_channel(
            self._ledger_address,
            options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)],
        )
        self._ledger = LedgerServiceStub(await self._stack.enter_async_context(channel))
        self._discovery = asyncio.create_task(self._discover())
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop: what is not committed will be folded again."""
        tasks = [self._discovery, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _discover(self) -> None:
        """Find books, again and again, and follow those that are new."""
        patience = _Patience()
        while True:
            try:
                for book in await self._books():
                    await self._follow_book(book)
            except (grpc.aio.AioRpcError, *_PASSING) as error:
                await patience.wait("books not listed", error)
            else:
                patience.renew()
                await asyncio.sleep(BOOKS_POLL_SECONDS)

    async def _books(self) -> list[str]:
        names: list[str] = []
        token = ""
        while True:
            page = await self._ledger.ListBooks(ListBooksRequest(page_token=token))
            names += [book.name for book in page.books]
            token = page.next_page_token
            if not token:
                return names

    async def _follow_book(self, book: str) -> None:
        if book in self._followed:
            return
        async with self._pool.connection() as connection:
            await store.migrate(connection, schema_of(book))
        self._followed.add(book)
        self._spawn(book, PROJECTIONS)

    def _spawn(self, book: str, projections: Sequence[Projection]) -> None:
        task = asyncio.create_task(self._follow(book, projections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, book: str, projections: Sequence[Projection]) -> None:
        """Keep projections of a book up to the log, until they meet what they can't fold."""
        patience = _Patience(_log.bind(book=book))
        while projections:
            log = _log.bind(book=book, projections=[projection.name for projection in projections])
            try:
                progress = await self._progress(book)
                projections, *others = _equally_far(projections, progress)
                for group in others:
                    self._spawn(book, group)
                stopped = await self._read_and_fold(
                    book, projections, progress[projections[0].name], patience
                )
                projections = [p for p in projections if p.name not in stopped]
            except store.OvertakenError:
                log.debug("overtaken by another worker")
            except grpc.aio.AioRpcError as error:
                if error.code() in {
                    grpc.StatusCode.FAILED_PRECONDITION,
                    grpc.StatusCode.INVALID_ARGUMENT,
                }:
                    await self._stop(book, projections, error.details() or "")
                    log.error("stopped", reason=error.details())  # noqa: TRY400 - said in full
                    return
                await patience.wait("ledger not available", error)
            except _PASSING as error:
                await patience.wait("database not available", error)
            except Exception as error:
                # A fault of ours. It must not look like a worker that has nothing to do, and must
                # stop no projection that it does not concern.
                log.exception("failed")
                if len(projections) == 1:
                    await self._stop(book, projections, f"{type(error).__name__}: {error}")
                    return
                for projection in projections:
                    self._spawn(book, [projection])
                return

    async def _read_and_fold(
        self,
        book: str,
        projections: Sequence[Projection],
        progress: store.Progress,
        patience: _Patience,
    ) -> Collection[str]:
        """Follow a book until the ledger ends the subscription or a projection stops.

        Returns:
            The names of the projections that stopped.
        """
        schema = schema_of(book)
        request = SubscribeEventsRequest(book=book, after_position=progress.position)
        if progress.resume_token:
            request = SubscribeEventsRequest(book=book, resume_token=progress.resume_token)
        async with _gathered(self._ledger.SubscribeEvents(request)) as batches:
            async for events, resume_token in batches:
                patience.renew()
                if not events:
                    continue
                async with self._pool.connection() as connection:
                    stopped = await store.apply(
                        connection, schema, projections, events, resume_token
                    )
                self._on_written(schema)
                for name, error in stopped.items():
                    _log.error(
                        "stopped",
                        book=book,
                        projection=name,
                        position=error.position,
                        reason=str(error),
                    )
                if stopped:
                    return stopped.keys()
        return ()

    async def _progress(self, book: str) -> dict[str, store.Progress]:
        async with self._pool.connection() as connection:
            return await store.read_progress(connection, schema_of(book))

    async def _stop(self, book: str, projections: Sequence[Projection], reason: str) -> None:
        """Keep that projections can't go on from where they are."""
        progress = await self._progress(book)
        async with self._pool.connection() as connection:
            for projection in projections:
                position = progress[projection.name].position
                await store.fail(connection, schema_of(book), projection, position, reason)


def _equally_far(
    projections: Sequence[Projection], progress: Mapping[str, store.Progress]
) -> list[list[Projection]]:
    """Group projections by the place from which they go on."""
    groups: dict[tuple[int, str], list[Projection]] = {}
    for projection in projections:
        reached = progress[projection.name]
        groups.setdefault((reached.position, reached.resume_token), []).append(projection)
    return list(groups.values())


class _EndOfStreamError(Exception):
    """The ledger has ended a subscription without an error."""


@asynccontextmanager
async def _gathered(
    responses: AsyncIterable[SubscribeEventsResponse],
) -> AsyncIterator[AsyncIterator[tuple[list[RecordedEvent], str]]]:
    """Read ahead, and give what has come in meanwhile as one batch with the last resume token.

    A worker that is behind so writes more at once, and one that is not waits for nobody.
    """
    arrived: asyncio.Queue[SubscribeEventsResponse | Exception] = asyncio.Queue(
        READ_AHEAD_RESPONSES
    )

    async def read() -> None:
        try:
            async for response in responses:
                await arrived.put(response)
            await arrived.put(_EndOfStreamError())
        except Exception as error:  # noqa: BLE001 - raised where the batch before it ends
            await arrived.put(error)

    async def batches() -> AsyncIterator[tuple[list[RecordedEvent], str]]:
        while True:
            events: list[RecordedEvent] = []
            item = await arrived.get()
            while not isinstance(item, Exception):
                events += item.events
                token = item.resume_token
                if arrived.empty() or len(events) >= BATCH_EVENTS:
                    yield events, token
                    break
                item = arrived.get_nowait()
            else:
                if events:
                    yield events, token
                if isinstance(item, _EndOfStreamError):
                    return
                raise item

    reading = asyncio.create_task(read())
    try:
        yield batches()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


class _Patience:
    """Waits longer and longer between tries that fail."""

    def __init__(self, log: Any = _log) -> None:
        self._log = log
        self._seconds = FIRST_RETRY_SECONDS

    def renew(self) -> None:
        """Forget earlier failures."""
        self._seconds = FIRST_RETRY_SECONDS

    def wait(self, what: str, error: Exception) -> Coroutine[Any, Any, None]:
        """Say what failed, and wait."""
        text = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
        self._log.warning(what, error=text, retry_seconds=self._seconds)
        seconds = self._seconds
        self._seconds = min(2 * seconds, LAST_RETRY_SECONDS)
        return asyncio.sleep(seconds)
