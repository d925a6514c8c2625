"""Plan against actual, the way from entitlement to cash, and hardware, as tables for people."""

from __future__ import annotations

from gigaledger.cli.formats import day, enum_label, gigawatts, kilowatts, printable
from gigaledger.cli.output import add_row, table
from gigaledger.v1.common_pb2 import GpuBasis, PowerBasis
from gigaledger.v1.projections_pb2 import (
    CompletionForecast,
    GpuQuantity,
    HardwarePlace,
    MilestoneProgress,
    QueryCapacityResponse,
    QueryInvestmentResponse,
    ScheduleProgress,
    TrancheTimeline,
)
from rich.console import RenderableType

_NOT_STATED = "not stated"


def progress_tables(response: QueryCapacityResponse) -> list[RenderableType]:
    """Return the forecast, points of schedules, milestones, and hardware by place."""
    parts: list[RenderableType] = [printable(_forecast(item)) for item in response.forecasts]
    if response.schedule_points:
        points = table(
            "Schedule against certified, in GW",
            *(
                "agreement",
                "planned for",
                "planned",
                "certified",
                "variance",
                "reached",
                "days late",
            ),
            numbers_from=2,
        )
        for point in response.schedule_points:
            add_row(points, _point(point))
        parts.append(points)
    if response.milestones:
        made = table(
            "Milestones, in GW",
            *("agreement", "milestone", "planned for", "planned", "claimed", "certified"),
            *("variance", "complete", "days late"),
            numbers_from=2,
        )
        for milestone in response.milestones:
            add_row(made, _milestone(milestone))
        parts.append(made)
    if response.hardware_places:
        parts += _hardware(list(response.hardware_places))
    return parts


def timeline_tables(response: QueryInvestmentResponse) -> list[RenderableType]:
    """Return when each tranche was entitled, called and funded."""
    if not response.timelines:
        return []
    made = table(
        "From entitlement to cash",
        *("agreement", "no.", "entitled since", "by", "called", "days", "funded", "days"),
        numbers_from=4,
    )
    for line in response.timelines:
        add_row(made, _timeline(line))
    return [made, "Days run from entitlement; + is still running."]


def _forecast(item: CompletionForecast) -> str:
    basis = enum_label(PowerBasis.Name, item.power_basis, "POWER_BASIS_")
    if not item.missing_kw:
        return f"Forecast, {basis}: the target is reached."
    gained = f"{gigawatts(item.gained_kw)} GW were gained in the last {item.gained_days} days"
    missing = f"{gigawatts(item.missing_kw)} GW are missing"
    if not item.HasField("forecast_date"):
        return f"Forecast, {basis}: none at this pace; {gained}, {missing}."
    late = f", {_days(item.days_late)}" if item.HasField("days_late") else ""
    return f"Forecast, {basis}: {day(item.forecast_date)}{late}; {gained}, {missing}."


def _days(days: int) -> str:
    if not days:
        return "as planned"
    return f"{abs(days)} days {'late' if days > 0 else 'early'}"


def _point(point: ScheduleProgress) -> list[str]:
    return [
        point.agreement,
        day(point.planned_date),
        gigawatts(point.planned_kw),
        gigawatts(point.certified_kw),
        gigawatts(point.variance_kw),
        day(point.reached_date),
        f"{point.days_late:+}" if point.HasField("days_late") else "",
    ]


def _milestone(milestone: MilestoneProgress) -> list[str]:
    return [
        milestone.agreement,
        milestone.milestone,
        day(milestone.planned_date),
        gigawatts(milestone.planned_kw) if milestone.planned_kw else "",
        gigawatts(milestone.claimed_kw),
        gigawatts(milestone.certified_kw),
        gigawatts(milestone.variance_kw) if milestone.HasField("variance_kw") else "",
        day(milestone.completed_date),
        f"{milestone.days_late:+}" if milestone.HasField("days_late") else "",
    ]


def _timeline(line: TrancheTimeline) -> list[str]:
    causes = ", ".join(
        f"{cause.certificate} at {cause.position}" if cause.certificate else str(cause.position)
        for cause in line.causes
    )
    entitled = line.HasField("entitled_date")
    return [
        line.agreement,
        str(line.tranche),
        day(line.entitled_date),
        causes or ("time" if entitled else ""),
        day(line.called_date),
        _lag(line.days_to_call, running=not line.HasField("called_date")) if entitled else "",
        day(line.funded_date),
        _lag(line.days_to_fund, running=not line.HasField("funded_date")) if entitled else "",
    ]


def _lag(days: int, *, running: bool) -> str:
    return f"{days}+" if running else str(days)


def _hardware(places: list[HardwarePlace]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for number in dict.fromkeys(place.power_basis for place in places):
        lines = [place for place in places if place.power_basis == number]
        basis = enum_label(PowerBasis.Name, number, "POWER_BASIS_") if number else "not rated"
        made = table(
            f"Hardware behind the capacity: {basis}, in kW",
            *("site", "platform", "racks ordered", "received", "GPUs received", "can carry"),
            *("certified", "can carry more"),
            numbers_from=2,
        )
        for place in lines:
            gpus = ", ".join(_gpus(item) for item in place.gpus)
            if place.received_rack_quantity and not gpus:
                gpus = "unknown"
            names = [place.site or _NOT_STATED, place.platform or _NOT_STATED]
            add_row(made, [*names, *_racks([place]), gpus, *_power([place])])
        add_row(made, ["total", "", *_racks(lines), "", *_power(lines)])
        parts.append(made)
    return parts


def _gpus(item: GpuQuantity) -> str:
    return f"{item.received_quantity:,} {enum_label(GpuBasis.Name, item.gpu_basis, 'GPU_BASIS_')}s"


def _racks(places: list[HardwarePlace]) -> list[str]:
    ordered = sum(place.ordered_rack_quantity for place in places)
    return [f"{ordered:,}", f"{sum(place.received_rack_quantity for place in places):,}"]


def _power(places: list[HardwarePlace]) -> list[str]:
    return [
        kilowatts(sum(place.received_implied_kw for place in places)),
        kilowatts(sum(place.certified_kw for place in places)),
        kilowatts(sum(place.received_less_certified_kw for place in places)),
    ]
