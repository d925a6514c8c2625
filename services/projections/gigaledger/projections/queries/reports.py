"""The questions that read models answer, whoever asks and for which day or knowledge."""

from __future__ import annotations

import datetime as dt

from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.projections.capacity.queries import query_capacity
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.investment.queries import query_investment
from gigaledger.projections.queries.read_spec import day_of
from gigaledger.projections.trade.circular_flow_queries import query_circular_flows
from gigaledger.projections.trade.round_trip_queries import query_round_trip
from gigaledger.v1.projections_pb2 import (
    PartyLevel,
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    QueryInvestmentRequest,
    QueryInvestmentResponse,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
)
from google.protobuf.message import Message

Question = (
    QueryCapacityRequest
    | QueryInvestmentRequest
    | QueryRoundTripRequest
    | QueryCircularFlowsRequest
)
Answer = (
    QueryCapacityResponse
    | QueryInvestmentResponse
    | QueryRoundTripResponse
    | QueryCircularFlowsResponse
)

_PROJECTIONS: dict[type[Message], str] = {
    QueryCapacityRequest: "capacity",
    QueryInvestmentRequest: "investment",
    QueryRoundTripRequest: "round-trip",
    QueryCircularFlowsRequest: "round-trip",
}


def answered_by(question: Question) -> str:
    """Return the name of the projection that answers a question."""
    return _PROJECTIONS[type(question)]


def question_of(request: Message) -> Question:
    """Return the question that a request carries.

    Args:
        request: a request with a oneof `question`.

    Raises:
        InvalidArgumentError: it carries none.
    """
    given = request.WhichOneof("question")
    if given is None:
        names = ", ".join(
            field.name for field in request.DESCRIPTOR.oneofs_by_name["question"].fields
        )
        raise InvalidArgumentError("question", f"is required: one of {names}")
    question: Question = getattr(request, given)
    return question


async def answer(snapshot: Snapshot, question: Question) -> Answer:
    """Answer a question.

    Args:
        snapshot: a snapshot of the projection that answers it.
        question: the question.

    Raises:
        InvalidArgumentError: a field of the question is malformed.
    """
    match question:
        case QueryCapacityRequest():
            return await query_capacity(snapshot, question.agreement)
        case QueryInvestmentRequest():
            return await query_investment(snapshot, question.agreement)
        case QueryRoundTripRequest():
            check_level(question.level)
            return await query_round_trip(snapshot, question)
        case QueryCircularFlowsRequest():
            check_level(question.level)
            from_day = day_of(question, "from_date") or dt.date.min
            return await query_circular_flows(snapshot, question, from_day)


def check_level(level: int) -> None:
    """Check a level of parties.

    Raises:
        InvalidArgumentError: there is no such level.
    """
    if level not in PartyLevel.values():
        raise InvalidArgumentError("level", f"{level} is not a level")
