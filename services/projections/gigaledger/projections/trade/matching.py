"""FIFO matching of outgoing dollars with dollars that came back (domain rules, 2.4). Pure.

Amounts are in minor units of one currency, between two parties, on one basis. *Invest-then-buy*
matches investments with later purchases, *buy-then-invest* purchases with later investments. Days
are numbered as by `datetime.date.toordinal`.

Dollars are lined up by day. They are matched in order, except for dollars of the second side that
come while nothing waits. A matching therefore consists of a few runs of dollars, and its figures
come from running sums. Only the days of the side that has fewer are visited one by one; the other
may have thousands.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, islice
from operator import mul, sub
from typing import NamedTuple


@dataclass(frozen=True)
class Line:
    """Amounts in order of their days.

    Attributes:
        days: the days, each once, in order.
        sums_minor: running totals by day, after a leading 0: one more than there are days.
    """

    days: Sequence[int]
    sums_minor: Sequence[int]

    @property
    def total_minor(self) -> int:
        """The sum of all."""
        return self.sums_minor[-1]

    @property
    def amounts_minor(self) -> Iterator[int]:
        """The amounts."""
        return map(sub, islice(self.sums_minor, 1, None), self.sums_minor)

    def until_minor(self, day: int) -> int:
        """Return the sum at the end of a day."""
        return self.sums_minor[bisect_right(self.days, day)]

    # What follows takes all amounts to be positive.

    def place_of(self, dollar: int) -> int:
        """Return the place of the day that a dollar is of. The first is number 0."""
        return bisect_right(self.sums_minor, dollar) - 1

    def day_of(self, dollar: int) -> int:
        """Return the day that a dollar is of."""
        return self.days[self.place_of(dollar)]

    def days_minor(self, dollars: int) -> int:
        """Return the sum of the days of the first so many dollars."""
        place = self.place_of(dollars)
        rest = dollars - self.sums_minor[place]
        return self._days_minor[place] + (rest * self.days[place] if rest else 0)

    @cached_property
    def _days_minor(self) -> list[int]:
        return list(accumulate(map(mul, self.amounts_minor, self.days), initial=0))


@dataclass(frozen=True)
class Moved:
    """Additions by day; negative if more was refunded or returned.

    Attributes:
        days: minor units of the currency by day, in any order.
    """

    days: Mapping[int, int]

    def __add__(self, other: Moved) -> Moved:
        days = Counter(self.days)
        days.update(other.days)
        return Moved(days)

    @property
    def minor(self) -> int:
        """The sum of all."""
        return self.standing.total_minor

    @cached_property
    def standing(self) -> Line:
        """The days on which the sum changed."""
        days = sorted(filter(self.days.get, self.days))
        return _line(days, map(self.days.__getitem__, days))

    @cached_property
    def left(self) -> Line:
        """The remaining additions, all positive: reductions lower the latest ones before them.

        Reductions beyond what is there wait for later additions.
        """
        amounts = list(self.standing.amounts_minor)
        if min(amounts, default=0) >= 0:
            return self.standing
        first = next(place for place, amount in enumerate(amounts) if amount < 0)
        days_left, left = list(self.standing.days[:first]), amounts[:first]
        owed = 0
        for day, amount in islice(zip(self.standing.days, amounts, strict=True), first, None):
            if amount > owed:
                days_left.append(day)
                left.append(amount - owed)
            owed = max(0, owed - amount)
            while owed and left:
                taken = min(owed, left[-1])
                owed -= taken
                left[-1] -= taken
                if not left[-1]:
                    days_left.pop()
                    left.pop()
        return _line(days_left, left)


def _line(days: Sequence[int], amounts: Iterable[int]) -> Line:
    return Line(days, list(accumulate(amounts, initial=0)))


class Lot(NamedTuple):
    """Dollars of one day that are matched with dollars of the same day or a later one."""

    first_day: int
    second_day: int
    amount_minor: int

    @property
    def lag_days(self) -> int:
        """How long they took."""
        return self.second_day - self.first_day


class Run(NamedTuple):
    """Dollars that are matched one after the other.

    Attributes:
        first: number of the first of them in the line that came first, from 0.
        second: number of the dollar in the second line that is matched with it.
        amount_minor: how many there are.
    """

    first: int
    second: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Matching:
    """Dollars of one direction that are matched: runs of two lines, in order."""

    first: Line
    second: Line
    runs: tuple[Run, ...]

    @property
    def matched_minor(self) -> int:
        """The matched amount."""
        return sum(run.amount_minor for run in self.runs)

    @property
    def unmatched_first_minor(self) -> int:
        """What came first and is left without a match."""
        return self.first.total_minor - self.matched_minor

    @property
    def unmatched_second_minor(self) -> int:
        """What came second and is left without a match."""
        return self.second.total_minor - self.matched_minor

    @property
    def weighted_days_minor(self) -> int:
        """The sum of each matched dollar's days."""
        # The first dollars of the one side are matched, all of them in turn.
        of_second = sum(
            self.second.days_minor(run.second + run.amount_minor)
            - self.second.days_minor(run.second)
            for run in self.runs
        )
        return of_second - self.first.days_minor(self.matched_minor)

    @property
    def lag_days(self) -> Fraction | None:
        """The dollar-weighted lag in days; None if nothing is matched."""
        return Fraction(self.weighted_days_minor, self.matched_minor) if self.runs else None

    @property
    def longest_lag_days(self) -> int | None:
        """The longest lag of a dollar; None if nothing is matched."""
        return max(map(self._longest_lag_days, self.runs), default=None)

    def _longest_lag_days(self, run: Run) -> int:
        """Return the longest lag in a run: of the last dollar of a day that came first.

        It is that of the first dollar of a day that came second as well.
        """
        firsts = _places(self.first, run.first, run.amount_minor)
        seconds = _places(self.second, run.second, run.amount_minor)
        between = run.second - run.first
        if len(firsts) <= len(seconds):
            end = run.first + run.amount_minor
            return max(
                self.second.day_of(min(self.first.sums_minor[place + 1], end) - 1 + between)
                - self.first.days[place]
                for place in firsts
            )
        return max(
            self.second.days[place]
            - self.first.day_of(max(self.second.sums_minor[place], run.second) - between)
            for place in seconds
        )

    @property
    def lots(self) -> Iterator[Lot]:
        """The matched amounts by day of either side, in order."""
        for run in self.runs:
            first, second = self.first.place_of(run.first), self.second.place_of(run.second)
            done = 0
            while done < run.amount_minor:
                first_end = self.first.sums_minor[first + 1] - run.first
                second_end = self.second.sums_minor[second + 1] - run.second
                end = min(first_end, second_end, run.amount_minor)
                yield Lot(self.first.days[first], self.second.days[second], end - done)
                first += first_end == end
                second += second_end == end
                done = end


