"""Exact sums that record their events, and figures by name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from gigaledger.common.quantities import MAX_DECIMAL_PLACES, decimal_to_text, ratio_ppm

Number = int | Fraction
Value = int | str | None
"""The value of a figure: minor units, kilowatts, a count, a text, or none."""


class Contribution(NamedTuple):
    """The contribution of one event to a sum.

    Attributes:
        position: position of the event.
        day: the day on which it counts.
        amount: signed amount; None if undisclosed.
    """

    position: int
    day: dt.date
    amount: Number | None


class TracedSum:
    """A sum, the number of undisclosed amounts that are missing from it, and its parts.

    Args:
        traced: whether the parts are kept.
    """

    __slots__ = ("parts", "undisclosed", "value")

    def __init__(self, *, traced: bool) -> None:
        self.value: Number = 0
        self.undisclosed = 0
        self.parts: list[Contribution] | None = [] if traced else None

    def add(self, position: int, day: dt.date, amount: Number | None) -> None:
        """Add the amount of an event; None if it is undisclosed."""
        if amount is None:
            self.undisclosed += 1
        else:
            self.value += amount
        if self.parts is not None:
            self.parts.append(Contribution(position, day, amount))

    def __add__(self, other: TracedSum) -> TracedSum:
        return self._with(other, 1)

    def __sub__(self, other: TracedSum) -> TracedSum:
        return self._with(other, -1)

    def _with(self, other: TracedSum, sign: int) -> TracedSum:
        result = TracedSum(traced=self.parts is not None and other.parts is not None)
        result.value = self.value + sign * other.value
        result.undisclosed = self.undisclosed + other.undisclosed
        if self.parts is not None and other.parts is not None:
            result.parts = [
                *self.parts,
                *(
                    Contribution(
                        part.position, part.day, None if part.amount is None else sign * part.amount
                    )
                    for part in other.parts
                ),
            ]
        return result

    def becoming(self, value: Number) -> TracedSum:
        """Return a sum with another value and the same events."""
        result = TracedSum(traced=False)
        result.value, result.undisclosed = value, self.undisclosed
        result.parts = self.parts
        return result

    def at_least_zero(self) -> TracedSum:
        """Return the sum, or zero if it is negative."""
        return self.becoming(max(0, self.value))


def total(sums: Iterable[TracedSum], zero: Callable[[], TracedSum]) -> TracedSum:
    """Return the sum of sums."""
    result = zero()
    for one in sums:
        result += one
    return result


class FigureKey(NamedTuple):
    """The name of a figure.

    Attributes:
        section: the answer that it belongs to, e.g. "round-trip".
        name: its name in the contract, e.g. "open_payable"; fields of submessages follow a dot.
        of: its attributes, e.g. (("agreement", "AGR-DA"), ("currency_code", "USD")).
    """

    section: str
    name: str
    of: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        about = ", ".join(f"{name}={value}" for name, value in self.of if value)
        return f"{self.section}.{self.name}" + (f" ({about})" if about else "")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure.

    Attributes:
        value: the value.
        parts: the events behind it, if it was traced and is a sum of events.
        unit: a currency code for minor units, "kW", "shares", or empty.
    """

    value: Value
    parts: tuple[Contribution, ...] | None = None
    unit: str = ""


class FigureSheet:
    """Collects figures by name."""

    def __init__(self) -> None:
        self.figures: dict[FigureKey, Figure] = {}

    def add_figures(
        self, section: str, of: dict[str, str], unit: str = "", **values: Value | TracedSum
    ) -> None:
        """Add figures with the same attributes, sums with their events."""
        about = tuple(of.items())
        for name, value in values.items():
            self.figures[FigureKey(section, name, about)] = _figure(value, unit)

    def add_money(
        self, section: str, of: dict[str, str], currency: str, **amounts: TracedSum | None
    ) -> None:
        """Add amounts, each with the number of undisclosed facts.

        An amount without a currency has no value; None stands for a figure without a value.
        """
        about = tuple(of.items())
        for name, amount in amounts.items():
            known = amount is not None and bool(currency)
            undisclosed = amount.undisclosed if amount is not None else 0
            self.figures[FigureKey(section, name, about)] = _figure(
                amount if known else None, currency
            )
            self.figures[FigureKey(section, f"{name}.undisclosed_count", about)] = Figure(
                undisclosed
            )

    def add_plain_money(
        self, section: str, of: dict[str, str], currency: str, **amounts: TracedSum
    ) -> None:
        """Add amounts for which the contract has no count of undisclosed facts."""
        about = tuple(of.items())
        for name, amount in amounts.items():
            self.figures[FigureKey(section, name, about)] = _figure(
                amount if currency else None, currency
            )

    def add_ratio(
        self,
        section: str,
        of: dict[str, str],
        name: str,
        numerator: TracedSum,
        denominator: TracedSum,
    ) -> None:
        """Add a ratio in parts per million with its numerator and denominator."""
        about = tuple(of.items())
        ppm = ratio_ppm(int(numerator.value), int(denominator.value))
        self.figures[FigureKey(section, f"{name}.ppm", about)] = Figure(ppm, unit="ppm")
        currency = dict(of)["currency_code"]
        self.add_plain_money(
            section,
            of,
            currency,
            **{f"{name}.numerator": numerator, f"{name}.denominator": denominator},
        )


def _figure(value: Value | TracedSum, unit: str) -> Figure:
    if not isinstance(value, TracedSum):
        return Figure(value, unit=unit)
    parts = tuple(value.parts) if value.parts is not None else None
    number = value.value
    if isinstance(number, Fraction) and number.denominator != 1:
        raise ValueError(f"{number} is no whole number: round it by a rule")
    return Figure(int(number), parts, unit)


def ten_places(number: Number) -> str:
    """Return a number as a decimal of at most ten places, rounded half to even."""
    scaled = round(Fraction(number) * 10**MAX_DECIMAL_PLACES)
    with localcontext() as context:
        context.prec = 100
        return decimal_to_text(Decimal(scaled).scaleb(-MAX_DECIMAL_PLACES))


def in_proportion(part: int, whole: int, amount: int) -> int:
    """Return the share of an amount that a part has of a positive whole, half away from zero."""
    product = part * amount
    magnitude = (2 * abs(product) + whole) // (2 * whole)
    return magnitude if product >= 0 else -magnitude


def split(whole: int, weights: list[int]) -> list[int]:
    """Split a whole in proportion to weights by largest remainder; ties go to the earlier part.

    Without a positive weight the parts are as equal as possible.
    """
    weights = [max(0, weight) for weight in weights]
    if not any(weights):
        weights = [1] * len(weights)
    exact = [Fraction(whole * weight, sum(weights)) for weight in weights]
    parts = [share.__floor__() for share in exact]
    order = sorted(range(len(parts)), key=lambda at: (-(exact[at] - parts[at]), at))
    for at in order[: whole - sum(parts)]:
        parts[at] += 1
    return parts
