"""Quantities as text for people: exact, never rounded, never floats."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gigaledger.common.quantities import (
    currency_exponent,
    date_from_message,
    instant_from_message,
    money_from_message,
)
from gigaledger.v1.agreement_facts_pb2 import ConditionType, TrancheCondition
from gigaledger.v1.projections_pb2 import MoneyFigure, RatioFigure
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money as MoneyMessage

NOT_AVAILABLE = "n/a"
KW_PER_GW = 1_000_000
PPM_PER_PERCENT = 10_000
_ABBREVIATIONS = {"it": "IT", "po": "PO", "ipo": "IPO"}


def gigawatts(power_kw: int) -> str:
    """Return power in GW, exactly: 6,250,000 kW is "6.25"."""
    return _plain(Decimal(power_kw) / KW_PER_GW, 2)


def kilowatts(power_kw: int) -> str:
    """Return power in kW with thousands separators."""
    return f"{power_kw:,}"


def amount(message: MoneyMessage) -> str:
    """Return an amount without its currency: 1,234.50."""
    if not message.currency_code:
        return NOT_AVAILABLE
    money = money_from_message(message)
    exponent = currency_exponent(money.currency)
    return f"{Decimal(money.amount_minor).scaleb(-exponent):,.{exponent}f}"


def money(message: MoneyMessage) -> str:
    """Return an amount with its currency: USD 1,234.50."""
    return f"{message.currency_code} {amount(message)}" if message.currency_code else NOT_AVAILABLE


def billions(message: MoneyMessage) -> str:
    """Return an amount in billions of its currency, exactly: 218.625."""
    if not message.currency_code:
        return NOT_AVAILABLE
    money = money_from_message(message)
    places = currency_exponent(money.currency) + 9
    return _plain(Decimal(money.amount_minor).scaleb(-places), 2)


def figure(message: MoneyFigure, *, in_billions: bool = False) -> str:
    """Return an amount that may rest on undisclosed parts.

    "≥ 2.00" is the known part of a sum with undisclosed parts; "unknown" is such a sum of which
    nothing is known.
    """
    if not message.HasField("amount"):
        return "unknown" if message.undisclosed_count else NOT_AVAILABLE
    text = billions(message.amount) if in_billions else amount(message.amount)
    if not message.undisclosed_count:
        return text
    known = money_from_message(message.amount).amount_minor != 0
    return f"≥ {text}" if known else "unknown"


def percent(ppm: int) -> str:
    """Return parts per million in percent, exactly: 285,878 ppm is "28.5878%"."""
    return f"{_plain(Decimal(ppm) / PPM_PER_PERCENT, 2)}%"


def ratio(message: RatioFigure) -> str:
    """Return a ratio in percent; n/a if its denominator is 0."""
    return percent(message.ppm) if message.HasField("ppm") else NOT_AVAILABLE


def shares(message: DecimalMessage) -> str:
    """Return a number of shares with thousands separators; "0" if unset."""
    return _plain(Decimal(message.value or 0), 0)


def condition(terms: TrancheCondition) -> str:
    """Return the terms of a condition in words, with its threshold."""
    name = enum_label(ConditionType.Name, terms.type, "CONDITION_TYPE_")
    if terms.power_kw:
        return f"{name}: {kilowatts(terms.power_kw)} kW"
    if terms.HasField("date"):
        return f"{name}: {day(terms.date)}"
    if terms.HasField("price"):
        return f"{name}: {terms.price.value}"
    return f"{name}: {terms.description}" if terms.description else name


def day(message: Date) -> str:
    """Return a date as YYYY-MM-DD; empty if unset."""
    return date_from_message(message).isoformat() if message.year else ""


def instant(message: Timestamp) -> str:
    """Return an instant in UTC to the second; empty if unset."""
    if not message.seconds and not message.nanos:
        return ""
    moment: dt.datetime = instant_from_message(message)
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def enum_label(name_of: Callable[[Any], str], number: int, prefix: str) -> str:
    """Return the name of an enum's value in words: ROLE_IT_SUPPLIER less "ROLE_" is "IT supplier".

    A number that this version does not know is shown as it is.
    """
    try:
        name = name_of(number)
    except ValueError:
        return str(number)
    words = name.removeprefix(prefix).lower().split("_")
    return " ".join(_ABBREVIATIONS.get(word, word) for word in words)


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control characters are shown, not obeyed."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _plain(number: Decimal, least_places: int) -> str:
    """Return a decimal with separators, without trailing zeros beyond the least places."""
    text = f"{number:,f}"
    whole, _, places = text.partition(".")
    places = places.rstrip("0").ljust(least_places, "0")
    return f"{whole}.{places}" if places else whole
