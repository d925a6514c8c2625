"""From a figure to the events that make it, and to its course over periods."""

from __future__ import annotations

from gigaledger.common.grpc.paging import page_size_of
from gigaledger.projections.capacity import line_items as capacity
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.investment import line_items as investment
from gigaledger.projections.shared.line_items import (
    Contributions,
    FigureFilter,
    Sum,
    roll_forward,
    totals,
)
from gigaledger.projections.shared.paging import PageStart, read_page
from gigaledger.projections.shared.periods import Period
from gigaledger.projections.trade import line_items as round_trip
from gigaledger.v1.projections_pb2 import (
    ListContributionsRequest,
    ListContributionsResponse,
    QueryRollForwardRequest,
    QueryRollForwardResponse,
)

SUMS = capacity.SUMS | investment.SUMS | round_trip.SUMS
"""Figures that are sums of contributions of events."""
INPUTS = capacity.INPUTS | investment.INPUTS | round_trip.INPUTS
"""Figures that a rule makes, and the sums that go into them."""


class UnknownFigureError(ValueError):
    """There is no such figure, or it is not of the kind that is needed."""


def sums_behind(figure: str) -> tuple[str, ...]:
    """Return the sums that a figure is made of: itself if it is one.

    Raises:
        UnknownFigureError: there is no such figure.
    """
    if figure in SUMS:
        return (figure,)
    if figure in INPUTS:
        return INPUTS[figure]
    raise UnknownFigureError(f"{figure!r} is none of {', '.join(sorted(SUMS | INPUTS.keys()))}")


def sum_of(figure: str) -> str:
    """Return the name of a figure that is a sum.

    Raises:
        UnknownFigureError: it is none, and the text says what it is made of.
    """
    if figure in INPUTS:
        made_of = ", ".join(INPUTS[figure])
        raise UnknownFigureError(f"{figure!r} is no sum of events: it is made of {made_of}")
    return sums_behind(figure)[0]


def projection_behind(figure: str) -> str:
    """Return the name of the projection that knows a figure."""
    return figure.split(".", 1)[0]


async def list_contributions(
    snapshot: Snapshot, request: ListContributionsRequest, place: PageStart
) -> ListContributionsResponse:
    """Answer ListContributions.

    Args:
        snapshot: a snapshot of the projection that has the figure.
        request: the request.
        place: start of the page.

    Raises:
        UnknownFigureError: there is no such figure.
    """
    found = await _contributions(snapshot, frozenset(sums_behind(request.figure)), request)
    sums = _resting_on(snapshot, await found.sums())
    count = sum(item.count for item in sums)
    page = await read_page(found, place, page_size_of(request.page_size), count)
    following = place.after(page, snapshot.scope.position) if page else place
    return ListContributionsResponse(
        context=snapshot.context(),
        contributions=[item.message() for item in page],
        totals=totals(sums),
        total_count=count,
        next_page_token=following.token(request) if page and following.listed < count else "",
    )


async def query_roll_forward(
    snapshot: Snapshot, request: QueryRollForwardRequest, periods: list[Period]
) -> QueryRollForwardResponse:
    """Answer QueryRollForward.

    Args:
        snapshot: a snapshot of the projection that knows the figure, as of the end of the periods.
        request: the request.
        periods: in order.

    Raises:
        UnknownFigureError: there is no such figure, or it is no sum.
    """
    found = await _contributions(snapshot, frozenset({sum_of(request.figure)}), request)
    sums = _resting_on(snapshot, await found.sums([period.first for period in periods]))
    return QueryRollForwardResponse(context=snapshot.context(), figures=roll_forward(sums, periods))


def _resting_on(snapshot: Snapshot, sums: list[Sum]) -> list[Sum]:
    for item in sums:
        snapshot.add_provenance(item.assertion_statuses)
    return sums


async def _contributions(
    snapshot: Snapshot,
    figures: frozenset[str],
    request: ListContributionsRequest | QueryRollForwardRequest,
) -> Contributions:
    about = frozenset((subject.field, subject.value) for subject in request.about)
    wanted = FigureFilter(figures, about)
    match projection_behind(request.figure):
        case "capacity":
            return await capacity.contributions(snapshot, wanted)
        case "investment":
            return Contributions(await investment.contributions(snapshot, wanted))
        case _:
            return await round_trip.contributions(snapshot, request.level, wanted)
