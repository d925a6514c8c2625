"""Exact quantities: between the contract's messages and the numbers that rules and folds use.

Money is an integer count of minor units (cents) with its ISO 4217 currency, shares and prices are
decimals, power is whole kilowatts, days are dates. Nothing here is ever a float.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache

from gigaledger.common.currencies import CURRENCIES, WITHOUT_MINOR_UNIT
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money as MoneyMessage

NANOS_PER_UNIT = 1_000_000_000
MICROSECONDS_PER_SECOND = 1_000_000
MAX_AMOUNT_MINOR = 2**63 - 1
"""An amount fits the 64-bit integer of other systems: USD 92 quadrillion in cents."""
MAX_DECIMAL_PLACES = 10
"""As Open Cap Format's `Numeric`."""
MAX_DECIMAL_DIGITS = 38
"""Digits of a decimal in all: what SQL systems store exactly."""

FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2199, 12, 31)
"""Days that facts and questions can be about."""
EXACT = Context(prec=4 * MAX_DECIMAL_DIGITS, traps=[Inexact, InvalidOperation])
"""Decimal arithmetic that never rounds. It holds the product of two decimals, and sums of more of
them than a book has events."""

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""The form of `google.type.Decimal`. Python would take more: other digits, underscores, spaces."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class QuantityError(ValueError):
    """A message does not hold an exact quantity. The text says why."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in the minor unit of its currency: `Money(1050, "USD")` is USD 10.50."""

    amount_minor: int
    currency: str


def currency_exponent(currency: str) -> int:
    """Return the number of decimal places of an ISO 4217 currency: 2 for USD, 0 for JPY.

    Withdrawn currencies have theirs too, for amounts that were recorded before.

    Raises:
        QuantityError: there is no such currency, or it has no minor unit.
    """
    try:
        return CURRENCIES[currency].exponent
    except KeyError:
        if currency in WITHOUT_MINOR_UNIT:
            raise QuantityError(f"currency {currency} has no minor unit") from None
        raise QuantityError(f"{currency!r} is not an ISO 4217 currency code") from None


def check_legal_tender(currency: str, day: dt.date) -> None:
    """Check that a currency was legal tender on a day.

    Raises:
        QuantityError: there is no such currency, or the day is before it was introduced or after it
            was withdrawn.
    """
    currency_exponent(currency)
    known = CURRENCIES[currency]
    if known.first_day is not None and day < known.first_day:
        raise QuantityError(f"{currency} was introduced on {known.first_day}, after {day}")
    if known.last_day is not None and day > known.last_day:
        raise QuantityError(f"{currency} was legal tender until {known.last_day}, not on {day}")


def money_from_message(message: MoneyMessage) -> Money:
    """Return the exact amount of a `google.type.Money`.

    Raises:
        QuantityError: unknown currency, a fraction that the currency does not have, signs of units
            and nanos that differ, or more than 64 bits.
    """
    exponent = currency_exponent(message.currency_code)
    units, nanos = message.units, message.nanos
    if abs(nanos) >= NANOS_PER_UNIT or units * nanos < 0:
        raise QuantityError("nanos must be below one unit and have the sign of units")
    minor_nanos = NANOS_PER_UNIT // 10**exponent
    minor, rest = divmod(abs(nanos), minor_nanos)
    if rest:
        raise QuantityError(f"{message.currency_code} has {exponent} decimal places, not more")
    amount = abs(units) * 10**exponent + minor
    if amount > MAX_AMOUNT_MINOR:
        raise QuantityError("the amount exceeds 2^63-1 minor units")
    return Money(-amount if units < 0 or nanos < 0 else amount, message.currency_code)


def money_to_message(amount_minor: int, currency: str) -> MoneyMessage:
    """Return the `google.type.Money` of an amount in minor units.

    Raises:
        QuantityError: unknown currency.
    """
    scale = 10 ** currency_exponent(currency)
    units, minor = divmod(abs(amount_minor), scale)
    sign = -1 if amount_minor < 0 else 1
    return MoneyMessage(
        currency_code=currency,
        units=sign * units,
        nanos=sign * minor * (NANOS_PER_UNIT // scale),
    )


def date_from_message(message: Date) -> dt.date:
    """Return the day of a `google.type.Date`.

    Raises:
        QuantityError: year, month or day is missing or there is no such day.
    """
    try:
        return dt.date(message.year, message.month, message.day)
    except ValueError as error:
        raise QuantityError(f"no such day: {error}") from None


def bounded_date_from_message(message: Date) -> dt.date:
    """Return the day of a `google.type.Date` from `FIRST_DAY` to `LAST_DAY`.

    Raises:
        QuantityError: there is no such day, or it is out of these bounds.
    """
    day = date_from_message(message)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise QuantityError(f"must be from {FIRST_DAY} to {LAST_DAY}, is {day}")
    return day


def date_to_message(day: dt.date) -> Date:
    """Return the `google.type.Date` of a day."""
    return Date(year=day.year, month=day.month, day=day.day)


def decimal_from_text(text: str) -> Decimal:
    """Return an exact decimal number with at most ten places.

    Raises:
        QuantityError: not a plain decimal number, or more places or digits than are kept.
    """
    if not _DECIMAL.fullmatch(text):
        raise QuantityError(f"{text!r} is not a decimal number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise QuantityError(f"{text!r} is not a number that can be kept") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_DECIMAL_PLACES:
        raise QuantityError(f"more than {MAX_DECIMAL_PLACES} decimal places")
    if number.adjusted() >= MAX_DECIMAL_DIGITS - MAX_DECIMAL_PLACES:
        raise QuantityError(f"more than {MAX_DECIMAL_DIGITS - MAX_DECIMAL_PLACES} digits")
    return number


def decimal_from_message(message: DecimalMessage) -> Decimal:
    """Return the number of a `google.type.Decimal`.

    Raises:
        QuantityError: see `decimal_from_text`.
    """
    return decimal_from_text(message.value)


def decimal_to_text(number: Decimal) -> str:
    """Return a decimal number in plain notation without trailing zeros after the point."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def instant_from_message(message: Timestamp) -> dt.datetime:
    """Return the UTC instant of a `google.protobuf.Timestamp`.

    Raises:
        QuantityError: outside the years 1 to 9999, or finer than a microsecond.
    """
    return _instant(message.seconds, message.nanos)


@lru_cache(maxsize=1024)
def _instant(seconds: int, nanos: int) -> dt.datetime:
    # Cached, for what is recorded together has one instant, and each projection asks for it.
    if not 0 <= nanos < NANOS_PER_UNIT:
        raise QuantityError("nanos must be from 0 to 999,999,999")
    if nanos % 1000:
        raise QuantityError("finer than a microsecond")
    try:
        return _EPOCH + dt.timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise QuantityError("outside the years 1 to 9999") from None


def instant_to_message(instant: dt.datetime) -> Timestamp:
    """Return the `google.protobuf.Timestamp` of an aware instant."""
    microseconds = (instant - _EPOCH) // dt.timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, MICROSECONDS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def ratio_ppm(numerator: int, denominator: int) -> int | None:
    """Return numerator / denominator in parts per million, half to even; None for a denominator 0.

    The rule is the `ratio_rule` that all published ratios follow.
    """
    if denominator == 0:
        return None
    scaled, sign = abs(numerator) * 1_000_000, 1
    if (numerator < 0) != (denominator < 0):
        sign = -1
    quotient, rest = divmod(scaled, abs(denominator))
    twice = 2 * rest
    if twice > abs(denominator) or (twice == abs(denominator) and quotient % 2):
        quotient += 1
    return sign * quotient
