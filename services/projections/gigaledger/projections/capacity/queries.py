"""Answers about capacity, from the tables of this projection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Any

from gigaledger.common.quantities import date_to_message, ratio_ppm
from gigaledger.projections.capacity.figures import (
    Plan,
    Schedule,
    achieved_pace,
    plan_of,
    quarters_to,
    required_pace,
    year_before,
)
from gigaledger.projections.capacity.hardware import Rows, hardware_places, read_hardware
from gigaledger.projections.capacity.progress_queries import (
    forecast_message,
    milestones,
    schedule_points,
)
from gigaledger.projections.engine.folding import enum_number
from gigaledger.projections.engine.snapshot import ReadScope, Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.agreement_terms import Agreements, read_agreements
from gigaledger.projections.shared.agreements import CHIP_SUPPLY
from gigaledger.v1.common_pb2 import CapacityLayer, GpuBasis, PowerBasis
from gigaledger.v1.projections_pb2 import (
    CapacityBreakdown,
    CapacityFigures,
    DeliveredHardware,
    QueryCapacityResponse,
)

_SCHEDULES = statement("""
    SELECT position, effective_date, assertion_status, agreement, baseline, by_dates,
           cumulative_power_kw
    FROM capacity_schedule WHERE {counted}
""")

# Layer, site and platform of a milestone are those of its latest claim, or else of the plan; those
# of a withdrawal are found by its certificate. A document recorded in error still defines them, if
# no other does, so that nothing recorded under it drops out.
PLACED = """
    milestone AS (
        SELECT DISTINCT ON (agreement, milestone)
               agreement, milestone, capacity_layer, site, platform
        FROM capacity_entry WHERE measure IN ('PLANNED', 'CLAIMED') AND {recorded}
        ORDER BY agreement, milestone, {known} DESC, measure, effective_date DESC, position DESC
    ), certificate AS (
        SELECT DISTINCT ON (agreement, certifier, certificate)
               agreement, certifier, certificate, milestone
        FROM capacity_entry WHERE measure = 'CERTIFIED' AND {recorded}
        ORDER BY agreement, certifier, certificate, {known} DESC, position DESC
    ), entry AS (
        SELECT * FROM capacity_entry
        WHERE measure <> 'PLANNED' AND {counted}
            AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ), described AS (
        SELECT entry.*, coalesce(certificate.milestone, entry.milestone) AS whose
        FROM entry LEFT JOIN certificate
            ON entry.measure = 'DECERTIFIED' AND certificate.agreement = entry.agreement
            AND certificate.certifier = entry.certifier
            AND certificate.certificate = entry.certificate
    ), placed AS (
        SELECT described.position, described.recorded_time, described.effective_date,
               described.assertion_status, described.measure, described.agreement,
               described.whose AS milestone, described.certificate, described.power_basis,
               coalesce(nullif(described.capacity_layer, ''), milestone.capacity_layer,
                        'CHIP_SUPPLY') AS capacity_layer,
               coalesce(nullif(described.site, ''), milestone.site, '') AS site,
               coalesce(nullif(described.platform, ''), milestone.platform, '') AS platform,
               described.power_kw
        FROM described LEFT JOIN milestone
            ON milestone.agreement = described.agreement AND milestone.milestone = described.whose
    )
"""

_ENTRIES = statement(
    """
    WITH {placed}
    SELECT measure, agreement, milestone, power_basis, capacity_layer, site, platform,
           sum(power_kw)::bigint AS power_kw,
           coalesce(
               sum(power_kw) FILTER (WHERE effective_date <= %(year_ago)s), 0
           )::bigint AS year_ago_kw,
           array_agg(DISTINCT assertion_status) AS statuses
    FROM placed
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
""",
    placed=PLACED,
)

_PLANNED = statement("""
    SELECT agreement, milestone, power_basis, capacity_layer, power_kw, planned_date,
           assertion_status
    FROM capacity_entry
    WHERE measure = 'PLANNED' AND {counted}
        AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ORDER BY position
""")

_BY_DAY = statement(
    """
    WITH {placed}
    SELECT measure, agreement, milestone, power_basis, capacity_layer, effective_date,
           sum(power_kw)::bigint AS power_kw, array_agg(DISTINCT assertion_status) AS statuses
    FROM placed WHERE measure <> 'ENERGISED'
    GROUP BY 1, 2, 3, 4, 5, 6
