"""What is watched of an agreement's capital, and of the prices of an issuer's shares.

SX-INV-01 to SX-INV-05. Entitled are the tranches whose conditions hold, whole, at most the
commitment (domain rules, section 2.2).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

from gigaledger.audit.exceptions.postings import TERMS, Posting, Standing, Thresholds
from gigaledger.audit.exceptions.rule_types import Broken, Family
from gigaledger.common.quantities import (
    currency_exponent,
    date_from_message,
    decimal_from_message,
    money_from_message,
)
from gigaledger.v1.agreement_facts_pb2 import AgreementTerms, ConditionType, Tranche
from gigaledger.v1.common_pb2 import Role

_CAPACITY = {
    "capacity_milestone_certified": 1,
    "capacity_certification_reversed": -1,
    "capacity_retired": -1,
}
_ENDS = ("agreement_superseded", "agreement_terminated", "agreement_expired")
_ISSUES = {"equity_shares_issued": 1, "equity_issuance_rescinded": -1}


def _minor(message: Any) -> int:
    return money_from_message(message).amount_minor


@dataclass(slots=True)
class _Contribution:
    """`left_minor` is what has not gone back; None where it is not disclosed."""

    position: int
    left_minor: int | None
    called: bool
    bound: bool
    ended: bool


@dataclass
class Capital:
    """An agreement: its terms, its capacity, and what was funded and issued under it."""

    name: str
    terms: AgreementTerms = field(default_factory=AgreementTerms)
    executed: bool = False
    ended: bool = False
    contributions: dict[str, _Contribution] = field(default_factory=dict)
    issued_minor: int = 0
    issues: list[int] = field(default_factory=list)
    uneven_since: dt.date | None = None
    capacity: list[tuple[int, dt.date, int, int]] = field(default_factory=list)
    documented: dict[tuple[int, int], dt.date] = field(default_factory=dict)

    def add(self, posting: Posting, _standing: Standing) -> None:
        """Add the next posting."""
        fact = posting.fact
        if posting.kind in _ENDS:
            self.ended = True
        elif posting.kind in TERMS and fact.agreement != self.name:
            # Another one takes its place.
            self.ended = True
        elif posting.kind in TERMS:
            self.executed = self.executed or posting.kind == "definitive_agreement_executed"
            self.terms = fact.terms
        elif posting.kind in _CAPACITY:
            change = _CAPACITY[posting.kind] * fact.power_kw
            self.capacity.append((posting.position, posting.day, fact.power_basis, change))
        elif posting.kind == "tranche_condition_satisfied":
            met = (fact.tranche, fact.condition)
            self.documented[met] = min(posting.day, self.documented.get(met, posting.day))
        elif posting.kind == "capital_contribution_funded":
            past = self._is_past(posting.day)
            self.contributions[fact.contribution] = _Contribution(
                posting.position,
                _minor(fact.amount) if fact.HasField("amount") else None,
                called=bool(fact.call),
                bound=self.binds and not past,
                ended=self.ended or past,
            )
        elif posting.kind == "capital_returned":
            one = self.contributions.get(fact.contribution)
            if one is not None and one.left_minor is not None:
                one.left_minor -= _minor(fact.amount)
        elif posting.kind in _ISSUES:
            self.issued_minor += _ISSUES[posting.kind] * _minor(fact.amount)
            if posting.kind == "equity_shares_issued":
                self.issues.append(posting.position)
        unknown = any(one.left_minor is None for one in self.contributions.values())
        if unknown or self.funded_minor == self.issued_minor:
            self.uneven_since = None
        else:
            self.uneven_since = self.uneven_since or posting.day

    @property
    def binds(self) -> bool:
        """Whether it stands and binds."""
        return self.executed and self.terms.binding and not self.ended

    @property
    def funded_minor(self) -> int:
        """What was contributed and has not gone back, as far as it is disclosed."""
        return sum(one.left_minor or 0 for one in self.contributions.values())

    def turning_days(self) -> Collection[dt.date]:
        """Return the days on which conditions of date come true."""
        return [
            date_from_message(condition.date)
            for tranche in self.terms.tranches
            for condition in tranche.conditions
            if condition.type == ConditionType.CONDITION_TYPE_DATE_REACHED
        ]

    def _is_past(self, day: dt.date) -> bool:
        expires = self.terms.HasField("expiry_date")
        return expires and date_from_message(self.terms.expiry_date) < day

    def _certified_kw(self, day: dt.date) -> int:
        """Return net certified capacity by a day; the highest so far where it latches."""
        by_day: dict[dt.date, int] = defaultdict(int)
        for _, effective, basis, change in self.capacity:
            if basis == self.terms.power_basis and effective <= day:
                by_day[effective] += change
        levels = [0, *accumulate(change for _, change in sorted(by_day.items()))]
        if not by_day:
            return 0
        return max(levels[1:]) if self.terms.latching else levels[-1]

    def _is_reached(self, tranche: Tranche, day: dt.date) -> bool:
        for number, condition in enumerate(tranche.conditions, start=1):
            match condition.type:
                case ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED:
                    holds = self._certified_kw(day) >= condition.power_kw
                case ConditionType.CONDITION_TYPE_AGREEMENT_EXECUTED:
                    holds = self.executed
                case ConditionType.CONDITION_TYPE_DATE_REACHED:
                    holds = date_from_message(condition.date) <= day
                case _:
                    holds = self.documented.get((tranche.number, number), dt.date.max) <= day
            if not holds:
                return False
        return True

    def _allowed_minor(self, day: dt.date) -> int | None:
        """Return what may be funded: min(C, E), C without tranches; None where not disclosed."""
        told = self.terms.HasField("investment_commitment")
        committed = _minor(self.terms.investment_commitment) if told else None
        if self.terms.tranches:
            entitled = sum(
                _minor(one.amount) for one in self.terms.tranches if self._is_reached(one, day)
            )
            return entitled if committed is None else min(committed, entitled)
        return None if self.terms.investment_undisclosed else committed or 0

    def broken(self, thresholds: Thresholds, day: dt.date) -> Iterator[Broken]:
        """Yield which rules are broken on a day."""
        funded = tuple(one.position for one in self.contributions.values())
        allowed = self._allowed_minor(day) if self.binds else None
        if allowed is not None and self.funded_minor > allowed:
            changes = (position for position, *_ in self.capacity)
            yield Broken("SX-INV-01", "", (*funded, *changes))
        for number, one in self.contributions.items():
            if one.left_minor == 0:
                continue
            # What was funded before there was an agreement is healed by one; after its end not.
            if not one.bound and (one.ended or not self.binds):
                yield Broken("SX-INV-02", number, (one.position,))
            if not one.called:
                yield Broken("SX-INV-03", number, (one.position,))
        limit, since = thresholds.of("unissued_days"), self.uneven_since
        if limit is not None and since is not None and (day - since).days > limit:
            from_day = since + dt.timedelta(days=limit + 1)
            yield Broken("SX-INV-04", "", (*funded, *self.issues), from_day)


def _agreements(posting: Posting, _standing: Standing) -> Iterator[str]:
    yield f"agreements/{posting.fact.agreement}"
    if posting.kind == "definitive_agreement_executed":
        for name in posting.fact.supersedes:
            yield f"agreements/{name}"


@dataclass(slots=True)
class _Issuance:
    position: int
    day: dt.date
    price: Fraction
    shares: Fraction


@dataclass
class Issuer:
    """An issuer: valuations, and issuances that stand."""

    valuations: list[tuple[dt.date, int, Fraction | None]] = field(default_factory=list)
    issuances: dict[tuple[str, str], _Issuance] = field(default_factory=dict)

    def add(self, posting: Posting, _standing: Standing) -> None:
        """Add the next posting."""
        fact = posting.fact
        if posting.kind == "valuation_determined":
            self.valuations.append((posting.day, posting.position, _share_value(fact)))
            return
        name, shares = (fact.agreement, fact.security), Fraction(decimal_from_message(fact.shares))
        if posting.kind == "equity_shares_issued":
            price = Fraction(decimal_from_message(fact.price_per_share))
            self.issuances[name] = _Issuance(posting.position, posting.day, price, shares)
        elif name in self.issuances:
            self.issuances[name].shares -= shares

    def turning_days(self) -> Collection[dt.date]:
        """Return no days: what counts is the day of an issuance."""
        return ()

    def broken(self, thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield issuances whose price no valuation supports (SX-INV-05)."""
        limit = thresholds.of("valuation_age_days")
        if limit is None:
            return
        for issuance in self.issuances.values():
            by_then = [one[:2] for one in self.valuations if one[0] <= issuance.day]
            if not issuance.shares:
                continue
            if not by_then:
                yield Broken("SX-INV-05", str(issuance.position), (issuance.position,))
                continue
            day, position = max(by_then)
            value = next(one[2] for one in self.valuations if one[1] == position)
            above = value is not None and issuance.price > value
            if (issuance.day - day).days > limit or above:
                behind = (issuance.position, position)
                yield Broken("SX-INV-05", str(issuance.position), behind)


