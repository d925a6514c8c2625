"""Capacity: gigawatts against plan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from gigaledger.client import date_of
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis
from gigaledger.v1.projections_pb2 import CapacityFigures, QueryCapacityResponse
from gigaledger.web.charts import Line, bar_chart, step_chart
from gigaledger.web.content import Cell, Chart, Link, Note, Section, Table, columns
from gigaledger.web.formats import (
    KW_PER_GW,
    NOT_AVAILABLE,
    day,
    days,
    gigawatts,
    label,
    sentence,
)
from gigaledger.web.sections.cells import parts_per_million, power, reflects, texts
from gigaledger.web.view import View

ByAgreement = Sequence[tuple[str, QueryCapacityResponse]]

_ROWS = (
    ("required by the plan", "planned_kw", False),
    ("required by the baseline", "planned_baseline_kw", False),
    ("claimed", "claimed_kw", True),
    ("claimed, not decided", "claimed_pending_kw", True),
    ("certified, gross", "certified_gross_kw", True),
    ("decertified", "decertified_kw", True),
    ("retired", "retired_kw", True),
    ("certified", "certified_kw", True),
    ("certified less required", "schedule_variance_kw", True),
    ("contracted", "contracted_kw", False),
    ("indicative, not binding", "indicative_kw", False),
    ("energised sites", "energised_kw", False),
    ("racks received can carry", "delivered_implied_kw", True),
    ("target", "target_kw", False),
    ("pace achieved per quarter", "achieved_pace_kw_per_quarter", True),
)
_HEADLINES = ("planned_kw", "claimed_kw", "certified_kw", "schedule_variance_kw", "target_kw")


def layer_and_basis(layer: int, basis: int) -> str:
    """Return a layer of capacity and a basis of power in words."""
    layer_name = label(CapacityLayer.Name, layer, "CAPACITY_LAYER_")
    return f"{layer_name}, {label(PowerBasis.Name, basis, 'POWER_BASIS_')}"


def agreements_of(answer: QueryCapacityResponse) -> set[str]:
    """Return the agreements that an answer names."""
    named = {
        *(item.agreement for item in answer.breakdown),
        *(item.agreement for item in answer.milestones),
        *(item.agreement for item in answer.schedule_points),
    }
    return named - {""}


def overview(
    view: View,
    answer: QueryCapacityResponse,
    series: Sequence[QueryCapacityResponse],
    by_agreement: ByAgreement,
) -> Section:
    """Return gigawatts against plan for the overview."""
    section = Section("capacity", "Gigawatts against plan", wide=True)
    shown = [item for item in answer.figures if _has_progress(item)]
    if not shown:
        section.parts.append(Note("No capacity is recorded that this page would count."))
    for item in shown:
        section.parts += _progress(view, item, series)
    section.parts += _by_agreement(view, by_agreement)
    section.parts += reflects(answer.context, "capacity", view)
    section.parts.append(Link("Capacity in detail", view.link("capacity")))
    return section


def page(
    view: View,
    answer: QueryCapacityResponse,
    series: Sequence[QueryCapacityResponse],
    by_agreement: ByAgreement,
) -> list[Section]:
    """Return all of capacity."""
    sections = []
    for number, item in enumerate(answer.figures, 1):
        section = Section(
            f"figures-{number}", sentence(layer_and_basis(item.capacity_layer, item.power_basis))
        )
        section.parts += _progress(view, item, series)
        section.parts.append(_all_figures(view, item))
        section.parts += _forecast(answer, item)
        sections.append(section)
    if not sections:
        note = Note("No capacity is recorded that this page would count.")
        sections.append(Section("figures", "Capacity", [note]))
    if by_agreement:
        parts = _by_agreement(view, by_agreement)
        sections.append(Section("agreements", "By agreement", parts))
    sections += _places(view, answer)
    sections += _plan(answer)
    sections.append(Section("source", "Source", [*reflects(answer.context, "capacity", view)]))
    return sections


def _has_progress(item: CapacityFigures) -> bool:
    return bool(item.planned_kw or item.claimed_kw or item.certified_kw or item.target_kw)


def _about(item: CapacityFigures, **more: str) -> dict[str, str]:
    return {
        "capacity_layer": CapacityLayer.Name(item.capacity_layer).removeprefix("CAPACITY_LAYER_"),
        "power_basis": PowerBasis.Name(item.power_basis).removeprefix("POWER_BASIS_"),
        **more,
    }


def _progress(
    view: View, item: CapacityFigures, series: Sequence[QueryCapacityResponse]
) -> list[Chart | Table | Note | Link]:
    key = (item.capacity_layer, item.power_basis)
    title = layer_and_basis(*key)
    planned, claimed, certified = [], [], []
    for answer in series:
        on = date_of(answer.context.as_of)
        found = next(
            (f for f in answer.figures if (f.capacity_layer, f.power_basis) == key),
            CapacityFigures(),
        )
        planned.append((on, _gw(found.planned_kw)))
        claimed.append((on, _gw(found.claimed_kw)))
        certified.append((on, _gw(found.certified_kw)))
    lines = [
        Line(name, points)
        for name, points in (("required", planned), ("claimed", claimed), ("certified", certified))
        if any(value for _, value in points)
    ]
    parts: list[Chart | Table | Note | Link] = []
    if lines:
        description = (
            "Gigawatts required by the plan, claimed and certified at the end of each day."
        )
        parts.append(Chart(step_chart(f"Capacity in GW: {title}", description, lines)))
        parts.append(
            Table(
                f"Chart as a table: {title}, GW",
                columns("as of", *(line.name for line in lines)),
                _table_rows(lines),
                folded=True,
            )
        )
    rows = [
        [Cell(name), power(view, f"capacity.{field}", getattr(item, field), _where(item, listed))]
        for name, field, listed in _ROWS
        if field in _HEADLINES
    ]
    ppm = item.schedule_performance_ppm if item.HasField("schedule_performance_ppm") else None
    rows.append(
        [Cell("certified of required"), parts_per_million("capacity.schedule_performance_ppm", ppm)]
    )
    parts.append(Table(sentence(title), columns("figure", "capacity"), rows, beside=bool(lines)))
    return parts


def _where(item: CapacityFigures, listed: bool) -> dict[str, str] | None:  # noqa: FBT001
    return _about(item) if listed else None


def _all_figures(view: View, item: CapacityFigures) -> Table:
    rows = [
        [Cell(name), power(view, f"capacity.{field}", getattr(item, field), _where(item, listed))]
        for name, field, listed in _ROWS
        if field not in _HEADLINES
    ]
    pace = Cell(NOT_AVAILABLE)
    if item.HasField("required_pace_kw_per_quarter"):
        pace = power(
            view,
            "capacity.required_pace_kw_per_quarter",
            item.required_pace_kw_per_quarter,
            _about(item),
        )
    rows.append([Cell("pace required per quarter"), pace])
    rows.append(texts("target date", day(item.target_date) or "not planned"))
    return Table("Further figures", columns("figure", "capacity"), rows)


def _forecast(answer: QueryCapacityResponse, item: CapacityFigures) -> list[Note]:
    notes = []
    for forecast in answer.forecasts:
        if (forecast.capacity_layer, forecast.power_basis) != (
            item.capacity_layer,
            item.power_basis,
        ):
            continue
        if forecast.HasField("forecast_date"):
            text = f"At the pace of the last four quarters: {day(forecast.forecast_date)}"
            if forecast.HasField("days_late"):
                text += f", {_late(forecast.days_late)}"
            notes.append(Note(f"{text}."))
        elif forecast.missing_kw:
            notes.append(Note("Nothing was gained in the last four quarters: no forecast."))
    return notes


def _late(number: int) -> str:
    if number == 0:
        return "on time"
    return f"{days(abs(number))} {'late' if number > 0 else 'early'}"


def _by_agreement(view: View, answers: ByAgreement) -> list[Chart | Table | Note | Link]:
    rows, groups = [], []
    for agreement, answer in answers:
        for item in answer.figures:
            if not _has_progress(item):
                continue
            about = _about(item, agreement=agreement)
            rows.append(
                [
                    Cell(agreement, view.link("events", agreement=agreement)),
                    Cell(layer_and_basis(item.capacity_layer, item.power_basis)),
                    power(view, "capacity.planned_kw", item.planned_kw, None),
                    power(view, "capacity.claimed_kw", item.claimed_kw, about),
                    power(view, "capacity.certified_kw", item.certified_kw, about),
                ]
            )
            kilowatts = (item.planned_kw, item.claimed_kw, item.certified_kw)
            groups.append((agreement, [_gw(value) for value in kilowatts]))
    if not rows:
        return []
    names = ("required", "claimed", "certified")
    chart = bar_chart("By agreement, GW", "Required, claimed and certified.", names, groups)
    table = Table("By agreement", columns("agreement", "measured", *names, numbers_from=2), rows)
    return [Chart(chart), table]


def _places(view: View, answer: QueryCapacityResponse) -> list[Section]:
    sections = []
    if answer.breakdown:
        rows = [
            [
                *texts(item.site or "not stated", item.platform or "not stated", item.agreement),
                Cell(layer_and_basis(item.capacity_layer, item.power_basis)),
                power(view, "capacity.breakdown.claimed_kw", item.claimed_kw, None),
                power(view, "capacity.breakdown.certified_kw", item.certified_kw, None),
            ]
            for item in answer.breakdown
        ]
        heads = columns(
            "site", "platform", "agreement", "measured", "claimed", "certified", numbers_from=4
        )
        table = Table("Capacity by site and platform", heads, rows)
        sections.append(Section("sites", "Sites and platforms", [table], wide=True))
    if answer.hardware_places:
        rows = [
            [
                *texts(place.site or "not stated", place.platform or "not stated"),
                Cell(f"{place.ordered_rack_quantity:,}"),
                Cell(f"{place.received_rack_quantity:,}"),
                power(
                    view,
                    "capacity.hardware_places.ordered_implied_kw",
                    place.ordered_implied_kw,
                    None,
                ),
                power(
                    view,
                    "capacity.hardware_places.received_implied_kw",
                    place.received_implied_kw,
                    None,
                ),
                power(view, "capacity.hardware_places.certified_kw", place.certified_kw, None),
            ]
            for place in answer.hardware_places
        ]
        heads = columns(
            "site",
            "platform",
            "racks ordered",
            "racks received",
            "can carry, ordered",
            "can carry, received",
            "certified",
            numbers_from=2,
        )
        table = Table("Racks ordered and received, and what they can carry", heads, rows)
        sections.append(Section("hardware", "Racks behind the gigawatts", [table], wide=True))
    return sections


def _plan(answer: QueryCapacityResponse) -> list[Section]:
    sections = []
    if answer.schedule_points:
        rows = [
            [
                *texts(f"{item.agreement}, {item.point}", day(item.planned_date)),
                *texts(gigawatts(item.planned_kw), gigawatts(item.certified_kw)),
                *texts(gigawatts(item.variance_kw), day(item.reached_date) or "not reached"),
                Cell(_late(item.days_late) if item.HasField("days_late") else ""),
            ]
            for item in answer.schedule_points
        ]
        heads = [
            *columns("point", "planned for", numbers_from=2),
            *columns("planned", "certified", "variance", numbers_from=0),
            *columns("reached", "difference", numbers_from=2),
        ]
        table = Table("Points of the schedules", heads, rows)
        sections.append(Section("schedule", "Schedule", [table], wide=True))
    if answer.milestones:
        rows = [
            [
                *texts(item.milestone, item.agreement, day(item.planned_date) or "not planned"),
                *texts(gigawatts(item.planned_kw), gigawatts(item.claimed_kw)),
                *texts(gigawatts(item.certified_kw), day(item.completed_date) or "not complete"),
                Cell(_late(item.days_late) if item.HasField("days_late") else ""),
            ]
            for item in answer.milestones
        ]
        heads = [
            *columns("milestone", "agreement", "planned for", numbers_from=3),
            *columns("planned", "claimed", "certified", numbers_from=0),
            *columns("completed", "difference", numbers_from=2),
        ]
        table = Table("Plan against actual by milestone", heads, rows)
        sections.append(Section("milestones", "Milestones", [table], wide=True))
    return sections


def _table_rows(lines: Sequence[Line]) -> list[list[Cell]]:
    by_day: dict[dt.date, list[Decimal]] = {}
    for line in lines:
        for on, value in line.points:
            by_day.setdefault(on, []).append(value)
    return [
        [Cell(on.isoformat()), *(Cell(f"{value:,f}") for value in values)]
        for on, values in by_day.items()
    ]


def _gw(kilowatts: int) -> Decimal:
    return Decimal(kilowatts) / KW_PER_GW