""",
    placed=PLACED,
)

_GAIN = {"CERTIFIED": 1, "DECERTIFIED": -1, "RETIRED": -1}
"""Measures that make up net certified capacity, and their signs."""

Key = tuple[str, str]
"""Layer and basis: figures of different keys are never added."""


@dataclass(slots=True)
class _Figures:
    """Sums of one layer and basis, in kilowatts."""

    contracted_kw: int = 0
    indicative_kw: int = 0
    measures: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pending: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    year_ago_kw: int = 0
    delivered: Fraction = Fraction(0)
    plans: list[Plan] = field(default_factory=list)
    unplanned_kw: int = 0

    @property
    def certified_kw(self) -> int:
        return sum(sign * self.measures[measure] for measure, sign in _GAIN.items())


async def query_capacity(snapshot: Snapshot, agreement: str) -> QueryCapacityResponse:
    """Answer QueryCapacity.

    Args:
        snapshot: a snapshot of the projection.
        agreement: only this agreement and those that it supersedes; all if empty.
    """
    scope = snapshot.scope
    agreements = await read_agreements(snapshot, "capacity_terms")
    only = agreements.only(agreement)
    parameters = {"agreements": sorted(only) if only is not None else None}
    figures: dict[Key, _Figures] = defaultdict(_Figures)

    schedules = await _read_schedules(snapshot)
    _add_terms(snapshot, figures, agreements, only, schedules)
    year_ago = min(scope.as_of_end, year_before(scope.evaluation_date))
    entries = await snapshot.rows(_ENTRIES, year_ago=year_ago, **parameters)
    breakdown = _add_entries(snapshot, figures, entries)
    moved = await read_hardware(snapshot, parameters["agreements"])
    hardware = _add_hardware(figures, moved)
    planned = await snapshot.rows(_PLANNED, **parameters)
    by_day = await snapshot.rows(_BY_DAY, **parameters)
    progress = milestones(snapshot, planned, by_day)
    keys = _ordered(figures)
    messages = [_figures_message(key, figures[key], scope) for key in keys]
    forecasts = (
        forecast_message(
            message, figures[key].certified_kw - figures[key].year_ago_kw, scope.evaluation_date
        )
        for key, message in zip(keys, messages, strict=True)
    )
    return QueryCapacityResponse(
        context=snapshot.context(),
        figures=messages,
        breakdown=breakdown,
        hardware=hardware,
        forecasts=[forecast for forecast in forecasts if forecast],
        milestones=progress,
        schedule_points=schedule_points(scope, agreements, only, schedules, by_day),
        hardware_places=hardware_places(moved, breakdown),
    )


async def _read_schedules(snapshot: Snapshot) -> list[Schedule]:
    return [
        Schedule(
            position=row["position"],
            effective_date=row["effective_date"],
            assertion_status=row["assertion_status"],
            agreement=row["agreement"],
            baseline=row["baseline"],
            points=tuple(zip(row["by_dates"], row["cumulative_power_kw"], strict=True)),
        )
        for row in await snapshot.rows(_SCHEDULES)
    ]


def _add_terms(
    snapshot: Snapshot,
    figures: dict[Key, _Figures],
    agreements: Agreements,
    only: frozenset[str] | None,
    schedules: list[Schedule],
) -> None:
    scope = snapshot.scope
    for name, history in agreements.counted.items():
        status = history.on(scope.as_of_end, scope.evaluation_date)
        if status is None or (only is not None and name not in only):
            continue
        terms = status.terms
        plan = plan_of(name, agreements.counted, schedules, scope.as_of_end)
        if not terms.power_kw and plan is None:
            continue
        snapshot.add_provenance(agreements.statuses(name))
        sums = figures[terms.capacity_layer, terms.power_basis]
        if not status.in_force:
            continue
        if status.binds:
            sums.contracted_kw += terms.power_kw
        else:
            sums.indicative_kw += terms.power_kw
        if plan is not None:
            sums.plans.append(plan)
            snapshot.add_provenance(
                schedule.assertion_status for schedule in (plan.latest, plan.baseline) if schedule
            )
        elif status.binds:
            sums.unplanned_kw += terms.power_kw


def _add_entries(
    snapshot: Snapshot, figures: dict[Key, _Figures], rows: Iterable[dict[str, Any]]
) -> list[CapacityBreakdown]:
    breakdown: dict[tuple[str, ...], CapacityBreakdown] = {}
    for row in rows:
        snapshot.add_provenance(row["statuses"])
        measure, kw = row["measure"], row["power_kw"]
        sums = figures[row["capacity_layer"], row["power_basis"]]
        sums.measures[measure] += kw
        sums.year_ago_kw += _GAIN.get(measure, 0) * row["year_ago_kw"]
        if measure == "ENERGISED":
            continue
        # Retired capacity had been certified: it does not become pending again.
        if measure != "RETIRED":
            sign = 1 if measure in ("CLAIMED", "DECERTIFIED") else -1
            sums.pending[row["agreement"], row["milestone"]] += sign * kw
        place = (
            row["capacity_layer"],
            row["power_basis"],
            row["agreement"],
            row["site"],
            row["platform"],
        )
        part = breakdown.setdefault(place, _breakdown_message(*place))
        part.claimed_kw += kw if measure == "CLAIMED" else 0
        part.certified_kw += _GAIN.get(measure, 0) * kw
    return [breakdown[place] for place in sorted(breakdown)]


def _add_hardware(figures: dict[Key, _Figures], rows: Rows) -> list[DeliveredHardware]:
    hardware = []
    delivered_rows = (row for row in rows if row["delivered"])
    for sku, group in groupby(delivered_rows, key=itemgetter("sku")):
        places = list(group)
        quantity, rating = sum(row["received"] for row in places), places[0]
        delivered = DeliveredHardware(sku=sku, rack_quantity=quantity)
        if rating["power_basis"] is not None:
            rated_kw = Fraction(
                rating["rated_power_kw_numerator"], rating["rated_power_kw_denominator"]
            )
            implied = quantity * rated_kw
            figures[CHIP_SUPPLY, rating["power_basis"]].delivered += implied
            delivered.rated = True
            delivered.implied_kw = implied.__floor__()
            delivered.gpu_quantity = quantity * rating["gpu_count"]
            delivered.gpu_basis = enum_number(GpuBasis, rating["gpu_basis"])
        hardware.append(delivered)
    return hardware


def _breakdown_message(
    layer: str, basis: str, agreement: str, site: str, platform: str
) -> CapacityBreakdown:
    return CapacityBreakdown(
        capacity_layer=enum_number(CapacityLayer, layer),
        power_basis=enum_number(PowerBasis, basis),
        agreement=agreement,
        site=site,
        platform=platform,
    )


def _ordered(figures: dict[Key, _Figures]) -> list[Key]:
    return sorted(
        figures,
        key=lambda key: (enum_number(CapacityLayer, key[0]), enum_number(PowerBasis, key[1])),
    )


def _figures_message(key: Key, sums: _Figures, scope: ReadScope) -> CapacityFigures:
    layer, basis = key
    evaluation_date = scope.evaluation_date
    certified_kw = sums.certified_kw
    planned_kw = sum(plan.latest.step_kw(evaluation_date) for plan in sums.plans)
    target_kw = sum(plan.target_kw for plan in sums.plans) + sums.unplanned_kw
    target_date = max((plan.target_date for plan in sums.plans if plan.target_date), default=None)
    quarters = quarters_to(target_date, evaluation_date) if target_date else 0
    return CapacityFigures(
        capacity_layer=enum_number(CapacityLayer, layer),
        power_basis=enum_number(PowerBasis, basis),
        contracted_kw=sums.contracted_kw,
        indicative_kw=sums.indicative_kw,
        planned_kw=planned_kw,
        planned_baseline_kw=sum(
            plan.baseline.step_kw(evaluation_date) for plan in sums.plans if plan.baseline
        ),
        planned_linear_kw=sum(plan.latest.linear_kw(evaluation_date) for plan in sums.plans),
        claimed_kw=sums.measures["CLAIMED"],
        certified_gross_kw=sums.measures["CERTIFIED"],
        decertified_kw=sums.measures["DECERTIFIED"],
        retired_kw=sums.measures["RETIRED"],
        certified_kw=certified_kw,
        claimed_pending_kw=sum(max(0, kw) for kw in sums.pending.values()),
        schedule_variance_kw=certified_kw - planned_kw,
        schedule_performance_ppm=ratio_ppm(certified_kw, planned_kw),
        energised_kw=sums.measures["ENERGISED"],
        delivered_implied_kw=sums.delivered.__floor__(),
        target_kw=target_kw,
        target_date=date_to_message(target_date) if target_date else None,
        quarters_to_target=quarters,
        required_pace_kw_per_quarter=required_pace(target_kw - certified_kw, quarters),
        achieved_pace_kw_per_quarter=achieved_pace(certified_kw, sums.year_ago_kw),
    )
