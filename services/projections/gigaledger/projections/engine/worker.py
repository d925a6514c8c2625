"""Workers: follow the log of every book through the ledger's gRPC API, and fold.

Projections of a book that have come equally far go on together: the log is read once for all of
them, and what they fold of it is written in one transaction. What stops one does not stop another.
Several processes may run workers on one database: one of them leads each projection, and the others
stand by to take its place.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import grpc
import psycopg
import psycopg_pool
import structlog
from gigaledger.common import metrics
from gigaledger.common.backoff import Backoff
from gigaledger.common.grpc.resource_names import schema_of
from gigaledger.common.grpc.server import MAX_MESSAGE_BYTES
from gigaledger.common.postgres.connections import Database
from gigaledger.projections.engine import generations, leases, store, subtotal_builder
from gigaledger.projections.engine.generations import Generation
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import (
    ListBooksRequest,
    SubscribeEventsRequest,
    SubscribeEventsResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from prometheus_client import Gauge

BOOKS_POLL_SECONDS = 0.5
"""How soon a new book is followed."""
WRITING_CONNECTIONS = 8
READ_AHEAD_RESPONSES = 16
BATCH_EVENTS = 10_000
"""What one transaction writes, at the most, give or take a response."""

_PASSING = (psycopg.OperationalError, psycopg_pool.PoolTimeout)
"""Failures of PostgreSQL that go by."""

_HUNG = "-c idle_in_transaction_session_timeout=3s"
"""A worker that hangs in the middle of a write must not keep its rows locked for ever."""

_log = structlog.get_logger("gigaledger.projections")


class Workers:
    """The workers of a process. An async context manager: they run while it is entered."""

    def __init__(
        self,
        projections: Sequence[Projection],
        database_url: str,
        ledger_address: str,
        on_written: Callable[[str], None],
    ) -> None:
        """Follow the books of a ledger.

        Args:
            projections: the projections of each book.
            database_url: where the read models are kept.
            ledger_address: host:port of the ledger service.
            on_written: called with the schema of a book after each transaction.
        """
        database = Database(database_url, f"{SESSION_OPTIONS} {_HUNG}")
        self._pool = database.async_pool(WRITING_CONNECTIONS, autocommit=True)
        self._projections = projections
        self._ledger_address = ledger_address
        self._on_written = on_written
        self._name = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._books: set[str] = set()
        self._followed: set[tuple[str, store.Key]] = set()
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
        """Stop, and release the leases: events that are not committed will be folded again."""
        tasks = [self._discovery, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with self._pool.connection() as connection:
                await leases.release(connection, map(schema_of, self._books), self._name)
        except _PASSING as error:
            _log.warning("leases not given back", error=str(error))
        await self._stack.aclose()

    async def _discover(self) -> None:
        """Find books, again and again, and follow those that are new."""
        backoff = Backoff()
        while True:
            try:
                for book in await self._listed():
                    await self._follow_book(book)
            except (grpc.aio.AioRpcError, *_PASSING) as error:
                await _wait(backoff, "books not listed", error)
            else:
                backoff.reset()
                await asyncio.sleep(BOOKS_POLL_SECONDS)

    async def _listed(self) -> list[str]:
        names: list[str] = []
        token = ""
        while True:
            page = await self._ledger.ListBooks(ListBooksRequest(page_token=token))
            for book in page.books:
                metrics.BOOK_HEAD.labels(book.name).set(book.head_position)
                names.append(book.name)
            token = page.next_page_token
            if not token:
                return names

    async def _follow_book(self, book: str) -> None:
        if book in self._books:
            return
        async with self._pool.connection() as connection:
            await generations.prepare(connection, schema_of(book), self._projections)
        self._books.add(book)
        self._run(self._lead(book))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, book: str) -> None:
        """Lead what nobody else leads, for ever, and keep the lead."""
        backoff = Backoff()
        tried: set[store.Key] = set()
        while True:
            try:
                async with self._pool.connection() as connection:
                    led = await leases.claim(
                        connection, schema_of(book), self._projections, self._name, tried
                    )
            except Exception as error:  # noqa: BLE001 - whatever it is, a book is not given up
                await _wait(backoff, "lead not taken", error, _log.bind(book=book))
                continue
            backoff.reset()
            tried.update(generation.key for generation in led)
            new = [item for item in led if (book, item.key) not in self._followed]
            if new:
                self._spawn(book, new)
            await asyncio.sleep(leases.HEARTBEAT_SECONDS)

    def _spawn(self, book: str, led: Sequence[Generation]) -> None:
        for generation in led:
            self._followed.add((book, generation.key))
            _observe(metrics.PROJECTION_LEADS, book, generation, 1)
            _observe(metrics.PROJECTION_FAILED, book, generation, 0)
        self._run(self._follow(book, list(led)))

    async def _follow(self, book: str, led: list[Generation]) -> None:
        """Keep generations of a book up to the log until they stop or another worker leads."""
        try:
            await self._keep_up(book, led)
        finally:
            self._drop(book, led, led)

    def _drop(self, book: str, led: list[Generation], gone: Iterable[Generation]) -> None:
        """Follow some generations no longer."""
        for generation in list(gone):
            led.remove(generation)
            self._followed.discard((book, generation.key))
            _observe(metrics.PROJECTION_LEADS, book, generation, 0)

    async def _keep_up(self, book: str, led: list[Generation]) -> None:
        backoff = Backoff()
        while led:
            log = _log.bind(book=book, projections=[item.projection.name for item in led])
            try:
                progress = await self._progress(book)
                self._drop(book, led, [item for item in led if not self._leads(progress, item)])
                for group in _equally_far(led, progress)[1:]:
                    for generation in group:
                        led.remove(generation)
                    self._spawn(book, group)
                if not led:
                    return
                stopped = await self._read_and_fold(book, led, progress[led[0].key], backoff)
                self._drop(book, led, [item for item in led if item.key in stopped])
            except store.OvertakenError:
                log.debug("another worker leads")
                await asyncio.sleep(backoff.next_seconds())
            except grpc.aio.AioRpcError as error:
                if error.code() in {
                    grpc.StatusCode.FAILED_PRECONDITION,
                    grpc.StatusCode.INVALID_ARGUMENT,
                }:
                    await self._stop(book, led, error.details() or "")
                    log.error("stopped", reason=error.details())  # noqa: TRY400 - said in full
                    return
                await _wait(backoff, "ledger not available", error, log)
            except _PASSING as error:
                await _wait(backoff, "database not available", error, log)
            except Exception as error:
                # A fault of ours. It must not look like a worker that has nothing to do, and must
                # stop no projection that it does not concern.
                log.exception("failed")
                if len(led) == 1:
                    await self._stop(book, led, f"{type(error).__name__}: {error}")
                    return
                for generation in led[1:]:
                    led.remove(generation)
                    self._spawn(book, [generation])

    def _leads(self, progress: Mapping[store.Key, store.Progress], generation: Generation) -> bool:
        reached = progress.get(generation.key)
        return reached is not None and reached.leader == self._name and not reached.failure

    async def _read_and_fold(
        self,
        book: str,
        followed: Sequence[Generation],
        progress: store.Progress,
        backoff: Backoff,
    ) -> Collection[store.Key]:
        """Follow a book until the ledger ends the subscription or a projection stops.

        Returns:
            The keys of the generations that stopped.
        """
        schema = schema_of(book)
        request = SubscribeEventsRequest(book=book, after_position=progress.position)
        if progress.resume_token:
            request = SubscribeEventsRequest(book=book, resume_token=progress.resume_token)
        building = progress.building

        # Those with an evaluator get their subtotals from the process that evaluates.
        summed = [item for item in followed if item.projection.evaluator is None]

        async def build_subtotals() -> None:
            async with self._pool.connection() as connection:
                while built := await subtotal_builder.build_subtotals(connection, schema, summed):
                    for generation in summed:
                        if generation.key in built:
                            position = built[generation.key]
                            _observe(metrics.SUBTOTAL_POSITION, book, generation, position)

        async with (
            _in_background(build_subtotals) as request_subtotals,
            _gathered(self._ledger.SubscribeEvents(request)) as batches,
        ):
            # A previous worker may have left some to build.
            request_subtotals()
            async for events, resume_token in batches:
                if not events:
                    backoff.reset()
                    building = building and not await self._promote(schema, followed)
                    continue
                async with self._pool.connection() as connection:
                    stopped = await store.apply(
                        connection, schema, followed, events, resume_token, self._name
                    )
                backoff.reset()
                for generation in followed:
                    stopped_here = generation.key in stopped
                    _observe(metrics.PROJECTION_FAILED, book, generation, int(stopped_here))
                    if not stopped_here and generation in summed:
                        position = events[-1].position
                        _observe(metrics.PROJECTION_POSITION, book, generation, position)
                building = building and not await self._promote(schema, followed)
                self._on_written(schema)
                request_subtotals()
                for (name, _), error in stopped.items():
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

    async def _promote(self, schema: str, followed: Sequence[Generation]) -> bool:
        """Promote generations that have caught up with the live ones; return whether all have."""
        async with self._pool.connection() as connection:
            switched = [
                await generations.promote(connection, schema, generation) for generation in followed
            ]
        return all(switched)

    async def _progress(self, book: str) -> dict[store.Key, store.Progress]:
        async with self._pool.connection() as connection:
            return await store.read_progress(connection, schema_of(book))

    async def _stop(self, book: str, followed: Sequence[Generation], reason: str) -> None:
        """Store why generations cannot continue."""
        progress = await self._progress(book)
        for generation in followed:
            if generation.key in progress:
                position = progress[generation.key].position
                await self._stop_at(book, generation, position, reason)

    async def _stop_at(self, book: str, generation: Generation, position: int, reason: str) -> None:
        async with self._pool.connection() as connection:
            await store.fail(connection, schema_of(book), generation, position, reason)
        _observe(metrics.PROJECTION_FAILED, book, generation, 1)


def _observe(gauge: Gauge, book: str, generation: Generation, value: int) -> None:
    name, number = generation.key
    gauge.labels(book, name, str(number)).set(value)


def _equally_far(
    followed: Sequence[Generation], progress: Mapping[store.Key, store.Progress]
) -> list[list[Generation]]:
    """Group generations by the place from which they go on, apart from those that are built."""
    groups: dict[tuple[int, str, bool], list[Generation]] = {}
    for generation in followed:
        reached = progress[generation.key]
        place = (reached.position, reached.resume_token, reached.building)
        groups.setdefault(place, []).append(generation)
    return list(groups.values())


@asynccontextmanager
async def _in_background(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> AsyncIterator[Callable[[], None]]:
    """Yield a function that requests work to be done, once more if it is being done.

    It raises what the work raised before.
    """
    asked = asyncio.Event()

    async def work_when_asked() -> None:
        while True:
            await asked.wait()
            asked.clear()
            await work()

    working = asyncio.create_task(work_when_asked())

    def ask() -> None:
        if working.done():
            working.result()
        asked.set()

    try:
        yield ask
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


class _EndOfStreamError(Exception):
    """The ledger has ended a subscription without an error."""


@asynccontextmanager
async def _gathered(
    responses: AsyncIterable[SubscribeEventsResponse],
) -> AsyncIterator[AsyncIterator[tuple[list[RecordedEvent], str]]]:
    """Read ahead, and yield everything received meanwhile as one batch, with the last resume token.

    A worker that lags thus writes larger batches, and one that does not lag never waits.
    """
    arrived: asyncio.Queue[SubscribeEventsResponse | Exception] = asyncio.Queue(
        READ_AHEAD_RESPONSES
    )

    async def read() -> None:
        try:
            async for response in responses:
                await arrived.put(response)
            await arrived.put(_EndOfStreamError())
        except Exception as error:  # noqa: BLE001 - raised after the batch before it
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


def _wait(backoff: Backoff, what: str, error: Exception, log: Any = _log) -> Awaitable[None]:
    """Log a failure, and wait before the next attempt."""
    text = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
    seconds = backoff.next_seconds()
    log.warning(what, error=text, retry_seconds=seconds)
    return asyncio.sleep(seconds)
