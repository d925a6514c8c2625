"""ProjectionService: questions in, figures out, with the position that they reflect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.grpc.interceptor import Context
from gigaledger.common.grpc.resource_names import projection_of, schema_of
from gigaledger.common.quantities import (
    QuantityError,
    decimal_from_message,
    instant_to_message,
)
from gigaledger.projections.engine import generations, store
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.engine.snapshot import (
    BehindError,
    Snapshot,
    Status,
    open_snapshot,
    read_statuses,
)
from gigaledger.projections.exceptions.queries import (
    UnknownRuleError,
    page_cursor,
    query_exceptions,
)
from gigaledger.projections.investment.counterfactual_queries import query_counterfactual
from gigaledger.projections.queries import drill_down
from gigaledger.projections.queries.changes import affected_positions, changes
from gigaledger.projections.queries.errors import UnknownProjectionError
from gigaledger.projections.queries.read_spec import (
    known_by,
    known_since,
    periods_of,
    requested_scope,
)
from gigaledger.projections.queries.reports import (
    Answer,
    Question,
    answer,
    answered_by,
    check_level,
    question_of,
)
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.projections.shared import paging
from gigaledger.projections.warrants.queries import query_warrants
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import GetBookRequest, ReadEventsRequest
from gigaledger.v1.projections_pb2 import (
    EventChanges,
    GetProjectionRequest,
    GetProjectionResponse,
    ListContributionsRequest,
    ListContributionsResponse,
    ListProjectionsRequest,
    ListProjectionsResponse,
    ProjectionRebuild,
    ProjectionState,
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryChangesRequest,
    QueryChangesResponse,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    QueryCounterfactualRequest,
    QueryCounterfactualResponse,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
    QueryInvestmentRequest,
    QueryInvestmentResponse,
    QueryRollForwardRequest,
    QueryRollForwardResponse,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
    QuerySeriesRequest,
    QuerySeriesResponse,
    QueryWarrantsRequest,
    QueryWarrantsResponse,
    ReadSpec,
    RebuildProjectionRequest,
    RebuildProjectionResponse,
    ResumeProjectionRequest,
    ResumeProjectionResponse,
)
from gigaledger.v1.projections_pb2 import Projection as ProjectionMessage
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceServicer
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

if TYPE_CHECKING:
    from gigaledger.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

POLL_SECONDS = 0.1
"""How soon a write by another process is seen."""
LONG_QUESTIONS = 4
"""Series and comparisons that are worked on together, at the most: each holds a connection."""

_PROJECTIONS = {projection.name: projection for projection in PROJECTIONS}
Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


class WriteNotifier:
    """Wakes calls that wait for a position when a projection of a book has advanced."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def announce(self, schema: str) -> None:
        """Wake who waits for a book."""
        event = self._events.pop(schema, None)
        if event is not None:
            event.set()

    def expect(self, schema: str) -> asyncio.Event:
        """Return what the next write sets. To be called before looking."""
        return self._events.setdefault(schema, asyncio.Event())


