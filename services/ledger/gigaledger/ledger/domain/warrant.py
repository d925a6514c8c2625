"""Warrants: shares granted at a price, vesting in tranches, exercisable under further conditions.

Life: GRANTED -> CONDITIONS_MET -> VESTED -> EXERCISABLE -> EXERCISED | LAPSED, tranche by tranche.
Vested is not exercisable: a tranche has conditions of each, and each is documented by itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal

from gigaledger.common.quantities import date_from_message, decimal_from_message
from gigaledger.ledger.domain.book_view import (
    BookView,
    Violations,
    amount_of_shares,
    at_most,
    different,
    positive,
    repeated,
    same_currency,
    unknown,
    wrong_state,
)
from gigaledger.ledger.domain.dated_balance import DatedBalance, not_before
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.agreement_facts_pb2 import ConditionType, TrancheCondition
from gigaledger.v1.warrant_facts_pb2 import WarrantGate, WarrantIssued, WarrantTranche

_DATE_REACHED = ConditionType.CONDITION_TYPE_DATE_REACHED
ConditionKey = tuple[int, WarrantGate.ValueType, int]
"""Tranche, gate, and which of its conditions: 1 for the first."""


class Warrant:
    """State of the stream warrants/{warrant}."""

    def __init__(self) -> None:
        self.exists = False
        self.terms = WarrantIssued()
        self.granted: dt.date | None = None
        self.satisfied: dict[ConditionKey, dt.date] = {}
        self.vested: dict[int, Decimal] = {}
        self.vested_by_day: dict[int, DatedBalance] = {}
        self.exercised = Decimal(0)
        self.lapsed: dict[int, dt.date] = {}

    @property
    def agreement(self) -> str:
        """Agreement under which it was granted; empty if none."""
        return self.terms.agreement

    @property
    def parties(self) -> Sequence[str]:
        """Issuer and holder."""
        return (self.terms.issuer, self.terms.holder)

    def tranche(self, number: int) -> WarrantTranche | None:
        """Return a tranche by its number."""
        return next((entry for entry in self.terms.tranches if entry.number == number), None)

    def open_conditions(
        self, tranche: WarrantTranche, gate: WarrantGate.ValueType, day: dt.date
    ) -> Iterator[int]:
        """Yield which conditions of a tranche do not hold on a day: 1 for the first."""
        for index, condition in enumerate(conditions(tranche, gate), start=1):
            if condition.type == _DATE_REACHED:
                since: dt.date | None = date_from_message(condition.date)
            else:
                since = self.satisfied.get((tranche.number, gate, index))
            if since is None or since > day:
                yield index

    def exercisable(self, day: dt.date) -> Decimal:
        """Return the shares that are vested, exercisable on a day and not yet exercised."""
        gate = WarrantGate.WARRANT_GATE_EXERCISE
        vested = sum(
            (
                self.vested_by_day[tranche.number].on(day)
                for tranche in self.terms.tranches
                if tranche.number in self.vested_by_day
                and not any(self.open_conditions(tranche, gate, day))
                and day <= self.lapsed.get(tranche.number, day)
            ),
            Decimal(0),
        )
        return Decimal(vested) - self.exercised

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if not self.exists and (self.satisfied or self.vested or self.exercised or self.lapsed):
            yield wrong_state("position", "facts recorded under the warrant depend on it")
            return
        vested = sum(self.vested.values(), Decimal(0))
        yield from at_most(
            Rule.WAR_02, "position", self.exercised, vested, "what is vested", "shares"
        )
        if self.exists:
            granted = decimal_from_message(self.terms.shares)
            yield from at_most(Rule.WAR_01, "position", vested, granted, "the grant", "shares")


def conditions(tranche: WarrantTranche, gate: WarrantGate.ValueType) -> Sequence[TrancheCondition]:
    """Return the conditions that stand before vesting, or before exercise."""
    if gate == WarrantGate.WARRANT_GATE_VESTING:
        return tranche.vesting_conditions
    return tranche.exercise_conditions


def decide_issued(state: Warrant, entry: Entry, _given: BookView) -> Violations:
    """Decide on WarrantIssued: HR-INV-06 for its price, HR-WAR-01 for its tranches."""
    fact = entry.fact
    if state.exists:
        yield wrong_state("warrant", f"warrant {fact.warrant} is granted already")
    yield from different(fact, "issuer", "holder")
    yield from amount_of_shares(
        fact.exercise_cost, "exercise_cost", fact.shares, (fact.exercise_price, "exercise_price")
    )
    for number in repeated(tranche.number for tranche in fact.tranches):
        message = f"tranche {number} is given more than once"
        yield Violation(Rule.FIELD_INVALID, "tranches", message)
    for index, tranche in enumerate(fact.tranches):
        for name in ("vesting_conditions", "exercise_conditions"):
            for place, condition in enumerate(getattr(tranche, name)):
                if condition.type == _DATE_REACHED and not condition.HasField("date"):
                    path = f"tranches[{index}].{name}[{place}].date"
                    message = "is required for this condition"
                    yield Violation(Rule.FIELD_REQUIRED, path, message)
    stated = [t.shares for t in fact.tranches if t.HasField("shares")]
    yield from at_most(
        Rule.WAR_01,
        "tranches",
        sum(map(decimal_from_message, stated), Decimal(0)),
        decimal_from_message(fact.shares),
        "the shares granted",
        "shares",
    )


def apply_issued(state: Warrant, entry: Entry) -> None:
    """Fold WarrantIssued."""
    state.exists = True
    state.terms = entry.fact
    state.granted = entry.effective_date


def decide_condition_satisfied(state: Warrant, entry: Entry, _given: BookView) -> Violations:
    """Decide on WarrantConditionSatisfied: only on whether there is such a condition."""
    fact = entry.fact
    tranche = state.tranche(fact.tranche)
    if tranche is None:
        if state.exists:
            yield unknown("tranche", "tranche", fact.tranche)
        return
    found = conditions(tranche, fact.gate)
    if fact.condition > len(found):
        yield unknown("condition", f"of tranche {fact.tranche}, condition", fact.condition)
    elif found[fact.condition - 1].type == _DATE_REACHED:
        yield wrong_state("condition", "the ledger evaluates this condition itself")


def apply_condition_satisfied(state: Warrant, entry: Entry) -> None:
    """Fold WarrantConditionSatisfied: a condition holds from the first day that is documented."""
    key = (entry.fact.tranche, entry.fact.gate, entry.fact.condition)
    state.satisfied[key] = min(entry.effective_date, state.satisfied.get(key, entry.effective_date))


def decide_vested(state: Warrant, entry: Entry, _given: BookView) -> Violations:
    """Decide on WarrantTrancheVested: conditions met, HR-WAR-01."""
    fact = entry.fact
    yield from positive(fact.shares, "shares")
    tranche = state.tranche(fact.tranche)
    if tranche is None:
        if state.exists:
            yield unknown("tranche", "tranche", fact.tranche)
        return
    if fact.tranche in state.lapsed:
        yield wrong_state("tranche", f"tranche {fact.tranche} has lapsed")
    if state.granted is not None:
        yield from not_before(entry, state.granted, "the warrant is granted")
    gate, day = WarrantGate.WARRANT_GATE_VESTING, entry.effective_date
    for index in state.open_conditions(tranche, gate, day):
        message = f"condition {index} of tranche {fact.tranche} does not hold on {day}"
        yield wrong_state("tranche", message, condition=str(index))
    shares = decimal_from_message(fact.shares)
    vested = sum(state.vested.values(), Decimal(0))
    granted = decimal_from_message(state.terms.shares)
    what = "the shares granted, counting what is vested already"
    yield from at_most(Rule.WAR_01, "shares", vested + shares, granted, what, "shares")
    if tranche.HasField("shares"):
        of_tranche = state.vested.get(fact.tranche, Decimal(0)) + shares
        limit = decimal_from_message(tranche.shares)
        what = f"the shares of tranche {fact.tranche}, counting what is vested already"
        yield from at_most(Rule.WAR_01, "shares", of_tranche, limit, what, "shares")


def apply_vested(state: Warrant, entry: Entry) -> None:
    """Fold WarrantTrancheVested."""
    number = entry.fact.tranche
    shares = decimal_from_message(entry.fact.shares)
    state.vested[number] = state.vested.get(number, Decimal(0)) + shares
    state.vested_by_day.setdefault(number, DatedBalance()).change(entry, shares)


def decide_exercised(state: Warrant, entry: Entry, _given: BookView) -> Violations:
    """Decide on WarrantExercised: HR-WAR-02, HR-WAR-03, and HR-INV-06 if cash moved."""
    fact, day = entry.fact, entry.effective_date
    if not state.exists:
        return
    if state.terms.HasField("expiry_date"):
        expiry = date_from_message(state.terms.expiry_date)
        if day > expiry:
            message = f"is exercised on {day}, but the warrant expired on {expiry}"
            yield Violation(Rule.WAR_03, "warrant", message, {"expiry_date": str(expiry)})
    yield from at_most(
        Rule.WAR_02,
        "shares",
        decimal_from_message(fact.shares),
        state.exercisable(day),
        "what is vested, exercisable and not yet exercised",
        "shares",
    )
    if fact.HasField("amount"):
        currency = state.terms.exercise_cost.currency_code
        yield from same_currency(fact.amount, "amount", currency, "the warrant")
        price = (state.terms.exercise_price, "warrant")
        yield from amount_of_shares(fact.amount, "amount", fact.shares, price)
    else:
        yield from positive(fact.shares, "shares")


def apply_exercised(state: Warrant, entry: Entry) -> None:
    """Fold WarrantExercised."""
    state.exercised += decimal_from_message(entry.fact.shares)


def decide_lapsed(state: Warrant, entry: Entry, _given: BookView) -> Violations:
    """Decide on WarrantLapsed."""
    number = entry.fact.tranche
    if not state.exists:
        return
    if number and state.tranche(number) is None:
        yield unknown("tranche", "tranche", number)
    elif _lapsing(state, number) <= state.lapsed.keys():
        yield wrong_state("tranche" if number else "warrant", "has lapsed already")


def apply_lapsed(state: Warrant, entry: Entry) -> None:
    """Fold WarrantLapsed."""
    for number in _lapsing(state, entry.fact.tranche):
        state.lapsed.setdefault(number, entry.effective_date)


def _lapsing(state: Warrant, number: int) -> set[int]:
    return {number} if number else {tranche.number for tranche in state.terms.tranches}
