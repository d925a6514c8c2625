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

Verdicts = frozenset[ExceptionRecord]
Part = tuple[dt.date, Verdicts]
"""What is so from a day on, until the day of the next part."""


class FindingInterval(NamedTuple):
    """A verdict as of some days in a row.

    Attributes:
        verdict: what is said.
        first_day: the first day as of which it is.
        end_day: the day before which it ends; None where it does not.
        position: what is recorded there made it so.
    """

    verdict: ExceptionRecord
    first_day: dt.date
    end_day: dt.date | None
    position: int


class FindingHistory:
    """The runs of one document that hold by what is known, and what has become of others."""

    def __init__(self, runs: Iterable[FindingInterval] = ()) -> None:
        """Go on from runs that hold."""
        self._runs: dict[ExceptionRecord, list[FindingInterval]] = defaultdict(list)
        for run in runs:
            self._runs[run.verdict].append(run)
        self._begun: dict[FindingInterval, None] = {}
        self._ended: list[tuple[FindingInterval, int]] = []

    def __iter__(self) -> Iterator[FindingInterval]:
        """Iterate over the runs that hold."""
        return chain.from_iterable(self._runs.values())

    def as_of(self, day: dt.date) -> Verdicts:
        """Return what is so as of a day."""
        return frozenset(run.verdict for run in self if _covers(run, day))

    def parts(self) -> list[Part]:
        """Return what is so as of all days."""
        return [(day, self.as_of(day)) for day in sorted({dt.date.min, *self.days()})]

    def set_from(self, parts: Sequence[Part], position: int) -> None:
        """Say what is so, from the day of the first part on, by what is recorded at a position."""
        given = dict(parts)
        days = sorted({*given, *(day for day in self.days() if day > parts[0][0])})
        verdicts: Verdicts = frozenset()
        for day, end_day in zip(days, [*days[1:], None], strict=True):
            verdicts = given.get(day, verdicts)
            said = self.as_of(day)
            self.change(day, end_day, said - verdicts, verdicts - said, position)

    def change(
        self,
        first_day: dt.date,
        end_day: dt.date | None,
        cleared: Iterable[ExceptionRecord],
        raised_now: Iterable[ExceptionRecord],
        position: int,
    ) -> None:
        """Say what is so no more, and what is so now, by what is recorded at a position.

        Args:
            first_day: the first day as of which it is.
            end_day: the day before which it ends; None where it does not. Between the two, the same
                is so as of all days.
            cleared: what is so no more.
            raised_now: what is so now.
            position: the position.
        """
        for verdict in cleared:
            run = next(run for run in self._runs[verdict] if _covers(run, first_day))
            self._end(run, position)
            if run.first_day < first_day:
                self._begin(FindingInterval(verdict, run.first_day, first_day, position))
            if end_day is not None and run.end_day != end_day:
                self._begin(FindingInterval(verdict, end_day, run.end_day, position))
        for verdict in raised_now:
            first, end = first_day, end_day
            for run in list(self._runs[verdict]):
                # What follows on each other is one run.
                if run.end_day == first_day:
                    first = run.first_day
                    self._end(run, position)
                elif end_day is not None and run.first_day == end_day:
                    end = run.end_day
                    self._end(run, position)
            self._begin(FindingInterval(verdict, first, end, position))

    def days(self) -> set[dt.date]:
        """Return the days on which runs begin or have ended."""
        ends = {run.end_day for run in self if run.end_day is not None}
        return ends | {run.first_day for run in self}

    def take_changes(
        self,
    ) -> tuple[list[tuple[FindingInterval, int | None]], list[tuple[FindingInterval, int]]]:
        """Return what has become of runs since it was asked for before.

        Returns:
            Runs that have begun, each with the position from which on it holds no more, or None.
            Runs from before, each with the position from which on it holds no more.
        """
        ends = dict(self._ended)
        begun = [(run, ends.get(run)) for run in self._begun]
        ended = [(run, end) for run, end in self._ended if run not in self._begun]
        self._begun.clear()
        self._ended.clear()
        return begun, ended

    def _begin(self, run: FindingInterval) -> None:
        self._runs[run.verdict].append(run)
        self._begun[run] = None

    def _end(self, run: FindingInterval, position: int) -> None:
        runs = self._runs[run.verdict]
        runs.remove(run)
        if not runs:
            del self._runs[run.verdict]
        if run.position == position:
            del self._begun[run]
        else:
            self._ended.append((run, position))


def _covers(run: FindingInterval, day: dt.date) -> bool:
    return run.first_day <= day and (run.end_day is None or day < run.end_day)
