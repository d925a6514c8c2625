"""Financing, recomputed: cash that is neither a purchase nor capital under an agreement."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, NamedTuple

from gigaledger.audit.recompute.history import Entry, View
from gigaledger.common.quantities import money_from_message
from google.type.money_pb2 import Money


class Financed(NamedTuple):
    """Cash of one financing payment.

    Attributes:
        minor: in minor units of the currency, negative for principal repaid; None if undisclosed.
    """

    payer: str
    payee: str
    kind: str
    currency: str
    day: dt.date
    minor: int | None


def financing(view: View) -> Iterator[Financed]:
    """Yield financing payments whose currency is known."""
    debts = _parties(view, "debt_drawn", "debt", ("lender", "borrower"))
    warrants = _parties(view, "warrant_issued", "warrant", ("holder", "issuer"))
    currencies = _currencies_of_vehicles(view)
    for entry in view.counted("spv_equity_contributed"):
        fact = entry.fact
        if fact.HasField("amount"):
            yield _paid(entry, fact.payer, fact.vehicle, "INVESTMENT", fact.amount)
        elif currencies.get(fact.vehicle):
            currency = currencies[fact.vehicle]
            yield Financed(fact.payer, fact.vehicle, "INVESTMENT", currency, entry.day, None)
    for entry in view.counted("distribution_paid"):
        fact = entry.fact
        yield _paid(entry, fact.vehicle, fact.payee, "INVESTMENT", fact.amount)
    for entry in view.counted("warrant_exercised"):
        fact = entry.fact
        if fact.HasField("amount"):
            yield _paid(entry, *warrants[fact.warrant], "INVESTMENT", fact.amount)
    for entry in view.counted("debt_drawn"):
        fact = entry.fact
        yield _paid(entry, fact.lender, fact.borrower, "DEBT", fact.amount)
    for entry in view.counted("debt_repaid"):
        fact = entry.fact
        lender, borrower = debts[fact.debt]
        principal = _paid(entry, lender, borrower, "DEBT", fact.amount)
        yield principal._replace(minor=-money_from_message(fact.amount).amount_minor)
        if fact.HasField("interest"):
            yield _paid(entry, borrower, lender, "DEBT", fact.interest)
    for kind, what in (
        ("lease_payment_settled", "LEASE"),
        ("backstop_purchase_settled", "PURCHASE"),
    ):
        for entry in view.counted(kind):
            yield _paid(entry, entry.fact.payer, entry.fact.payee, what, entry.fact.amount)


def _paid(entry: Entry, payer: str, payee: str, kind: str, amount: Money) -> Financed:
    money = money_from_message(amount)
    return Financed(payer, payee, kind, money.currency, entry.day, money.amount_minor)


def _parties(view: View, kind: str, key: str, names: tuple[str, str]) -> dict[str, tuple[str, str]]:
    first, second = names
    return view.latest(
        lambda fact: (getattr(fact, key), (getattr(fact, first), getattr(fact, second))), kind
    )


def _currencies_of_vehicles(view: View) -> dict[str, str]:
    def read(formed: Any) -> tuple[str, str]:
        planned = formed.planned_equity.currency_code or formed.planned_debt.currency_code
        return formed.vehicle, planned

    return view.latest(read, "spv_formed")
