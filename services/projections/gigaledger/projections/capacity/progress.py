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
    """What counts of one milestone, in kilowatts.

    Attributes:
        planned_kw: in the plan; 0 where it is not.
        planned_date: when it is to be certified; None where the plan does not tell.
        claimed_kw: claimed and not rejected.
        claimed_date: when it was first claimed; None where it was not.
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
        """Since when all that is planned, or else claimed, is certified; None where it is not."""
        goal_kw = self.planned_kw or self.claimed_kw
        return reached_since(self.certified, goal_kw) if goal_kw > 0 else None


def forecast_date(today: dt.date, missing_kw: int, gained_kw: int) -> dt.date | None:
    """Return when what is missing is reached at the pace of the last four quarters.

    The pace is the gain over the exact days of those quarters, not the rounded gain of one of them;
    the days from today on are rounded up.

    Args:
        today: the day up to which was gained.
        missing_kw: what is missing.
        gained_kw: the gain since the same day of the year before.

    Returns:
        The day. None where nothing is missing or nothing was gained, and beyond the year 9999.
    """
    if missing_kw <= 0 or gained_kw <= 0:
        return None
    days = -(-missing_kw * gained_days(today) // gained_kw)
    return today + dt.timedelta(days) if days <= (dt.date.max - today).days else None


def gained_days(today: dt.date) -> int:
    """Return the days of the four quarters up to a day."""
    return (today - year_before(today)).days


def reached_since(changes: Changes, goal_kw: int) -> dt.date | None:
    """Return since when a running total has been at a goal without a break; None where it is not.

    Args:
        changes: what the total is made of.
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


def days_late(planned: dt.date | None, actual: dt.date | None, today: dt.date) -> int | None:
    """Return by how many days something is later than planned; negative where it is earlier.

    Args:
        planned: when it was planned for; None where no plan tells.
        actual: when it happened; None where it has not.
        today: what is compared with the plan while it has not happened.

    Returns:
        The days. None where no plan tells, and where it has not happened and is not due yet.
    """
    if planned is None or (actual is None and today <= planned):
        return None
    return ((actual or today) - planned).days
