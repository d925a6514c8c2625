"""Special-purpose vehicles and debt: capital that comes in and goes back.

Movements are recorded whatever the rules say. A vehicle or a loan is looked through only if a fact
states what its money is spent on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gigaledger.ledger.domain.book_view import (
    BookView,
    Violations,
    amount_disclosed,
    at_most,
    different,
    minor,
    repeated,
    same_currency,
    wrong_state,
)
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation

WHOLE_PPM = 1_000_000


def use_of_proceeds(fact: Any) -> Violations:
    """Refuse uses of proceeds that are more than the whole, or that name a payee twice."""
    for payee in repeated(use.payee for use in fact.use_of_proceeds):
        message = f"{payee} is named more than once: add the shares up"
        yield Violation(Rule.FIELD_INVALID, "use_of_proceeds", message)
    total = sum(use.share_ppm for use in fact.use_of_proceeds)
    if total > WHOLE_PPM:
        message = f"adds up to {total} parts per million, more than the whole: {WHOLE_PPM}"
        yield Violation(Rule.FIELD_INVALID, "use_of_proceeds", message)


class Vehicle:
    """State of the stream vehicles/{vehicle}."""

    def __init__(self) -> None:
        self.exists = False
        self.vehicle = ""
        self.agreement = ""
        self.followed = False

    @property
    def parties(self) -> Sequence[str]:
        """The vehicle itself, which pays and is paid."""
        return (self.vehicle,)

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if self.followed and not self.exists:
            yield wrong_state("position", "facts recorded about the vehicle depend on it")


def decide_formed(state: Vehicle, entry: Entry, _given: BookView) -> Violations:
    """Decide on SpvFormed."""
    if state.exists:
        yield wrong_state("vehicle", f"vehicle {entry.fact.vehicle} is formed already")
    yield from use_of_proceeds(entry.fact)


def apply_formed(state: Vehicle, entry: Entry) -> None:
    """Fold SpvFormed."""
    state.exists = True
    state.vehicle, state.agreement = entry.fact.vehicle, entry.fact.agreement


def decide_contributed(_state: Vehicle, entry: Entry, _given: BookView) -> Violations:
    """Decide on SpvEquityContributed: only on whether it can be true."""
    yield from different(entry.fact, "vehicle", "payer")
    yield from amount_disclosed(entry.fact)
    yield from use_of_proceeds(entry.fact)


def decide_distributed(_state: Vehicle, entry: Entry, _given: BookView) -> Violations:
    """Decide on DistributionPaid: only on whether it can be true."""
    yield from different(entry.fact, "vehicle", "payee")


def apply_followed(state: Vehicle, _entry: Entry) -> None:
    """Fold the facts that follow on the forming of a vehicle."""
    state.followed = True


class Debt:
    """State of the stream debts/{debt}: principal in minor units."""

    def __init__(self) -> None:
        self.agreement = ""
        self.lender = ""
        self.borrower = ""
        self.currency = ""
        self.drawn_minor = 0
        self.repaid_minor = 0

    @property
    def exists(self) -> bool:
        """Whether anything is drawn."""
        return self.drawn_minor > 0

    @property
    def parties(self) -> Sequence[str]:
        """Lender and borrower."""
        return (self.lender, self.borrower)

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        what = "what is drawn"
        yield from at_most(
            Rule.STATE_01, "position", self.repaid_minor, self.drawn_minor, what, "minor units"
        )


def decide_drawn(state: Debt, entry: Entry, _given: BookView) -> Violations:
    """Decide on DebtDrawn: later drawings are of the same debt as the first."""
    fact = entry.fact
    yield from different(fact, "lender", "borrower")
    yield from use_of_proceeds(fact)
    if state.exists:
        for name in ("lender", "borrower"):
            given, known = getattr(fact, name), getattr(state, name)
            if given != known:
                message = f"is {given}, but that of debt {fact.debt} is {known}"
                yield wrong_state(name, message, known=known)
        yield from same_currency(fact.amount, "amount", state.currency, "the debt")


def apply_drawn(state: Debt, entry: Entry) -> None:
    """Fold DebtDrawn."""
    fact = entry.fact
    state.agreement = fact.agreement or state.agreement
    state.lender, state.borrower = fact.lender, fact.borrower
    state.currency = fact.amount.currency_code
    state.drawn_minor += minor(fact.amount)


def decide_repaid(state: Debt, entry: Entry, _given: BookView) -> Violations:
    """Decide on DebtRepaid: principal that was not lent cannot go back."""
    fact = entry.fact
    if not state.exists:
        return
    yield from same_currency(fact.amount, "amount", state.currency, "the debt")
    if fact.HasField("interest"):
        yield from same_currency(fact.interest, "interest", state.currency, "the debt")
    yield from at_most(
        Rule.STATE_01,
        "amount",
        minor(fact.amount),
        state.drawn_minor - state.repaid_minor,
        f"what is outstanding of debt {fact.debt}",
        f"minor units of {state.currency}",
    )


def apply_repaid(state: Debt, entry: Entry) -> None:
    """Fold DebtRepaid."""
    state.repaid_minor += minor(entry.fact.amount)
