"""What events add to figures: one by one, and summed up by period. Pure."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, Protocol

from gigaledger.common.quantities import date_to_message, decimal_to_text, instant_to_message
from gigaledger.projections.engine.folding import enum_number
from gigaledger.projections.shared.figure_diff import PRECISION, FigureKey
from gigaledger.projections.shared.periods import Period
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.projections_pb2 import Contribution as ContributionMessage
from gigaledger.v1.projections_pb2 import ContributionTotal, RollForward, RollForwardPeriod


@dataclass(frozen=True, slots=True)
class Contribution:
    """The contribution of one event to one figure.

    Attributes:
        position: of the event.
        recorded_time: when it was recorded.
        effective_date: the day on which it counts.
        assertion_statuses: statuses of the facts behind it.
        key: the figure.
        document: number of the document; empty if it has none.
        amount: the disclosed part, in the unit.
        unit: ISO 4217 code, "kW", "shares" or "racks".
        undisclosed: number of its undisclosed amounts.
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
            amount: in the unit; None if it is not disclosed.
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


@dataclass(frozen=True, slots=True)
class FigureFilter:
    """A selection of figures.

    Attributes:
        figures: their names.
        about: fields and values of their subjects; fields that are not named may have any value.
    """

    figures: frozenset[str]
    about: frozenset[tuple[str, str]] = frozenset()

    def covers(self, key: FigureKey) -> bool:
        """Return whether a figure is selected."""
        return key.figure in self.figures and self.about <= set(key.about)

    def of(self, contributions: Iterable[Contribution]) -> list[Contribution]:
        """Return what goes into them: what a rule of valuation leaves at nothing does not."""
        return [
            item
            for item in contributions
            if self.covers(item.key) and (item.amount or item.undisclosed)
        ]


@dataclass(frozen=True, slots=True)
class Sum:
    """The contributions of some events to a figure in one period.

    Attributes:
        key: the figure.
        unit: of its amounts.
        period: its number, from 1; 0 for everything before the first.
        amount: the disclosed part.
        reductions: sum of the negative contributions.
        undisclosed: number of undisclosed amounts.
        count: number of contributions.
        assertion_statuses: statuses of the facts behind them.
    """

    key: FigureKey
    unit: str
    period: int
    amount: Decimal
    reductions: Decimal
    undisclosed: int
    count: int
    assertion_statuses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Contributions of consecutive rows.

    Attributes:
        contributions: in any order.
        last_position: position up to which they are complete; None if no more follow.
    """

    contributions: list[Contribution]
    last_position: int | None


class LineItemSource(Protocol):
    """Contributions that are too many to read them all."""

    async def sums(self, first_days: Sequence[dt.date]) -> list[Sum]:
        """Return what they add up to, in periods that begin on some days."""

    async def batch(self, first_position: int, most_rows: int) -> Batch:
        """Return those of so many rows from a position on."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """The contributions of events to figures.

    Attributes:
        few: all contributions of rows that are few.
        many: source of contributions of rows that are many; None if there are none.
    """

    few: list[Contribution]
    many: LineItemSource | None = None

    async def sums(self, first_days: Sequence[dt.date] = ()) -> list[Sum]:
        """Return what they add up to, in periods that begin on some days."""
        found = list(sums_of(self.few, first_days))
        return found + await self.many.sums(first_days) if self.many else found


def sums_of(contributions: Iterable[Contribution], first_days: Sequence[dt.date]) -> Iterator[Sum]:
    """Yield each contribution as a sum in one of the periods that begin on some days."""
    for item in contributions:
        yield Sum(
            key=item.key,
            unit=item.unit,
            period=bisect_right(first_days, item.effective_date),
            amount=item.amount,
            reductions=min(item.amount, Decimal(0)),
            undisclosed=item.undisclosed,
            count=1,
            assertion_statuses=item.assertion_statuses,
        )


def totals(sums: Iterable[Sum]) -> list[ContributionTotal]:
    """Return the sum of each figure."""
    return [
        ContributionTotal(
            figure=key.figure,
            about=key.subjects(),
            amount=decimal_to_text(_total(item.amount for item in of_figure)),
            unit=of_figure[0].unit,
            undisclosed_count=sum(item.undisclosed for item in of_figure),
        )
        for key, of_figure in _by_figure(sums)
    ]


def roll_forward(sums: Iterable[Sum], periods: Sequence[Period]) -> list[RollForward]:
    """Return each figure over periods: opening, additions, reductions, closing.

    Args:
        sums: contributions before the first period and in each of them.
        periods: in order, without a gap.
    """
    return [
        RollForward(
            figure=key.figure,
            about=key.subjects(),
            unit=of_figure[0].unit,
            periods=list(_rolled(of_figure, periods)),
        )
        for key, of_figure in _by_figure(sums)
    ]


def _by_figure(sums: Iterable[Sum]) -> Iterator[tuple[FigureKey, list[Sum]]]:
    found: dict[FigureKey, list[Sum]] = defaultdict(list)
    for item in sums:
        found[item.key].append(item)
    for key in sorted(found):
        yield key, found[key]


def _total(amounts: Iterable[Decimal]) -> Decimal:
    with localcontext() as context:
        context.prec = PRECISION
        return sum(amounts, Decimal(0))


def _rolled(sums: Iterable[Sum], periods: Sequence[Period]) -> Iterator[RollForwardPeriod]:
    by_period: dict[int, list[Sum]] = defaultdict(list)
    for item in sums:
        by_period[item.period].append(item)
    opening = _total(item.amount for item in by_period[0])
    for number, period in enumerate(periods, start=1):
        within = by_period[number]
        amount = _total(item.amount for item in within)
        reductions = _total(item.reductions for item in within)
        closing = _total((opening, amount))
        yield RollForwardPeriod(
            from_date=date_to_message(period.first),
            to_date=date_to_message(period.last),
            opening=decimal_to_text(opening),
            additions=decimal_to_text(_total((amount, reductions.copy_negate()))),
            reductions=decimal_to_text(reductions),
            closing=decimal_to_text(closing),
            undisclosed_count=sum(item.undisclosed for item in within),
        )
        opening = closing
