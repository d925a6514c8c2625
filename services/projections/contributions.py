"""What events add to figures, listed and rolled forward. Pure."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.projections_pb2 import Contribution as ContributionMessage
from gigaledger.v1.projections_pb2 import ContributionTotal, RollForward, RollForwardPeriod

from services.projections.facts import enum_number
from services.projections.measures import PRECISION, FigureKey
from services.projections.periods import Period
from services.quantities import date_to_message, decimal_to_text, instant_to_message


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one event adds to one figure.

    Attributes:
        position: of the event.
        recorded_time: when it was recorded.
        effective_date: the day on which it counts.
        assertion_statuses: statuses of the facts that it rests on.
        key: the figure.
        document: number of the document; empty where it has none.
        amount: what is disclosed of it, in the unit.
        unit: ISO 4217 code, "kW", "shares" or "racks".
        undisclosed: how many amounts of it are not disclosed.
    """

    position: int
    recorded_time: dt.datetime
    effective_date: dt.date
    assertion_statuses: frozenset[str]
    key: FigureKey
    document: str
    amount: Decimal
    unit: str
    undisclosed: int = 0

    @classmethod
    def of(
        cls, row: Mapping[str, Any], key: FigureKey, amount: Decimal | None, unit: str
    ) -> Contribution:
        """Return the contribution of a row with the header of a read model and a document.

        Args:
            row: the row.
            key: the figure.
            amount: in the unit; None where it is not disclosed.
            unit: of the amount.
        """
        return cls(
            position=row["position"],
            recorded_time=row["recorded_time"],
            effective_date=row["effective_date"],
            assertion_statuses=frozenset({row["assertion_status"]}),
            key=key,
            document=row["document"],
            amount=Decimal(0) if amount is None else amount,
            unit=unit,
            undisclosed=int(amount is None),
        )

    def message(self) -> ContributionMessage:
        """Return the contribution of the contract."""
        (status, *_) = sorted(self.assertion_statuses)
        return ContributionMessage(
            position=self.position,
            recorded_time=instant_to_message(self.recorded_time),
            effective_date=date_to_message(self.effective_date),
            assertion_status=enum_number(AssertionStatus, status),
            figure=self.key.figure,
            about=self.key.subjects(),
            document=self.document,
            amount="" if self.undisclosed and not self.amount else decimal_to_text(self.amount),
            unit=self.unit,
        )


def total(contributions: Iterable[Contribution]) -> Decimal:
    """Return the sum of what is disclosed, exact."""
    with localcontext() as context:
        context.prec = PRECISION
        return sum((item.amount for item in contributions), Decimal(0))


def _undisclosed(contributions: Iterable[Contribution]) -> int:
    return sum(item.undisclosed for item in contributions)


def by_figure(contributions: Iterable[Contribution]) -> dict[FigureKey, list[Contribution]]:
    """Return contributions by figure, in order of figure."""
    found: dict[FigureKey, list[Contribution]] = defaultdict(list)
    for item in contributions:
        found[item.key].append(item)
    return {key: found[key] for key in sorted(found)}


def totals(contributions: Iterable[Contribution]) -> list[ContributionTotal]:
    """Return the sum of each figure."""
    return [
        ContributionTotal(
            figure=key.figure,
            about=key.subjects(),
            amount=decimal_to_text(total(items)),
            unit=items[0].unit,
            undisclosed_count=_undisclosed(items),
        )
        for key, items in by_figure(contributions).items()
    ]


def roll_forward(
    contributions: Iterable[Contribution], periods: Sequence[Period]
) -> list[RollForward]:
    """Return each figure over periods: opening, additions, reductions, closing.

    Args:
        contributions: all of them up to the end of the last period.
        periods: in order, without a gap.
    """
    return [
        RollForward(
            figure=key.figure,
            about=key.subjects(),
            unit=items[0].unit,
            periods=list(_rolled(items, periods)),
        )
        for key, items in by_figure(contributions).items()
    ]


def _rolled(
    contributions: Sequence[Contribution], periods: Sequence[Period]
) -> Iterable[RollForwardPeriod]:
    ordered = sorted(contributions, key=lambda item: item.effective_date)
    earlier = [item for item in ordered if item.effective_date < periods[0].first]
    opening = total(earlier)
    start = len(earlier)
    for period in periods:
        end = start
        while end < len(ordered) and ordered[end].effective_date <= period.last:
            end += 1
        within = ordered[start:end]
        additions = total(item for item in within if item.amount > 0)
        reductions = total(item for item in within if item.amount < 0)
        with localcontext() as context:
            context.prec = PRECISION
            closing = opening + additions + reductions
        yield RollForwardPeriod(
            from_date=date_to_message(period.first),
            to_date=date_to_message(period.last),
            opening=decimal_to_text(opening),
            additions=decimal_to_text(additions),
            reductions=decimal_to_text(reductions),
            closing=decimal_to_text(closing),
            undisclosed_count=_undisclosed(within),
        )
        opening, start = closing, end