def _places(line: Line, dollar: int, amount_minor: int) -> range:
    """Return the places of the days that so many dollars from one on are of."""
    return range(line.place_of(dollar), line.place_of(dollar + amount_minor - 1) + 1)


def match(first: Line, second: Line) -> Matching:
    """Match earlier amounts with amounts of the same day or later, oldest first.

    Args:
        first: the amounts that must come first; all positive.
        second: the amounts matched with them; all positive.
    """
    runs = []
    # By the end of a day, as much of the second stays unmatched as it was more than the first at
    # the end of some day until then, at most. If that grows, the last dollars of the second
    # are those that found nothing waiting.
    start = unmatched = 0
    for number in _numbers_of_days(first, second):
        end = second.sums_minor[number]
        missing = end - first.until_minor(second.days[number - 1]) - unmatched
        if missing > 0:
            runs.append(Run(start - unmatched, start, end - missing - start))
            unmatched += missing
            start = end
    runs.append(Run(start - unmatched, start, second.total_minor - start))
    return Matching(first, second, tuple(run for run in runs if run.amount_minor))


def _numbers_of_days(first: Line, second: Line) -> Iterable[int]:
    """Return after how many days of the second more of it may be unmatched than before."""
    if len(second.days) <= len(first.days):
        return range(1, len(second.days) + 1)
    # While nothing is added to the first, the second is most ahead on its last day.
    numbers = {bisect_left(second.days, day) for day in first.days} | {len(second.days)}
    return sorted(numbers - {0})


def peak_excess_minor(one: Line, other: Line) -> int:
    """Return by how much one line is more than another at the end of any day, at the most.

    Args:
        one: a line of any amounts, the shorter of the two.
        other: another one.
    """
    peak = number = 0
    for place, day in enumerate((*one.days, None)):
        # Until the day before, this is what the one comes to.
        standing = one.sums_minor[place]
        end = len(other.days) if day is None else bisect_left(other.days, day, number)
        # It met what the other was before its first change, but on a day on which it changed.
        started = one.days[place - 1] if place else None
        if number == end or other.days[number] != started:
            peak = max(peak, standing - other.sums_minor[number])
        peak = max(peak, standing - min(other.sums_minor[number + 1 : end + 1], default=standing))
        number = end
    return peak
