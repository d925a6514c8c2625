"""FIFO matching of dollars that went out with dollars that came back (domain rules, 2.4). Pure.

Amounts are in minor units of one currency, between two parties, on one basis. *Invest-then-buy*
matches investments with later purchases, *buy-then-invest* purchases with later investments.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple


class Dated(NamedTuple):
    """What was added on a day; negative where it was refunded or returned."""

    day: dt.date
    amount_minor: int


class Lot(NamedTuple):
    """Dollars of one day that are matched with dollars of the same day or a later one."""

    first_day: dt.date
    second_day: dt.date
    amount_minor: int

    @property
    def lag_days(self) -> int:
        """How long they took."""
        return (self.second_day - self.first_day).days


@dataclass(frozen=True, slots=True)
class Matching:
    """The lots of one direction, in order of their days, and what is left without a match."""

    lots: tuple[Lot, ...]
    unmatched_first_minor: int
    unmatched_second_minor: int

    @property
    def matched_minor(self) -> int:
        """What is matched."""
        return sum(lot.amount_minor for lot in self.lots)

    @property
    def weighted_days_minor(self) -> int:
        """The sum of each lot's amount times its days."""
        return sum(lot.amount_minor * lot.lag_days for lot in self.lots)

    @property
    def lag_days(self) -> Fraction | None:
        """The dollar-weighted lag in days; None where nothing is matched."""
        return Fraction(self.weighted_days_minor, self.matched_minor) if self.lots else None

    @property
    def longest_lag_days(self) -> int | None:
        """The longest lag of a lot; None where nothing is matched."""
        return max((lot.lag_days for lot in self.lots), default=None)


def match(
    first: Iterable[Dated], second: Iterable[Dated], window_days: int | None = None
) -> Matching:
    """Match what came first with what came on the same day or later, oldest first.

    Refunds and returns take back the latest amounts of their own side that were there by then,
    before anything is matched.

    Args:
        first: what has to have come before.
        second: what takes it up.
        window_days: the longest lag that counts as a match; None for any.

    Raises:
        ValueError: the window is negative.
    """
    if window_days is not None and window_days < 0:
        raise ValueError(f"window_days: {window_days} is negative")
    return match_left(after_taking_back(first), after_taking_back(second), window_days)


def match_left(
    first: Sequence[Dated], second: Sequence[Dated], window_days: int | None = None
) -> Matching:
    """Match, like `match`, what is left after what was taken back: positive, oldest first."""
    if not first or not second:
        unmatched = sum(item.amount_minor for item in first)
        return Matching((), unmatched, sum(item.amount_minor for item in second))
    lots: list[Lot] = []
    unmatched_first = unmatched_second = 0
    waiting = iter(first)
    oldest = next(waiting, None)
    for day, amount_minor in second:
        left = amount_minor
        while left and oldest is not None and oldest.day <= day:
            if window_days is not None and (day - oldest.day).days > window_days:
                unmatched_first += oldest.amount_minor
                oldest = next(waiting, None)
                continue
            amount = min(left, oldest.amount_minor)
            lots.append(Lot(oldest.day, day, amount))
            left -= amount
            rest = oldest.amount_minor - amount
            oldest = Dated(oldest.day, rest) if rest else next(waiting, None)
        unmatched_second += left
    if oldest is not None:
        unmatched_first += oldest.amount_minor
    unmatched_first += sum(item.amount_minor for item in waiting)
    return Matching(tuple(lots), unmatched_first, unmatched_second)


def after_taking_back(series: Iterable[Dated]) -> list[Dated]:
    """Return what is left day by day, oldest first, after what was taken back.

    Of one day, what was added comes before what was taken back. More cannot be taken back than is
    there: the rest waits for what is added later.
    """
    ordered = sorted(series, key=lambda item: (item.day, -item.amount_minor))
    if all(item.amount_minor > 0 for item in ordered):
        return ordered
    left: list[Dated] = []
    owed = 0
    for item in ordered:
        if item.amount_minor >= 0:
            amount = item.amount_minor - min(owed, item.amount_minor)
            owed -= item.amount_minor - amount
            if amount:
                left.append(Dated(item.day, amount))
            continue
        owed -= item.amount_minor
        while owed and left:
            latest = left.pop()
            taken = min(owed, latest.amount_minor)
            owed -= taken
            if latest.amount_minor > taken:
                left.append(Dated(latest.day, latest.amount_minor - taken))
    return left
