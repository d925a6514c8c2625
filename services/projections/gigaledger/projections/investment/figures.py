"""The formulas of investment (domain rules, section 2.2). Pure.

Entitlement follows the rule by which the ledger decides on calls, so that no figure shows more than
can be called. Tranches are evaluated by the terms of the day, against capacity certified under the
agreement itself: an agreement does not inherit the certificates of those that it supersedes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from itertools import accumulate
from typing import Any

from gigaledger.common.quantities import MAX_DECIMAL_PLACES, currency_exponent
from gigaledger.projections.shared.agreements import AgreementStatus, Condition, Terms
from gigaledger.projections.shared.amounts import Amount, split_in_proportion, ten_places

_NONE = Amount()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts on which the conditions of an agreement's tranches depend.

    Attributes:
        evaluation_date: the day of evaluation.
        certified: changes of net certified capacity up to then, in kilowatts, by basis and day.
        documented: conditions that documents show to be met, by the number of the tranche and the
            number of the condition in it, from 1.
    """

    evaluation_date: dt.date
    certified: Mapping[str, Mapping[dt.date, int]] = field(default_factory=dict)
    documented: frozenset[tuple[int, int]] = frozenset()

    def certified_kw(self, basis: str) -> int:
        """Return net certified capacity."""
        return sum(self.certified.get(basis, {}).values())

    def highest_certified_kw(self, basis: str) -> int:
        """Return the highest net certified capacity at the end of any day."""
        changes = sorted(self.certified.get(basis, {}).items())
        return max(accumulate(power_kw for _, power_kw in changes), default=0)


def reached(status: AgreementStatus, evidence: Evidence) -> frozenset[int]:
    """Return the numbers of the binding tranches whose conditions hold.

    If the agreement latches, capacity counts at its highest: a later withdrawal does not undo the
    entitlement.
    """
    if not status.binds:
        return frozenset()
    terms = status.terms
    measure = evidence.highest_certified_kw if terms.latching else evidence.certified_kw
    certified_kw = measure(terms.power_basis)

    def holds(tranche: int, number: int, condition: Condition) -> bool:
        if condition.type == "CAPACITY_CERTIFIED":
            return certified_kw >= condition.power_kw
        if condition.type == "AGREEMENT_EXECUTED":
            return status.definitive
        if condition.type == "DATE_REACHED":
            return condition.date is not None and condition.date <= evidence.evaluation_date
        return (tranche, number) in evidence.documented

    return frozenset(
        tranche.number
        for tranche in terms.tranches
        if all(
            holds(tranche.number, number, condition)
            for number, condition in enumerate(tranche.conditions, start=1)
        )
    )


@dataclass(frozen=True, slots=True)
class Recorded:
    """Amounts recorded under an agreement in one currency."""

    called: Amount = _NONE
    funded_gross_cash: Amount = _NONE
    funded_gross_non_cash: Amount = _NONE
    returned: Amount = _NONE
    issued: Amount = _NONE
    secondary: Amount = _NONE
    shares: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the contract, by its names.

    `entitled_pro_rata` is None if no capacity is agreed. `shares` are those outstanding.
    """

    committed: Amount
    contingent: Amount
    indicative: Amount
    entitled: Amount
    entitled_pro_rata: Amount | None
    called: Amount
    funded_gross_cash: Amount
    funded_gross_non_cash: Amount
    returned: Amount
    funded: Amount
    issued: Amount
    remaining_commitment: Amount
    available_to_call: Amount
    unfunded_entitlement: Amount
    overfunded: Amount
    secondary: Amount
    shares: Fraction

    def __add__(self, other: Figures) -> Figures:
        """Add figure by figure: an excess of one agreement does not offset a lack of another."""
        return Figures(
            *(
                _sum(getattr(self, entry.name), getattr(other, entry.name))
                for entry in fields(Figures)
            )
        )

    def amounts(self) -> dict[str, Amount]:
        """Return the amounts that have a value, by name."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Amount)}

    def average_price(self, currency: str) -> str:
        """Return the average price of an outstanding share, in units; empty if there are none.

        Ten places, rounded half to even.
        """
        if self.shares <= 0 or not currency:
            return ""
        issued = Fraction(self.issued.minor, 10 ** currency_exponent(currency))
        return ten_places(issued / self.shares)


