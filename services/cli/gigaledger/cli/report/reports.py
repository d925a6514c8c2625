"""`gigaledger report`: the answers of the projections as tables for people."""

from __future__ import annotations

from gigaledger.cli.formats import (
    NOT_AVAILABLE,
    amount,
    day,
    enum_label,
    figure,
    gigawatts,
    instant,
    kilowatts,
    money,
    percent,
    printable,
    ratio,
)
from gigaledger.cli.output import add_row, hypothetical_banner, reflects, table
from gigaledger.cli.report.flow_reports import lot_tables
from gigaledger.cli.report.progress_reports import progress_tables, timeline_tables
from gigaledger.common.pairs import describe_pair
from gigaledger.v1.common_pb2 import CapacityLayer, GpuBasis, PowerBasis
from gigaledger.v1.projections_pb2 import (
    CapacityFigures,
    ExceptionFinding,
    ExceptionSeverity,
    InvestmentFigures,
    MoneyFigure,
    QueryCapacityResponse,
    QueryExceptionsResponse,
    QueryInvestmentResponse,
    QueryRoundTripResponse,
    ReadContext,
    RoundTripBalance,
    RoundTripBasis,
    RoundTripPair,
)
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from rich.console import Console, Group, RenderableType

_MAIN_BASES = (
    RoundTripBasis.ROUND_TRIP_BASIS_CASH,
    RoundTripBasis.ROUND_TRIP_BASIS_ACCRUAL,
    RoundTripBasis.ROUND_TRIP_BASIS_COMMITMENT,
)
_SHOWN_IF_ZERO = frozenset(
    {
        *("committed", "entitled", "called", "funded, net", "remaining commitment"),
        *("available to call", "ordered", "received", "invoiced", "paid"),
    }
)
"""Amounts whose zero is an answer. Rows of other amounts are left out if they are zero."""


def print_report(out: Console, context: ReadContext, *parts: RenderableType) -> None:
    """Print a report with the position it reflects, under a banner if it needs one."""
    if context.hypothetical:
        out.print(hypothetical_banner())
    for part in parts:
        out.print(part)
        out.print()
    out.print(reflects(context))


def capacity_tables(response: QueryCapacityResponse) -> list[RenderableType]:
    """Return capacity: a table for each layer and basis, then its parts, then the hardware."""
    if not response.figures and not response.hardware:
        return ["No capacity is recorded that this report would count."]
    parts: list[RenderableType] = [_capacity(item) for item in response.figures]
    if response.breakdown:
        places = table(
            "Capacity by agreement, site and platform, in GW",
            "agreement",
            "site",
            "platform",
            "layer, basis",
            "claimed",
            "certified",
            numbers_from=4,
        )
        for item in response.breakdown:
            cells = [item.agreement, item.site or "not stated", item.platform or "not stated"]
            cells.append(layer_and_basis(item.capacity_layer, item.power_basis))
            add_row(places, [*cells, gigawatts(item.claimed_kw), gigawatts(item.certified_kw)])
        parts.append(places)
    if response.hardware:
        racks = table("Hardware received", "SKU", "racks", "GPUs", "can carry, GW")
        for unit in response.hardware:
            basis = enum_label(GpuBasis.Name, unit.gpu_basis, "GPU_BASIS_")
            gpus = f"{unit.gpu_quantity:,} ({basis}s)" if unit.gpu_quantity else "unknown"
            carried = gigawatts(unit.implied_kw) if unit.rated else "not rated"
            add_row(racks, [unit.sku, f"{unit.rack_quantity:,}", gpus, carried])
        parts.append(racks)
    return parts + progress_tables(response)


