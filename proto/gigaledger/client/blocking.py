"""The blocking client."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import grpc
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


class Connection:
    """The channels of a client, and how calls are sent over them. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = threading.Lock()
        self.is_closed = False

    def run(self, call: Call[T]) -> T:
        """Send a call, again while its outcome is unknown, and return its result."""
        seconds = self.settings.call_seconds + call.wait_seconds
        send = self.channel(call.method).unary_unary(
            call.method,
            request_serializer=serialized,
            response_deserializer=call.response.FromString,
        )
        backoff = Backoff(self.settings.retry)
        while True:
            try:
                answer = send(call.request, timeout=seconds, metadata=self.settings.metadata())
            except grpc.RpcError as error:
                failed = error_of_call(error)
                failed.request_id = call.request_id
                if self.is_closed or not call.repeatable:
                    raise failed from error
                time.sleep(backoff.delay_after(failed))
            else:
                return call.result(answer)

    def pages(self, pages: Pages[T]) -> Iterator[T]:
        """Yield what is on all pages, fetching each when it is needed."""
        call: Call[Any] | None = pages.first()
        while call is not None:
            page = self.run(call)
            yield from pages.items(page)
            call = pages.after(page)

    def channel(self, method: str) -> grpc.Channel:
        """Return the channel to the service of a method."""
        address = self.settings.address_of(method)
        with self._lock:
            if self.is_closed:
                raise RuntimeError("the client is closed")
            if address not in self._channels:
                options = self.settings.options()
                self._channels[address] = (
                    grpc.secure_channel(address, self.settings.credentials, options=options)
                    if self.settings.credentials is not None
                    else grpc.insecure_channel(address, options=options)
                )
            return self._channels[address]

    def close(self) -> None:
        """Close the channels. Calls under way end."""
        with self._lock:
            self.is_closed = True
            for channel in self._channels.values():
                channel.close()


class Stream(Iterator[T], Generic[T]):
    """Answers as they come. A stream that breaks is resumed; `close` ends it, from any thread."""

    def __init__(self, connection: Connection, call: StreamCall[T]) -> None:
        self._ending = _Ending()
        self._items = _answers(connection, call, self._ending)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the stream: a thread that waits for its next item gets StopIteration."""
        self._ending.end()


class _Ending:
    """Whether a stream was closed, and the call to cancel when it is."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._call: Any = None

    @property
    def is_set(self) -> bool:
        """Whether the stream was closed."""
        return self._ended.is_set()

    def end(self) -> None:
        """Cancel the call under way, and all that follow."""
        self._ended.set()
        if self._call is not None:
            self._call.cancel()

    def watch(self, call: Any) -> None:
        """Cancel a call when the stream is closed."""
        self._call = call
        if self._ended.is_set():
            call.cancel()

    def wait(self, seconds: float) -> None:
        """Wait until the stream is closed, at most so long."""
        self._ended.wait(seconds)


def _answers(
    connection: Connection, stream: StreamCall[T], ending: _Ending
) -> Generator[T, None, None]:
    """Yield the answers of a stream, which is resumed if it breaks.

    Apart from `Stream`, so that one that nobody refers to any more cancels its call at once.
    """
    settings = connection.settings
    send = connection.channel(stream.method).unary_stream(
        stream.method,
        request_serializer=serialized,
        response_deserializer=stream.response.FromString,
    )
    backoff = Backoff(settings.retry)
    received = False
    while not ending.is_set:
        call: Any = send(stream.request(), metadata=settings.metadata())
        ending.watch(call)
        try:
            for answer in call:
                received = True
                backoff.reset()
                yield from stream.items(answer)
        except grpc.RpcError as error:
            if ending.is_set:
                return
            failed = error_of_call(error)
            if connection.is_closed or (received and not stream.resumable):
                raise failed from error
            ending.wait(backoff.delay_after(failed))
        else:
            return
        finally:
            call.cancel()


