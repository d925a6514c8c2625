"""LedgerService: appends facts to books, and reads them."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from uuid import uuid4

import psycopg
from gigaledger.common.grpc.errors import (
    InvalidArgumentError,
    NotFoundError,
    UndecodableRequestError,
)
from gigaledger.common.grpc.interceptor import Context
from gigaledger.common.grpc.paging import make_page_token, page_size_of, read_page_token
from gigaledger.common.grpc.resource_names import book_id_of, check_book_id, event_of
from gigaledger.common.quantities import (
    QuantityError,
    instant_from_message,
    instant_to_message,
)
from gigaledger.ledger.api.capital_calls import call_response, question_of
from gigaledger.ledger.api.errors import ERRORS, HistoryDivergedError, ShuttingDownError
from gigaledger.ledger.api.read_requests import (
    filter_of,
    page_start,
    parse_resume_token,
    resume_token,
)
from gigaledger.ledger.api.requests import submission_of
from gigaledger.ledger.domain.call_questions import CallAnswer, answer_call
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.ledger.log.book_registry import BookRegistry
from gigaledger.ledger.log.books import BookRow, create_book, head_of, list_books
from gigaledger.ledger.log.reader import Filter, LogReader
from gigaledger.ledger.log.submissions import (
    BookQuery,
    Receipt,
    RejectedRequest,
    RequestSequence,
    attempt_row,
)
from gigaledger.ledger.log.trial import Trial
from gigaledger.ledger.log.writer import StoreUnavailableError, WriterBusyError
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventsResponse,
    AppendEventStreamRequest,
    AppendEventStreamResponse,
    Attempt,
    Book,
    CreateBookRequest,
    CreateBookResponse,
    EvaluateCapitalCallRequest,
    EvaluateCapitalCallResponse,
    EventReceipt,
    GetBookRequest,
    GetBookResponse,
    GetEventRequest,
    ListAttemptsRequest,
    ListAttemptsResponse,
    ListBooksRequest,
    ListBooksResponse,
    ListEventsRequest,
    ListEventsResponse,
    ReadEventsRequest,
    ReadEventsResponse,
    ResolvePositionRequest,
    ResolvePositionResponse,
    SubscribeEventsRequest,
    SubscribeEventsResponse,
)

MAX_DISPLAY_NAME = 200
STREAM_WINDOW = 256
"""Most requests of one stream that wait for their responses."""
BUSY_SECONDS = 0.01
"""Delay before a stream submits again to a full writer queue."""
_BOOK_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")


class LedgerService:
    """The methods of `gigaledger.v1.LedgerService`.

    Methods that return events return serialized responses, assembled from stored bytes.
    """

    def __init__(self, registry: BookRegistry, clock: Callable[[], dt.datetime]) -> None:
        """Serve the books of a registry."""
        self._registry = registry
        self._clock = clock
        self._receiving: set[asyncio.Task[None]] = set()

    async def create_book(
        self, request: CreateBookRequest, _context: Context
    ) -> CreateBookResponse:
        """Open a book."""
        book = check_book_id(request.book_id, "book_id")
        if len(request.display_name) > MAX_DISPLAY_NAME or not request.display_name.isprintable():
            message = f"must be at most {MAX_DISPLAY_NAME} printable characters"
            raise InvalidArgumentError("display_name", message)
        imported = request.clock == BookClock.BOOK_CLOCK_IMPORTED
        opened_at = self._opened_at(request, imported=imported)
        row = await asyncio.to_thread(
            self._create, book, request.display_name or book, opened_at, imported=imported
        )
        async with self._registry.connection() as connection:
            return CreateBookResponse(book=await _book(connection, row))

    def _opened_at(self, request: CreateBookRequest, *, imported: bool) -> dt.datetime:
        if request.clock not in BookClock.values():
            raise InvalidArgumentError("clock", f"{request.clock} is not a clock")
        if not imported:
            if request.HasField("opened_time"):
                message = "must be unset: this book runs on the server's clock"
                raise InvalidArgumentError("opened_time", message)
            return self._clock()
        if not request.HasField("opened_time"):
            raise InvalidArgumentError("opened_time", "is required for an imported book")
        try:
            return instant_from_message(request.opened_time)
        except QuantityError as error:
            raise InvalidArgumentError("opened_time", str(error)) from error

    def _create(
        self, book: str, display_name: str, opened_at: dt.datetime, *, imported: bool
    ) -> BookRow:
        with self._registry.sealing_pool.connection() as connection:
            return create_book(connection, book, display_name, opened_at, imported=imported)

    async def get_book(self, request: GetBookRequest, _context: Context) -> GetBookResponse:
        """Return a book with its head."""
        book = await self._registry.book(book_id_of(request.name, "name"))
        async with self._registry.connection() as connection:
            return GetBookResponse(book=await _book(connection, book))

    async def list_books(self, request: ListBooksRequest, _context: Context) -> ListBooksResponse:
        """List books in order of id."""
        size = page_size_of(request.page_size)
        after = ""
        if request.page_token:
            after = read_page_token(_BOOK_ID, request.page_token, request)[0]
        async with self._registry.connection() as connection:
            rows = await list_books(connection, after, size + 1)
            books = [await _book(connection, row) for row in rows[:size]]
        more = make_page_token(rows[size - 1].book, request) if len(rows) > size else ""
        return ListBooksResponse(books=books, next_page_token=more)

    async def append_events(
        self, request: AppendEventsRequest, _context: Context
    ) -> AppendEventsResponse:
        """Append facts, all or none."""
        return _response(await (await self._submit(request)))

    async def evaluate_capital_call(
        self, request: EvaluateCapitalCallRequest, _context: Context
    ) -> EvaluateCapitalCallResponse:
        """Evaluate a capital call against the book as decisions see it, and record nothing."""
        book = await self._registry.book(book_id_of(request.book, "book"))
        question = question_of(request, f"hypothetical-{uuid4()}")
        future: asyncio.Future[CallAnswer] = asyncio.get_running_loop().create_future()
        query = BookQuery(lambda state, now: answer_call(state, question, now), future)
        return call_response(await self._registry.writer(book).query(query))

    async def _submit(
        self,
        request: AppendEventsRequest,
        sequence: RequestSequence | None = None,
        *,
        in_sequence: bool = False,
    ) -> asyncio.Future[Receipt]:
        """Hand a request to the writer of its book.

        Args:
            request: the request.
            sequence: the earlier requests of its stream.
            in_sequence: whether to record it only if they were recorded.

        Raises:
            Refused: the request is malformed.
            ShuttingDownError: the process is shutting down.
            UnknownBookError: there is no such book.
            WriterBusyError: too many requests are waiting.
        """
        if self._registry.notifier.closed:
            raise ShuttingDownError("the ledger is shutting down; repeat the request elsewhere")
        book = await self._registry.book(book_id_of(request.book, "book"))
        writer = self._registry.writer(book)
        loop = asyncio.get_running_loop()
        try:
            submission = submission_of(request, loop.create_future())
        except Refused as refused:
            if not request.validate_only:
                actor = request.events[0].event.actor if request.events else ""
                row = attempt_row(self._clock(), request.request_id, actor, refused)
                recorded: asyncio.Future[None] = loop.create_future()
                writer.record_rejection(RejectedRequest(row, recorded, sequence))
                await recorded
            raise
        submission.sequence, submission.in_sequence = sequence, in_sequence
        return writer.submit(submission)

    async def append_event_stream(
        self, requests: AsyncIterator[AppendEventStreamRequest], _context: Context
    ) -> AsyncIterator[AppendEventStreamResponse]:
        """Append requests as they arrive, and answer them in order.

        A request beyond the window is not read before an earlier one is answered: this slows the
        caller down to the ledger's pace, and bounds the stream's share of the writer's queue.

        Raises:
            InvalidArgumentError: a request has unknown fields. Those before it are answered.
            ShuttingDownError: the process is shutting down.
            UndecodableRequestError: a request cannot be decoded. Those before it are answered.
        """
        submitted: asyncio.Queue[asyncio.Future[Receipt] | None] = asyncio.Queue()
        window = asyncio.Semaphore(STREAM_WINDOW)
        sequences: dict[str, RequestSequence] = {}
        trials: dict[str, Trial] = {}

        async def receive() -> None:
            try:
                async for request in requests:
                    await window.acquire()
                    if request.append.validate_only:
                        submitted.put_nowait(await self._try_in_turn(request.append, trials))
                    else:
                        submitted.put_nowait(await self._submit_in_turn(request, sequences))
            finally:
                submitted.put_nowait(None)

        receiving = asyncio.create_task(receive())
        self._receiving.add(receiving)
        try:
            while (receipt := await submitted.get()) is not None:
                yield await _outcome(receipt)
                window.release()
        finally:
            self._receiving.discard(receiving)
            receiving.cancel()
            (ended,) = await asyncio.gather(receiving, return_exceptions=True)
            for trial in trials.values():
                await self._registry.end_trial(trial)
        if isinstance(ended, (InvalidArgumentError, UndecodableRequestError)):
            raise ended
        if self._registry.notifier.closed:
            raise ShuttingDownError("the ledger is shutting down; repeat the unanswered requests")

    async def _submit_in_turn(
        self, request: AppendEventStreamRequest, sequences: dict[str, RequestSequence]
    ) -> asyncio.Future[Receipt]:
        """Submit a request of a stream; an error becomes the response in its turn."""
        sequence = sequences.setdefault(request.append.book, RequestSequence())
        while True:
            try:
                return await self._submit(request.append, sequence, in_sequence=request.in_sequence)
            except WriterBusyError:
                # Meanwhile the stream is not read, so the caller waits as well.
                await asyncio.sleep(BUSY_SECONDS)
            except Exception as error:  # noqa: BLE001 - becomes the response
                if not isinstance(error, Refused):
                    sequence.broken = True
                failed: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
                failed.set_exception(error)
                return failed

    async def _try_in_turn(
        self, request: AppendEventsRequest, trials: dict[str, Trial]
    ) -> asyncio.Future[Receipt]:
        """Try a request of a stream after those before it; an error becomes the response."""
        tried: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        try:
            book = await self._registry.book(book_id_of(request.book, "book"))
            submission = submission_of(request, tried)
            if book.book not in trials:
                trials[book.book] = self._registry.start_trial(book)
            receipt = await asyncio.to_thread(trials[book.book].decide, submission)
            tried.set_result(receipt)
        except psycopg.OperationalError as error:
            tried.set_exception(StoreUnavailableError(f"PostgreSQL is not available: {error}"))
        except Exception as error:  # noqa: BLE001 - becomes the response
            tried.set_exception(error)
        return tried

    def drain(self) -> None:
        """Stop receiving requests, and end subscriptions. Received requests are answered."""
        self._registry.notifier.close()
        for receiving in self._receiving:
            receiving.cancel()

    async def get_event(self, request: GetEventRequest, _context: Context) -> bytes:
        """Return one event."""
        book_id, position = event_of(request.name)
        book = await self._registry.book(book_id)
        async with self._registry.connection() as connection:
            reader = LogReader(book.schema_name)
            page = await reader.page(connection, position - 1, Filter(), position)
        if not page.count:
            raise NotFoundError("EVENT_NOT_FOUND", f"book {book_id} has no event {position}")
        return page.events

    async def resolve_position(
        self, request: ResolvePositionRequest, _context: Context
    ) -> ResolvePositionResponse:
        """Return the position that was the head of a book at an instant."""
        book = await self._registry.book(book_id_of(request.book, "book"))
        if not request.HasField("recorded_time"):
            raise InvalidArgumentError("recorded_time", "is required")
        try:
            instant = instant_from_message(request.recorded_time)
        except QuantityError as error:
            raise InvalidArgumentError("recorded_time", str(error)) from error
        async with self._registry.connection() as connection:
            found = await LogReader(book.schema_name).position_at(connection, instant)
        if found is None:
            message = f"book {book.book} was not open yet at {instant.isoformat()}"
            raise NotFoundError("BOOK_NOT_OPEN", message)
        position, recorded_at = found
        return ResolvePositionResponse(
            position=position, recorded_time=instant_to_message(recorded_at)
        )

    async def list_events(self, request: ListEventsRequest, _context: Context) -> bytes:
        """List events in order of position, by pages."""
        book = await self._registry.book(book_id_of(request.parent, "parent"))
        chosen = filter_of(request.filter)
        size = page_size_of(request.page_size)
        after = page_start(request) or 0
        async with self._registry.connection() as connection:
            page = await LogReader(book.schema_name).page(connection, after, chosen, limit=size)
        more = ""
        if page.through_position < page.head_position:
            more = make_page_token(str(page.through_position), request)
        return page.events + ListEventsResponse(next_page_token=more).SerializeToString()

    async def read_events(
        self, request: ReadEventsRequest, _context: Context
    ) -> AsyncIterator[bytes]:
        """Stream events up to the book's head at the time of the call."""
        book = await self._registry.book(book_id_of(request.book, "book"))
        chosen = filter_of(request.filter)
        for name in ("from_position", "to_position"):
            if getattr(request, name) < 0:
                raise InvalidArgumentError(name, "must not be negative")
        after, to = max(request.from_position - 1, 0), request.to_position or None
        reader = LogReader(book.schema_name)
        async with aclosing(reader.pages(self._registry.connection, after, chosen, to)) as pages:
            async for page in pages:
                rest = ReadEventsResponse(through_position=page.through_position)
                yield page.events + rest.SerializeToString()

    async def subscribe_events(
        self, request: SubscribeEventsRequest, _context: Context
    ) -> AsyncIterator[bytes]:
        """Stream events, report when the head is reached, and continue with new ones."""
        book = await self._registry.book(book_id_of(request.book, "book"))
        chosen = filter_of(request.filter)
        after = await self._start(request, book)
        tail, caught_up = self._registry.shared_tail(book), False
        while True:
            if self._registry.notifier.closed:
                raise ShuttingDownError("the ledger is shutting down; resume with the last token")
            appended = self._registry.notifier.next_append(book.schema_name)
            if chosen.matches_all:
                page = await tail.page(after)
            else:
                async with self._registry.connection() as connection:
                    page = await LogReader(book.schema_name).page(connection, after, chosen)
            if caught_up and page.through_position == after:
                await appended.wait()
                continue
            after, caught_up = page.through_position, page.through_position >= page.head_position
            rest = SubscribeEventsResponse(
                through_position=after, resume_token=resume_token(page), caught_up=caught_up
            )
            yield page.events + rest.SerializeToString()

    async def _start(self, request: SubscribeEventsRequest, book: BookRow) -> int:
        """Return the position after which a subscription starts.

        Raises:
            HistoryDivergedError: the book no longer holds the token's event.
            InvalidArgumentError: not a position of the book.
        """
        if not request.resume_token:
            if request.after_position < 0:
                raise InvalidArgumentError("after_position", "must not be negative")
            position, event_id = request.after_position, None
        else:
            position, event_id = parse_resume_token(request.resume_token)
        async with self._registry.connection() as connection:
            head = (await head_of(connection, book.schema_name)).position
            found = await LogReader(book.schema_name).event_id(connection, position)
        if event_id is not None and found != event_id:
            raise HistoryDivergedError(
                f"book {book.book} no longer holds the resume token's event at position {position}:"
                " it was restored to an earlier state. Read it from the beginning"
            )
        if position > head:
            message = f"is {position}, after the head of the book: {head}"
            raise InvalidArgumentError("after_position", message)
        return position

    async def list_attempts(
        self, request: ListAttemptsRequest, _context: Context
    ) -> ListAttemptsResponse:
        """List refused requests, newest first."""
        book = await self._registry.book(book_id_of(request.parent, "parent"))
        size = page_size_of(request.page_size)
        before = page_start(request)
        async with self._registry.connection() as connection:
            rows = await LogReader(book.schema_name).attempts(connection, before, size + 1)
        more = make_page_token(str(rows[size - 1].number), request) if len(rows) > size else ""
        attempts = [
            Attempt(
                number=row.number,
                attempted_time=instant_to_message(row.attempted_at),
                request_id=row.request_id,
                actor=row.actor,
                rules=row.rules,
                message=row.message,
            )
            for row in rows[:size]
        ]
        return ListAttemptsResponse(attempts=attempts, next_page_token=more)


async def _outcome(receipt: asyncio.Future[Receipt]) -> AppendEventStreamResponse:
    try:
        return AppendEventStreamResponse(appended=_response(await receipt))
    except Exception as error:  # noqa: BLE001 - becomes the response
        return AppendEventStreamResponse(error=ERRORS.status_of(error))


async def _book(connection: psycopg.AsyncConnection, row: BookRow) -> Book:
    head = await head_of(connection, row.schema_name)
    clock = BookClock.BOOK_CLOCK_IMPORTED if row.imported else BookClock.BOOK_CLOCK_SERVER
    return Book(
        name=f"books/{row.book}",
        display_name=row.display_name,
        clock=clock,
        opened_time=instant_to_message(row.opened_at),
        head_position=head.position,
        head_recorded_time=instant_to_message(head.recorded_at),
    )


def _response(receipt: Receipt) -> AppendEventsResponse:
    return AppendEventsResponse(
        receipts=[
            EventReceipt(position=position, stream=stream, stream_version=version, event_id=event)
            for position, stream, version, event in receipt.entries
        ],
        recorded_time=instant_to_message(receipt.recorded_at),
        replayed=receipt.replayed,
    )