def _capacity(item: CapacityFigures) -> RenderableType:
    made = table(
        f"Capacity: {layer_and_basis(item.capacity_layer, item.power_basis)}", "", "GW", "kW"
    )
    for label, power_kw in (
        ("contracted", item.contracted_kw),
        ("indicative (not binding)", item.indicative_kw),
        ("planned, latest schedule", item.planned_kw),
        ("planned, baseline", item.planned_baseline_kw),
        ("planned, in straight lines", item.planned_linear_kw),
        ("claimed", item.claimed_kw),
        ("claimed, not yet decided", item.claimed_pending_kw),
        ("certified, gross", item.certified_gross_kw),
        ("decertified", item.decertified_kw),
        ("retired", item.retired_kw),
        ("certified, net", item.certified_kw),
        ("net certified less planned", item.schedule_variance_kw),
        ("energised sites", item.energised_kw),
        ("racks received can carry", item.delivered_implied_kw),
        ("target", item.target_kw),
        ("achieved pace per quarter", item.achieved_pace_kw_per_quarter),
    ):
        add_row(made, [label, gigawatts(power_kw), kilowatts(power_kw)])
    if item.HasField("required_pace_kw_per_quarter"):
        pace = item.required_pace_kw_per_quarter
        add_row(made, ["required pace per quarter", gigawatts(pace), kilowatts(pace)])
    else:
        add_row(made, ["required pace per quarter", NOT_AVAILABLE, NOT_AVAILABLE])
    performance = (
        percent(item.schedule_performance_ppm)
        if item.HasField("schedule_performance_ppm")
        else NOT_AVAILABLE
    )
    due = day(item.target_date) or "without a date"
    lines = f"Certified of planned: {performance}. Target: {due}"
    return Group(made, printable(f"{lines}, {item.quarters_to_target} quarter ends away."))


def investment_tables(response: QueryInvestmentResponse) -> list[RenderableType]:
    """Return investment: a table for each agreement, their sums, then the tranches."""
    if not response.agreements:
        return ["No investment is recorded that this report would count."]
    parts: list[RenderableType] = [
        _investment(
            f"Investment: {item.agreement}, {item.investor} into {item.issuer}, in "
            f"{item.currency_code}",
            item,
        )
        for item in response.agreements
    ]
    if len(response.agreements) > 1:
        parts += [
            _investment(f"Investment: all agreements, in {item.currency_code}", item)
            for item in response.totals
        ]
    if response.tranches:
        ladder = table(
            "Tranches", "agreement", "no.", "amount", "entitled", "funded", "shares", "price"
        )
        for step in response.tranches:
            cells = [step.agreement, str(step.tranche), money(step.amount)]
            cells += ["yes" if step.entitled else "no", figure(step.funded)]
            add_row(ladder, [*cells, step.shares or "0", step.price_per_share or NOT_AVAILABLE])
        parts.append(ladder)
    return parts + timeline_tables(response)


def _investment(title: str, item: InvestmentFigures) -> RenderableType:
    made = table(title, "", "amount")
    for label, value in (
        ("committed", item.committed),
        ("of which contingent", item.contingent),
        ("indicative (not binding)", item.indicative),
        ("entitled", item.entitled),
        ("entitled pro rata, to compare", item.entitled_pro_rata),
        ("called", item.called),
        ("funded in cash, gross", item.funded_gross_cash),
        ("funded in kind, gross", item.funded_gross_non_cash),
        ("returned", item.returned),
        ("funded, net", item.funded),
        ("issued", item.issued),
        ("remaining commitment", item.remaining_commitment),
        ("available to call", item.available_to_call),
        ("entitled, not funded", item.unfunded_entitlement),
        ("funded beyond entitlement", item.overfunded),
        ("paid between holders", item.secondary),
    ):
        if label in _SHOWN_IF_ZERO or not _is_zero(value):
            add_row(made, [label, figure(value)])
    add_row(made, ["shares outstanding", item.shares_outstanding or "0"])
    add_row(made, ["average price of a share", item.average_price or NOT_AVAILABLE])
    return made


def round_trip_tables(
    response: QueryRoundTripResponse, *, with_lots: bool = False
) -> list[RenderableType]:
    """Return the round trip: for each pair its balances, what they are made of, and lots."""
    if not response.pairs:
        return ["No purchase or investment is recorded that this report would count."]
    parts: list[RenderableType] = []
    for pair in response.pairs:
        parts += [*_balances(pair), _purchases(pair)]
        if with_lots:
            parts += lot_tables(pair, _MAIN_BASES)
    if response.caveat:
        parts.append(printable(response.caveat))
    return parts


def _balances(pair: RoundTripPair) -> list[RenderableType]:
    title = f"Round trip: {describe_pair(pair)}"
    main = [item for basis in _MAIN_BASES for item in pair.balances if item.basis == basis]
    mixed = [item for item in pair.balances if item.basis not in _MAIN_BASES]
    tables = [_basis_table(title, main)]
    if mixed:
        tables.append(_basis_table("Mixed bases, for comparison only", mixed))
    return tables