class _AppendStream:
    """A pipeline of appends over streams that are opened again when they break."""

    def __init__(
        self, connection: Connection, pipeline: Pipeline, requests: Iterable[AppendEventsRequest]
    ) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._requests = iter(requests)
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        self._opened = 0
        self._failure: Exception | None = None

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Yield the outcomes of all requests, in order."""
        settings = self._connection.settings
        send = self._connection.channel(APPEND_EVENT_STREAM).stream_stream(
            APPEND_EVENT_STREAM,
            request_serializer=serialized,
            response_deserializer=AppendEventStreamResponse.FromString,
        )
        backoff = Backoff(settings.retry)
        try:
            while not self._pipeline.is_done:
                with self._changed:
                    self._opened += 1
                    self._changed.notify_all()
                requests = self._sent(self._opened, self._pipeline.answered)
                call: Any = send(requests, metadata=settings.metadata())
                try:
                    for answer in call:
                        outcome = self._take(answer)
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
                    time.sleep(backoff.delay_after(failed))
                except GigaledgerError as error:
                    time.sleep(backoff.delay_after(error))
                finally:
                    call.cancel()
        finally:
            with self._changed:
                self._opened = -1
                self._changed.notify_all()
        if self._failure is not None:
            raise self._failure

    def _sent(self, opened: int, number: int) -> Iterator[AppendEventStreamRequest]:
        """Yield what a stream has to send, from a request on. Runs in a thread of the channel."""
        while (message := self._message(opened, number)) is not None:
            yield message
            number += 1

    def _message(self, opened: int, number: int) -> AppendEventStreamRequest | None:
        """Return what a stream sends next, read from the requests if need be.

        None if there is no more to send, or another stream has taken this one's place. Its thread
        may still be reading then: what it reads goes to the pipeline all the same.
        """
        pipeline = self._pipeline
        with self._reading:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._opened != opened or pipeline.has(number) or not pipeline.is_full
                )
                if self._opened != opened or (pipeline.all_read and not pipeline.has(number)):
                    return None
                if pipeline.has(number):
                    return pipeline.numbered(number)
            try:
                request = next(self._requests, None)
            except Exception as error:  # noqa: BLE001 - raised to the caller after the last answer
                self._failure = error
                request = None
            with self._changed:
                if request is None:
                    pipeline.end()
                    return None
                pipeline.add(request)
                return pipeline.numbered(number) if self._opened == opened else None

    def _take(self, answer: AppendEventStreamResponse) -> Outcome:
        with self._changed:
            outcome = self._pipeline.take(answer)
            self._changed.notify_all()
            return outcome


def _unary(
    describe: Callable[Concatenate[Book, P], Call[T]],
) -> Callable[Concatenate[Book, P], T]:
    @wraps(describe)
    def method(self: Book, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.connection.run(describe(self, *args, **kwargs))

    return method


def _paged(
    describe: Callable[Concatenate[Book, P], Pages[T]],
) -> Callable[Concatenate[Book, P], Iterator[T]]:
    @wraps(describe)
    def method(self: Book, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.connection.pages(describe(self, *args, **kwargs))

    return method


def _streamed(
    describe: Callable[Concatenate[Book, P], StreamCall[T]],
) -> Callable[Concatenate[Book, P], Stream[T]]:
    @wraps(describe)
    def method(self: Book, /, *args: P.args, **kwargs: P.kwargs) -> Stream[T]:
        return Stream(self.connection, describe(self, *args, **kwargs))

    return method


class Book:
    """One book of a client. Making one calls nothing: see `Client.book`."""

    def __init__(self, connection: Connection, name: str, actor: str) -> None:
        self.connection = connection
        self.name = name
        self.actor = actor

    def __repr__(self) -> str:
        return f"Book({self.name!r})"

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
        self, requests: Iterable[AppendEventsRequest], *, in_sequence: bool = False
    ) -> Generator[Outcome, None, None]:
        """Append many requests without waiting for each answer, and yield the outcomes in order.

        A stream that breaks is opened again, and requests that were not answered are sent again
        with their ids: nothing is recorded twice.

        Args:
            requests: from `request`, read in a thread of the channel.
            in_sequence: end with the first request that is refused; nothing after it is recorded.

        Raises:
            UnavailableError: the ledger stayed away for longer than the client's retry policy
                allows. What was yielded is recorded.
        """
        pipeline = Pipeline(self.name, in_sequence=in_sequence)
        return _AppendStream(self.connection, pipeline, requests).outcomes()


class Client:
    """A connection to the services of gigaledger, blocking. Made by `connect`.

    Safe to share between threads, not between processes: connect after a fork.
    """

    def __init__(self, settings: Settings) -> None:
        self.connection = Connection(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calls under way end."""
        self.connection.close()

    def book(self, book: str, *, actor: str = "") -> Book:
        """Return a book, without a call: whether it exists shows when it is used.

        Args:
            book: id of the book, or its resource name.
            actor: who records in it; that of the client if empty.
        """
        actor = actor or self.connection.settings.actor
        return Book(self.connection, calls.book_name(book), actor)

    def create_book(
        self,
        book_id: str,
        *,
        display_name: str = "",
        opened_time: dt.datetime | None = None,
        exist_ok: bool = False,
        actor: str = "",
    ) -> Book:
        """Open a new book and return it.

        Args:
            book_id: 1 to 40 lower-case letters, digits and hyphens, the first a letter.
            display_name: for people; the id if empty.
            opened_time: when an imported book was opened. Its facts state when they were recorded;
                those of other books are stamped by the server's clock.
            exist_ok: return the book if it exists.
            actor: who records in it; that of the client if empty.

        Raises:
            AlreadyExistsError: the book exists, unless `exist_ok`.
        """
        call = calls.create_book(book_id, display_name, opened_time)
        try:
            self.connection.run(replace(call, repeatable=exist_ok))
        except AlreadyExistsError:
            if not exist_ok:
                raise
        return self.book(book_id, actor=actor)

    def books(self) -> Iterator[ledger_pb2.Book]:
        """Yield all books, in order of name."""
        return self.connection.pages(calls.books(self))
