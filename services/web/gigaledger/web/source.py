"""What pages ask the services, in the state of the book that they show."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from gigaledger.client import (
    AsyncClient,
    GigaledgerError,
    NotFoundError,
    UnavailableError,
    date_of,
    event_filter,
    queries,
)
from gigaledger.client.errors import error_of_call
from gigaledger.client.queries import Interval, Question
from gigaledger.common.transparency.leaves import WireError, recorded_events
from gigaledger.common.transparency.merkle import ProofError, check_inclusion, leaf_hash
from gigaledger.v1.audit_pb2 import Checkpoint
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import Book, EventFilter, GetEventRequest
from gigaledger.v1.projections_pb2 import (
    ListContributionsResponse,
    QueryCapacityResponse,
    QueryCircularFlowsResponse,
    QueryExceptionsResponse,
    QueryInvestmentResponse,
    QueryRoundTripResponse,
)
from gigaledger.web.view import View

MAX_AGREEMENTS = 12
"""Agreements that the progress of is asked for one by one."""
EVENTS_ON_A_PAGE = 50
_FIRST_EVENTS = 50
_CHART_DAYS = 60
_READ_BLOCK = 2000
_MAX_MONTHS = 72
_DAYS_A_MONTH = 31
_DAYS_A_QUARTER = 92


class UnreachableError(Exception):
    """A service does not answer.

    Attributes:
        service: "ledger" or "projections".
        error: of the call.
    """

    def __init__(self, service: str, error: GigaledgerError) -> None:
        super().__init__(f"the {service}: {error}")
        self.service = service
        self.error = error


@dataclass(frozen=True)
class Period:
    """The days that a chart shows."""

    first: dt.date
    last: dt.date

    @property
    def interval(self) -> Interval:
        """How far apart its days are."""
        days = (self.last - self.first).days
        if days <= _CHART_DAYS:
            return "DAY"
        if days <= _MAX_MONTHS * _DAYS_A_MONTH:
            return "MONTH"
        return "QUARTER" if days <= _MAX_MONTHS * _DAYS_A_QUARTER else "YEAR"


@dataclass(frozen=True)
class Inclusion:
    """The proof that an event is in the book's Merkle tree, and whether it holds.

    Attributes:
        leaf_hash: computed from the bytes that were received.
        checkpoint: the latest; None if nothing is sealed.
        proof: hashes from the leaf to the root; None if the event is not sealed.
        failure: why the proof does not hold; empty if it does.
    """

    leaf_hash: bytes
    checkpoint: Checkpoint | None
    proof: Sequence[bytes] | None
    failure: str = ""


@contextmanager
def _asking(service: str) -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        if error.reason:
            raise
        raise UnreachableError(service, error) from error


async def list_books(client: AsyncClient) -> list[Book]:
    """Return all books, in order of name."""
    with _asking("ledger"):
        return [book async for book in client.books()]


class Source:
    """Answers about one book, in the state that a view names."""

    def __init__(self, client: AsyncClient, view: View) -> None:
        self._book = client.book(view.book)
        self._view = view

    async def info(self) -> Book:
        """Return the book with its head."""
        with _asking("ledger"):
            return await self._book.info()

    async def checkpoint(self) -> Checkpoint | None:
        """Return the latest checkpoint; None if nothing of the book is sealed."""
        with _asking("ledger"):
            try:
                return await self._book.checkpoint()
            except GigaledgerError as error:
                if error.reason in {"NOT_SEALED", "NO_SIGNING_KEY"}:
                    return None
                raise

    async def capacity(self, agreement: str = "") -> QueryCapacityResponse:
        """Return capacity."""
        with _asking("projections"):
            return await self._book.capacity(agreement=agreement, **self._view.read())

    async def capacity_by_agreement(
        self, agreements: Iterable[str]
    ) -> list[tuple[str, QueryCapacityResponse]]:
        """Return the capacity of agreements, each for itself."""
        names = sorted(set(agreements))[:MAX_AGREEMENTS]
        answers = await asyncio.gather(*(self.capacity(name) for name in names))
        return list(zip(names, answers, strict=True))

    async def investment(self) -> QueryInvestmentResponse:
        """Return investment."""
        with _asking("projections"):
            return await self._book.investment(**self._view.read())

    async def round_trip(self) -> QueryRoundTripResponse:
        """Return the round trip."""
        with _asking("projections"):
            return await self._book.round_trip(level=self._view.level, **self._view.read())

    async def circular_flows(self) -> QueryCircularFlowsResponse:
        """Return circular flows."""
        with _asking("projections"):
            return await self._book.circular_flows(level=self._view.level, **self._view.read())

    async def exceptions(self, rules: Sequence[str], *, open_only: bool) -> QueryExceptionsResponse:
        """Return the first thousand exceptions, with the number of all."""
        with _asking("projections"):
            found = self._book.exceptions(
                rules=rules, open_only=open_only, page_size=1000, **self._view.read()
            )
            first: QueryExceptionsResponse = await _first(found)
            return first

    async def contributions(
        self, figure: str, about: dict[str, str], page_size: int = 500
    ) -> ListContributionsResponse:
        """Return the first contributions to a figure, with the sum of all."""
        with _asking("projections"):
            found = self._book.contributions(
                figure,
                about=about,
                level=self._view.level,
                page_size=page_size,
                **self._view.read(),
            )
            first: ListContributionsResponse = await _first(found)
            return first

    async def over_time(self, period: Period) -> tuple[list[Any], list[Any], list[Any]]:
        """Return capacity, investment and the round trip at the end of each interval."""
        read = self._view.read_over_time()
        capacity, investment, round_trip = await asyncio.gather(
            self.series(queries.capacity(**read), period),
            self.series(queries.investment(**read), period),
            self.series(queries.round_trip(level=self._view.level, **read), period),
        )
        return capacity, investment, round_trip

    async def series(self, question: Question, period: Period) -> list[Any]:
        """Return the answers to a question at the end of each interval."""
        with _asking("projections"):
            answers = self._book.series(
                question, from_date=period.first, to_date=period.last, interval=period.interval
            )
            async with aclosing(answers):
                return [answer async for answer in answers]

    async def period(self, book: Book, capacity: QueryCapacityResponse) -> Period:
        """Return the days that charts show: from the first facts to the as-of date.

        Without an as-of date the last day is that of the last event, or of the plan if later.
        """
        with _asking("ledger"):
            found = self._book.read(1, min(_FIRST_EVENTS, book.head_position))
            async with aclosing(found):
                first = min([date_of(item.event.effective_date) async for item in found])
        dated = [
            *(item.planned_date for item in capacity.milestones),
            *(item.planned_date for item in capacity.schedule_points),
        ]
        planned = [date_of(day) for day in dated if day.year]
        head = book.head_recorded_time.ToDatetime().date()
        last = self._view.as_of or max([head, *planned])
        return Period(min(first, last), last)

    async def known_position(self, book: Book) -> int:
        """Return the position of the last event that is known in the view."""
        known = self._view.known
        if known is None:
            return book.head_position
        if isinstance(known, int):
            return min(known, book.head_position)
        with _asking("ledger"):
            try:
                return (await self._book.resolve_position(known)).position
            except NotFoundError:
                return 0

    async def latest_events(
        self, through: int, matching: EventFilter, count: int = EVENTS_ON_A_PAGE
    ) -> list[RecordedEvent]:
        """Return the last events up to a position that meet a filter, the newest first."""
        found: list[RecordedEvent] = []
        block = count
        with _asking("ledger"):
            while through > 0 and len(found) < count:
                start = max(1, through - block + 1)
                events = self._book.read(start, through, matching=matching)
                async with aclosing(events):
                    older = [event async for event in events]
                found += reversed(older)
                through, block = start - 1, _READ_BLOCK
        return found[:count]

    def filter(self, *, agreement: str = "", party: str = "", stream: str = "") -> EventFilter:
        """Return the filter of the events that a page lists."""
        return event_filter(
            agreement=agreement, party=party, stream=stream, effective_to=self._view.as_of
        )

    async def event(self, position: int) -> tuple[RecordedEvent, Inclusion]:
        """Return an event and the proof that it is in the book, checked over the bytes received."""
        with _asking("ledger"):
            try:
                event, hashed = await self._leaf(position)
                checkpoint = await self.checkpoint()
                if checkpoint is None or position > checkpoint.size:
                    return event, Inclusion(hashed, checkpoint, None)
                proof = await self._book.inclusion_proof(position, checkpoint.size)
            except WireError as error:
                raise GigaledgerError(f"the ledger's answer can't be read: {error}") from error
        failure = ""
        try:
            check_inclusion(
                hashed, position - 1, checkpoint.size, proof.hashes, checkpoint.root_hash
            )
        except ProofError as error:
            failure = str(error)
        return event, Inclusion(hashed, checkpoint, proof.hashes, failure)

    async def _leaf(self, position: int) -> tuple[RecordedEvent, bytes]:
        """Return an event, and the hash of its bytes as they were received."""
        connection = self._book.connection
        method = "/gigaledger.v1.LedgerService/GetEvent"
        get: Any = connection.channel(method).unary_unary(
            method, request_serializer=GetEventRequest.SerializeToString
        )
        try:
            answer = await get(
                GetEventRequest(name=f"{self._book.name}/events/{position}"),
                timeout=connection.settings.call_seconds,
                metadata=connection.settings.metadata(),
            )
        except grpc.RpcError as error:
            raise error_of_call(error) from error
        [received] = recorded_events(answer)
        return RecordedEvent.FromString(received), leaf_hash(received)


async def _first(pages: AsyncGenerator[Any, None]) -> Any:
    async with aclosing(pages):
        return await anext(pages)
