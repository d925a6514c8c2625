"""What a ReadSpec asks for: which facts, which knowledge, how fresh."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.grpc.resource_names import MAX_NUMBER
from gigaledger.common.grpc.status import reason_of
from gigaledger.common.quantities import (
    NANOS_PER_UNIT,
    QuantityError,
    bounded_date_from_message,
    instant_from_message,
)
from gigaledger.projections.engine.folding import enum_text
from gigaledger.projections.engine.snapshot import KnowledgePoint
from gigaledger.projections.shared.periods import (
    DaysOutOfOrderError,
    Length,
    Period,
    TooManyPeriodsError,
    periods,
)
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.ledger_pb2 import GetEventRequest, ResolvePositionRequest
from gigaledger.v1.projections_pb2 import (
    Interval,
    QueryChangesRequest,
    QueryRollForwardRequest,
    QuerySeriesRequest,
    ReadSpec,
)
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from gigaledger.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

DEFAULT_WAIT_SECONDS = 5.0
MAX_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RequestedScope:
    """The facts that a request counts, and how fresh the answer must be.

    Attributes:
        as_of: the last effective date that counts; None if all do.
        statuses: the statuses that count; all if empty.
        min_position: position that the answer must reflect.
        max_wait_seconds: how long to wait for it.
    """

    as_of: dt.date | None
    statuses: Sequence[str]
    min_position: int
    max_wait_seconds: float


def requested_scope(read: ReadSpec) -> RequestedScope:
    """Return what a ReadSpec asks for, but for the state of knowledge.

    Raises:
        InvalidArgumentError: a field of it is malformed.
    """
    if read.min_position < 0:
        raise InvalidArgumentError("read.min_position", "must not be negative")
    return RequestedScope(
        as_of=day_of(read, "as_of", "read."),
        statuses=_statuses(read),
        min_position=read.min_position,
        max_wait_seconds=_max_wait_seconds(read),
    )


def day_of(message: Message, field: str, prefix: str = "") -> dt.date | None:
    """Return the day in a field of a message; None if it is unset.

    Args:
        message: the message.
        field: name of the field.
        prefix: path of the message in the request, for errors.

    Raises:
        InvalidArgumentError: there is no such day, or it is out of bounds.
    """
    if not message.HasField(field):
        return None
    try:
        return bounded_date_from_message(getattr(message, field))
    except QuantityError as error:
        raise InvalidArgumentError(prefix + field, str(error)) from error


def _statuses(read: ReadSpec) -> list[str]:
    for index, status in enumerate(read.assertion_statuses):
        if status not in AssertionStatus.values() or not status:
            field = f"read.assertion_statuses[{index}]"
            raise InvalidArgumentError(field, f"{status} is not a status")
    return [enum_text(AssertionStatus, status) for status in read.assertion_statuses]


def _max_wait_seconds(read: ReadSpec) -> float:
    if not read.HasField("max_wait"):
        return DEFAULT_WAIT_SECONDS
    # Not as a timedelta, which cannot hold every Duration.
    seconds = read.max_wait.seconds + read.max_wait.nanos / NANOS_PER_UNIT
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        message = f"must be from 0 to {MAX_WAIT_SECONDS:.0f} seconds"
        raise InvalidArgumentError("read.max_wait", message)
    return seconds


async def known_by(
    read: ReadSpec, book: str, ledger: LedgerServiceAsyncStub
) -> KnowledgePoint | None:
    """Return the state of knowledge that a ReadSpec requests; None for the latest.

    The ledger resolves instants and positions, because a projection may lag behind.

    Args:
        read: the ReadSpec.
        book: resource name of the book.
        ledger: the ledger service.

    Raises:
        InvalidArgumentError: it is malformed, beyond the head or before the book was opened.
        grpc.aio.AioRpcError: the ledger does not answer.
    """
    given = read.WhichOneof("as_known")
    if given == "as_known_position":
        return await _known_at(book, read.as_known_position, f"read.{given}", ledger)
    if given == "as_known_time":
        return await _known_by(book, read.as_known_time, f"read.{given}", ledger)
    return None


async def known_since(
    request: QueryChangesRequest, book: str, ledger: LedgerServiceAsyncStub
) -> KnowledgePoint:
    """Return the earlier state of knowledge of a comparison.

    Args:
        request: the request.
        book: resource name of the book.
        ledger: the ledger service.

    Raises:
        InvalidArgumentError: it is missing, malformed, beyond the head or before the book was
            opened.
        grpc.aio.AioRpcError: the ledger does not answer.
    """
    given = request.WhichOneof("since")
    if given == "since_position":
        return await _known_at(book, request.since_position, given, ledger)
    if given == "since_time":
        return await _known_by(book, request.since_time, given, ledger)
    raise InvalidArgumentError("since", "is required: since_position or since_time")


def periods_of(request: QuerySeriesRequest | QueryRollForwardRequest) -> list[Period]:
    """Return the periods that a request asks for.

    Raises:
        InvalidArgumentError: its days or its interval are malformed.
    """
    if request.interval not in Interval.values():
        raise InvalidArgumentError("interval", f"{request.interval} is not an interval")
    interval = request.interval or Interval.INTERVAL_MONTH
    try:
        return periods(
            _required_day(request, "from_date"),
            _required_day(request, "to_date"),
            Length[enum_text(Interval, interval)],
        )
    except TooManyPeriodsError as error:
        raise InvalidArgumentError("interval", str(error)) from error
    except DaysOutOfOrderError as error:
        raise InvalidArgumentError("to_date", str(error)) from error


def _required_day(message: Message, field: str) -> dt.date:
    day = day_of(message, field)
    if day is None:
        raise InvalidArgumentError(field, "is required")
    return day


async def _known_at(
    book: str, position: int, field: str, ledger: LedgerServiceAsyncStub
) -> KnowledgePoint:
    if not 1 <= position <= MAX_NUMBER:
        raise InvalidArgumentError(field, f"{position} is not a position of the book")
    try:
        found = await ledger.GetEvent(GetEventRequest(name=f"{book}/events/{position}"))
    except grpc.aio.AioRpcError as error:
        if reason_of(error) != "EVENT_NOT_FOUND":
            raise
        raise InvalidArgumentError(field, error.details() or "is not there") from error
    return KnowledgePoint(position, instant_from_message(found.event.recorded_time))


async def _known_by(
    book: str, time: Timestamp, field: str, ledger: LedgerServiceAsyncStub
) -> KnowledgePoint:
    try:
        instant_from_message(time)
    except QuantityError as error:
        raise InvalidArgumentError(field, str(error)) from error
    try:
        found = await ledger.ResolvePosition(ResolvePositionRequest(book=book, recorded_time=time))
    except grpc.aio.AioRpcError as error:
        if reason_of(error) != "BOOK_NOT_OPEN":
            raise
        raise InvalidArgumentError(field, error.details() or "is too early") from error
    return KnowledgePoint(found.position, instant_from_message(found.recorded_time))
