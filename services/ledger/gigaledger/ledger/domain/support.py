"""Leases, backstops and guarantees: promises of one party to another, and the payments on them.

A promise is recorded once, under its id. Payments on it are recorded whatever the rules say, in the
currency of the promise.
"""

from __future__ import annotations

from collections.abc import Sequence

from gigaledger.ledger.domain.book_view import (
    BookView,
    Violations,
    amount_disclosed,
    different,
    same_currency,
    wrong_state,
)
from gigaledger.ledger.domain.entries import Entry

_SIDES = {
    "lease_commenced": ("lease", ("lessor", "lessee")),
    "backstop_granted": ("backstop", ("grantor", "beneficiary")),
    "guarantee_granted": ("guarantee", ("guarantor", "debtor", "creditor")),
}
"""For the facts that bring a promise: the field of its id, and the fields of its parties."""


class Commitment:
    """State of the streams leases/{lease}, backstops/{backstop} and guarantees/{guarantee}."""

    def __init__(self) -> None:
        self.exists = False
        self.followed = False
        self.agreement = ""
        self.currency = ""
        self.parties: Sequence[str] = ()

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if self.followed and not self.exists:
            yield wrong_state("position", "payments recorded under it depend on it")


def decide_promised(state: Commitment, entry: Entry, _given: BookView) -> Violations:
    """Decide on LeaseCommenced, BackstopGranted and GuaranteeGranted."""
    name, sides = _SIDES[entry.kind]
    if state.exists:
        yield wrong_state(name, f"{name} {getattr(entry.fact, name)} is recorded already")
    for place, side in enumerate(sides):
        for other in sides[place + 1 :]:
            yield from different(entry.fact, side, other)
    yield from amount_disclosed(entry.fact)


def apply_promised(state: Commitment, entry: Entry) -> None:
    """Fold LeaseCommenced, BackstopGranted and GuaranteeGranted."""
    _, sides = _SIDES[entry.kind]
    state.exists = True
    state.agreement = entry.fact.agreement
    state.currency = entry.fact.amount.currency_code
    state.parties = tuple(getattr(entry.fact, side) for side in sides)


def decide_settled(state: Commitment, entry: Entry, _given: BookView) -> Violations:
    """Decide on LeasePaymentSettled and BackstopPurchaseSettled: only on whether it can be true."""
    yield from different(entry.fact, "payer", "payee")
    yield from decide_called(state, entry, _given)


def decide_called(state: Commitment, entry: Entry, _given: BookView) -> Violations:
    """Decide on GuaranteeCalled: only on its currency."""
    yield from same_currency(entry.fact.amount, "amount", state.currency, "what was promised")


def apply_followed(state: Commitment, _entry: Entry) -> None:
    """Fold a payment or a demand."""
    state.followed = True
