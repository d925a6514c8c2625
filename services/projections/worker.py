"""Workers: follow the log of every book through the ledger's gRPC API, and fold.

Each projection of each book has a task of its own: what stops one does not stop another. Several
processes may run workers on one database; the lock on the progress row lets one of them write, and
the others find that they were overtaken and go on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
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
from services.projections.facts import FoldError
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
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
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
        tasks = [self._discovery, *self._tasks.values()]
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
        if (book, PROJECTIONS[0].name) in self._tasks:
            return
        async with self._pool.connection() as connection:
            await store.migrate(connection, schema_of(book))
        for projection in PROJECTIONS:
            key = (book, projection.name)
            self._tasks[key] = asyncio.create_task(self._follow(book, projection))

    async def _follow(self, book: str, projection: Projection) -> None:
        """Keep one projection of one book up to the log, until it meets what it can't fold."""
        log = _log.bind(book=book, projection=projection.name)
        patience = _Patience(log)
        while True:
            try:
                await self._read_and_fold(book, projection, patience)
            except store.OvertakenError:
                log.debug("overtaken by another worker")
            except FoldError as error:
                log.error("stopped", position=error.position, reason=str(error))  # noqa: TRY400
                return
            except grpc.aio.AioRpcError as error:
                if error.code() in {
                    grpc.StatusCode.FAILED_PRECONDITION,
                    grpc.StatusCode.INVALID_ARGUMENT,
                }:
                    await self._stop(book, projection, error.details() or "")
                    log.error("stopped", reason=error.details())  # noqa: TRY400 - said in full
                    return
                await patience.wait("ledger not available", error)
            except _PASSING as error:
                await patience.wait("database not available", error)
            except Exception as error:
                # A fault of ours. It must not look like a worker that has nothing to do.
                await self._stop(book, projection, f"{type(error).__name__}: {error}")
                log.exception("stopped")
                return

    async def _read_and_fold(self, book: str, projection: Projection, patience: _Patience) -> None:
        schema = schema_of(book)
        async with self._pool.connection() as connection:
            progress = await store.read_progress(connection, schema, projection)
        request = SubscribeEventsRequest(book=book, after_position=progress.position)
        if progress.resume_token:
            request = SubscribeEventsRequest(book=book, resume_token=progress.resume_token)
        async with _gathered(self._ledger.SubscribeEvents(request)) as batches:
            async for events, resume_token in batches:
                if events:
                    async with self._pool.connection() as connection:
                        await store.apply(connection, schema, projection, events, resume_token)
                    self._on_written(schema)
                patience.renew()

    async def _stop(self, book: str, projection: Projection, reason: str) -> None:
        """Keep that the ledger's history is not the one that the projection reflects."""
        schema = schema_of(book)
        async with self._pool.connection() as connection:
            progress = await store.read_progress(connection, schema, projection)
            await store.fail(connection, schema, projection, progress.position, reason)


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
