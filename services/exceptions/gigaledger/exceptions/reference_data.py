"""What rules look up besides their subject: orders, groups, ratings, certificates, cash.

Every entry is kept under its position, so that a reversal removes it.
"""

from __future__ import annotations

import datetime as dt
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar

from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.exceptions.posting import Posting
from gigaledger.v1.equity_facts_pb2 import ContributionForm

_Value = TypeVar("_Value")
Pair = tuple[str, str]
"""Paying group and paid group."""


class Latest(Generic[_Value]):
    """Values by key; the one recorded last counts."""

    def __init__(self) -> None:
        self._values: dict[Any, dict[int, _Value]] = defaultdict(dict)

    def put(self, key: object, position: int, value: _Value) -> None:
        """Add a value."""
        self._values[key][position] = value

    def drop(self, key: object, position: int) -> None:
        """Remove a value."""
        self._values[key].pop(position, None)

    def get(self, key: object, known: int) -> _Value | None:
        """Return the value recorded last up to a position; None if there is none."""
        held = self._values.get(key)
        if not held:
            return None
        latest = max((position for position in held if position <= known), default=None)
        return None if latest is None else held[latest]

    def all(self, key: object, known: int) -> Iterator[_Value]:
        """Yield the values of a key recorded up to a position, in order."""
        held = self._values.get(key, {})
        yield from (held[position] for position in sorted(held) if position <= known)

    def positions(self, key: object) -> list[int]:
        """Return the positions of the values of a key, ascending."""
        return sorted(self._values.get(key, ()))


@dataclass(frozen=True, slots=True, order=True)
class Amount:
    """An amount and its day."""

    day: dt.date
    position: int
    minor: int
    currency: str


_Movement = tuple[dict[Pair, list[Amount]], Pair, Amount]
"""The list that holds an amount, its pair, and the amount."""