def _basis_table(title: str, balances: list[RoundTripBalance]) -> RenderableType:
    names = [enum_label(RoundTripBasis.Name, item.basis, "ROUND_TRIP_BASIS_") for item in balances]
    made = table(title, "", *names)
    add_row(made, ["purchases", *(figure(item.purchases) for item in balances)])
    add_row(made, ["investment", *(figure(item.investment) for item in balances)])
    add_row(made, ["net balance", *(amount(item.net_balance) for item in balances)])
    add_row(made, ["recycled, at most", *(amount(item.recycled) for item in balances)])
    add_row(made, ["of the investment", *(ratio(item.ratio_investment) for item in balances)])
    add_row(made, ["of the purchases", *(ratio(item.ratio_purchases) for item in balances)])
    add_row(made, ["peak exposure", *(amount(item.peak_exposure) for item in balances)])
    return made


def _purchases(pair: RoundTripPair) -> RenderableType:
    made = table(f"From order to cash, in {pair.currency_code}", "", "amount")
    for label, value in (
        ("ordered", pair.ordered),
        ("received", pair.received),
        ("invoiced", pair.invoiced),
        ("recoverable tax on it", pair.recoverable_tax),
        ("paid", pair.paid),
        ("received, not invoiced", pair.received_not_invoiced),
        ("open payable", pair.open_payable),
        ("refund due", pair.refund_due),
        ("payments to no invoice", pair.unapplied_payments),
        ("invested in kind", pair.invested_non_cash),
    ):
        if label in _SHOWN_IF_ZERO or not _is_zero(value):
            add_row(made, [label, figure(value)])
    return made


def _is_zero(value: MoneyFigure) -> bool:
    """Return whether an amount is known to be zero."""
    known = value.HasField("amount") and not value.undisclosed_count
    return known and not (value.amount.units or value.amount.nanos)


def exception_tables(response: QueryExceptionsResponse) -> list[RenderableType]:
    """Return exceptions: a table for each rule, the gravest first, then their number and policy."""
    policy = f"By the thresholds of policy {response.policy}."
    if not response.exceptions:
        return [f"No exception is found that this report would count. {policy}"]
    by_rule: dict[str, list[ExceptionFinding]] = {}
    for item in response.exceptions:
        by_rule.setdefault(item.rule, []).append(item)
    groups = sorted(
        by_rule.values(),
        key=lambda group: (-max(item.severity for item in group), -_open_count(group)),
    )
    count = f"{response.total_count} exceptions, {response.open_count} open."
    return [*(_exceptions_of_rule(group) for group in groups), f"{count} {policy}"]


def _open_count(group: list[ExceptionFinding]) -> int:
    return sum(not item.HasField("cleared_date") for item in group)


def _exceptions_of_rule(group: list[ExceptionFinding]) -> RenderableType:
    worst = max(item.severity for item in group)
    severity = enum_label(ExceptionSeverity.Name, worst, "EXCEPTION_SEVERITY_")
    made = table(
        f"{group[0].rule}, {severity}: {len(group)}, {_open_count(group)} open",
        *("id", "about", "what", "arose", "cleared", "events"),
        numbers_from=6,
    )
    # An id is copied into the register of reviews: it stays on one line.
    made.keep_whole(0)
    for item in group:
        cells = [item.exception, item.subject, item.description]
        cells.append(_since(item.arose_date, item.arose_time))
        if item.HasField("cleared_date"):
            cells.append(_since(item.cleared_date, item.cleared_time))
        else:
            cells.append(f"open ({item.owner})" if item.owner else "open")
        add_row(made, [*cells, ", ".join(map(str, item.positions))])
    return made


def _since(date: Date, recorded: Timestamp) -> str:
    """Return a business date, with the day of recording if that differs."""
    shown, known = day(date), instant(recorded)[:10] if recorded.seconds else ""
    return f"{shown}, recorded {known}" if known not in ("", shown) else shown


def layer_and_basis(layer: int, basis: int) -> str:
    """Return a layer of the supply chain and a basis of power in words."""
    layer_name = enum_label(CapacityLayer.Name, layer, "CAPACITY_LAYER_")
    return f"{layer_name}, {enum_label(PowerBasis.Name, basis, 'POWER_BASIS_')}"
