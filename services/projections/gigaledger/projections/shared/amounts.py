"""Sums of amounts of which some are not disclosed.

An undisclosed amount is unknown, not zero: whatever it goes into is the known part only and says
how many facts are missing from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction

from gigaledger.common.quantities import (
    MAX_DECIMAL_PLACES,
    currency_exponent,
    decimal_to_text,
    money_to_message,
    ratio_ppm,
)
from gigaledger.v1.projections_pb2 import MoneyFigure, RatioFigure
from google.type.money_pb2 import Money

_EXACT = Context(prec=100)
"""More digits than any sum of amounts has."""


@dataclass(frozen=True, slots=True)
class Amount:
    """The known part of an amount, and the number of facts whose amount is not disclosed."""

    minor: int = 0
    undisclosed: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.minor + other.minor, self.undisclosed + other.undisclosed)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.minor - other.minor, self.undisclosed + other.undisclosed)

    def at_least_zero(self) -> Amount:
        """Return the amount, or zero if it is negative."""
        return Amount(max(0, self.minor), self.undisclosed)

    def figure(self, currency: str) -> MoneyFigure:
        """Return the figure of the contract; without an amount if no currency is known."""
        return MoneyFigure(
            amount=money(self.minor, currency) if currency else None,
            undisclosed_count=self.undisclosed,
        )


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum."""
    return sum(amounts, Amount())


def lesser(one: Amount, other: Amount) -> Amount:
    """Return the lesser of the known parts; what is undisclosed in either is undisclosed."""
    return Amount(min(one.minor, other.minor), one.undisclosed + other.undisclosed)


def money(amount_minor: int, currency: str) -> Money:
    """Return an amount of the contract; without a currency if only undisclosed facts contribute."""
    return money_to_message(amount_minor, currency) if currency else Money()


def units(amount_minor: int, currency: str) -> Decimal:
    """Return an amount in units of its currency, exact; of no currency, it can only be zero."""
    exponent = currency_exponent(currency) if currency else 0
    return Decimal(amount_minor).scaleb(-exponent, _EXACT)


def ratio(numerator_minor: int, denominator_minor: int, currency: str) -> RatioFigure:
    """Return a ratio of the contract, with what it was made of."""
    return RatioFigure(
        ppm=ratio_ppm(numerator_minor, denominator_minor),
        numerator=money(numerator_minor, currency),
        denominator=money(denominator_minor, currency),
    )


def ten_places(number: Fraction) -> str:
    """Return a number as a decimal of at most ten places, rounded half to even."""
    scale: int = 10**MAX_DECIMAL_PLACES
    with localcontext() as context:
        context.prec = 100
        rounded = Decimal(round(number * scale)) / scale
        return decimal_to_text(rounded.quantize(Decimal(1) / scale, ROUND_HALF_EVEN))


def split_in_proportion(whole: int, weights: list[int]) -> list[int]:
    """Split a whole in proportion to weights, by largest remainder, so that the parts add up to it.

    Ties go to the earlier part. If no weight is positive, the parts are equal.
    """
    weights = [max(0, weight) for weight in weights]
    weights = weights if any(weights) else [1] * len(weights)
    if not weights:
        return []
    shares = [Fraction(whole * weight, sum(weights)) for weight in weights]
    parts = [math.floor(share) for share in shares]
    by_remainder = sorted(
        range(len(parts)), key=lambda index: (parts[index] - shares[index], index)
    )
    for index in by_remainder[: whole - sum(parts)]:
        parts[index] += 1
    return parts