def _sum(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def figures_of(
    status: AgreementStatus | None,
    evidence: Evidence,
    recorded: Recorded,
    entitled: Amount | None = None,
) -> Figures:
    """Return the figures of an agreement in one currency.

    Args:
        status: terms and status of the agreement; None if its terms are in another currency, or
            if it has none.
        evidence: facts on which the conditions of its tranches depend.
        recorded: amounts recorded under it.
        entitled: the entitlement under another reading; by the rule of the ledger if None.
    """
    terms = status.terms if status else Terms()
    investment = Amount(terms.commitment_minor or 0, int(terms.undisclosed))
    binds = status is not None and status.binds
    committed = investment if binds else _NONE
    intended = status is not None and status.in_force and not binds
    if entitled is None:
        entitled = entitlement(status, evidence) if status else _NONE
    certified_kw = evidence.certified_kw(terms.power_basis)
    funded = recorded.funded_gross_cash + recorded.funded_gross_non_cash - recorded.returned
    return Figures(
        committed=committed,
        contingent=Amount(terms.contingent_minor) if binds else _NONE,
        indicative=investment if intended else _NONE,
        entitled=entitled,
        entitled_pro_rata=pro_rata(committed, terms, certified_kw) if terms.power_kw else None,
        called=recorded.called,
        funded_gross_cash=recorded.funded_gross_cash,
        funded_gross_non_cash=recorded.funded_gross_non_cash,
        returned=recorded.returned,
        funded=funded,
        issued=recorded.issued,
        remaining_commitment=(committed - funded).at_least_zero(),
        # Entitled is at most committed: it is the lesser of the two.
        available_to_call=(entitled - recorded.called).at_least_zero(),
        unfunded_entitlement=(entitled - funded).at_least_zero(),
        overfunded=(funded - entitled).at_least_zero(),
        secondary=recorded.secondary,
        shares=recorded.shares,
    )


def entitlement(status: AgreementStatus, evidence: Evidence) -> Amount:
    """Return the sum of the tranches that are reached, at most the commitment.

    Whole tranches, not in proportion. A commitment that is not disclosed caps nothing that is
    known, as in the ledger; the entitlement is then the known part only.
    """
    terms = status.terms
    open_ = reached(status, evidence)
    amount_minor = sum(step.amount_minor for step in terms.tranches if step.number in open_)
    if terms.undisclosed:
        return Amount(amount_minor, int(status.binds))
    return Amount(min(amount_minor, terms.commitment_minor or 0))


def pro_rata(committed: Amount, terms: Terms, certified_kw: int) -> Amount:
    """Return the commitment in proportion to certified capacity, at most whole, rounded down.

    Args:
        committed: the commitment.
        terms: agree on some capacity.
        certified_kw: what counts as certified.
    """
    counted_kw = min(max(0, certified_kw), terms.power_kw)
    return Amount(committed.minor * counted_kw // terms.power_kw, committed.undisclosed)


def split_amount(amount: Amount, tranches: Sequence[int], terms: Terms) -> dict[int, Amount]:
    """Split an amount between tranches in proportion to their amounts, to the minor unit.

    If the amount is not disclosed, it is undisclosed in each of them.
    """
    parts = split_in_proportion(amount.minor, _weights(tranches, terms))
    return {
        number: Amount(part, amount.undisclosed)
        for number, part in zip(tranches, parts, strict=True)
    }


def split_shares(shares: Fraction, tranches: Sequence[int], terms: Terms) -> dict[int, Fraction]:
    """Split shares in the same way: whole shares into whole shares, others to their last place.

    Args:
        shares: a decimal of at most ten places.
        tranches: numbers of the tranches that share them.
        terms: terms with the amounts of the tranches.
    """
    scales = (10**places for places in range(MAX_DECIMAL_PLACES + 1))
    scale = next(scale for scale in scales if (shares * scale).denominator == 1)
    parts = split_in_proportion(int(shares * scale), _weights(tranches, terms))
    return {number: Fraction(part, scale) for number, part in zip(tranches, parts, strict=True)}


def _weights(tranches: Sequence[int], terms: Terms) -> list[int]:
    amounts = {tranche.number: tranche.amount_minor for tranche in terms.tranches}
    return [amounts.get(number, 0) for number in tranches]
