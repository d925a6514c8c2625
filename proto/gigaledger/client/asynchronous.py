"""The client for asyncio."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from contextlib import aclosing
from dataclasses import replace
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
import grpc.aio
from gigaledger.client import calls
from gigaledger.client.calls import Call, Pages
from gigaledger.client.connections import Settings, serialized
from gigaledger.client.errors import (
    AlreadyExistsError,
    GigaledgerError,
    UnavailableError,
    error_of_call,
)
from gigaledger.client.pipelines import METHOD as APPEND_EVENT_STREAM
from gigaledger.client.pipelines import Outcome, Pipeline
from gigaledger.client.retries import Backoff
from gigaledger.client.streams import StreamCall
from gigaledger.v1 import ledger_pb2
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventStreamRequest,
    AppendEventStreamResponse,
)

P = ParamSpec("P")
T = TypeVar("T")


class AsyncConnection:
    """The channels of a client, and how calls are sent over them, in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.is_closed = False

    async def run(self, call: Call[T]) -> T:
        """Send a call, again while its outcome is unknown, and return its result."""
        seconds = self.settings.call_seconds + call.wait_seconds
        send: Any = self.channel(call.method).unary_unary(
            call.method,
            request_serializer=serialized,
            response_deserializer=call.response.FromString,
        )
        backoff = Backoff(self.settings.retry)
        while True:
            try:
                answer = await send(
                    call.request, timeout=seconds, metadata=self.settings.metadata()
                )
            except grpc.RpcError as error:
                failed = error_of_call(error)
                failed.request_id = call.request_id
                if self.is_closed or not call.repeatable:
                    raise failed from error
                await asyncio.sleep(backoff.delay_after(failed))
            else:
                return call.result(answer)

    async def pages(self, pages: Pages[T]) -> AsyncGenerator[T, None]:
        """Yield what is on all pages, fetching each when it is needed."""
        call: Call[Any] | None = pages.first()
        while call is not None:
            page = await self.run(call)
            for item in pages.items(page):
                yield item
            call = pages.after(page)

    async def stream(self, stream: StreamCall[T]) -> AsyncGenerator[T, None]:
        """Yield the answers of a stream, which is resumed if it breaks."""
        send: Any = self.channel(stream.method).unary_stream(
            stream.method,
            request_serializer=serialized,
            response_deserializer=stream.response.FromString,
        )
        backoff = Backoff(self.settings.retry)
        received = False
        while True:
            call = send(stream.request(), metadata=self.settings.metadata())
            try:
                async for answer in call:
                    received = True
                    backoff.reset()
                    for item in stream.items(answer):
                        yield item
            except grpc.RpcError as error:
                failed = error_of_call(error)
                if self.is_closed or (received and not stream.resumable):
                    raise failed from error
                await asyncio.sleep(backoff.delay_after(failed))
            else:
                return
            finally:
                call.cancel()

    def channel(self, method: str) -> grpc.aio.Channel:
        """Return the channel to the service of a method."""
        if self.is_closed:
            raise RuntimeError("the client is closed")
        address = self.settings.address_of(method)
        if address not in self._channels:
            options = self.settings.options()
            self._channels[address] = (
                grpc.aio.secure_channel(address, self.settings.credentials, options=options)
                if self.settings.credentials is not None
                else grpc.aio.insecure_channel(address, options=options)
            )
        return self._channels[address]

    async def close(self) -> None:
        """Close the channels. Calls under way end."""
        self.is_closed = True
        for channel in self._channels.values():
            await channel.close()


