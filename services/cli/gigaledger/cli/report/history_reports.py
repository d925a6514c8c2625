"""Figures over time as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from gigaledger.cli.formats import (
    NOT_AVAILABLE,
    billions,
    day,
    enum_label,
    figure,
    gigawatts,
    instant,
    percent,
    ratio,
)
from gigaledger.cli.output import add_row, table
from gigaledger.cli.report.reports import layer_and_basis
from gigaledger.client.records import Row, record_columns, records
from gigaledger.v1.projections_pb2 import (
    CapacityFigures,
    CircularFlows,
    EventChanges,
    FigureChange,
    FigureSubject,
    InvestmentFigures,
    ListContributionsResponse,
    QueryChangesResponse,
    QueryRollForwardResponse,
    QuerySeriesResponse,
    RoundTripBasis,
    RoundTripPair,
    TotalChanges,
)
from rich.console import RenderableType

_Lines = dict[str, list[list[str]]]
"""Rows of cells by the title of their table."""

_CAPACITY = ("planned", "claimed", "certified", "of planned", "hardware can carry")
_INVESTMENT = ("committed", "entitled", "called", "funded", "issued", "remaining")
_ROUND_TRIP = ("purchases", "investment", "net balance", "recycled, at most", "of the investment")
_FLOWS = ("all flows", "circulating, at most", "between two", "outside", "circularity index")


CHANGE_COLUMNS = {
    "event": record_columns(EventChanges())["changes"],
    "total": record_columns(TotalChanges())["changes"],
}
"""Columns of what each event did to figures, and of what all did together."""


def series_tables(answers: Sequence[QuerySeriesResponse]) -> list[RenderableType]:
    """Return the main figures of a series: a table for each thing, a line for each day."""
    found: _Lines = {}
    columns: tuple[str, ...] = ()
    for answer in answers:
        match answer.WhichOneof("answer"):
            case "capacity":
                columns = _CAPACITY
                date = day(answer.capacity.context.as_of)
                for layer in answer.capacity.figures:
                    basis = layer_and_basis(layer.capacity_layer, layer.power_basis)
                    title = f"Capacity: {basis}, in GW"
                    found.setdefault(title, []).append([date, *_capacity_cells(layer)])
            case "investment":
                columns = _INVESTMENT
                date = day(answer.investment.context.as_of)
                for total in answer.investment.totals:
                    title = f"Investment: all agreements, in {total.currency_code} billions"
                    found.setdefault(title, []).append([date, *_investment_cells(total)])
            case "round_trip":
                columns = _ROUND_TRIP
                date = day(answer.round_trip.context.as_of)
                for pair in answer.round_trip.pairs:
                    title = (
                        f"Round trip, cash: {pair.supplier_investor} and "
                        f"{pair.customer_investee}, in {pair.currency_code} billions"
                    )
                    found.setdefault(title, []).append([date, *_pair_cells(pair)])
            case _:
                columns = _FLOWS
                date = day(answer.circular_flows.context.as_of)
                for flows in answer.circular_flows.flows:
                    basis = enum_label(RoundTripBasis.Name, flows.basis, "ROUND_TRIP_BASIS_")
                    title = (
                        f"Circular flows: {basis}, bilateral first, in "
                        f"{flows.currency_code} billions"
                    )
                    found.setdefault(title, []).append([date, *_flow_cells(flows)])
    return list(_tables(found, ("as of", *columns))) or ["Nothing is recorded that would count."]


def _tables(found: _Lines, columns: Iterable[str]) -> Iterable[RenderableType]:
    for title, lines in found.items():
        made = table(title, *columns, numbers_from=0)
        for cells in lines:
            add_row(made, cells)
        yield made


def _capacity_cells(item: CapacityFigures) -> list[str]:
    performance = (
        percent(item.schedule_performance_ppm)
        if item.HasField("schedule_performance_ppm")
        else NOT_AVAILABLE
    )
    return [
        gigawatts(item.planned_kw),
        gigawatts(item.claimed_kw),
        gigawatts(item.certified_kw),
        performance,
        gigawatts(item.delivered_implied_kw),
    ]


def _investment_cells(item: InvestmentFigures) -> list[str]:
    return [
        figure(value, in_billions=True)
        for value in (
            item.committed,
            item.entitled,
            item.called,
            item.funded,
            item.issued,
            item.remaining_commitment,
        )
    ]


def _pair_cells(pair: RoundTripPair) -> list[str]:
    (cash,) = [item for item in pair.balances if item.basis == RoundTripBasis.ROUND_TRIP_BASIS_CASH]
    return [
        figure(cash.purchases, in_billions=True),
        figure(cash.investment, in_billions=True),
        billions(cash.net_balance),
        billions(cash.recycled),
        ratio(cash.ratio_investment),
    ]


def _flow_cells(flows: CircularFlows) -> list[str]:
    found = flows.bilateral_first
    return [
        figure(flows.gross, in_billions=True),
        billions(found.circulating),
        billions(found.bilateral),
        billions(found.outside),
        ratio(found.circularity),
    ]


def change_table(event: EventChanges) -> RenderableType:
    """Return what an event did to figures."""
    if event.position:
        what = event.fact_type.replace("_", " ")
        title = (
            f"Position {event.position:,}: {what}, effective {day(event.effective_date)}, "
            f"recorded {instant(event.recorded_time)}"
        )
    else:
        title = f"Time alone, looked at on {day(event.effective_date)}"
    return _changes(title, event.changes)


def total_of_changes(total: TotalChanges, *, moved: bool) -> RenderableType:
    """Return how figures differ in the end.

    Args:
        total: the differences.
        moved: whether any event moved a figure.
    """
    before = total.before.position
    if total.changes:
        return _changes(f"All together since position {before:,}", total.changes)
    if moved:
        return f"All together, no figure is other than at position {before:,}."
    return f"No figure has moved since position {before:,}."


def change_records(part: QueryChangesResponse) -> dict[str, list[Row]]:
    """Return the rows of a part of an answer, as tables named like it."""
    name = str(part.WhichOneof("part"))
    return {name: records(getattr(part, name))["changes"]}


def _changes(title: str, changes: Iterable[FigureChange]) -> RenderableType:
    made = table(title, "figure", "about", "before", "after", "difference", numbers_from=2)
    changes = list(changes)
    # The sum over agreements is of interest only if more than one of them moved.
    agreements = {
        change.about[0].value
        for change in changes
        if change.figure.startswith("investment.") and change.about[0].field == "agreement"
    }
    for change in changes:
        if len(agreements) == 1 and change.figure.startswith("investment.total."):
            continue
        cells = [_number(text, change.unit) for text in (change.before, change.after)]
        moved = _number(change.difference, change.unit, signed=True)
        add_row(made, [change.figure, _about(change.about), *cells, moved])
    return made


def contribution_tables(answer: ListContributionsResponse) -> list[RenderableType]:
    """Return the events behind a figure, and their sums."""
    if not answer.contributions:
        return ["Nothing is recorded that goes into it."]
    made = table(
        "Events",
        *("position", "effective", "recorded", "figure", "about", "document", "adds"),
        numbers_from=6,
    )
    for item in answer.contributions:
        cells = [f"{item.position:,}", day(item.effective_date), instant(item.recorded_time)[:10]]
        cells += [item.figure, _about(item.about), item.document]
        added = _number(item.amount, item.unit, signed=True) if item.amount else "not disclosed"
        add_row(made, [*cells, added])
    sums = table("Sums", "figure", "about", "sum", "not disclosed", numbers_from=2)
    for total in answer.totals:
        cells = [total.figure, _about(total.about), _number(total.amount, total.unit)]
        add_row(sums, [*cells, str(total.undisclosed_count or "")])
    return [made, sums]


def roll_forward_tables(answer: QueryRollForwardResponse) -> list[RenderableType]:
    """Return how figures went on, period by period."""
    if not answer.figures:
        return ["Nothing is recorded that goes into it."]
    shown: list[RenderableType] = []
    for item in answer.figures:
        title = f"{item.figure}: {_about(item.about)}, in {item.unit}"
        made = table(
            title, "from", "to", "opening", "additions", "reductions", "closing", numbers_from=2
        )
        for period in item.periods:
            numbers = (period.opening, period.additions, period.reductions, period.closing)
            cells = [_number(text) for text in numbers]
            if period.undisclosed_count:
                cells[-1] = f"≥ {cells[-1]}"
            add_row(made, [day(period.from_date), day(period.to_date), *cells])
        shown.append(made)
    return shown


def _about(about: Iterable[FigureSubject]) -> str:
    return ", ".join(subject.value for subject in about if subject.value)


def _number(text: str, unit: str = "", *, signed: bool = False) -> str:
    """Return a decimal number with separators and its unit; other texts as they are."""
    if not text:
        return ""
    if not text.lstrip("-").replace(".", "", 1).isdecimal():
        return text
    shown = format(Decimal(text), "+,f" if signed else ",f")
    return f"{shown} {unit}".rstrip()