class RuleContext:
    """The book as rules see it: the postings that are not reversed."""

    def __init__(self) -> None:
        self.orders: Latest[Posting] = Latest()
        self.agreements: Latest[Posting] = Latest()
        self.predecessors: Latest[tuple[str, ...]] = Latest()
        self.schedules: Latest[list[tuple[dt.date, int]]] = Latest()
        self.planned_dates: Latest[dt.date] = Latest()
        self.certified_milestones: Latest[str] = Latest()
        self.ratings: Latest[tuple[Fraction, int]] = Latest()
        self.groups: Latest[tuple[dt.date, str]] = Latest()
        self.claims: Latest[int] = Latest()
        self.applied: Latest[str] = Latest()
        self.confirmations: Latest[bool] = Latest()
        self.closed_periods: set[str] = set()
        self.orders_between: dict[Pair, list[Amount]] = defaultdict(list)
        self.invested: dict[Pair, list[Amount]] = defaultdict(list)
        self.purchased: dict[Pair, list[Amount]] = defaultdict(list)
        self.paid: dict[Pair, set[int]] = defaultdict(set)
        self.paid_to: dict[str, set[str]] = defaultdict(set)
        self._movements: dict[int, tuple[list[_Movement], list[Pair]]] = {}

    def group(self, party: str, posting: Posting) -> str:
        """Return the group of a party on the day of a posting, as known then.

        Without a membership it is the party itself.
        """
        found = party
        changes = self.groups.all(party, posting.position)
        for since, group in sorted(changes, key=lambda change: change[0]):
            if since <= posting.effective_date:
                found = group or party
        return found

    def apply(self, posting: Posting) -> None:
        """Add a posting."""
        self._change(posting, added=True)

    def undo(self, posting: Posting) -> None:
        """Remove a posting that was recorded in error."""
        self._change(posting, added=False)

    def _change(self, posting: Posting, *, added: bool) -> None:
        for registry, key, value in (*self._registered(posting), *self._confirmed(posting)):
            if added:
                registry.put(key, posting.position, value)
            else:
                registry.drop(key, posting.position)
        self._change_totals(posting, added=added)
        self._move_cash(posting, added=added)

    def _change_totals(self, posting: Posting, *, added: bool) -> None:
        fact = posting.fact
        if posting.kind in ("period_closed", "period_reopened"):
            if (posting.kind == "period_closed") == added:
                self.closed_periods.add(fact.period)
            else:
                self.closed_periods.discard(fact.period)

    def _move_cash(self, posting: Posting, *, added: bool) -> None:
        if added:
            amounts = list(self._amounts(posting))
            pairs = [self._pair(posting, *sides) for sides in cash_sides(posting)]
            if amounts or pairs:
                self._movements[posting.position] = (amounts, pairs)
        else:
            # Groups as looked up then: a later change of groups moves no past payment.
            amounts, pairs = self._movements.pop(posting.position, ([], []))
        for lists, pair, amount in amounts:
            if added:
                insort(lists[pair], amount)
            else:
                lists[pair].remove(amount)
        for pair in pairs:
            self._count_payment(pair, posting.position, added=added)

    def _count_payment(self, pair: Pair, position: int, *, added: bool) -> None:
        if added:
            self.paid[pair].add(position)
            self.paid_to[pair[0]].add(pair[1])
            return
        self.paid[pair].discard(position)
        if not self.paid[pair]:
            self.paid_to[pair[0]].discard(pair[1])

    def _confirmed(self, posting: Posting) -> Iterator[tuple[Latest[Any], object, object]]:
        if posting.kind == "external_confirmation_received" and posting.fact.agreed:
            for position in posting.fact.positions:
                yield self.confirmations, position, True

    def _registered(self, posting: Posting) -> Iterator[tuple[Latest[Any], object, object]]:
        fact, day = posting.fact, posting.effective_date
        match posting.kind:
            case "purchase_order_placed":
                yield self.orders, fact.purchase_order, posting
            case "supplier_payment_settled" if not fact.purchase_order:
                yield self.applied, (fact.payer, fact.payee, fact.payment), fact.invoice
            case "letter_of_intent_signed" | "definitive_agreement_executed" | "agreement_amended":
                yield self.agreements, fact.agreement, posting
                if posting.kind == "definitive_agreement_executed":
                    yield self.predecessors, fact.agreement, tuple(fact.supersedes)
            case "deployment_schedule_baselined" | "deployment_schedule_revised":
                points = [
                    (date_from_message(p.by_date), p.cumulative_power_kw) for p in fact.points
                ]
                yield self.schedules, fact.agreement, points
            case "capacity_milestone_claimed":
                yield self.claims, fact.agreement, fact.power_kw
            case "capacity_milestone_planned":
                if fact.HasField("planned_date"):
                    key = (fact.agreement, fact.milestone)
                    yield self.planned_dates, key, date_from_message(fact.planned_date)
            case "capacity_milestone_certified":
                key = (fact.agreement, fact.certifier, fact.certificate)  # type: ignore[assignment]
                yield self.certified_milestones, key, fact.milestone
            case "rack_sku_rated":
                rating = Fraction(fact.rated_power_kw_numerator, fact.rated_power_kw_denominator)
                yield self.ratings, fact.sku, (rating, fact.power_basis)
            case "party_registered" | "group_membership_changed":
                yield self.groups, fact.party, (day, fact.group)

    def _amounts(self, posting: Posting) -> Iterator[_Movement]:
        fact, day = posting.fact, posting.effective_date
        match posting.kind:
            case "purchase_order_placed":
                for currency, minor in order_amounts(fact).items():
                    yield (
                        self.orders_between,
                        (fact.buyer, fact.supplier),
                        Amount(day, posting.position, minor, currency),
                    )
            case "capital_contribution_funded" if in_cash(fact):
                yield self.invested, self._groups(posting), _amount(posting)
            case "supplier_payment_settled" | "prepayment_made":
                yield self.purchased, self._groups(posting), _amount(posting)

    def _groups(self, posting: Posting) -> Pair:
        return self._pair(posting, posting.fact.payer, posting.fact.payee)

    def _pair(self, posting: Posting, payer: str, payee: str) -> Pair:
        return self.group(payer, posting), self.group(payee, posting)


def in_cash(fact: Any) -> bool:
    """Return whether a contribution is in cash and its amount is disclosed."""
    non_cash = ContributionForm.CONTRIBUTION_FORM_NON_CASH
    return bool(fact.HasField("amount") and fact.form != non_cash)


def _amount(posting: Posting) -> Amount:
    money = money_from_message(posting.fact.amount)
    return Amount(posting.effective_date, posting.position, money.amount_minor, money.currency)


def order_amounts(fact: Any) -> dict[str, int]:
    """Return the disclosed amounts of an order as placed, by currency."""
    total: Counter[str] = Counter()
    for line in fact.lines:
        if line.HasField("amount"):
            money = money_from_message(line.amount)
            total[money.currency] += money.amount_minor
        elif line.HasField("unit_price"):
            money = money_from_message(line.unit_price)
            total[money.currency] += line.quantity * money.amount_minor
    return dict(total)


_CASH = frozenset(
    {
        *("supplier_payment_settled", "prepayment_made", "capital_contribution_funded"),
        *("lease_payment_settled", "backstop_purchase_settled"),
    }
)
"""Movements of cash that name payer and payee, except refunds and returns."""


def cash_sides(posting: Posting) -> Iterator[Pair]:
    """Yield payer and payee of a movement of cash, except refunds and returns."""
    fact, kind = posting.fact, posting.kind
    if kind in _CASH:
        if kind != "capital_contribution_funded" or in_cash(fact):
            yield fact.payer, fact.payee
    elif kind == "spv_equity_contributed":
        yield fact.payer, fact.vehicle
    elif kind == "distribution_paid":
        yield fact.vehicle, fact.payee
    elif kind == "debt_drawn":
        yield fact.lender, fact.borrower
