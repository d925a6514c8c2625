"""ProjectionService: questions in, figures out, with the position that they reflect."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import psycopg
import psycopg_pool
import structlog
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.ledger_pb2 import GetBookRequest
from gigaledger.v1.projections_pb2 import (
    GetProjectionRequest,
    GetProjectionResponse,
    ListProjectionsRequest,
    ListProjectionsResponse,
    PartyLevel,
    ProjectionState,
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
    QueryInvestmentRequest,
    QueryInvestmentResponse,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
    ReadSpec,
)
from gigaledger.v1.projections_pb2 import Projection as ProjectionMessage
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceServicer
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status as RpcStatus
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from services.projections.capacity.queries import query_capacity
from services.projections.catalogue import PROJECTIONS
from services.projections.circular_flows.queries import query_circular_flows
from services.projections.exceptions.queries import (
    MAX_PAGE_SIZE,
    PageTokenError,
    UnknownRuleError,
    query_exceptions,
)
from services.projections.facts import enum_text
from services.projections.investment.queries import query_investment
from services.projections.names import projection_of, schema_of
from services.projections.reading import (
    BehindError,
    BookNotFoundError,
    Reader,
    Status,
    open_reader,
    read_statuses,
)
from services.projections.round_trip.queries import query_round_trip
from services.quantities import QuantityError, date_from_message, instant_to_message
from services.runtime.status import abort, bad_request, error_info, error_status, retry_info

if TYPE_CHECKING:
    from gigaledger.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

DEFAULT_WAIT_SECONDS = 5.0
MAX_WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1
"""How soon a write by another process is seen."""
RETRY_SECONDS = 0.5

_NAMES = {projection.name for projection in PROJECTIONS}
_log = structlog.get_logger("gigaledger.projections.api")
Context = grpc.aio.ServicerContext[Any, Any]
Pool = AsyncConnectionPool[AsyncConnection[DictRow]]
_Method = TypeVar("_Method", bound=Callable[..., Awaitable[Any]])


class InvalidArgumentError(ValueError):
    """A field of a request is malformed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class _UnknownProjectionError(LookupError):
    """There is no projection of that name."""


class Written:
    """Tells those who wait for a position that a projection of a book has moved on."""

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