class ProjectionService(ProjectionServiceServicer):
    """The methods of `gigaledger.v1.ProjectionService`."""

    def __init__(
        self,
        pool: Pool,
        writing: AsyncConnectionPool[AsyncConnection[Any]],
        ledger: LedgerServiceAsyncStub,
        written: WriteNotifier,
    ) -> None:
        """Answer from read models.

        Args:
            pool: connections for reading snapshots.
            writing: connections for rebuilding and resuming projections.
            ledger: the ledger, which knows the head of the log.
            written: wakes waiting calls when a worker of this process has written.
        """
        self._pool = pool
        self._writing = writing
        self._ledger = ledger
        self._written = written
        self._long_questions = asyncio.Semaphore(LONG_QUESTIONS)

    async def QueryCapacity(  # noqa: N802 - the name of the contract
        self, request: QueryCapacityRequest, _context: Context
    ) -> QueryCapacityResponse:
        """Answer how many GW."""
        found: QueryCapacityResponse = await self._answer(request)
        return found

    async def QueryInvestment(  # noqa: N802 - the name of the contract
        self, request: QueryInvestmentRequest, _context: Context
    ) -> QueryInvestmentResponse:
        """Answer how much was invested."""
        found: QueryInvestmentResponse = await self._answer(request)
        return found

    async def QueryRoundTrip(  # noqa: N802 - the name of the contract
        self, request: QueryRoundTripRequest, _context: Context
    ) -> QueryRoundTripResponse:
        """Answer what went round."""
        found: QueryRoundTripResponse = await self._answer(request)
        return found

    async def QueryCircularFlows(  # noqa: N802 - the name of the contract
        self, request: QueryCircularFlowsRequest, _context: Context
    ) -> QueryCircularFlowsResponse:
        """Answer what runs in circles."""
        found: QueryCircularFlowsResponse = await self._answer(request)
        return found

    async def _answer(self, question: Question) -> Any:
        """Return the answer of the type that belongs to a question."""
        async with self._reader(question.book, answered_by(question), question.read) as snapshot:
            return await answer(snapshot, question)

    async def QueryExceptions(  # noqa: N802 - the name of the contract
        self, request: QueryExceptionsRequest, _context: Context
    ) -> QueryExceptionsResponse:
        """Answer which rules are broken, and which were."""
        cursor = page_cursor(request)
        read = _known_at(request.read, cursor.position)
        async with self._reader(request.book, "exceptions", read) as snapshot:
            try:
                return await query_exceptions(snapshot, request, cursor)
            except UnknownRuleError as error:
                raise InvalidArgumentError("rules", str(error)) from error

    async def QuerySeries(  # noqa: N802 - the name of the contract
        self, request: QuerySeriesRequest, _context: Context
    ) -> AsyncIterator[QuerySeriesResponse]:
        """Answer a question at the end of each interval."""
        question = question_of(request)
        if question.read.HasField("as_of"):
            raise InvalidArgumentError("read.as_of", "must be unset: the series states the days")
        days = [period.last for period in periods_of(request)]
        async with self._long_reader(question) as snapshot:
            for day in days:
                found = await answer(snapshot.as_of(day), question)
                yield _in_series(found)

    async def QueryChanges(  # noqa: N802 - the name of the contract
        self, request: QueryChangesRequest, _context: Context
    ) -> AsyncIterator[QueryChangesResponse]:
        """Answer which events moved figures between two states of knowledge."""
        question = question_of(request)
        since = await known_since(request, question.book, self._ledger)
        async with self._long_reader(question) as snapshot:
            to_position = snapshot.scope.position
            if to_position < since.position:
                raise InvalidArgumentError(
                    str(request.WhichOneof("since")),
                    f"is position {since.position}, after {to_position}, which it is compared with",
                )
            affected = await affected_positions(snapshot, since.position)
            events = self._events(question.book, since.position, to_position)
            async for part in changes(snapshot, question, since, events, affected):
                if isinstance(part, EventChanges):
                    yield QueryChangesResponse(event=part)
                else:
                    yield QueryChangesResponse(total=part)

    async def ListContributions(  # noqa: N802 - the name of the contract
        self, request: ListContributionsRequest, _context: Context
    ) -> ListContributionsResponse:
        """Answer which events make up a figure."""
        check_level(request.level)
        try:
            drill_down.sums_behind(request.figure)
        except drill_down.UnknownFigureError as error:
            raise InvalidArgumentError("figure", str(error)) from error
        place = paging.page_start(request)
        read = _known_at(request.read, place.known_position)
        projection = drill_down.projection_behind(request.figure)
        async with self._reader(request.book, projection, read) as snapshot:
            return await drill_down.list_contributions(snapshot, request, place)

    async def QueryRollForward(  # noqa: N802 - the name of the contract
        self, request: QueryRollForwardRequest, _context: Context
    ) -> QueryRollForwardResponse:
        """Answer how a figure went on, period by period."""
        check_level(request.level)
        if request.read.HasField("as_of"):
            raise InvalidArgumentError("read.as_of", "must be unset: to_date states the day")
        try:
            drill_down.sum_of(request.figure)
        except drill_down.UnknownFigureError as error:
            raise InvalidArgumentError("figure", str(error)) from error
        periods = periods_of(request)
        projection = drill_down.projection_behind(request.figure)
        async with self._reader(request.book, projection, request.read) as snapshot:
            return await drill_down.query_roll_forward(
                snapshot.as_of(periods[-1].last), request, periods
            )

    async def QueryCounterfactual(  # noqa: N802 - the name of the contract
        self, request: QueryCounterfactualRequest, _context: Context
    ) -> QueryCounterfactualResponse:
        """Answer what the same log would say under other readings of the terms."""
        async with self._reader(request.book, "investment", request.read) as snapshot:
            return await query_counterfactual(snapshot, request)

    async def QueryWarrants(  # noqa: N802 - the name of the contract
        self, request: QueryWarrantsRequest, _context: Context
    ) -> QueryWarrantsResponse:
        """Return the warrants granted and what became of them."""
        price = None
        if request.HasField("share_price"):
            try:
                price = decimal_from_message(request.share_price)
            except QuantityError as error:
                raise InvalidArgumentError("share_price", str(error)) from error
            if price < 0:
                raise InvalidArgumentError("share_price", f"is {price}, but must be at least 0")
        async with self._reader(request.book, "warrants", request.read) as snapshot:
            return await query_warrants(snapshot, request.warrant, price)

    async def _events(
        self, book: str, after_position: int, to_position: int
    ) -> AsyncIterator[RecordedEvent]:
        if after_position == to_position:
            return
        request = ReadEventsRequest(
            book=book, from_position=after_position + 1, to_position=to_position
        )
        async for response in self._ledger.ReadEvents(request):
            for event in response.events:
                yield event

    @asynccontextmanager
    async def _long_reader(self, question: Question) -> AsyncIterator[Snapshot]:
        """Open a snapshot for a question that takes a while: a few at a time.

        So questions that are answered at once always find a connection.
        """
        async with (
            self._long_questions,
            self._reader(question.book, answered_by(question), question.read) as snapshot,
        ):
            yield snapshot

    async def GetProjection(  # noqa: N802 - the name of the contract
        self, request: GetProjectionRequest, _context: Context
    ) -> GetProjectionResponse:
        """Return the progress of a projection."""
        _named(request.name)
        return GetProjectionResponse(projection=await self._status(request.name))

    async def RebuildProjection(  # noqa: N802 - the name of the contract
        self, request: RebuildProjectionRequest, _context: Context
    ) -> RebuildProjectionResponse:
        """Rebuild a projection beside the generation that answers."""
        schema, projection = _named(request.name)
        await self._status(request.name)
        async with self._writing.connection() as connection:
            await generations.rebuild(connection, schema, projection)
        return RebuildProjectionResponse(projection=await self._status(request.name))

    async def ResumeProjection(  # noqa: N802 - the name of the contract
        self, request: ResumeProjectionRequest, _context: Context
    ) -> ResumeProjectionResponse:
        """Let a projection that has stopped try again."""
        schema, projection = _named(request.name)
        await self._status(request.name)
        async with self._writing.connection() as connection:
            await store.resume(connection, schema, projection)
        return ResumeProjectionResponse(projection=await self._status(request.name))

    async def ListProjections(  # noqa: N802 - the name of the contract
        self, request: ListProjectionsRequest, _context: Context
    ) -> ListProjectionsResponse:
        """Return the progress of all projections of a book. They always fit on one page."""
        schema_of(request.parent, "parent")
        if request.page_token:
            raise InvalidArgumentError("page_token", "is not a token of this service")
        return ListProjectionsResponse(projections=await self._statuses(request.parent))

    async def _status(self, name: str) -> ProjectionMessage:
        book, _ = projection_of(name)
        return next(found for found in await self._statuses(book) if found.name == name)

    async def _statuses(self, book: str) -> list[ProjectionMessage]:
        statuses = await read_statuses(self._pool, schema_of(book))
        head = await self._ledger.GetBook(GetBookRequest(name=book))
        position = head.book.head_position
        return [_message(book, p.name, statuses.get(p.name, []), position) for p in PROJECTIONS]

    @asynccontextmanager
    async def _reader(self, book: str, projection: str, read: ReadSpec) -> AsyncIterator[Snapshot]:
        """Open a snapshot as requested, waiting for its position if necessary."""
        schema = schema_of(book)
        asked = requested_scope(read)
        known = await known_by(read, book, self._ledger)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + asked.max_wait_seconds
        while True:
            written = self._written.expect(schema)
            try:
                async with open_snapshot(
                    self._pool,
                    schema,
                    _PROJECTIONS[projection],
                    min_position=asked.min_position,
                    as_of=asked.as_of,
                    statuses=asked.statuses,
                    known=known,
                ) as snapshot:
                    yield snapshot
                    return
            except BehindError:
                rest = deadline - loop.time()
                if rest <= 0:
                    raise
            try:
                await asyncio.wait_for(written.wait(), min(rest, POLL_SECONDS))
            except TimeoutError:
                continue


