"""What counts under each agreement that capital moves by, and which tranches it has reached."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any, NamedTuple

from gigaledger.audit.recompute.figure_sheet import TracedSum
from gigaledger.audit.recompute.history import Entry, View
from gigaledger.audit.recompute.terms import Agreement, Agreements, AgreementStatus, Terms, basis_of
from gigaledger.common.quantities import date_from_message, decimal_from_message, money_from_message
from gigaledger.v1.agreement_facts_pb2 import ConditionType, Tranche

CALLED = "capital_call_issued"
FUNDED = "capital_contribution_funded"
RETURNED = "capital_returned"
_CAPITAL = {CALLED: 1, FUNDED: 1, RETURNED: -1}
SHARES = {
    "equity_shares_issued": 1,
    "equity_issuance_rescinded": -1,
    "shares_repurchased": -1,
    "shares_transferred": 0,
}
"""Facts about shares, and their effect on the number outstanding."""
_NET = {
    "capacity_milestone_certified": 1,
    "capacity_certification_reversed": -1,
    "capacity_retired": -1,
}


class Movement(NamedTuple):
    """A movement of capital or shares under an agreement.

    Attributes:
        amount_minor: in minor units; None if undisclosed.
        currency: its currency; empty if undisclosed.
        shares: number of shares; 0 for capital.
        price: shares times their price at issuance.
        tranches: the tranches it is for.
        document: the document that names these tranches.
        document_day: effective date of that document.
        form: form of a contribution.
    """

    entry: Entry
    amount_minor: int | None
    currency: str
    shares: Fraction = Fraction(0)
    price: Fraction = Fraction(0)
    tranches: tuple[int, ...] = ()
    document: str = ""
    document_day: dt.date = dt.date.min
    form: int = 0

    def as_sum(self) -> TracedSum:
        """Return the amount as a sum of one part."""
        amount = TracedSum(traced=True)
        amount.add(self.entry.position, self.entry.day, self.amount_minor)
        return amount


@dataclass
class Account:
    """An agreement and what counts under it."""

    counted: Agreement | None
    status: AgreementStatus | None
    terms: Terms
    movements: list[Movement] = field(default_factory=list)
    certified: list[tuple[str, dt.date, int]] = field(default_factory=list)
    documented: set[tuple[int, int]] = field(default_factory=set)

    @property
    def currency(self) -> str:
        """That of the investment, or else the only one that its facts are in."""
        stated = {movement.currency for movement in self.movements} - {""}
        return self.terms.currency or (stated.pop() if len(stated) == 1 else "")

    @property
    def invests(self) -> bool:
        """Whether its terms speak of an investment."""
        stated = self.terms.stated
        return self.status is not None and bool(
            stated.HasField("investment_commitment")
            or stated.investment_undisclosed
            or stated.tranches
        )

    def certified_kw(self, basis: str) -> int:
        """Return net certified capacity."""
        return sum(kw for found, _, kw in self.certified if found == basis)

    def highest_certified_kw(self, basis: str) -> int:
        """Return the highest net certified capacity at the end of any day."""
        by_day: dict[dt.date, int] = defaultdict(int)
        for found, day, kw in self.certified:
            if found == basis:
                by_day[day] += kw
        return max(accumulate(kw for _, kw in sorted(by_day.items())), default=0)


def accounts_of(view: View) -> dict[str, Account]:
    """Return the agreements that count or under which something moved, in order of name."""
    counted, known = Agreements(view, counted=True), Agreements(view, counted=False)
    movements: dict[str, list[Movement]] = defaultdict(list)
    for name, movement in (*_capital(view), *shares_of(view)):
        movements[name].append(movement)
    accounts = {}
    for name in sorted(movements.keys() | counted.by_name.keys()):
        agreement = counted.by_name.get(name)
        status = agreement.on(view.as_of_end, view.evaluation_date) if agreement else None
        terms = status.terms if status else None
        if terms is None:
            terms = (
                known.by_name[name].terms_on(view.as_of_end) if name in known.by_name else Terms()
            )
        accounts[name] = Account(agreement, status, terms, movements[name])
    for entry in view.counted(*_NET):
        fact = entry.fact
        if fact.agreement in accounts:
            change = (basis_of(fact.power_basis), entry.day, _NET[entry.kind] * fact.power_kw)
            accounts[fact.agreement].certified.append(change)
    for entry in view.counted("tranche_condition_satisfied"):
        fact = entry.fact
        if fact.agreement in accounts:
            accounts[fact.agreement].documented.add((fact.tranche, fact.condition))
    return accounts


def _documents(view: View, kind: str, number: str) -> dict[tuple[str, str], tuple[Entry, Any]]:
    """Return the document behind each number.

    A document recorded in error counts only if no other has its number.
    """
    found: dict[tuple[str, str], tuple[Entry, Any]] = {}
    for entry in sorted(view.recorded(kind), key=lambda e: (view.knows(e), e.position)):
        fact = entry.fact
        found[fact.agreement, getattr(fact, number)] = (entry, fact)
    return found


def _disclosed(fact: Any) -> tuple[int | None, str]:
    if not fact.HasField("amount"):
        return None, ""
    money = money_from_message(fact.amount)
    return money.amount_minor, money.currency


def _capital(view: View) -> Iterator[tuple[str, Movement]]:
    calls = _documents(view, CALLED, "call")
    fundings = _documents(view, FUNDED, "contribution")
    for entry in view.counted(*_CAPITAL):
        fact = entry.fact
        if entry.kind == CALLED:
            document, day, tranches, form = fact.call, entry.day, fact.tranches, 0
        else:
            document = fact.contribution
            source, funding = fundings.get((fact.agreement, document), (entry, None))
            day, form, tranches = source.day, 0, ()
            if funding is not None:
                answered = calls.get((fact.agreement, funding.call))
                tranches = funding.tranches or (answered[1].tranches if answered else ())
            form = fact.form if entry.kind == FUNDED else 0
        movement = Movement(
            entry,
            *_disclosed(fact),
            tranches=tuple(tranches),
            document=document,
            document_day=day,
            form=form,
        )
        yield fact.agreement, movement


def shares_of(view: View) -> Iterator[tuple[str, Movement]]:
    """Yield what counts of issuances and the like, with the name of the agreement."""
    issuances = _documents(view, "equity_shares_issued", "security")
    for entry in view.counted(*SHARES):
        fact = entry.fact
        issued_as, issuance = issuances.get((fact.agreement, fact.security), (entry, None))
        shares = Fraction(decimal_from_message(fact.shares))
        price = Fraction(0)
        if issuance is not None:
            price = shares * Fraction(decimal_from_message(issuance.price_per_share))
        movement = Movement(
            entry,
            *_disclosed(fact),
            shares=shares,
            price=price,
            tranches=tuple(issuance.tranches) if issuance is not None else (),
            document=fact.security,
            document_day=issued_as.day,
        )
        yield fact.agreement, movement


def reached(account: Account, evaluation_date: dt.date) -> list[Tranche]:
    """Return the tranches of a binding agreement whose conditions all hold."""
    status = account.status
    if status is None or not status.binds:
        return []
    stated = status.terms.stated
    basis = basis_of(stated.power_basis)
    # If the agreement latches, a later withdrawal does not undo an entitlement.
    measured = account.highest_certified_kw if stated.latching else account.certified_kw
    certified_kw = measured(basis)

    def holds(tranche: Tranche, number: int) -> bool:
        condition = tranche.conditions[number - 1]
        match condition.type:
            case ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED:
                return certified_kw >= condition.power_kw
            case ConditionType.CONDITION_TYPE_AGREEMENT_EXECUTED:
                return status.definitive
            case ConditionType.CONDITION_TYPE_DATE_REACHED:
                return (
                    condition.HasField("date")
                    and date_from_message(condition.date) <= evaluation_date
                )
            case _:
                return (tranche.number, number) in account.documented

    return [
        tranche
        for tranche in stated.tranches
        if all(holds(tranche, number) for number in range(1, len(tranche.conditions) + 1))
    ]
