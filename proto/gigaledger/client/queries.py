"""Questions to the projections, from Python's own types. A book fills itself in when asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, Unpack

from gigaledger.client.requests import Status
from gigaledger.client.values import Number, build
from gigaledger.v1.projections_pb2 import (
    CounterfactualReading,
    FigureSubject,
    ListContributionsRequest,
    QueryCapacityRequest,
    QueryChangesRequest,
    QueryCircularFlowsRequest,
    QueryCounterfactualRequest,
    QueryExceptionsRequest,
    QueryInvestmentRequest,
    QueryRollForwardRequest,
    QueryRoundTripRequest,
    QuerySeriesRequest,
    QueryWarrantsRequest,
    ReadSpec,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

Level = Literal["GROUP", "ENTITY"]
"""Whether parties stand for themselves or for their group of companies."""
Interval = Literal["DAY", "MONTH", "QUARTER", "YEAR"]

Question = (
    QueryCapacityRequest
    | QueryInvestmentRequest
    | QueryRoundTripRequest
    | QueryCircularFlowsRequest
)
"""A question that can be asked over time, and compared between two states of knowledge."""


class Read(TypedDict, total=False):
    """Which facts a question counts, and how fresh its answer must be.

    Attributes:
        as_of: only facts with this effective date or an earlier one.
        as_known: an earlier state of knowledge: a position of the log, or an instant.
        statuses: only facts of these statuses.
        min_position: the answer reflects the log up to here, such as `Appended.position`.
        max_wait: seconds to wait for `min_position`; 5 if not given, at most 60.
    """

    as_of: dt.date | None
    as_known: int | dt.datetime | None
    statuses: Sequence[Status]
    min_position: int
    max_wait: float


def capacity(*, agreement: str = "", **read: Unpack[Read]) -> QueryCapacityRequest:
    """Ask for capacity: contracted, planned, claimed, certified, energised, delivered.

    Args:
        agreement: only this agreement and those that it supersedes.
        **read: see `Read`.
    """
    return build(QueryCapacityRequest, read=read_spec(read), agreement=agreement)


def investment(*, agreement: str = "", **read: Unpack[Read]) -> QueryInvestmentRequest:
    """Ask for investment: committed, entitled, called, funded, issued, remaining.

    Args:
        agreement: only this agreement and those that it supersedes.
        **read: see `Read`.
    """
    return build(QueryInvestmentRequest, read=read_spec(read), agreement=agreement)


def round_trip(
    *,
    level: Level = "GROUP",
    supplier_investor: str = "",
    customer_investee: str = "",
    include_lots: bool = False,
    **read: Unpack[Read],
) -> QueryRoundTripRequest:
    """Ask for purchases against investment between pairs of parties.

    Args:
        level: whether the pairs are parties or groups of companies.
        supplier_investor: only pairs with this supplier that invests.
        customer_investee: only pairs with this customer that is invested in.
        include_lots: include the lots of each matching.
        **read: see `Read`.
    """
    return build(
        QueryRoundTripRequest,
        read=read_spec(read),
        level=level,
        supplier_investor=supplier_investor,
        customer_investee=customer_investee,
        include_lots=include_lots,
    )


def circular_flows(
    *, level: Level = "GROUP", from_date: dt.date | None = None, **read: Unpack[Read]
) -> QueryCircularFlowsRequest:
    """Ask for money that runs in circles between any number of parties.

    Args:
        level: whether the nodes are parties or groups of companies.
        from_date: only flows of this day or later.
        **read: see `Read`.
    """
    return build(QueryCircularFlowsRequest, read=read_spec(read), level=level, from_date=from_date)


def exceptions(
    *,
    rules: Sequence[str] = (),
    open_only: bool = False,
    page_size: int = 0,
    **read: Unpack[Read],
) -> QueryExceptionsRequest:
    """Ask for facts that are legal to record but that an auditor wants flagged.

    Args:
        rules: only these, such as "SX-INV-01"; all if empty.
        open_only: only exceptions that are not cleared.
        page_size: exceptions on a page, at most 1000; 100 if 0.
        **read: see `Read`.
    """
    return build(
        QueryExceptionsRequest,
        read=read_spec(read),
        rules=rules,
        open_only=open_only,
        page_size=page_size,
    )


def contributions(
    figure: str,
    *,
    about: Mapping[str, str] | None = None,
    level: Level = "GROUP",
    page_size: int = 0,
    **read: Unpack[Read],
) -> ListContributionsRequest:
    """Ask for the events that make up a figure, with the amount that each adds.

    Args:
        figure: such as "investment.funded".
        about: only figures with these subjects, such as {"agreement": "AGR-1"}.
        level: whether the pairs of the round trip are parties or groups of companies.
        page_size: contributions on a page, at most 1000; 100 if 0.
        **read: see `Read`.
    """
    return build(
        ListContributionsRequest,
        read=read_spec(read),
        figure=figure,
        about=_subjects(about),
        level=level,
        page_size=page_size,
    )


def roll_forward(
    figure: str,
    *,
    from_date: dt.date,
    to_date: dt.date,
    interval: Interval = "MONTH",
    about: Mapping[str, str] | None = None,
    level: Level = "GROUP",
    **read: Unpack[Read],
) -> QueryRollForwardRequest:
    """Ask for opening, additions, reductions and closing of a figure, period by period.

    Args:
        figure: one that is a sum, such as "investment.funded".
        from_date: a day of the first period.
        to_date: the last day of the last period; it takes the place of `as_of`.
        interval: length of the periods.
        about: only figures with these subjects.
        level: whether the pairs of the round trip are parties or groups of companies.
        **read: see `Read`.
    """
    return build(
        QueryRollForwardRequest,
        read=read_spec(read),
        figure=figure,
        about=_subjects(about),
        level=level,
        from_date=from_date,
        to_date=to_date,
        interval=interval,
    )


def warrants(
    *, warrant: str = "", share_price: Number | None = None, **read: Unpack[Read]
) -> QueryWarrantsRequest:
    """Ask what became of warrants: granted, vested, exercisable, exercised, lapsed.

    Args:
        warrant: only this one; all if empty.
        share_price: price of one share to value warrants at, in units of the currency of the
            exercise cost.
        **read: see `Read`.
    """
    return build(
        QueryWarrantsRequest, read=read_spec(read), warrant=warrant, share_price=share_price
    )


def reading(
    *,
    entitlement: Literal["FLOOR", "PRO_RATA"] | None = None,
    latching: Literal["ON", "OFF"] | None = None,
    first_tranche: Literal["SIGNATURE"] | None = None,
) -> CounterfactualReading:
    """Return another reading of an agreement's terms, for `counterfactual`.

    Args:
        entitlement: whole tranches, or in proportion to certified capacity.
        latching: whether an entitlement outlives a later decertification.
        first_tranche: what opens the first tranche, in place of its conditions.
    """
    return build(
        CounterfactualReading,
        entitlement=entitlement,
        latching=latching,
        first_tranche=first_tranche,
    )


def counterfactual(
    *readings: CounterfactualReading, agreement: str = "", **read: Unpack[Read]
) -> QueryCounterfactualRequest:
    """Ask what the same log would say under other readings of the terms.

    Args:
        *readings: 1 to 20, from `reading`.
        agreement: only this agreement and those that it supersedes.
        **read: see `Read`.
    """
    return build(
        QueryCounterfactualRequest, read=read_spec(read), agreement=agreement, readings=readings
    )


def series(
    question: Question, *, from_date: dt.date, to_date: dt.date, interval: Interval = "MONTH"
) -> QuerySeriesRequest:
    """Ask a question for the end of each interval, in one state of the book.

    Args:
        question: from `capacity`, `investment`, `round_trip` or `circular_flows`, without `as_of`.
        from_date: a day of the first interval.
        to_date: the last day. At most 4000 days are asked for.
        interval: how far apart they are.
    """
    return build(
        QuerySeriesRequest,
        from_date=from_date,
        to_date=to_date,
        interval=interval,
        **_as_field(QuerySeriesRequest, question),
    )


def changes(question: Question, *, since: int | dt.datetime) -> QueryChangesRequest:
    """Ask which events moved the figures of a question since an earlier state of knowledge.

    Args:
        question: from `capacity`, `investment`, `round_trip` or `circular_flows`. Its `as_known` is
            the later state of knowledge; the latest if not given.
        since: the earlier state of knowledge: a position of the log, or an instant.
    """
    return build(
        QueryChangesRequest,
        since_position=since if isinstance(since, int) else None,
        since_time=since if isinstance(since, dt.datetime) else None,
        **_as_field(QueryChangesRequest, question),
    )


def read_spec(read: Read) -> ReadSpec:
    """Return what `Read` describes as a message."""
    known = read.get("as_known")
    wait = None
    if "max_wait" in read:
        wait = Duration()
        wait.FromMicroseconds(round(read["max_wait"] * 1_000_000))
    return build(
        ReadSpec,
        as_of=read.get("as_of"),
        assertion_statuses=read.get("statuses", ()),
        min_position=read.get("min_position"),
        max_wait=wait,
        as_known_position=known if isinstance(known, int) else None,
        as_known_time=known if isinstance(known, dt.datetime) else None,
    )


def _subjects(about: Mapping[str, str] | None) -> list[FigureSubject]:
    return [FigureSubject(field=field, value=value) for field, value in (about or {}).items()]


def _as_field(kind: type[Message], question: Question) -> dict[str, Question]:
    """Return a question under the name of the field that takes it."""
    for field in kind.DESCRIPTOR.oneofs_by_name["question"].fields:
        if field.message_type is question.DESCRIPTOR:
            return {field.name: question}
    raise TypeError(f"{question.DESCRIPTOR.name} is not a question that {kind.__name__} takes")