def _known_at(asked: ReadSpec, position: int) -> ReadSpec:
    """Return the ReadSpec with the knowledge of a position, unless that is 0."""
    if not position:
        return asked
    read = ReadSpec()
    read.CopyFrom(asked)
    read.as_known_position = position
    return read


def _in_series(found: Answer) -> QuerySeriesResponse:
    match found:
        case QueryCapacityResponse():
            return QuerySeriesResponse(capacity=found)
        case QueryInvestmentResponse():
            return QuerySeriesResponse(investment=found)
        case QueryRoundTripResponse():
            return QuerySeriesResponse(round_trip=found)
        case QueryCircularFlowsResponse():
            return QuerySeriesResponse(circular_flows=found)


def _named(name: str) -> tuple[str, Projection]:
    """Return the schema and the projection that a resource name names."""
    book, projection = projection_of(name)
    if projection not in _PROJECTIONS:
        raise UnknownProjectionError(f"there is no projection {projection}")
    return schema_of(book), _PROJECTIONS[projection]


def _message(book: str, name: str, found: Sequence[Status], head: int) -> ProjectionMessage:
    """Return the status of a projection.

    Args:
        book: resource name of the book.
        name: name of the projection.
        found: the generation that answers, and the one that is being built; empty if no worker has
            begun.
        head: head of the log.
    """
    message = ProjectionMessage(
        name=f"{book}/projections/{name}",
        state=ProjectionState.PROJECTION_STATE_NOT_STARTED,
        head_position=head,
        lag=head,
    )
    for rebuild in found[1:]:
        message.rebuild.CopyFrom(
            ProjectionRebuild(
                generation=rebuild.generation,
                version=rebuild.version,
                position=rebuild.position,
                failure=_failure(rebuild),
                leader=rebuild.leader,
            )
        )
    if not found:
        return message
    status = found[0]
    message.generation, message.version = status.generation, status.version
    message.leader = status.leader
    if status.updated_time is None:
        return message
    message.position = status.position
    # The projection may have advanced after the head was requested.
    message.head_position = max(head, status.position)
    message.lag = message.head_position - status.position
    message.updated_time.CopyFrom(instant_to_message(status.updated_time))
    if status.recorded_time is not None:
        message.recorded_time.CopyFrom(instant_to_message(status.recorded_time))
    message.state = ProjectionState.PROJECTION_STATE_RUNNING
    message.failure = _failure(status)
    if message.failure:
        message.state = ProjectionState.PROJECTION_STATE_FAILED
    return message


def _failure(status: Status) -> str:
    return f"position {status.failed_position}: {status.failure}" if status.failure else ""
