"""`gigaledger report circular-flows`, and the lots of the round trip, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable

from gigaledger.cli.formats import (
    NOT_AVAILABLE,
    amount,
    day,
    enum_label,
    figure,
    printable,
    ratio,
)
from gigaledger.cli.output import add_row, table
from gigaledger.v1.projections_pb2 import (
    CircularFlows,
    FlowDecomposition,
    FlowKind,
    QueryCircularFlowsResponse,
    RoundTripBalance,
    RoundTripBasis,
    RoundTripMatching,
    RoundTripPair,
    VehicleCapital,
)
from rich.console import RenderableType


def circular_flow_tables(response: QueryCircularFlowsResponse) -> list[RenderableType]:
    """Return for each basis and currency what circulates, its cycles, edges and parties."""
    if not response.flows:
        return ["No purchase or investment is recorded that this report would count."]
    parts: list[RenderableType] = []
    for flows in response.flows:
        parts += _graph(flows)
    parts += [_vehicle(item) for item in response.vehicles]
    return [*parts, printable(response.caveat)]


def _graph(flows: CircularFlows) -> list[RenderableType]:
    basis = _basis(flows.basis)
    both = (flows.bilateral_first, flows.pure_maximum)
    title = f"Circular flows: {basis}; {flows.currency_code}"
    made = table(title, "", "bilateral first", "pure maximum")
    add_row(made, ["all flows", figure(flows.gross), figure(flows.gross)])
    add_row(made, ["circulating, at most", *(amount(item.circulating) for item in both)])
    add_row(made, ["of which between two", *(amount(item.bilateral) for item in both)])
    add_row(made, ["outside flow", *(amount(item.outside) for item in both)])
    add_row(made, ["circularity index", *(ratio(item.circularity) for item in both)])
    parties = table(
        "Parties", "", "received", "paid", "net", "investment that came back in time, at most"
    )
    for item in flows.positions:
        figures = (item.inflow, item.outflow, item.net, item.returned_in_time)
        add_row(parties, [item.party, *(amount(value) for value in figures)])
    first = _parts("Bilateral first", flows.bilateral_first)
    if flows.bilateral_first == flows.pure_maximum:
        return [made, *first, "Pure maximum: the same cycles and edges.", parties]
    return [made, *first, *_parts("Pure maximum", flows.pure_maximum), parties]


def _vehicle(item: VehicleCapital) -> RenderableType:
    title = f"Capital of {item.vehicle} said to be spent on {item.payee}; {item.currency_code}"
    made = table(title, "", "in all", f"from {item.payee} itself", "share")
    capital, equity = item.own_of_capital, item.own_of_equity
    add_row(made, ["equity", figure(item.equity), figure(item.own_equity), ratio(equity)])
    add_row(made, ["debt drawn", figure(item.debt), figure(item.own_debt), ""])
    add_row(
        made,
        ["together", amount(capital.denominator), amount(capital.numerator), ratio(capital)],
    )
    return made


def _parts(title: str, found: FlowDecomposition) -> Iterable[RenderableType]:
    if found.cycles:
        cycles = table(f"{title}: cycles", "cycle", "amount")
        for cycle in found.cycles:
            around = " → ".join((*cycle.parties, cycle.parties[0]))
            add_row(cycles, [around, amount(cycle.amount)])
        yield cycles
    shares = table(
        f"{title}: edges",
        "edge",
        "for",
        "amount",
        "between two",
        "longer cycles",
        "outside",
        "on cycles",
        numbers_from=2,
    )
    for share in found.shares:
        cells = [
            f"{share.payer} → {share.payee}",
            enum_label(FlowKind.Name, share.kind, "FLOW_KIND_"),
        ]
        figures = (share.amount, share.bilateral, share.longer, share.outside)
        add_row(shares, [*cells, *(amount(value) for value in figures), ratio(share.ratio)])
    yield shares


def lot_tables(pair: RoundTripPair, bases: Iterable[int]) -> list[RenderableType]:
    """Return how long dollars took between a pair, in both directions, and the lots."""
    balances = [item for basis in bases for item in pair.balances if item.basis == basis]
    parts: list[RenderableType] = []
    for balance in balances:
        parts += _matchings(balance)
    return parts


def _matchings(balance: RoundTripBalance) -> Iterable[RenderableType]:
    both = (balance.invest_then_buy, balance.buy_then_invest)
    basis = _basis(balance.basis)
    made = table(f"Oldest first: {basis}", "", "invest, then buy", "buy, then invest")
    add_row(made, ["matched", *(amount(item.matched) for item in both)])
    add_row(made, ["investment unmatched", *(amount(item.unmatched_investment) for item in both)])
    add_row(made, ["purchases unmatched", *(amount(item.unmatched_purchases) for item in both)])
    lags = (item.weighted_lag_days or NOT_AVAILABLE for item in both)
    add_row(made, ["dollar-weighted lag, days", *lags])
    add_row(made, ["longest lag, days", *(_longest(item) for item in both)])
    yield made
    for name, item in zip(("invest, then buy", "buy, then invest"), both, strict=True):
        if item.lots:
            lots = table(f"Lots: {basis}; {name}", "first", "then", "days", "amount")
            for lot in item.lots:
                cells = [day(lot.first_date), day(lot.second_date), f"{lot.lag_days:,}"]
                add_row(lots, [*cells, amount(lot.amount)])
            yield lots


def _longest(item: RoundTripMatching) -> str:
    if item.HasField("longest_lag_days"):
        return f"{item.longest_lag_days:,}"
    return NOT_AVAILABLE


def _basis(basis: RoundTripBasis.ValueType) -> str:
    return enum_label(RoundTripBasis.Name, basis, "ROUND_TRIP_BASIS_")
