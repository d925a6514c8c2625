"""The rule about the price of shares: SX-INV-05."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from gigaledger.common.quantities import currency_exponent, decimal_from_message, money_from_message
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, Severity, SubjectRule, Topic
from gigaledger.v1.common_pb2 import Role


@dataclass(frozen=True, slots=True)
class _Valuation:
    day: dt.date
    position: int
    price: Fraction | None


@dataclass(slots=True)
class _Issuance:
    day: dt.date
    position: int
    price: Fraction
    shares: Fraction


class Issuer:
    """State of an issuer: its valuations and the shares issued and not rescinded."""

    def __init__(self, _subject: str) -> None:
        self.valuations: list[_Valuation] = []
        self.issuances: dict[tuple[str, str], _Issuance] = {}

    def apply(self, posting: Posting, _context: RuleContext) -> None:
        """Fold a posting."""
        fact = posting.fact
        if posting.kind == "valuation_determined":
            valuation = _Valuation(posting.effective_date, posting.position, _fair_price(fact))
            self.valuations.append(valuation)
            return
        key = (fact.agreement, fact.security)
        shares = Fraction(decimal_from_message(fact.shares))
        if posting.kind == "equity_shares_issued":
            price = Fraction(decimal_from_message(fact.price_per_share))
            self.issuances[key] = _Issuance(posting.effective_date, posting.position, price, shares)
        elif key in self.issuances:
            self.issuances[key].shares -= shares
            if not self.issuances[key].shares:
                del self.issuances[key]

    def valuation_on(self, day: dt.date) -> _Valuation | None:
        """Return the latest valuation by a day."""
        found = [valuation for valuation in self.valuations if valuation.day <= day]
        return max(found, key=lambda valuation: (valuation.day, valuation.position), default=None)


def _fair_price(fact: object) -> Fraction | None:
    """Return the value of one share, in units; None if the number of shares is not stated."""
    shares = fact.fully_diluted_shares  # type: ignore[attr-defined]
    if not shares.value or not decimal_from_message(shares):
        return None
    money = money_from_message(fact.pre_money)  # type: ignore[attr-defined]
    scale: int = 10 ** currency_exponent(money.currency)
    return Fraction(money.amount_minor, scale) / Fraction(decimal_from_message(shares))


def find_unsupported(state: Issuer, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find share prices that no valuation supports (SX-INV-05)."""
    limit = policy.threshold("valuation_age_days")
    if limit is None:
        return
    for (_, security), issuance in state.issuances.items():
        valuation = state.valuation_on(issuance.day)
        if valuation is None:
            text = f"{security} is issued without a valuation"
        elif (issuance.day - valuation.day).days > limit:
            text = f"{security} is issued by a valuation of {valuation.day}, over {limit} days old"
        elif valuation.price is not None and issuance.price > valuation.price:
            text = f"{security} is issued above the value of a share on {valuation.day}"
        else:
            continue
        positions = {issuance.position} | ({valuation.position} if valuation else set())
        yield Finding(text, tuple(sorted(positions)), f"{issuance.position}")


def _subjects(posting: Posting, context: RuleContext) -> Iterator[str]:
    if posting.kind == "valuation_determined":
        yield f"issuers/{posting.fact.issuer}"
        return
    agreement = context.agreements.get(posting.fact.agreement, posting.position)
    if agreement is not None:
        parties = agreement.fact.terms.parties
        yield from (f"issuers/{p.party}" for p in parties if p.role == Role.ROLE_ISSUER)


TOPIC = Topic(
    kinds=frozenset({"valuation_determined", "equity_shares_issued", "equity_issuance_rescinded"}),
    subjects=_subjects,
    new_state=Issuer,
    rules=(
        SubjectRule(
            "SX-INV-05", Severity.WARNING, "no valuation supports the price", find_unsupported
        ),
    ),
)
