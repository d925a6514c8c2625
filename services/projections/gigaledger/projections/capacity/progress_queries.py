"""Plan against actual, from the tables of this projection: milestones and points of schedules."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gigaledger.common.quantities import date_from_message, date_to_message
from gigaledger.projections.capacity.figures import Schedule, plan_of
from gigaledger.projections.capacity.progress import (
    Milestone,
    days_late,
    forecast_date,
    gained_days,
    reached_since,
)
from gigaledger.projections.engine.folding import enum_number
from gigaledger.projections.engine.snapshot import ReadScope, Snapshot
from gigaledger.projections.shared.agreement_terms import Agreements
from gigaledger.projections.shared.agreements import covered
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis
from gigaledger.v1.projections_pb2 import (
    CapacityFigures,
    CompletionForecast,
    MilestoneProgress,
    ScheduleProgress,
)

_NET = {"CERTIFIED": 1, "DECERTIFIED": -1, "RETIRED": -1}
_CLAIMED = {"CLAIMED": 1, "REJECTED": -1}

_Rows = Sequence[Mapping[str, Any]]


def forecast_message(
    figures: CapacityFigures, gained_kw: int, evaluation_date: dt.date
) -> CompletionForecast | None:
    """Return when a target is reached at the pace so far; None if there is no target.

    Args:
        figures: of the layer and basis.
        gained_kw: gain of net certified capacity in the four quarters up to today.
        evaluation_date: the requested day.
    """
    if not figures.target_kw:
        return None
    missing_kw = max(0, figures.target_kw - figures.certified_kw)
    forecast = forecast_date(evaluation_date, missing_kw, gained_kw)
    target = date_from_message(figures.target_date) if figures.HasField("target_date") else None
    return CompletionForecast(
        capacity_layer=figures.capacity_layer,
        power_basis=figures.power_basis,
        missing_kw=missing_kw,
        gained_kw=gained_kw,
        gained_days=gained_days(evaluation_date),
        forecast_date=date_to_message(forecast) if forecast else None,
        days_late=(forecast - target).days if forecast and target else None,
    )


def milestones(snapshot: Snapshot, planned: _Rows, entries: _Rows) -> list[MilestoneProgress]:
    """Return each milestone that is planned, claimed or certified.

    Args:
        snapshot: the snapshot that the rows are of.
        planned: milestones in the plan.
        entries: changes by milestone and day.
    """
    found: dict[tuple[str, str, str, str], Milestone] = defaultdict(Milestone)
    for row in planned:
        snapshot.add_provenance([row["assertion_status"]])
        milestone = found[_key(row)]
        milestone.planned_kw += row["power_kw"]
        milestone.planned_date = row["planned_date"]
    for row in entries:
        snapshot.add_provenance(row["statuses"])
        milestone, day, kw = found[_key(row)], row["effective_date"], row["power_kw"]
        milestone.claimed_kw += _CLAIMED.get(row["measure"], 0) * kw
        if row["measure"] == "CLAIMED":
            milestone.claimed_date = min(day, milestone.claimed_date or day)
        if row["measure"] in _NET:
            milestone.certified.append((day, _NET[row["measure"]] * kw))
    return [_milestone(key, found[key], snapshot.scope.evaluation_date) for key in sorted(found)]


def _key(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return row["agreement"], row["milestone"], row["power_basis"], row["capacity_layer"]


def _milestone(
    key: tuple[str, str, str, str], milestone: Milestone, evaluation_date: dt.date
) -> MilestoneProgress:
    agreement, name, basis, layer = key
    completed, planned = milestone.completed_date, milestone.planned_date
    variance_kw = milestone.certified_kw - milestone.planned_kw
    return MilestoneProgress(
        agreement=agreement,
        milestone=name,
        power_basis=enum_number(PowerBasis, basis),
        capacity_layer=enum_number(CapacityLayer, layer),
        planned_kw=milestone.planned_kw,
        planned_date=_day(planned),
        claimed_kw=milestone.claimed_kw,
        claimed_date=_day(milestone.claimed_date),
        certified_kw=milestone.certified_kw,
        completed_date=_day(completed),
        variance_kw=variance_kw if milestone.planned_kw else None,
        days_late=days_late(planned, completed, evaluation_date),
    )


def schedule_points(
    scope: ReadScope,
    agreements: Agreements,
    only: frozenset[str] | None,
    schedules: Sequence[Schedule],
    entries: _Rows,
) -> list[ScheduleProgress]:
    """Return the points of the latest schedule of each agreement in force.

    Args:
        scope: the facts that count.
        agreements: the agreements of the book.
        only: the requested agreements; all if None.
        schedules: all schedules that count.
        entries: changes by milestone and day.
    """
    found = []
    for name, history in agreements.counted.items():
        status = history.on(scope.as_of_end, scope.evaluation_date)
        if status is None or not status.in_force or (only is not None and name not in only):
            continue
        plan = plan_of(name, agreements.counted, schedules, scope.as_of_end)
        if plan is None:
            continue
        terms = status.terms
        names = covered(agreements.known, name)
        certified = [
            (row["effective_date"], _NET[row["measure"]] * row["power_kw"])
            for row in entries
            if row["measure"] in _NET
            and row["agreement"] in names
            and (row["capacity_layer"], row["power_basis"])
            == (terms.capacity_layer, terms.power_basis)
        ]
        found += _points(name, plan.latest.points, certified, scope.evaluation_date)
    return found


def _points(
    agreement: str,
    points: Iterable[tuple[dt.date, int]],
    certified: Sequence[tuple[dt.date, int]],
    evaluation_date: dt.date,
) -> list[ScheduleProgress]:
    found = []
    for number, (by_date, planned_kw) in enumerate(points, start=1):
        looked_at = min(by_date, evaluation_date)
        certified_kw = sum(kw for day, kw in certified if day <= looked_at)
        reached = reached_since(certified, planned_kw) if planned_kw else None
        late = days_late(by_date, reached, evaluation_date) if planned_kw else None
        found.append(
            ScheduleProgress(
                agreement=agreement,
                point=number,
                planned_date=date_to_message(by_date),
                planned_kw=planned_kw,
                certified_kw=certified_kw,
                variance_kw=certified_kw - planned_kw,
                reached_date=_day(reached),
                days_late=late,
            )
        )
    return found


def _day(day: dt.date | None) -> Any:
    return date_to_message(day) if day else None
