"""The formulas of capacity (domain rules, section 2.1). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gigaledger.projections.shared.agreements import History, predecessors

_QUARTERS_PER_YEAR = 4
_MONTHS_PER_QUARTER = 3


@dataclass(frozen=True, slots=True)
class Schedule:
    """A deployment schedule: cumulative power at the end of its days, in kilowatts."""

    position: int
    effective_date: dt.date
    assertion_status: str
    agreement: str
    baseline: bool
    points: tuple[tuple[dt.date, int], ...]

    def step_kw(self, day: dt.date) -> int:
        """Return the planned power on a day: a step function with a step at each point."""
        return max((kw for by_date, kw in self.points if by_date <= day), default=0)

    def linear_kw(self, day: dt.date) -> int:
        """Return the same on straight lines between points, rounded down; 0 before the first."""
        before = [point for point in self.points if point[0] <= day]
        after = [point for point in self.points if point[0] > day]
        if not before or not after:
            return before[-1][1] if before else 0
        (from_date, from_kw), (to_date, to_kw) = before[-1], after[0]
        return from_kw + (to_kw - from_kw) * (day - from_date).days // (to_date - from_date).days


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of an agreement in force.

    Attributes:
        latest: its latest schedule.
        baseline: its latest baseline; None if the book has none.
    """

    latest: Schedule
    baseline: Schedule | None

    @property
    def target_kw(self) -> int:
        """The target of the plan."""
        return self.latest.points[-1][1] if self.latest.points else 0

    @property
    def target_date(self) -> dt.date | None:
        """When it ends."""
        return self.latest.points[-1][0] if self.latest.points else None


def plan_of(
    agreement: str,
    histories: Mapping[str, History],
    schedules: Sequence[Schedule],
    as_of_end: dt.date,
) -> Plan | None:
    """Return the plan of an agreement; None if there is none.

    An agreement without a schedule of its own inherits that of the agreements that it supersedes.

    Args:
        agreement: the agreement.
        histories: histories of all agreements.
        schedules: all schedules that count.
        as_of_end: the last effective date that counts.
    """
    own = [schedule for schedule in schedules if schedule.agreement == agreement]
    if not own:
        inherited = predecessors(histories, agreement, as_of_end)
        own = [schedule for schedule in schedules if schedule.agreement in inherited]
    if not own:
        return None
    own.sort(key=lambda schedule: (schedule.effective_date, schedule.position))
    baselines = [schedule for schedule in own if schedule.baseline]
    return Plan(own[-1], baselines[-1] if baselines else None)


def quarters_to(target_date: dt.date, evaluation_date: dt.date) -> int:
    """Return the number of ends of calendar quarters after today up to the target date."""
    return max(0, _quarters_ended(target_date) - _quarters_ended(evaluation_date))


def _quarters_ended(day: dt.date) -> int:
    """Count the quarters of the calendar that have ended by the end of a day."""
    tomorrow = day + dt.timedelta(days=1)
    return tomorrow.year * _QUARTERS_PER_YEAR + (tomorrow.month - 1) // _MONTHS_PER_QUARTER


def required_pace(missing_kw: int, quarters: int) -> int | None:
    """Return the capacity needed in each quarter, rounded up.

    0 if nothing is missing; None if something is missing and no quarter is left.
    """
    if missing_kw <= 0:
        return 0
    return -(-missing_kw // quarters) if quarters else None


def achieved_pace(certified_kw: int, certified_year_ago_kw: int) -> int:
    """Return the gain of the last four quarters, by quarter, rounded down."""
    return (certified_kw - certified_year_ago_kw) // _QUARTERS_PER_YEAR


def year_before(day: dt.date) -> dt.date:
    """Return the same day of the year before; for 29 February, the 28th."""
    if (day.month, day.day) == (2, 29):
        day -= dt.timedelta(days=1)
    return day.replace(year=day.year - 1)