def _share_value(valuation: Any) -> Fraction | None:
    """Return what a share is worth, in units; None where the number of shares is not told."""
    if not valuation.fully_diluted_shares.value:
        return None
    shares = Fraction(decimal_from_message(valuation.fully_diluted_shares))
    money = money_from_message(valuation.pre_money)
    units = Fraction(money.amount_minor, 10 ** currency_exponent(money.currency))
    return units / shares if shares else None


def _issuers(posting: Posting, standing: Standing) -> Iterator[str]:
    if posting.kind == "valuation_determined":
        yield f"issuers/{posting.fact.issuer}"
        return
    terms = standing.latest("terms", posting.fact.agreement, posting.position)
    for one in terms.fact.terms.parties if terms is not None else ():
        if one.role == Role.ROLE_ISSUER:
            yield f"issuers/{one.party}"


CAPITAL = Family(
    rules=frozenset({"SX-INV-01", "SX-INV-02", "SX-INV-03", "SX-INV-04"}),
    kinds=frozenset(
        {
            *(*TERMS, *_ENDS, *_CAPACITY, *_ISSUES, "tranche_condition_satisfied"),
            *("capital_contribution_funded", "capital_returned"),
        }
    ),
    subjects=_agreements,
    new=lambda name: Capital(name.removeprefix("agreements/")),
    ages=True,
)
ISSUERS = Family(
    rules=frozenset({"SX-INV-05"}),
    kinds=frozenset({"valuation_determined", *_ISSUES}),
    subjects=_issuers,
    new=lambda _name: Issuer(),
)
