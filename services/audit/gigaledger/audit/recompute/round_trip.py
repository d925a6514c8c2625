"""The round trip, recomputed (domain rules, section 2.3): purchases against investment, by pair."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from gigaledger.audit.recompute.fifo import FifoMatch, fifo_match
from gigaledger.audit.recompute.figure_sheet import FigureSheet, TracedSum
from gigaledger.audit.recompute.history import View, by_time
from gigaledger.audit.recompute.purchases import Purchase, purchases
from gigaledger.audit.recompute.terms import Agreements, AgreementStatus, Terms
from gigaledger.common.quantities import money_from_message
from gigaledger.v1.equity_facts_pb2 import ContributionForm

BASES = {
    "commitment": ("ordered", "committed"),
    "accrual": ("invoiced", "called"),
    "cash": ("paid", "funded_cash"),
    "ordered_against_funded": ("ordered", "funded_cash"),
    "invoiced_against_funded": ("invoiced", "funded_cash"),
}
"""The two sides of each basis: purchases and investment."""
_SHOWN = (
    "ordered",
    "received",
    "invoiced",
    "recoverable_tax",
    "paid",
    "received_not_invoiced",
    "open_payable",
    "refund_due",
    "unapplied_payments",
)

Of = tuple[str, dict[str, str]]
"""The section of a figure, and its attributes."""
Pair = tuple[str, str, str]
"""Investor-supplier, investee-customer, currency."""


class _Series:
    """Amounts of a pair: in total, and by day."""

    def __init__(self, view: View) -> None:
        self.total = TracedSum(traced=view.traced)
        self.by_day: dict[dt.date, int] = defaultdict(int)

    def add(self, amount: TracedSum, day: dt.date | None) -> None:
        total = self.total
        total.value += amount.value
        total.undisclosed += amount.undisclosed
        if total.parts is not None:
            total.parts += amount.parts or ()
        if day is not None:
            self.by_day[day] += int(amount.value)


def round_trip(view: View, *, by_entity: bool) -> FigureSheet:
    """Return all figures of the round trip, of groups or of legal entities."""
    groups = {} if by_entity else groups_of(view)
    pairs: dict[Pair, dict[str, _Series]] = {}
    for movement in (*purchases(view), *commitment_movements(view), *capital_movements(view)):
        supplier = groups.get(movement.supplier, movement.supplier)
        customer = groups.get(movement.customer, movement.customer)
        if supplier == customer:
            continue
        pair = pairs.setdefault(
            (supplier, customer, movement.currency), defaultdict(lambda: _Series(view))
        )
        pair[movement.measure].add(movement.amount, movement.day)
    sheet = FigureSheet()
    section = "round-trip.entity" if by_entity else "round-trip"
    for (supplier, customer, currency), series in pairs.items():
        of = {
            "supplier_investor": supplier,
            "customer_investee": customer,
            "currency_code": currency,
        }
        shown = {name: series[name].total for name in _SHOWN}
        in_kind = series["funded_non_cash"].total
        sheet.add_money(section, of, currency, **shown, invested_non_cash=in_kind)
        for basis, (bought, invested) in BASES.items():
            _add_balance(sheet, section, of, basis, series[bought], series[invested])
    return sheet


def _add_balance(
    sheet: FigureSheet,
    section: str,
    of: dict[str, str],
    basis: str,
    bought: _Series,
    invested: _Series,
) -> None:
    currency = of["currency_code"]
    purchases_, investment = bought.total, invested.total
    net = purchases_ - investment
    lesser = purchases_ if purchases_.value <= investment.value else investment
    recycled = lesser.becoming(max(0, lesser.value))
    sheet.add_money(
        section,
        of,
        currency,
        **{f"{basis}.purchases": purchases_, f"{basis}.investment": investment},
    )
    sheet.add_plain_money(
        section,
        of,
        currency,
        **{
            f"{basis}.net_balance": net,
            f"{basis}.recycled": recycled,
            f"{basis}.peak_exposure": _peak(bought, invested),
        },
    )
    sheet.add_ratio(section, of, f"{basis}.ratio_investment", recycled, investment)
    sheet.add_ratio(section, of, f"{basis}.ratio_purchases", recycled, purchases_)
    there = fifo_match(invested.by_day, bought.by_day)
    name = f"{basis}.invest_then_buy"
    _add_matching(sheet, (section, of), name, there, there.unmatched_out, there.unmatched_back)
    back = fifo_match(bought.by_day, invested.by_day)
    name = f"{basis}.buy_then_invest"
    _add_matching(sheet, (section, of), name, back, back.unmatched_back, back.unmatched_out)


def _add_matching(
    sheet: FigureSheet, of: Of, name: str, found: FifoMatch, investment: int, purchases_: int
) -> None:
    """Add the figures of FIFO matching in one direction, and the unmatched amounts."""
    section, about = of
    unit = about["currency_code"]
    amounts = {
        f"{name}.matched": found.minor,
        f"{name}.unmatched_investment": investment,
        f"{name}.unmatched_purchases": purchases_,
    }
    sheet.add_figures(
        section, about, unit, **{n: minor if unit else None for n, minor in amounts.items()}
    )
    days = {f"{name}.weighted_lag_days": found.lag, f"{name}.longest_lag_days": found.longest_days}
    sheet.add_figures(section, about, "", **days)


def _peak(bought: _Series, invested: _Series) -> TracedSum:
    """Return the highest excess of investment over purchases at the end of any day."""
    peak = exposure = 0
    peak_day = dt.date.min
    for day in sorted(bought.by_day.keys() | invested.by_day.keys()):
        exposure += invested.by_day.get(day, 0) - bought.by_day.get(day, 0)
        if exposure > peak:
            peak, peak_day = exposure, day
    result = (invested.total - bought.total).becoming(peak)
    if result.parts is not None:
        result.parts = [part for part in result.parts if part.day <= peak_day]
    return result


def groups_of(view: View) -> dict[str, str]:
    """Return the group that each party belongs to on the as-of date, or the party itself."""
    found: dict[str, str] = {}
    changes = view.known("party_registered", "group_membership_changed")
    for entry in sorted(changes, key=by_time):
        if entry.day <= view.as_of_end:
            found[entry.fact.party] = entry.fact.group or entry.fact.party
    return found


def _moved(
    view: View, measure: str, whose: Pair, day: dt.date, position: int, minor: int | None
) -> Purchase:
    amount = TracedSum(traced=view.traced)
    amount.add(position, day, minor)
    return Purchase(measure, *whose, day, amount)


def commitment_movements(view: View) -> Iterator[Purchase]:
    """Yield how the binding commitment of each agreement changed, day by day."""
    for agreement in Agreements(view, counted=True).by_name.values():
        before: tuple[tuple[int, int], Pair] = ((0, 0), ("", "", ""))
        for day in sorted(day for day in agreement.days() if day <= view.as_of_end):
            status = agreement.on(day, min(day, view.evaluation_date))
            if status is None:
                continue
            after = _committed(status)
            if after == before:
                continue
            for (minor, undisclosed), whose, sign in ((*before, -1), (*after, 1)):
                if not minor and not undisclosed:
                    continue
                amount = TracedSum(traced=view.traced)
                amount.add(status.position, day, sign * minor)
                amount.undisclosed = sign * undisclosed
                yield Purchase("committed", *whose, day, amount)
            before = after


def _committed(status: AgreementStatus) -> tuple[tuple[int, int], Pair]:
    terms = status.terms
    amount = (terms.commitment_minor, int(terms.stated.investment_undisclosed))
    whose = (terms.investor, terms.issuer, terms.currency)
    return (amount if status.binds else (0, 0)), whose


def _form(funded: Any) -> tuple[tuple[str, str], str]:
    in_kind = funded.form == ContributionForm.CONTRIBUTION_FORM_NON_CASH
    name = (funded.agreement, funded.contribution)
    return name, "funded_non_cash" if in_kind else "funded_cash"


def capital_movements(view: View) -> Iterator[Purchase]:
    """Yield calls, contributions and returns: between whom the fact says, or else the agreement."""
    agreements = Agreements(view, counted=False).by_name
    forms = view.latest(_form, "capital_contribution_funded")
    kinds = ("capital_call_issued", "capital_contribution_funded", "capital_returned")
    for entry in view.counted(*kinds):
        fact = entry.fact
        history = agreements.get(fact.agreement)
        terms = history.terms_on(entry.day) if history else Terms()
        investor, issuer = terms.investor, terms.issuer
        if entry.kind == "capital_contribution_funded":
            investor, issuer = fact.payer, fact.payee
        elif entry.kind == "capital_returned":
            investor, issuer = fact.payee, fact.payer
        minor, currency = None, terms.currency
        if fact.HasField("amount"):
            money = money_from_message(fact.amount)
            sign = -1 if entry.kind == "capital_returned" else 1
            minor, currency = sign * money.amount_minor, money.currency
        whose = (investor, issuer, currency)
        if entry.kind != "capital_contribution_funded":
            yield _moved(view, "called", whose, entry.day, entry.position, minor)
        if entry.kind != "capital_call_issued":
            form = forms[fact.agreement, fact.contribution]
            yield _moved(view, form, whose, entry.day, entry.position, minor)
