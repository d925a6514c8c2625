"""Verdicts as a function of the day that is asked for, and of what is known. Pure.

As of a day, only postings count that take effect by then. So of one document there are as many
registers as there are days on which something of it takes effect, and each of them goes on with
what is recorded. A run is a verdict that is the same as of some days in a row, from a position on
until another. A question for a day and a position is answered by the runs that cover both.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from gigaledger.exceptions.register import ExceptionRecord

Records = frozenset[ExceptionRecord]
Segment = tuple[dt.date, Records]
"""What is so from a day on, until the day of the next part."""


class FindingInterval(NamedTuple):
    """A verdict as of some days in a row.

    Attributes:
        verdict: what is said.
        first_day: the first day as of which it is.
        end_day: the day before which it ends; None where it does not.
        position: what is recorded there made it so.
    """

    record: ExceptionRecord
    first_day: dt.date
    end_day: dt.date | None
    position: int


class FindingHistory:
    """The runs of one document that hold by what is known, and what has become of others."""

    def __init__(self, intervals: Iterable[FindingInterval] = ()) -> None:
        """Go on from runs that hold."""
        self._intervals: dict[ExceptionRecord, list[FindingInterval]] = defaultdict(list)
        for interval in intervals:
            self._intervals[interval.record].append(interval)
        self._begun: dict[FindingInterval, None] = {}
        self._ended: list[tuple[FindingInterval, int]] = []

    def __iter__(self) -> Iterator[FindingInterval]:
        """Iterate over the runs that hold."""
        return chain.from_iterable(self._intervals.values())

    def as_of(self, day: dt.date) -> Records:
        """Return what is so as of a day."""
        return frozenset(interval.record for interval in self if _covers(interval, day))

    def segments(self) -> list[Segment]:
        """Return what is so as of all days."""
        return [(day, self.as_of(day)) for day in sorted({dt.date.min, *self.days()})]

    def set_from(self, segments: Sequence[Segment], position: int) -> None:
        """Say what is so, from the day of the first part on, by what is recorded at a position."""
        given = dict(segments)
        days = sorted({*given, *(day for day in self.days() if day > segments[0][0])})
        records: Records = frozenset()
        for day, end_day in zip(days, [*days[1:], None], strict=True):
            records = given.get(day, records)
            findings = self.as_of(day)
            self.change(day, end_day, findings - records, records - findings, position)

    def change(
        self,
        first_day: dt.date,
        end_day: dt.date | None,
        cleared: Iterable[ExceptionRecord],
        raised: Iterable[ExceptionRecord],
        position: int,
    ) -> None:
        """Say what is so no more, and what is so now, by what is recorded at a position.

        Args:
            first_day: the first day as of which it is.
            end_day: the day before which it ends; None where it does not. Between the two, the same
                is so as of all days.
            cleared: findings that no longer hold.
            raised: findings that hold now.
            position: the position.
        """
        for record in cleared:
            interval = next(
                interval for interval in self._intervals[record] if _covers(interval, first_day)
            )
            self._end(interval, position)
            if interval.first_day < first_day:
                self._begin(FindingInterval(record, interval.first_day, first_day, position))
            if end_day is not None and interval.end_day != end_day:
                self._begin(FindingInterval(record, end_day, interval.end_day, position))
        for record in raised:
            first, end = first_day, end_day
            for interval in list(self._intervals[record]):
                # What follows on each other is one run.
                if interval.end_day == first_day:
                    first = interval.first_day
                    self._end(interval, position)
                elif end_day is not None and interval.first_day == end_day:
                    end = interval.end_day
                    self._end(interval, position)
            self._begin(FindingInterval(record, first, end, position))

    def days(self) -> set[dt.date]:
        """Return the days on which runs begin or have ended."""
        ends = {interval.end_day for interval in self if interval.end_day is not None}
        return ends | {interval.first_day for interval in self}

    def drain_changes(
        self,
    ) -> tuple[list[tuple[FindingInterval, int | None]], list[tuple[FindingInterval, int]]]:
        """Return what has become of runs since it was asked for before.

        Returns:
            Runs that have begun, each with the position from which on it holds no more, or None.
            Runs from before, each with the position from which on it holds no more.
        """
        ends = dict(self._ended)
        begun = [(interval, ends.get(interval)) for interval in self._begun]
        ended = [(interval, end) for interval, end in self._ended if interval not in self._begun]
        self._begun.clear()
        self._ended.clear()
        return begun, ended

    def _begin(self, interval: FindingInterval) -> None:
        self._intervals[interval.record].append(interval)
        self._begun[interval] = None

    def _end(self, interval: FindingInterval, position: int) -> None:
        intervals = self._intervals[interval.record]
        intervals.remove(interval)
        if not intervals:
            del self._intervals[interval.record]
        if interval.position == position:
            del self._begun[interval]
        else:
            self._ended.append((interval, position))


def _covers(interval: FindingInterval, day: dt.date) -> bool:
    return interval.first_day <= day and (interval.end_day is None or day < interval.end_day)
