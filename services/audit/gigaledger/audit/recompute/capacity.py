"""Capacity, recomputed (domain rules, section 2.1): by layer and basis, by place, by hardware."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from fractions import Fraction
from typing import Any, NamedTuple

from gigaledger.audit.recompute.figure_sheet import FigureSheet, TracedSum, total
from gigaledger.audit.recompute.history import Entry, View, by_time
from gigaledger.audit.recompute.terms import Agreements, basis_of, layer_of
from gigaledger.common.quantities import date_from_message, ratio_ppm
from gigaledger.v1.common_pb2 import ContractKind, GpuBasis

_SCHEDULES = ("deployment_schedule_baselined", "deployment_schedule_revised")
_NET = {
    "capacity_milestone_certified": 1,
    "capacity_certification_reversed": -1,
    "capacity_retired": -1,
}
"""Facts that change net certified capacity, and their signs."""
_PENDING = {
    "capacity_milestone_claimed": 1,
    "capacity_claim_rejected": -1,
    "capacity_milestone_certified": -1,
    "capacity_certification_reversed": 1,
}
"""Facts that change pending claimed capacity. Retired capacity had been certified."""
_QUARTERS = 4


class _Place(NamedTuple):
    layer: str
    site: str
    platform: str


class _Cell:
    """Sums of one layer and basis, in kilowatts."""

    def __init__(self, view: View) -> None:
        def zero() -> TracedSum:
            return TracedSum(traced=view.traced)

        self.zero = zero
        self.contracted, self.indicative = zero(), zero()
        self.planned, self.baseline, self.linear = zero(), zero(), zero()
        self.target, self.delivered, self.year_ago = zero(), zero(), zero()
        self.facts: dict[str, TracedSum] = defaultdict(zero)
        self.pending: dict[tuple[str, str], TracedSum] = defaultdict(zero)
        self.target_dates: list[dt.date] = []


def capacity(view: View) -> FigureSheet:
    """Return all figures of capacity."""
    sheet = FigureSheet()
    cells: dict[tuple[str, str], _Cell] = defaultdict(lambda: _Cell(view))
    _add_terms(view, cells)
    _add_facts(view, cells, sheet)
    _add_hardware(view, cells, sheet)
    for (layer, basis), cell in cells.items():
        _add_figures(
            sheet, {"capacity_layer": layer, "power_basis": basis}, cell, view.evaluation_date
        )
    return sheet


def _points(schedule: Any) -> list[tuple[dt.date, int]]:
    return [(date_from_message(point.by_date), point.cumulative_power_kw) for point in schedule]


def _step(points: list[tuple[dt.date, int]], day: dt.date) -> int:
    """Return the cumulative plan at each point of a schedule, as a step function."""
    return max((kw for by_date, kw in points if by_date <= day), default=0)


def _linear(points: list[tuple[dt.date, int]], day: dt.date) -> int:
    """Return the plan on straight lines between points, rounded down; 0 before the first point."""
    before = [point for point in points if point[0] <= day]
    after = [point for point in points if point[0] > day]
    if not before:
        return 0
    if not after:
        return before[-1][1]
    (start, low), (end, high) = before[-1], after[0]
    return low + (high - low) * (day - start).days // (end - start).days


def _add_terms(view: View, cells: dict[tuple[str, str], _Cell]) -> None:
    agreements = Agreements(view, counted=True)
    schedules: dict[str, list[Entry]] = defaultdict(list)
    for entry in view.counted(*_SCHEDULES):
        schedules[entry.fact.agreement].append(entry)
    for name, agreement in agreements.by_name.items():
        status = agreement.on(view.as_of_end, view.evaluation_date)
        if status is None:
            continue
        own = schedules[name] or [
            entry
            for inherited in agreements.predecessors(name, view.as_of_end)
            for entry in schedules[inherited]
        ]
        stated = status.terms.stated
        if not stated.power_kw and not own:
            continue
        cell = cells[layer_of(stated.capacity_layer), basis_of(stated.power_basis)]
        if not status.in_force:
            continue
        agreed = cell.contracted if status.binds else cell.indicative
        agreed.add(status.terms.position, status.day, stated.power_kw)
        if own:
            _add_plan(view, cell, own)
        elif status.binds:
            cell.target.add(status.terms.position, status.day, stated.power_kw)


def _add_plan(view: View, cell: _Cell, schedules: list[Entry]) -> None:
    latest = max(schedules, key=by_time)
    points = _points(latest.fact.points)
    cell.planned.add(latest.position, latest.day, _step(points, view.evaluation_date))
    cell.linear.add(latest.position, latest.day, _linear(points, view.evaluation_date))
    if points:
        cell.target.add(latest.position, latest.day, points[-1][1])
        cell.target_dates.append(points[-1][0])
    baselines = [entry for entry in schedules if entry.kind == _SCHEDULES[0]]
    if baselines:
        baseline = max(baselines, key=by_time)
        status = _step(_points(baseline.fact.points), view.evaluation_date)
        cell.baseline.add(baseline.position, baseline.day, status)


def _places(view: View) -> dict[tuple[str, str], _Place]:
    """Return the place of each milestone, by its latest claim or else by the plan.

    Entries recorded in error count only if there are no others.
    """
    best: dict[tuple[str, str], tuple[bool, bool, dt.date, int]] = {}
    found: dict[tuple[str, str], _Place] = {}
    for entry in view.recorded("capacity_milestone_planned", "capacity_milestone_claimed"):
        fact = entry.fact
        claim = entry.kind == "capacity_milestone_claimed"
        rank = (view.knows(entry), claim, entry.day, entry.position)
        key = (fact.agreement, fact.milestone)
        if key not in best or rank > best[key]:
            best[key] = rank
            found[key] = _Place(layer_of(fact.capacity_layer), fact.site, fact.platform)
    return found


def _certificates(view: View) -> dict[tuple[str, str, str], str]:
    """Return the milestone that each certificate is for."""
    return view.latest(
        lambda fact: ((fact.agreement, fact.certifier, fact.certificate), fact.milestone),
        "capacity_milestone_certified",
    )


def _add_facts(view: View, cells: dict[tuple[str, str], _Cell], sheet: FigureSheet) -> None:
    places, certificates = _places(view), _certificates(view)
    year_ago = min(view.as_of_end, _year_before(view.evaluation_date))
    parts: dict[tuple[str, ...], dict[str, TracedSum]] = {}
    for entry in view.counted("site_energised"):
        fact = entry.fact
        cell = cells[layer_of(fact.capacity_layer), basis_of(fact.power_basis)]
        cell.facts[entry.kind].add(entry.position, entry.day, fact.power_kw)
    for entry in view.counted(*_PENDING, "capacity_retired"):
        fact = entry.fact
        if entry.kind == "capacity_certification_reversed":
            key = (fact.agreement, fact.certifier, fact.certificate)
            milestone = certificates.get(key, "")
        else:
            milestone = fact.milestone
        place = places.get((fact.agreement, milestone), _Place(layer_of(0), "", ""))
        if entry.kind == "capacity_milestone_claimed":
            place = _Place(
                layer_of(fact.capacity_layer),
                fact.site or place.site,
                fact.platform or place.platform,
            )
        basis = basis_of(fact.power_basis)
        cell = cells[place.layer, basis]
        cell.facts[entry.kind].add(entry.position, entry.day, fact.power_kw)
        if entry.day <= year_ago and entry.kind in _NET:
            cell.year_ago.add(entry.position, entry.day, _NET[entry.kind] * fact.power_kw)
        if entry.kind in _PENDING:
            waiting = cell.pending[fact.agreement, milestone]
            waiting.add(entry.position, entry.day, _PENDING[entry.kind] * fact.power_kw)
        where = (place.layer, basis, fact.agreement, place.site, place.platform)
        line = parts.setdefault(where, {"claimed_kw": cell.zero(), "certified_kw": cell.zero()})
        if entry.kind == "capacity_milestone_claimed":
            line["claimed_kw"].add(entry.position, entry.day, fact.power_kw)
        if entry.kind in _NET:
            signed = _NET[entry.kind] * fact.power_kw
            line["certified_kw"].add(entry.position, entry.day, signed)
    names = ("capacity_layer", "power_basis", "agreement", "site", "platform")
    for about_whom, line in parts.items():
        about = dict(zip(names, about_whom, strict=True))
        sheet.add_figures("capacity.breakdown", about, "kW", **line)


def _add_hardware(view: View, cells: dict[tuple[str, str], _Cell], sheet: FigureSheet) -> None:
    lines: dict[tuple[str, int], tuple[tuple[bool, int], str, int]] = {}
    for entry in view.recorded("purchase_order_placed"):
        order = entry.fact
        rank = (view.knows(entry), entry.position)
        for line in order.lines:
            key = (order.purchase_order, line.line)
            if key not in lines or rank > lines[key][0]:
                lines[key] = (rank, line.sku, order.contract_kind)
    ratings = {
        entry.fact.sku: entry for entry in sorted(view.counted("rack_sku_rated"), key=by_time)
    }
    racks: dict[str, TracedSum] = {}
    for entry in view.counted("goods_received", "goods_returned"):
        fact = entry.fact
        _, sku, kind = lines.get((fact.purchase_order, fact.line), ((), "", 0))
        if kind == ContractKind.CONTRACT_KIND_CLOUD_CAPACITY:
            continue
        sign = 1 if entry.kind == "goods_received" else -1
        held = racks.setdefault(sku, TracedSum(traced=view.traced))
        held.add(entry.position, entry.day, sign * fact.quantity)
    for sku, held in racks.items():
        _add_hardware_figures(sheet, cells, sku, held, ratings.get(sku))


def _add_hardware_figures(
    sheet: FigureSheet,
    cells: dict[tuple[str, str], _Cell],
    sku: str,
    held: TracedSum,
    rating: Entry | None,
) -> None:
    about = {"sku": sku}
    quantity = int(held.value)
    implied, gpus, basis = 0, 0, "UNSPECIFIED"
    if rating is not None:
        rated = rating.fact
        rated_kw = Fraction(rated.rated_power_kw_numerator, rated.rated_power_kw_denominator)
        implied = (quantity * rated_kw).__floor__()
        gpus = quantity * rated.gpu_count
        basis = GpuBasis.Name(rated.gpu_basis).removeprefix("GPU_BASIS_")
        delivered = cells[layer_of(0), basis_of(rated.power_basis)].delivered
        if held.parts is None:
            delivered.value += quantity * rated_kw
        for position, day, racks in held.parts or ():
            delivered.add(position, day, Fraction(racks or 0) * rated_kw)
    sheet.add_figures("capacity.hardware", about, rack_quantity=held, gpu_quantity=gpus)
    sheet.add_figures("capacity.hardware", about, "kW", implied_kw=implied)
    sheet.add_figures("capacity.hardware", about, gpu_basis=basis, rated=int(rating is not None))


def _year_before(day: dt.date) -> dt.date:
    """Return the same day of the year before; for 29 February, the 28th."""
    if (day.month, day.day) == (2, 29):
        return dt.date(day.year - 1, 2, 28)
    return day.replace(year=day.year - 1)


def _quarter_ends(after: dt.date, last: dt.date) -> int:
    """Count the ends of calendar quarters after a day up to another one."""
    found, year = 0, after.year
    while year <= last.year:
        ends = (dt.date(year, 3, 31), dt.date(year, 6, 30), dt.date(year, 9, 30))
        found += sum(after < end <= last for end in (*ends, dt.date(year, 12, 31)))
        year += 1
    return found


def _add_figures(
    sheet: FigureSheet, about: dict[str, str], cell: _Cell, evaluation_date: dt.date
) -> None:
    facts = cell.facts
    gross = facts["capacity_milestone_certified"]
    decertified, retired = facts["capacity_certification_reversed"], facts["capacity_retired"]
    net = gross - decertified - retired
    target_date = max(cell.target_dates, default=None)
    quarters = _quarter_ends(evaluation_date, target_date) if target_date else 0
    missing = int(cell.target.value - net.value)
    pace: int | None = 0
    if missing > 0:
        pace = -(-missing // quarters) if quarters else None
    gain = net - cell.year_ago
    sheet.add_figures(
        "capacity",
        about,
        "kW",
        contracted_kw=cell.contracted,
        indicative_kw=cell.indicative,
        planned_kw=cell.planned,
        planned_baseline_kw=cell.baseline,
        planned_linear_kw=cell.linear,
        claimed_kw=facts["capacity_milestone_claimed"],
        certified_gross_kw=gross,
        decertified_kw=decertified,
        retired_kw=retired,
        certified_kw=net,
        claimed_pending_kw=total(
            (waiting.at_least_zero() for waiting in cell.pending.values()), cell.zero
        ),
        schedule_variance_kw=net - cell.planned,
        energised_kw=facts["site_energised"],
        delivered_implied_kw=cell.delivered.becoming(cell.delivered.value.__floor__()),
        target_kw=cell.target,
        required_pace_kw_per_quarter=pace,
        achieved_pace_kw_per_quarter=int(gain.value) // _QUARTERS,
    )
    performance = ratio_ppm(int(net.value), int(cell.planned.value))
    sheet.add_figures("capacity", about, "ppm", schedule_performance_ppm=performance)
    day = target_date.isoformat() if target_date else None
    sheet.add_figures("capacity", about, target_date=day, quarters_to_target=quarters)
