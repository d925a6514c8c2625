"""Circular flows: what runs in circles between the parties, and what is left."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gigaledger.client import amount_of
from gigaledger.v1.projections_pb2 import (
    CircularFlows,
    FlowDecomposition,
    FlowKind,
    QueryCircularFlowsResponse,
    RoundTripBasis,
)
from gigaledger.web.charts import Flow, magnitude, network, sankey
from gigaledger.web.content import Cell, Chart, Link, Note, Section, Table, columns
from gigaledger.web.formats import label, money, sentence
from gigaledger.web.sections.cells import amount, reflects, share, texts
from gigaledger.web.view import View

_CASH = RoundTripBasis.ROUND_TRIP_BASIS_CASH
_PREFIX = "ROUND_TRIP_BASIS_"
_MAX_FLOWS = 40
"""Flows that a drawing shows: the largest."""


def overview(view: View, answer: QueryCircularFlowsResponse) -> Section:
    """Return circular flows in cash for the overview."""
    section = Section("circular-flows", "Circular flows", wide=True)
    shown = [item for item in answer.flows if item.basis == _CASH]
    if not shown:
        section.parts.append(Note("No payment between parties is recorded that would count."))
    for item in shown:
        section.parts += _drawings(item, network_too=False)
        section.parts.append(_index(view, item, beside=True))
    section.parts += _ending(view, answer)
    section.parts.append(Link("Circular flows in detail", view.link("circular-flows")))
    return section


def page(view: View, answer: QueryCircularFlowsResponse) -> list[Section]:
    """Return all of circular flows."""
    sections = []
    for number, item in enumerate(sorted(answer.flows, key=lambda f: f.basis != _CASH), 1):
        title = f"{label(RoundTripBasis.Name, item.basis, _PREFIX)}, {item.currency_code}"
        section = Section(f"flows-{number}", sentence(title), wide=True)
        section.parts += [*_drawings(item, network_too=True), _index(view, item)]
        section.parts += [_cycles(item), _shares(item), _positions(item)]
        sections.append(section)
    if not sections:
        note = Note("No payment between parties is recorded that would count.")
        sections.append(Section("circular-flows", "Circular flows", [note]))
    if answer.vehicles:
        sections.append(Section("vehicles", "Vehicles", [_vehicles(view, answer)], wide=True))
    sections.append(Section("source", "Source", _ending(view, answer)))
    return sections


def _ending(view: View, answer: QueryCircularFlowsResponse) -> list[Chart | Table | Note | Link]:
    command = "circular-flows" + (" --level entity" if view.level == "ENTITY" else "")
    caveat = [Note(answer.caveat)] if answer.caveat and answer.flows else []
    return [*caveat, *reflects(answer.context, command, view)]


def flows_of(decomposition: FlowDecomposition) -> list[Flow]:
    """Return what each party pays each other, of all kinds, the largest first."""
    sums: dict[tuple[str, str], list[Decimal]] = {}
    for item in decomposition.shares:
        pair = sums.setdefault((item.payer, item.payee), [Decimal(0), Decimal(0)])
        paid = amount_of(item.amount)
        pair[0] += paid
        pair[1] += paid - amount_of(item.outside)
    flows = [Flow(*pair, paid, round_) for pair, (paid, round_) in sums.items()]
    return sorted(flows, key=lambda flow: (-flow.amount, flow.payer, flow.payee))


def _drawings(item: CircularFlows, *, network_too: bool) -> list[Chart | Table | Note | Link]:
    flows = flows_of(item.bilateral_first)[:_MAX_FLOWS]
    if not flows:
        return []
    divisor, scale = magnitude(flow.amount for flow in flows)
    unit = f"{item.currency_code} {scale}".strip()
    left_out = len({(s.payer, s.payee) for s in item.bilateral_first.shares}) - len(flows)
    parts: list[Chart | Table | Note | Link] = [Note(unit)]
    if left_out:
        parts.append(Note(f"The {_MAX_FLOWS} largest flows are drawn; {left_out} are not."))
    listed = "; ".join(
        f"{flow.payer} pays {flow.payee} {flow.amount / divisor:,f}" for flow in flows[:10]
    )
    parts.append(Chart(sankey(f"Who pays whom, {unit}", f"{listed}.", flows)))
    if network_too:
        parts.append(
            Chart(network(f"Network of the parties, {unit}", "An arrow for each flow.", flows))
        )
    return parts


def _index(view: View, item: CircularFlows, *, beside: bool = False) -> Table:
    rows = []
    for name, getter in (
        ("circulating", "circulating"),
        ("of it between two parties", "bilateral"),
        ("does not come back", "outside"),
    ):
        rows.append(
            [
                Cell(name),
                *(
                    amount(view, f"circular-flows.{how}.{getter}", getattr(part, getter), None)
                    for how, part in _ways(item)
                ),
            ]
        )
    rows.append(
        [
            Cell("circulating of all"),
            *(share(f"circular-flows.{how}.circularity", p.circularity) for how, p in _ways(item)),
        ]
    )
    rows.append([Cell("all flows"), *(amount(view, "circular-flows.gross", item.gross, None),) * 2])
    return Table(
        f"Circular flows, {item.currency_code}",
        columns("figure", "pairs first", "largest circulation"),
        rows,
        beside=beside,
    )


def _ways(item: CircularFlows) -> Iterable[tuple[str, FlowDecomposition]]:
    return ("bilateral_first", item.bilateral_first), ("pure_maximum", item.pure_maximum)


def _cycles(item: CircularFlows) -> Table:
    rows = [
        [
            Cell(" → ".join((*cycle.parties, cycle.parties[0]))),
            Cell(name),
            Cell(money(cycle.amount)),
        ]
        for name, part in (
            ("pairs first", item.bilateral_first),
            ("largest circulation", item.pure_maximum),
        )
        for cycle in part.cycles
    ]
    return Table("Cycles", columns("parties", "read as", "each pays", numbers_from=2), rows)


def _shares(item: CircularFlows) -> Table:
    rows = [
        [
            *texts(
                f"{flow.payer} pays {flow.payee}", label(FlowKind.Name, flow.kind, "FLOW_KIND_")
            ),
            *texts(*(money(m) for m in (flow.amount, flow.bilateral, flow.longer, flow.outside))),
            share("circular-flows.shares.ratio", flow.ratio),
        ]
        for flow in item.bilateral_first.shares
    ]
    names = (
        "flow",
        "for",
        "amount",
        "on cycles of two",
        "on longer cycles",
        "does not come back",
        "on cycles",
    )
    return Table("Flows, pairs first", columns(*names, numbers_from=2), rows)


def _positions(item: CircularFlows) -> Table:
    rows = [
        texts(place.party, *(money(m) for m in (place.inflow, place.outflow, place.net)))
        for place in item.positions
    ]
    return Table("Parties", columns("party", "received", "paid", "net"), rows)


def _vehicles(view: View, answer: QueryCircularFlowsResponse) -> Table:
    rows = [
        [
            *texts(item.vehicle, item.payee),
            amount(view, "vehicles.equity", item.equity, None),
            amount(view, "vehicles.debt", item.debt, None),
            amount(view, "vehicles.own_equity", item.own_equity, None),
            amount(view, "vehicles.own_debt", item.own_debt, None),
            share("vehicles.own_of_capital", item.own_of_capital),
        ]
        for item in answer.vehicles
    ]
    names = (
        "vehicle",
        "to be paid",
        "equity",
        "debt",
        "equity of the payee",
        "debt of the payee",
        "of the payee itself",
    )
    return Table("Capital of vehicles and whom it pays", columns(*names, numbers_from=2), rows)