class _AppendStream:
    """A pipeline of appends over streams that are opened again when they break."""

    def __init__(
        self,
        connection: AsyncConnection,
        pipeline: Pipeline,
        requests: Iterable[AppendEventsRequest] | AsyncIterable[AppendEventsRequest],
    ) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._requests = requests
        self._changed = asyncio.Condition()

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Yield the outcomes of all requests, in order."""
        settings = self._connection.settings
        send: Any = self._connection.channel(APPEND_EVENT_STREAM).stream_stream(
            APPEND_EVENT_STREAM,
            request_serializer=serialized,
            response_deserializer=AppendEventStreamResponse.FromString,
        )
        reading = asyncio.create_task(self._read())
        backoff = Backoff(settings.retry)
        try:
            while not self._pipeline.is_done:
                call = send(self._sent(self._pipeline.answered), metadata=settings.metadata())
                try:
                    async for answer in call:
                        outcome = await self._take(answer)
                        backoff.reset()
                        yield outcome
                        if self._pipeline.is_done:
                            break
                    if not self._pipeline.is_done:
                        raise UnavailableError("the ledger ended the stream early")
                except grpc.RpcError as error:
                    failed = error_of_call(error)
                    if self._connection.is_closed:
                        raise failed from error
                    await asyncio.sleep(backoff.delay_after(failed))
                except GigaledgerError as error:
                    await asyncio.sleep(backoff.delay_after(error))
                finally:
                    call.cancel()
            if self._pipeline.all_read:
                await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        """Read the requests, as far ahead of the answers as the pipeline allows.

        What reading raises is raised to the caller after the last answer.
        """
        try:
            async with aclosing(_async_items(self._requests)) as requests:
                async for request in requests:
                    async with self._changed:
                        self._pipeline.add(request)
                        self._changed.notify_all()
                        await self._changed.wait_for(lambda: not self._pipeline.is_full)
        finally:
            self._pipeline.end()
            async with self._changed:
                self._changed.notify_all()

    async def _sent(self, number: int) -> AsyncIterator[AppendEventStreamRequest]:
        """Yield what a stream has to send, from a request on. Cancelled with its stream."""
        while True:
            async with self._changed:
                while not (self._pipeline.all_read or self._pipeline.has(number)):
                    await self._changed.wait()
                if not self._pipeline.has(number):
                    return
                message = self._pipeline.numbered(number)
            yield message
            number += 1

    async def _take(self, answer: AppendEventStreamResponse) -> Outcome:
        async with self._changed:
            outcome = self._pipeline.take(answer)
            self._changed.notify_all()
            return outcome


async def _async_items(
    requests: Iterable[AppendEventsRequest] | AsyncIterable[AppendEventsRequest],
) -> AsyncGenerator[AppendEventsRequest, None]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


def _unary(
    describe: Callable[Concatenate[AsyncBook, P], Call[T]],
) -> Callable[Concatenate[AsyncBook, P], Awaitable[T]]:
    @wraps(describe)
    def method(self: AsyncBook, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self.connection.run(describe(self, *args, **kwargs))

    return method


def _paged(
    describe: Callable[Concatenate[AsyncBook, P], Pages[T]],
) -> Callable[Concatenate[AsyncBook, P], AsyncGenerator[T, None]]:
    @wraps(describe)
    def method(self: AsyncBook, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        return self.connection.pages(describe(self, *args, **kwargs))

    return method


def _streamed(
    describe: Callable[Concatenate[AsyncBook, P], StreamCall[T]],
) -> Callable[Concatenate[AsyncBook, P], AsyncGenerator[T, None]]:
    @wraps(describe)
    def method(self: AsyncBook, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        return self.connection.stream(describe(self, *args, **kwargs))

    return method


class AsyncBook:
    """One book of a client for asyncio. Making one calls nothing: see `AsyncClient.book`.

    Its methods are those of `Book`: coroutines, and asynchronous generators in place of iterators.
    Close a generator that you leave early, with `contextlib.aclosing`.
    """

    def __init__(self, connection: AsyncConnection, name: str, actor: str) -> None:
        self.connection = connection
        self.name = name
        self.actor = actor

    def __repr__(self) -> str:
        return f"AsyncBook({self.name!r})"

    info = _unary(calls.info)
    append = _unary(calls.append)
    request = calls.request
    send = _unary(calls.send)
    read = _streamed(calls.read)
    subscribe = _streamed(calls.subscribe)
    event = _unary(calls.event)
    events = _paged(calls.events)
    resolve_position = _unary(calls.resolve_position)
    attempts = _paged(calls.attempts)
    evaluate_capital_call = _unary(calls.evaluate_capital_call)

    capacity = _unary(calls.capacity)
    investment = _unary(calls.investment)
    round_trip = _unary(calls.round_trip)
    circular_flows = _unary(calls.circular_flows)
    exceptions = _paged(calls.exceptions)
    contributions = _paged(calls.contributions)
    roll_forward = _unary(calls.roll_forward)
    counterfactual = _unary(calls.counterfactual)
    warrants = _unary(calls.warrants)
    series = _streamed(calls.series)
    changes = _streamed(calls.changes)

    projection = _unary(calls.projection)
    projections = _paged(calls.list_projections)
    rebuild_projection = _unary(calls.rebuild_projection)
    resume_projection = _unary(calls.resume_projection)

    checkpoint = _unary(calls.checkpoint)
    checkpoints = _paged(calls.checkpoints)
    leaf_hashes = _unary(calls.leaf_hashes)
    inclusion_proof = _unary(calls.inclusion_proof)
    consistency_proof = _unary(calls.consistency_proof)
    signing_keys = _unary(calls.signing_keys)

    def append_stream(
        self,
        requests: Iterable[AppendEventsRequest] | AsyncIterable[AppendEventsRequest],
        *,
        in_sequence: bool = False,
    ) -> AsyncGenerator[Outcome, None]:
        """Append many requests without waiting for each answer: see `Book.append_stream`."""
        pipeline = Pipeline(self.name, in_sequence=in_sequence)
        return _AppendStream(self.connection, pipeline, requests).outcomes()


class AsyncClient:
    """A connection to the services of gigaledger for asyncio. Made by `connect_async`."""

    def __init__(self, settings: Settings) -> None:
        self.connection = AsyncConnection(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Calls under way end."""
        await self.connection.close()

    def book(self, book: str, *, actor: str = "") -> AsyncBook:
        """Return a book, without a call: see `Client.book`."""
        actor = actor or self.connection.settings.actor
        return AsyncBook(self.connection, calls.book_name(book), actor)

    async def create_book(
        self,
        book_id: str,
        *,
        display_name: str = "",
        opened_time: dt.datetime | None = None,
        exist_ok: bool = False,
        actor: str = "",
    ) -> AsyncBook:
        """Open a new book and return it: see `Client.create_book`."""
        call = calls.create_book(book_id, display_name, opened_time)
        try:
            await self.connection.run(replace(call, repeatable=exist_ok))
        except AlreadyExistsError:
            if not exist_ok:
                raise
        return self.book(book_id, actor=actor)

    def books(self) -> AsyncGenerator[ledger_pb2.Book, None]:
        """Yield all books, in order of name."""
        return self.connection.pages(calls.books(self))
