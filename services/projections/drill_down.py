"""From a figure to the events that make it, and to its course over periods."""

from __future__ import annotations

import hashlib
import re

from gigaledger.v1.projections_pb2 import (
    ListContributionsRequest,
    ListContributionsResponse,
    QueryRollForwardRequest,
    QueryRollForwardResponse,
)

from services.projections.capacity import contributions as capacity
from services.projections.contributions import Contribution, roll_forward, totals
from services.projections.investment import contributions as investment
from services.projections.periods import Period
from services.projections.reading import Reader
from services.projections.round_trip import contributions as round_trip

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

SUMS = capacity.SUMS | investment.SUMS | round_trip.SUMS
"""Figures that are sums of what events add."""
INPUTS = capacity.INPUTS | investment.INPUTS | round_trip.INPUTS
"""Figures that a rule makes, and the sums that go into them."""

_TOKEN = re.compile(r"([1-9][0-9]{0,17})-([1-9][0-9]{0,17})-([0-9a-f]{16})")


class UnknownFigureError(ValueError):
    """There is no such figure, or it is not of the kind that is needed."""


class PageTokenError(ValueError):
    """Not a token of this service."""


def sums_behind(figure: str) -> tuple[str, ...]:
    """Return the sums that a figure is made of: itself, where it is one.

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


def page_place(request: ListContributionsRequest) -> tuple[int, int]:
    """Return where a page starts, and the state of knowledge that it is of; 0 and 0 for the first.

    Raises:
        PageTokenError: not a token of this service, or one of another question.
    """
    if not request.page_token:
        return 0, 0
    match = _TOKEN.fullmatch(request.page_token)
    if match is None:
        raise PageTokenError("is not a token of this service")
    if match[3] != _question_of(request):
        raise PageTokenError("belongs to another question: pages differ in page_size alone")
    return int(match[2]), int(match[1])


def _question_of(request: ListContributionsRequest) -> str:
    """Return a digest of what is asked, whichever page is."""
    asked = ListContributionsRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    asked.read.ClearField("min_position")
    asked.read.ClearField("max_wait")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()[:16]


async def list_contributions(
    reader: Reader, request: ListContributionsRequest, start: int
) -> ListContributionsResponse:
    """Answer ListContributions.

    Args:
        reader: a snapshot of the projection that knows the figure.
        request: the request.
        start: the first contribution to return.

    Raises:
        UnknownFigureError: there is no such figure.
    """
    figures = frozenset(sums_behind(request.figure))
    found = await _read(reader, figures, request)
    found.sort(key=lambda item: (item.position, item.key, item.effective_date))
    end = start + (request.page_size or DEFAULT_PAGE_SIZE)
    next_token = f"{reader.scope.position}-{end}-{_question_of(request)}"
    return ListContributionsResponse(
        context=reader.context(),
        contributions=[item.message() for item in found[start:end]],
        totals=totals(found),
        total_count=len(found),
        next_page_token=next_token if end < len(found) else "",
    )


async def query_roll_forward(
    reader: Reader, request: QueryRollForwardRequest, periods: list[Period]
) -> QueryRollForwardResponse:
    """Answer QueryRollForward.

    Args:
        reader: a snapshot of the projection that knows the figure, as of the end of the periods.
        request: the request.
        periods: in order.

    Raises:
        UnknownFigureError: there is no such figure, or it is no sum.
    """
    found = await _read(reader, frozenset({sum_of(request.figure)}), request)
    return QueryRollForwardResponse(context=reader.context(), figures=roll_forward(found, periods))


async def _read(
    reader: Reader,
    figures: frozenset[str],
    request: ListContributionsRequest | QueryRollForwardRequest,
) -> list[Contribution]:
    wanted = {(subject.field, subject.value) for subject in request.about}
    found = [
        item
        for item in await _contributions(reader, figures, request)
        if item.key.figure in figures and wanted <= set(item.key.about)
        # What a rule of rounding or valuation leaves at nothing is no part of the figure.
        if item.amount or item.undisclosed
    ]
    for item in found:
        reader.rests_on(item.assertion_statuses)
    return found


async def _contributions(
    reader: Reader,
    figures: frozenset[str],
    request: ListContributionsRequest | QueryRollForwardRequest,
) -> list[Contribution]:
    match projection_behind(request.figure):
        case "capacity":
            return await capacity.contributions(reader)
        case "investment":
            return await investment.contributions(reader)
        case _:
            return await round_trip.contributions(reader, request.level, figures)
