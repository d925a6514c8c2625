"""The round trip: what was paid for goods and services against what was invested."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gigaledger.client import amount_of, date_of
from gigaledger.common.pairs import describe_pair
from gigaledger.v1.projections_pb2 import (
    QueryRoundTripResponse,
    RoundTripBalance,
    RoundTripBasis,
    RoundTripPair,
)
from gigaledger.web.charts import Line, magnitude, step_chart
from gigaledger.web.content import Cell, Chart, Link, Note, Section, Table, columns
from gigaledger.web.formats import grouped, label
from gigaledger.web.sections.cells import amount, reflects, share, texts, units
from gigaledger.web.view import View

_CASH = RoundTripBasis.ROUND_TRIP_BASIS_CASH
_PREFIX = "ROUND_TRIP_BASIS_"
_STAGES = (
    ("ordered", "ordered", True),
    ("received", "received", True),
    ("invoiced", "invoiced", True),
    ("recoverable tax on it", "recoverable_tax", False),
    ("paid", "paid", True),
    ("received, not invoiced", "received_not_invoiced", True),
    ("open payable", "open_payable", True),
    ("refund due", "refund_due", True),
    ("payments not applied", "unapplied_payments", False),
    ("invested in kind", "invested_non_cash", False),
)


def overview(
    view: View, answer: QueryRoundTripResponse, series: Sequence[QueryRoundTripResponse]
) -> Section:
    """Return the round trip for the overview."""
    section = Section("round-trip", "Round trip", wide=True)
    if not answer.pairs:
        section.parts.append(Note("Nobody both sold to a party and invested in it."))
    for pair in answer.pairs:
        section.parts += [Note(f"{describe_pair(pair)}. Chart: cash."), *_chart(pair, series)]
        section.parts.append(_bases(view, pair))
    section.parts += _ending(view, answer)
    section.parts.append(Link("Round trip in detail", view.link("round-trip")))
    return section


def page(
    view: View, answer: QueryRoundTripResponse, series: Sequence[QueryRoundTripResponse]
) -> list[Section]:
    """Return all of the round trip."""
    sections = []
    for number, pair in enumerate(answer.pairs, 1):
        section = Section(f"pair-{number}", describe_pair(pair), wide=True)
        section.parts += [*_chart(pair, series), _bases(view, pair), _stages(view, pair)]
        section.parts.append(_lags(view, pair))
        sections.append(section)
    if not sections:
        note = Note("Nobody both sold to a party and invested in it.")
        sections.append(Section("round-trip", "Round trip", [note]))
    sections.append(Section("source", "Source", _ending(view, answer)))
    return sections


def _ending(view: View, answer: QueryRoundTripResponse) -> list[Chart | Table | Note | Link]:
    command = "round-trip" + (" --level entity" if view.level == "ENTITY" else "")
    caveat = [Note(answer.caveat)] if answer.caveat and answer.pairs else []
    return [*caveat, *reflects(answer.context, command, view)]


def _key(pair: RoundTripPair) -> tuple[str, str, str]:
    return pair.supplier_investor, pair.customer_investee, pair.currency_code


def _about(pair: RoundTripPair) -> dict[str, str]:
    return {
        "supplier_investor": pair.supplier_investor,
        "customer_investee": pair.customer_investee,
        "currency_code": pair.currency_code,
    }


def _cash(pair: RoundTripPair) -> RoundTripBalance:
    return next((item for item in pair.balances if item.basis == _CASH), RoundTripBalance())


def _chart(
    pair: RoundTripPair, series: Sequence[QueryRoundTripResponse]
) -> list[Chart | Table | Note | Link]:
    found = []
    for answer in series:
        same = next((item for item in answer.pairs if _key(item) == _key(pair)), RoundTripPair())
        found.append((date_of(answer.context.as_of), _cash(same)))
    if not found:
        return []
    every = [
        amount_of(value)
        for _, item in found
        for value in (item.purchases.amount, item.investment.amount, item.net_balance)
    ]
    divisor, scale = magnitude(every)
    unit = f"{pair.currency_code} {scale}".strip()
    lines = [
        Line("paid", [(on, units(item.purchases, divisor)) for on, item in found]),
        Line("invested", [(on, units(item.investment, divisor)) for on, item in found]),
        Line("net balance", [(on, units(item.net_balance, divisor)) for on, item in found]),
    ]
    rows = [
        [Cell(on.isoformat()), *(Cell(grouped(line.points[number][1])) for line in lines)]
        for number, (on, _) in enumerate(found)
    ]
    names = [line.name for line in lines]
    return [
        Chart(
            step_chart(
                f"Round trip in {unit}: {describe_pair(pair)}",
                "Paid less refunded, invested in cash, and the difference.",
                lines,
            )
        ),
        Table(f"Chart as a table: {unit}, cash", columns("as of", *names), rows, folded=True),
    ]


def _bases(view: View, pair: RoundTripPair) -> Table:
    rows = []
    for balance in sorted(pair.balances, key=lambda item: item.basis != _CASH):
        basis = RoundTripBasis.Name(balance.basis).removeprefix(_PREFIX).lower()
        figure = f"round-trip.{basis}"
        about = _about(pair)
        rows.append(
            [
                Cell(label(RoundTripBasis.Name, balance.basis, _PREFIX)),
                amount(view, f"{figure}.purchases", balance.purchases, about),
                amount(view, f"{figure}.investment", balance.investment, about),
                amount(view, f"{figure}.net_balance", balance.net_balance, about),
                amount(view, f"{figure}.recycled", balance.recycled, about),
                share(f"{figure}.ratio_investment.ppm", balance.ratio_investment),
                share(f"{figure}.ratio_purchases.ppm", balance.ratio_purchases),
            ]
        )
    names = (
        "basis",
        "paid for purchases",
        "invested",
        "net balance",
        "recycled at most",
        "of invested",
        "of paid",
    )
    return Table("Bases: which stage is set against which", columns(*names), rows)


def _stages(view: View, pair: RoundTripPair) -> Table:
    rows = [
        [
            Cell(name),
            amount(
                view, f"round-trip.{field}", getattr(pair, field), _about(pair) if listed else None
            ),
        ]
        for name, field, listed in _STAGES
    ]
    return Table("Purchases by stage", columns("figure", "amount"), rows)


def _lags(view: View, pair: RoundTripPair) -> Table:
    cash = _cash(pair)
    rows = []
    for name, matching in (
        ("invested, then paid", cash.invest_then_buy),
        ("paid, then invested", cash.buy_then_invest),
    ):
        lag = Decimal(matching.weighted_lag_days or 0)
        longest = f"{matching.longest_lag_days:,}" if matching.HasField("longest_lag_days") else ""
        rows.append(
            [
                Cell(name),
                amount(view, "round-trip.cash.matched", matching.matched, None),
                *texts(grouped(lag) if matching.weighted_lag_days else "", longest),
            ]
        )
    names = ("order", "matched", "days, weighted", "days, longest")
    return Table("How long money took to come back, cash", columns(*names), rows)