def _answered(method: _Method) -> _Method:
    """Turn what a method raises into a status: the one place where errors meet the wire."""

    @wraps(method)
    async def call(self: object, request: Message, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await abort(context, _status_of(error))

    return call  # type: ignore[return-value]


def _status_of(error: Exception) -> RpcStatus:  # noqa: PLR0911 - one for each error
    """Return the status that says what went wrong."""
    match error:
        case InvalidArgumentError():
            details = [error_info("FIELD_INVALID"), bad_request(error.field, error.message)]
            return error_status(grpc.StatusCode.INVALID_ARGUMENT, str(error), details)
        case BookNotFoundError():
            details = [error_info("BOOK_NOT_FOUND")]
            return error_status(grpc.StatusCode.NOT_FOUND, str(error), details)
        case _UnknownProjectionError():
            details = [error_info("PROJECTION_NOT_FOUND")]
            return error_status(grpc.StatusCode.NOT_FOUND, str(error), details)
        case BehindError():
            position = {"position": str(error.position)}
            details = [error_info("PROJECTION_BEHIND", position), retry_info(RETRY_SECONDS)]
            return error_status(grpc.StatusCode.UNAVAILABLE, str(error), details)
        case psycopg.OperationalError() | psycopg_pool.PoolTimeout() | psycopg_pool.PoolClosed():
            details = [error_info("STORE_UNAVAILABLE"), retry_info(RETRY_SECONDS)]
            message = "the database of the projections is not available"
            return error_status(grpc.StatusCode.UNAVAILABLE, message, details)
        case grpc.aio.AioRpcError():
            details = [error_info("LEDGER_UNAVAILABLE"), retry_info(RETRY_SECONDS)]
            message = f"the ledger service does not tell the head of the log: {error.details()}"
            return error_status(grpc.StatusCode.UNAVAILABLE, message, details)
        case _:
            _log.error("unexpected error", exc_info=error)
            message = "an error of the projection service itself; its log says more"
            return error_status(grpc.StatusCode.INTERNAL, message, [error_info("INTERNAL")])


class ProjectionService(ProjectionServiceServicer):
    """The methods of `gigaledger.v1.ProjectionService`."""

    def __init__(self, pool: Pool, ledger: LedgerServiceAsyncStub, written: Written) -> None:
        """Answer from read models.

        Args:
            pool: connections for reading snapshots.
            ledger: tells where the log ends.
            written: tells when a worker of this process has written.
        """
        self._pool = pool
        self._ledger = ledger
        self._written = written

    @_answered
    async def QueryCapacity(  # noqa: N802 - the name of the contract
        self, request: QueryCapacityRequest, _context: Context
    ) -> QueryCapacityResponse:
        """Answer how many GW."""
        async with self._reader(request.book, "capacity", request.read) as reader:
            return await query_capacity(reader, request.agreement)

    @_answered
    async def QueryInvestment(  # noqa: N802 - the name of the contract
        self, request: QueryInvestmentRequest, _context: Context
    ) -> QueryInvestmentResponse:
        """Answer how much was invested."""
        async with self._reader(request.book, "investment", request.read) as reader:
            return await query_investment(reader, request.agreement)

    @_answered
    async def QueryRoundTrip(  # noqa: N802 - the name of the contract
        self, request: QueryRoundTripRequest, _context: Context
    ) -> QueryRoundTripResponse:
        """Answer what went round."""
        _check_level(request.level)
        async with self._reader(request.book, "round-trip", request.read) as reader:
            return await query_round_trip(reader, request)

    @_answered
    async def QueryExceptions(  # noqa: N802 - the name of the contract
        self, request: QueryExceptionsRequest, _context: Context
    ) -> QueryExceptionsResponse:
        """Answer which rules are broken, and which were."""
        if not 0 <= request.page_size <= MAX_PAGE_SIZE:
            raise InvalidArgumentError("page_size", f"must be from 0 to {MAX_PAGE_SIZE}")
        async with self._reader(request.book, "exceptions", request.read) as reader:
            try:
                return await query_exceptions(reader, request)
            except UnknownRuleError as error:
                raise InvalidArgumentError("rules", str(error)) from error
            except PageTokenError as error:
                raise InvalidArgumentError("page_token", str(error)) from error

    @_answered
    async def QueryCircularFlows(  # noqa: N802 - the name of the contract
        self, request: QueryCircularFlowsRequest, _context: Context
    ) -> QueryCircularFlowsResponse:
        """Answer what runs in circles."""
        _check_level(request.level)
        from_day = _date(request, "from_date") or dt.date.min
        async with self._reader(request.book, "round-trip", request.read) as reader:
            return await query_circular_flows(reader, request, from_day)

    @_answered
    async def GetProjection(  # noqa: N802 - the name of the contract
        self, request: GetProjectionRequest, _context: Context
    ) -> GetProjectionResponse:
        """Tell how far a projection is."""
        try:
            book, name = projection_of(request.name)
        except ValueError as error:
            raise InvalidArgumentError("name", str(error)) from error
        if name not in _NAMES:
            raise _UnknownProjectionError(f"there is no projection {name}")
        found = await self._statuses(book)
        return GetProjectionResponse(projection=next(p for p in found if p.name == request.name))

    @_answered
    async def ListProjections(  # noqa: N802 - the name of the contract
        self, request: ListProjectionsRequest, _context: Context
    ) -> ListProjectionsResponse:
        """Tell how far all projections of a book are. They always fit on one page."""
        _schema(request.parent, "parent")
        if request.page_token:
            raise InvalidArgumentError("page_token", "is not a token of this service")
        return ListProjectionsResponse(projections=await self._statuses(request.parent))

    async def _statuses(self, book: str) -> list[ProjectionMessage]:
        statuses = await read_statuses(self._pool, schema_of(book))
        head = await self._ledger.GetBook(GetBookRequest(name=book))
        position = head.book.head_position
        return [_message(book, p.name, statuses.get(p.name), position) for p in PROJECTIONS]

    @asynccontextmanager
    async def _reader(self, book: str, projection: str, read: ReadSpec) -> AsyncIterator[Reader]:
        """Open a snapshot as a request asks for it, waiting for its position where need be."""
        schema = _schema(book, "book")
        as_of = _date(read, "as_of", "read.")
        statuses = _statuses(read)
        if read.min_position < 0:
            raise InvalidArgumentError("read.min_position", "must not be negative")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _max_wait(read)
        while True:
            written = self._written.expect(schema)
            try:
                async with open_reader(
                    self._pool,
                    schema,
                    projection,
                    min_position=read.min_position,
                    as_of=as_of,
                    statuses=statuses,
                ) as reader:
                    yield reader
                    return
            except BehindError:
                rest = deadline - loop.time()
                if rest <= 0:
                    raise
            try:
                await asyncio.wait_for(written.wait(), min(rest, POLL_SECONDS))
            except TimeoutError:
                continue


def _schema(book: str, field: str) -> str:
    try:
        return schema_of(book)
    except ValueError as error:
        raise InvalidArgumentError(field, str(error)) from error


def _date(message: Message, field: str, prefix: str = "") -> dt.date | None:
    if not message.HasField(field):
        return None
    try:
        return date_from_message(getattr(message, field))
    except QuantityError as error:
        raise InvalidArgumentError(prefix + field, str(error)) from error


def _check_level(level: int) -> None:
    if level not in PartyLevel.values():
        raise InvalidArgumentError("level", f"{level} is not a level")


def _statuses(read: ReadSpec) -> list[str]:
    for index, status in enumerate(read.assertion_statuses):
        if status not in AssertionStatus.values() or not status:
            field = f"read.assertion_statuses[{index}]"
            raise InvalidArgumentError(field, f"{status} is not a status")
    return [enum_text(AssertionStatus, status) for status in read.assertion_statuses]


def _max_wait(read: ReadSpec) -> float:
    if not read.HasField("max_wait"):
        return DEFAULT_WAIT_SECONDS
    seconds = read.max_wait.ToTimedelta().total_seconds()
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        message = f"must be from 0 to {MAX_WAIT_SECONDS:.0f} seconds"
        raise InvalidArgumentError("read.max_wait", message)
    return seconds


def _message(book: str, name: str, status: Status | None, head: int) -> ProjectionMessage:
    message = ProjectionMessage(
        name=f"{book}/projections/{name}",
        state=ProjectionState.PROJECTION_STATE_NOT_STARTED,
        head_position=head,
        lag=head,
    )
    if status is None or status.updated_time is None:
        return message
    message.position = status.position
    # The projection can have moved on after the head was asked for.
    message.head_position = max(head, status.position)
    message.lag = message.head_position - status.position
    message.updated_time.CopyFrom(instant_to_message(status.updated_time))
    message.state = ProjectionState.PROJECTION_STATE_RUNNING
    if status.failure:
        message.state = ProjectionState.PROJECTION_STATE_FAILED
        message.failure = f"position {status.failed_position}: {status.failure}"
    return message
