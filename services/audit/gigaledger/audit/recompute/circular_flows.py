"""Circular flows, recomputed (domain rules, section 2.5): circulation and outside flows."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from gigaledger.audit.recompute.circulation import (
    Edge,
    Payment,
    largest_circulation,
    returned_in_time,
)
from gigaledger.audit.recompute.fifo import net_by_day
from gigaledger.audit.recompute.figure_sheet import FigureSheet, split
from gigaledger.audit.recompute.financing import Financed, financing
from gigaledger.audit.recompute.history import View
from gigaledger.audit.recompute.purchases import Purchase, purchases
from gigaledger.audit.recompute.round_trip import (
    BASES,
    capital_movements,
    commitment_movements,
    groups_of,
)
from gigaledger.common.quantities import ratio_ppm

PURCHASE, INVESTMENT = "PURCHASE", "INVESTMENT"
_KINDS = ("DEBT", INVESTMENT, "LEASE", PURCHASE)
"""Kinds of flows, by name."""

About = dict[str, str]
"""The attributes that identify a figure."""


class _Flow(NamedTuple):
    payer: str
    payee: str
    kind: str


_ByDay = dict[_Flow, dict[dt.date, int]]
"""Net payments of each day; negative if more went back."""


def circular_flows(view: View, *, by_entity: bool) -> FigureSheet:
    """Return all figures of circular flows, of groups or of legal entities."""
    groups = {} if by_entity else groups_of(view)
    section = "circular-flows.entity" if by_entity else "circular-flows"
    moved: dict[tuple[str, str], list[Purchase]] = defaultdict(list)
    for movement in (*purchases(view), *commitment_movements(view), *capital_movements(view)):
        supplier = groups.get(movement.supplier, movement.supplier)
        customer = groups.get(movement.customer, movement.customer)
        if supplier != customer and movement.currency:
            own = movement._replace(supplier=supplier, customer=customer)
            moved[movement.measure, movement.currency].append(own)
    financed: dict[str, list[Financed]] = defaultdict(list)
    for one in financing(view):
        payer, payee = groups.get(one.payer, one.payer), groups.get(one.payee, one.payee)
        if payer != payee:
            financed[one.currency].append(one._replace(payer=payer, payee=payee))
    sheet = FigureSheet()
    for basis, (bought, invested) in BASES.items():
        currencies = {currency for measure, currency in moved if measure in (bought, invested)}
        if basis == "cash":
            currencies |= financed.keys()
        for currency in currencies:
            by_day: _ByDay = defaultdict(lambda: defaultdict(int))
            undisclosed = 0
            for movement in moved.get((bought, currency), ()):
                flow = _Flow(movement.customer, movement.supplier, PURCHASE)
                undisclosed += _add(by_day[flow], movement)
            for movement in moved.get((invested, currency), ()):
                flow = _Flow(movement.supplier, movement.customer, INVESTMENT)
                undisclosed += _add(by_day[flow], movement)
            for one in financed[currency] if basis == "cash" else ():
                by_day[_Flow(one.payer, one.payee, one.kind)][one.day] += one.minor or 0
                undisclosed += one.minor is None
            about = {"basis": basis.upper(), "currency_code": currency}
            _add_figures(sheet, section, about, by_day)
            sheet.add_figures(section, about, "", **{"gross.undisclosed_count": undisclosed})
    return sheet


def _add(by_day: dict[dt.date, int], movement: Purchase) -> int:
    """Add movements; return the number of facts with undisclosed amounts."""
    if movement.day is None:
        raise ValueError(f"{movement.measure}: what stands open has no day, and does not flow")
    by_day[movement.day] += int(movement.amount.value)
    return movement.amount.undisclosed


def _add_figures(sheet: FigureSheet, section: str, about: About, by_day: _ByDay) -> None:
    """Add the figures of one basis and currency."""
    flows = _net_of_returns(by_day)
    edges: dict[Edge, int] = defaultdict(int)
    for flow, minor in flows.items():
        edges[flow.payer, flow.payee] += minor
    gross = sum(edges.values())
    currency = about["currency_code"]
    sheet.add_figures(section, about, currency, gross=gross)
    _add_positions(sheet, section, about, edges, by_day)
    pairs = _pairs(edges)
    longer = largest_circulation({edge: minor - pairs[edge] for edge, minor in edges.items()})
    _add_decomposition(sheet, (f"{section}.bilateral_first", about), flows, pairs, longer)
    maximum = largest_circulation(edges)
    pairs = _pairs(maximum)
    longer = {edge: minor - pairs[edge] for edge, minor in maximum.items()}
    _add_decomposition(sheet, (f"{section}.pure_maximum", about), flows, pairs, longer)


def _net_of_returns(by_day: _ByDay) -> dict[_Flow, int]:
    """Return the flows by kind, each in its positive direction."""
    flows: dict[_Flow, int] = defaultdict(int)
    for flow, days in by_day.items():
        minor = sum(days.values())
        if minor < 0:
            flows[_Flow(flow.payee, flow.payer, flow.kind)] -= minor
        elif minor:
            flows[flow] += minor
    return flows


def _pairs(edges: Mapping[Edge, int]) -> dict[Edge, int]:
    """Return how much of each edge the payee pays back to the payer at once."""
    return {edge: min(minor, edges.get((edge[1], edge[0]), 0)) for edge, minor in edges.items()}


def _add_positions(
    sheet: FigureSheet, section: str, about: About, edges: Mapping[Edge, int], by_day: _ByDay
) -> None:
    currency = about["currency_code"]
    kept = [
        (flow.kind, Payment(flow.payer, flow.payee, day, minor))
        for flow, days in by_day.items()
        for day, minor in net_by_day(days)
    ]
    for party in {party for edge in edges for party in edge}:
        inflow = sum(minor for (_, payee), minor in edges.items() if payee == party)
        outflow = sum(minor for (payer, _), minor in edges.items() if payer == party)
        # Other payments of the party start no way back, and pass nothing on.
        started = [one for kind, one in kept if one.payer == party and kind == INVESTMENT]
        others = [one for _, one in kept if one.payer != party]
        sheet.add_figures(
            f"{section}.position",
            about | {"party": party},
            currency,
            inflow=inflow,
            outflow=outflow,
            net=inflow - outflow,
            returned_in_time=returned_in_time(others, started, party),
        )


def _add_decomposition(
    sheet: FigureSheet,
    where: tuple[str, About],
    flows: Mapping[_Flow, int],
    pairs: Mapping[Edge, int],
    longer: Mapping[Edge, int],
) -> None:
    """Add the circulation: in total, on each edge by its cycles, and of each flow."""
    section, about = where
    currency = about["currency_code"]
    gross = sum(flows.values())
    bilateral = sum(pairs.values())
    circulating = bilateral + sum(longer.values())
    sheet.add_figures(
        section,
        about,
        currency,
        circulating=circulating,
        bilateral=bilateral,
        outside=gross - circulating,
    )
    _add_share(sheet, where, "circularity", circulating, gross)
    # Which cycles carry it is not unique; how much they carry on each edge is.
    sheet.add_figures(section, about, malformed_cycles=0)
    for (payer, payee), minor in pairs.items():
        for name, on_cycles in (("on_pairs", minor), ("on_longer", longer[payer, payee])):
            if on_cycles:
                edge = about | {"payer": payer, "payee": payee}
                sheet.add_figures(f"{section}.cycles", edge, currency, **{name: on_cycles})
    for payer, payee in pairs:
        kinds = [kind for kind in _KINDS if (payer, payee, kind) in flows]
        amounts = [flows[_Flow(payer, payee, kind)] for kind in kinds]
        pair, rest = pairs[payer, payee], longer[payer, payee]
        cyclic = split(pair + rest, amounts)
        parts = zip(kinds, amounts, cyclic, split(pair, cyclic), strict=True)
        for kind, amount, on_cycles, on_pairs in parts:
            one = about | {"payer": payer, "payee": payee, "kind": kind}
            sheet.add_figures(
                f"{section}.share",
                one,
                currency,
                amount=amount,
                bilateral=on_pairs,
                longer=on_cycles - on_pairs,
                outside=amount - on_cycles,
            )
            _add_share(sheet, (f"{section}.share", one), "ratio", on_cycles, amount)


def _add_share(
    sheet: FigureSheet, where: tuple[str, About], name: str, part: int, whole: int
) -> None:
    section, about = where
    sheet.add_figures(section, about, "ppm", **{f"{name}.ppm": ratio_ppm(part, whole)})
    terms = {f"{name}.numerator": part, f"{name}.denominator": whole}
    sheet.add_figures(section, about, about["currency_code"], **terms)
