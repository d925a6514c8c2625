"""Findings as a function of the as-of day and of the known position. Pure.

As of a day, only postings effective by then count. A document therefore has one register for each
day on which something of it takes effect, and each continues with what is recorded later. An
interval is a finding that is the same as of consecutive days, from one position until another. A
query for a day and a position is answered by the intervals that cover both.
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
"""The findings as of a day and the days after it, until the day of the next segment."""


class FindingInterval(NamedTuple):
    """A finding as of consecutive days.

    Attributes:
        record: the exception.
        first_day: the first of the days.
        end_day: the day after the last; None if there is no last.
        position: the position from which on it is found.
    """

    record: ExceptionRecord
    first_day: dt.date
    end_day: dt.date | None
    position: int


class FindingHistory:
    """The current intervals of one document, and the changes since the last drain."""

    def __init__(self, intervals: Iterable[FindingInterval] = ()) -> None:
        """Start from current intervals."""
        self._intervals: dict[ExceptionRecord, list[FindingInterval]] = defaultdict(list)
        for interval in intervals:
            self._intervals[interval.record].append(interval)
        self._begun: dict[FindingInterval, None] = {}
        self._ended: list[tuple[FindingInterval, int]] = []

    def __iter__(self) -> Iterator[FindingInterval]:
        """Iterate over the current intervals."""
        return chain.from_iterable(self._intervals.values())

    def as_of(self, day: dt.date) -> Records:
        """Return the findings as of a day."""
        return frozenset(interval.record for interval in self if _covers(interval, day))

    def segments(self) -> list[Segment]:
        """Return the findings as of all days, as segments."""
        return [(day, self.as_of(day)) for day in sorted({dt.date.min, *self.days()})]

    def set_from(self, segments: Sequence[Segment], position: int) -> None:
        """Set the findings as of the first segment's day and all later days, from a position on."""
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
        """Replace findings as of some days, from a position on.

        Args:
            first_day: the first of the days.
            end_day: the day after the last; None if there is no last. The findings are the same as
                of all these days.
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
                # Adjacent intervals merge into one.
                if interval.end_day == first_day:
                    first = interval.first_day
                    self._end(interval, position)
                elif end_day is not None and interval.first_day == end_day:
                    end = interval.end_day
                    self._end(interval, position)
            self._begin(FindingInterval(record, first, end, position))

    def days(self) -> set[dt.date]:
        """Return the days on which intervals begin or have ended."""
        ends = {interval.end_day for interval in self if interval.end_day is not None}
        return ends | {interval.first_day for interval in self}

    def drain_changes(
        self,
    ) -> tuple[list[tuple[FindingInterval, int | None]], list[tuple[FindingInterval, int]]]:
        """Return the changes since the last call, and forget them.

        Returns:
            New intervals, each with the position from which on it no longer holds, or None.
            Older intervals that ended, each with the position from which on it no longer holds.
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
