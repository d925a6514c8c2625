"""The formulas of warrants (domain rules, section 1.4). Pure.

A tranche vests by a decision, once its vesting conditions hold. Vested shares can be exercised once
its exercise conditions hold as well, until the warrant expires.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal

from gigaledger.common.quantities import date_from_message
from gigaledger.v1.agreement_facts_pb2 import ConditionType, TrancheCondition

_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
"""More digits than shares times a price have."""


@dataclass(slots=True)
class Condition:
    """A condition, and the first day that documents it; None if nothing does."""

    terms: TrancheCondition
    documented: dt.date | None = None

    @property
    def since(self) -> dt.date | None:
        """The day from which on it holds; None if that is not known."""
        if self.terms.type == ConditionType.CONDITION_TYPE_DATE_REACHED:
            return date_from_message(self.terms.date)
        return self.documented

    def holds(self, day: dt.date) -> bool:
        """Return whether it holds on a day."""
        return self.since is not None and self.since <= day


@dataclass(slots=True)
class Tranche:
    """A tranche: its shares, None if not disclosed, and what became of them."""

    number: int
    shares: Decimal | None
    vesting: list[Condition] = field(default_factory=list)
    exercise: list[Condition] = field(default_factory=list)
    vested: Decimal = Decimal(0)
    exercised: Decimal = Decimal(0)
    lapsed: bool = False

    def is_exercisable(self, day: dt.date) -> bool:
        """Return whether vested shares can be exercised on a day, as far as conditions go."""
        return all(condition.holds(day) for condition in self.exercise)


@dataclass(slots=True)
class Warrant:
    """A warrant and its tranches, by number.

    Attributes:
        granted: shares granted.
        exercise_price: price of one share in units of the currency.
        expiry_date: last day of exercise; None if open.
        exercised: shares exercised.
    """

    granted: Decimal
    exercise_price: Decimal
    expiry_date: dt.date | None
    tranches: list[Tranche]
    exercised: Decimal = Decimal(0)

    @property
    def vested(self) -> Decimal:
        """Shares vested."""
        return sum((tranche.vested for tranche in self.tranches), Decimal(0))

    def has_expired(self, day: dt.date) -> bool:
        """Return whether it can be exercised no more."""
        return self.expiry_date is not None and day > self.expiry_date

    def allocate_exercises(self, day: dt.date) -> None:
        """Take exercised shares from the tranches: exercisable ones first, by number."""
        left = self.exercised
        for tranche in sorted(self.tranches, key=lambda one: not one.is_exercisable(day)):
            tranche.exercised = min(left, tranche.vested)
            left -= tranche.exercised

    def exercisable(self, tranche: Tranche, day: dt.date) -> Decimal:
        """Return the shares of a tranche that can be exercised on a day."""
        if tranche.lapsed or self.has_expired(day) or not tranche.is_exercisable(day):
            return Decimal(0)
        return tranche.vested - tranche.exercised

    def lapsed(self, day: dt.date) -> Decimal:
        """Return the shares that lapsed by a day without being exercised.

        Of a lapsed tranche whose shares are not disclosed, only those vested are known.
        """
        if self.has_expired(day) or (
            self.tranches and all(tranche.lapsed for tranche in self.tranches)
        ):
            return self.granted - self.exercised
        return sum(
            (
                (tranche.vested if tranche.shares is None else tranche.shares) - tranche.exercised
                for tranche in self.tranches
                if tranche.lapsed
            ),
            Decimal(0),
        )

    def next_tranche(self, day: dt.date) -> int:
        """Return the number of the tranche that vests next; 0 if there is none."""
        if self.has_expired(day):
            return 0
        open_tranches: Iterator[int] = (
            tranche.number
            for tranche in self.tranches
            if not tranche.lapsed
            and (not tranche.vested if tranche.shares is None else tranche.vested < tranche.shares)
        )
        return next(open_tranches, 0)

    def value_minor(self, shares: Decimal, share_price: Decimal, exponent: int) -> int:
        """Return what shares are worth beyond their price of exercise, in minor units, at least 0.

        Rounded half to even.
        """
        gain = max(Decimal(0), _EXACT.subtract(share_price, self.exercise_price))
        return int(_EXACT.to_integral_value(_EXACT.multiply(shares, gain).scaleb(exponent)))
