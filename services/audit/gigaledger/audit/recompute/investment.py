"""Investment, recomputed (domain rules, section 2.2): by agreement, and in total."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from gigaledger.audit.recompute.accounts import (
    CALLED,
    FUNDED,
    RETURNED,
    SHARES,
    Account,
    accounts_of,
    reached,
)
from gigaledger.audit.recompute.figure_sheet import FigureSheet, TracedSum, ten_places, total
from gigaledger.audit.recompute.history import View
from gigaledger.audit.recompute.terms import AgreementStatus, basis_of
from gigaledger.audit.recompute.tranches import add_tranches
from gigaledger.common.quantities import currency_exponent, money_from_message
from gigaledger.v1.equity_facts_pb2 import ContributionForm


def investment(view: View) -> FigureSheet:
    """Return all figures of investment."""
    sheet = FigureSheet()
    totals: dict[str, list[dict[str, TracedSum | None]]] = defaultdict(list)
    shares: dict[str, list[TracedSum]] = defaultdict(list)
    for name, account in accounts_of(view).items():
        movements = account.movements
        currencies = {movement.currency or account.currency for movement in movements}
        if account.invests:
            currencies.add(account.currency)
        for currency in sorted(currencies):
            amounts, outstanding = _figures(view, account, currency)
            totals[currency].append(amounts)
            shares[currency].append(outstanding)
            of = {"agreement": name, "currency_code": currency}
            terms = account.terms
            sheet.add_figures("investment", of, investor=terms.investor, issuer=terms.issuer)
            _add_figures(sheet, "investment", of, amounts, outstanding)
        if currencies:
            add_tranches(view, sheet, name, account)
    for currency, found in totals.items():

        def zero() -> TracedSum:
            return TracedSum(traced=view.traced)

        sums: dict[str, TracedSum | None] = {}
        for figure in found[0]:
            known = [one for one in (amounts[figure] for amounts in found) if one is not None]
            sums[figure] = total(known, zero) if known else None
        of = {"currency_code": currency}
        sheet.add_figures("investment.total", of, investor="", issuer="")
        _add_figures(sheet, "investment.total", of, sums, total(shares[currency], zero))
    return sheet


def _add_figures(
    sheet: FigureSheet,
    section: str,
    of: dict[str, str],
    amounts: dict[str, TracedSum | None],
    shares: TracedSum,
) -> None:
    currency = of["currency_code"]
    sheet.add_money(section, of, currency, **amounts)
    price = ""
    issued = amounts["issued"]
    if shares.value > 0 and currency and issued is not None:
        units = Fraction(issued.value) / 10 ** currency_exponent(currency)
        price = ten_places(units / shares.value)
    outstanding = ten_places(shares.value)
    sheet.add_figures(section, of, "shares", shares_outstanding=outstanding)
    sheet.add_figures(section, of, currency, average_price=price)


def _figures(
    view: View, account: Account, currency: str
) -> tuple[dict[str, TracedSum | None], TracedSum]:
    """Return the amounts of an agreement in a currency, and its outstanding shares."""

    def zero() -> TracedSum:
        return TracedSum(traced=view.traced)

    recorded: dict[str, TracedSum] = defaultdict(zero)
    shares = zero()
    for movement in account.movements:
        if (movement.currency or account.currency) != currency:
            continue
        entry = movement.entry
        name = entry.kind
        if movement.form == ContributionForm.CONTRIBUTION_FORM_NON_CASH:
            name = "non_cash"
        recorded[name].add(entry.position, entry.day, movement.amount_minor)
        if entry.kind in SHARES:
            shares.add(entry.position, entry.day, SHARES[entry.kind] * movement.shares)

    status = account.status if currency == account.currency else None
    committed, contingent, indicative, entitled = zero(), zero(), zero(), zero()
    pro_rata: TracedSum | None = None
    if status is not None:
        terms = status.terms
        stands = (terms.position, status.day)
        binds = status.binds
        promised = committed if binds else indicative
        if status.in_force:
            promised.add(*stands, terms.commitment_minor)
            if terms.stated.investment_undisclosed:
                promised.add(*stands, None)
        if binds:
            contingent.add(*stands, terms.contingent_minor)
        entitled = _entitled(view, account, status, zero())
        if terms.stated.power_kw:
            agreed_kw = terms.stated.power_kw
            certified_kw = account.certified_kw(basis_of(terms.stated.power_basis))
            certified_kw = min(max(0, certified_kw), agreed_kw)
            pro_rata = committed.becoming(int(committed.value) * certified_kw // agreed_kw)
    funded = recorded[FUNDED] + recorded["non_cash"] - recorded[RETURNED]
    amounts: dict[str, TracedSum | None] = {
        "committed": committed,
        "contingent": contingent,
        "indicative": indicative,
        "entitled": entitled,
        "entitled_pro_rata": pro_rata,
        "called": recorded[CALLED],
        "funded_gross_cash": recorded[FUNDED],
        "funded_gross_non_cash": recorded["non_cash"],
        "returned": recorded[RETURNED],
        "funded": funded,
        "issued": recorded["equity_shares_issued"] - recorded["equity_issuance_rescinded"],
        "remaining_commitment": (committed - funded).at_least_zero(),
        "available_to_call": (entitled - recorded[CALLED]).at_least_zero(),
        "unfunded_entitlement": (entitled - funded).at_least_zero(),
        "overfunded": (funded - entitled).at_least_zero(),
        "secondary": recorded["shares_transferred"],
    }
    return amounts, shares


def _entitled(
    view: View, account: Account, status: AgreementStatus, entitled: TracedSum
) -> TracedSum:
    """Return the tranches that are reached, at most the commitment, unless it is not disclosed."""
    terms = status.terms
    for tranche in reached(account, view.evaluation_date):
        amount_minor = money_from_message(tranche.amount).amount_minor
        entitled.add(terms.position, status.day, amount_minor)
    if terms.stated.investment_undisclosed:
        if status.binds:
            entitled.add(terms.position, status.day, None)
        return entitled
    return entitled.becoming(min(entitled.value, terms.commitment_minor))
