"""Tranches, recomputed (domain rules, section 2.2): called, funded and issued amounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from gigaledger.audit.recompute.accounts import (
    CALLED,
    FUNDED,
    RETURNED,
    SHARES,
    Account,
    Movement,
    reached,
)
from gigaledger.audit.recompute.figure_sheet import FigureSheet, TracedSum, split, ten_places
from gigaledger.audit.recompute.history import View
from gigaledger.common.quantities import MAX_DECIMAL_PLACES, money_from_message


def add_tranches(view: View, sheet: FigureSheet, name: str, account: Account) -> None:
    """Add the ladder of an agreement in force, with the amounts of each tranche."""
    status = account.status
    if status is None or not status.in_force:
        return
    entitled = {tranche.number for tranche in reached(account, view.evaluation_date)}
    called = _by_tranche(view, account, {CALLED: 1})
    funded = _by_tranche(view, account, {FUNDED: 1, RETURNED: -1})
    shares, prices = _shares_by_tranche(account)
    currency = account.currency
    for tranche in status.terms.stated.tranches:
        number = tranche.number
        of = {"agreement": name, "tranche": str(number)}
        amount = TracedSum(traced=view.traced)
        amount_minor = money_from_message(tranche.amount).amount_minor
        amount.add(status.terms.position, status.day, amount_minor)
        sheet.add_plain_money("investment.tranche", of, currency, amount=amount)
        sheet.add_figures("investment.tranche", of, entitled=int(number in entitled))
        sheet.add_money(
            "investment.tranche", of, currency, called=called[number], funded=funded[number]
        )
        held = shares[number]
        price = ten_places(prices[number] / held) if held > 0 else ""
        sheet.add_figures("investment.tranche", of, "shares", shares=ten_places(held))
        sheet.add_figures("investment.tranche", of, currency, price_per_share=price)


def _groups(account: Account, kinds: dict[str, int]) -> Iterator[list[Movement]]:
    """Yield the movements of each document that names several tranches, and the others together.

    What goes back is taken off its document before the document is split.
    """
    groups: dict[tuple[Any, ...], list[Movement]] = defaultdict(list)
    for movement in account.movements:
        if movement.entry.kind not in kinds:
            continue
        if (movement.currency or account.currency) != account.currency:
            continue
        several = len(movement.tranches) > 1
        document = (movement.document, movement.document_day) if several else ()
        groups[movement.tranches, document].append(movement)
    yield from groups.values()


def _weights(account: Account, group: list[Movement]) -> tuple[list[int], list[int]]:
    """Return the tranches of a document and their amounts on the day of the document."""
    first = group[0]
    tranches = list(dict.fromkeys(first.tranches))
    terms = account.terms
    if account.counted is not None and len(first.tranches) > 1:
        terms = account.counted.terms_on(first.document_day)
    return tranches, terms.weights(tranches)


def _by_tranche(view: View, account: Account, kinds: dict[str, int]) -> defaultdict[int, TracedSum]:
    found: defaultdict[int, TracedSum] = defaultdict(lambda: TracedSum(traced=view.traced))
    for group in _groups(account, kinds):
        net = TracedSum(traced=view.traced)
        for movement in group:
            amount, entry = movement.amount_minor, movement.entry
            signed = None if amount is None else kinds[entry.kind] * amount
            net.add(entry.position, entry.day, signed)
        tranches, weights = _weights(account, group)
        for number, part in zip(tranches, split(int(net.value), weights), strict=True):
            found[number] += net.becoming(part)
    return found


def _shares_by_tranche(
    account: Account,
) -> tuple[defaultdict[int, Fraction], defaultdict[int, Fraction]]:
    """Return outstanding shares by tranche, and their issue amount in units."""
    shares: defaultdict[int, Fraction] = defaultdict(Fraction)
    prices: defaultdict[int, Fraction] = defaultdict(Fraction)
    kinds = {kind: sign for kind, sign in SHARES.items() if sign}
    for group in _groups(account, kinds):
        net = sum((kinds[move.entry.kind] * move.shares for move in group), Fraction(0))
        price = sum((kinds[move.entry.kind] * move.price for move in group), Fraction(0))
        # Whole shares into whole shares, others to the last place that they have.
        places = range(MAX_DECIMAL_PLACES + 1)
        scale = next(10**n for n in places if (net * 10**n).denominator == 1)
        tranches, weights = _weights(account, group)
        for number, part in zip(tranches, split(int(net * scale), weights), strict=True):
            shares[number] += Fraction(part, scale)
            prices[number] += Fraction(part, scale) * price / net if net else 0
    return shares, prices
