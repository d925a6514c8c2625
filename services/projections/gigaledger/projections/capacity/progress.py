"""Plan against actual, and when the target is reached at the pace so far (section 2.1). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from gigaledger.projections.capacity.figures import year_before

Changes = Sequence[tuple[dt.date, int]]
"""Days and by how many kilowatts capacity changed on each, in any order."""


@dataclass(slots=True)
class Milestone:
    """The state of one milestone, in kilowatts.

    Attributes:
        planned_kw: in the plan; 0 if it is not planned.
        planned_date: when it is to be certified; None if the plan does not state it.
        claimed_kw: claimed and not rejected.
        claimed_date: when it was first claimed; None if it was not.
        certified: changes of net certified capacity.
    """

    planned_kw: int = 0
    planned_date: dt.date | None = None
    claimed_kw: int = 0
    claimed_date: dt.date | None = None
    certified: list[tuple[dt.date, int]] = field(default_factory=list)

    @property
    def certified_kw(self) -> int:
        """Net certified capacity."""
        return sum(kw for _, kw in self.certified)

    @property
    def completed_date(self) -> dt.date | None:
        """Since when all that is planned, or else claimed, is certified; None if it is not."""
        goal_kw = self.planned_kw or self.claimed_kw
        return reached_since(self.certified, goal_kw) if goal_kw > 0 else None


def forecast_date(evaluation_date: dt.date, missing_kw: int, gained_kw: int) -> dt.date | None:
    """Return the day on which the target is reached at the pace of the last four quarters.

    The pace is the gain over the exact days of those quarters, not the rounded gain of one of them.
    The number of days from today on is rounded up.

    Args:
        evaluation_date: the day up to which the gain is measured.
        missing_kw: capacity missing to the target.
        gained_kw: gain since the same day of the year before.

    Returns:
        The day. None if nothing is missing, nothing was gained, or the day is beyond the year 9999.
    """
    if missing_kw <= 0 or gained_kw <= 0:
        return None
    days = -(-missing_kw * gained_days(evaluation_date) // gained_kw)
    return (
        evaluation_date + dt.timedelta(days)
        if days <= (dt.date.max - evaluation_date).days
        else None
    )


def gained_days(evaluation_date: dt.date) -> int:
    """Return the days of the four quarters up to a day."""
    return (evaluation_date - year_before(evaluation_date)).days


def reached_since(changes: Changes, goal_kw: int) -> dt.date | None:
    """Return since when a running total has been at a goal without a break; None if it is not.

    Args:
        changes: the changes of the total.
        goal_kw: the goal, more than 0.
    """
    by_day: dict[dt.date, int] = {}
    for day, kw in changes:
        by_day[day] = by_day.get(day, 0) + kw
    total_kw, since = 0, None
    for day in sorted(by_day):
        total_kw += by_day[day]
        if total_kw < goal_kw:
            since = None
        elif since is None:
            since = day
    return since


def days_late(
    planned: dt.date | None, actual: dt.date | None, evaluation_date: dt.date
) -> int | None:
    """Return by how many days something is later than planned; negative if it is earlier.

    Args:
        planned: the planned day; None if no plan states it.
        actual: when it happened; None if it has not.
        evaluation_date: compared with the plan as long as it has not happened.

    Returns:
        The days. None if no plan states the day, or if it has not happened and is not due yet.
    """
    if planned is None or (actual is None and evaluation_date <= planned):
        return None
    return ((actual or evaluation_date) - planned).days
