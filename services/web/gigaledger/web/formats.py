"""Quantities, dates and names as people read them. Exact: nothing is rounded."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gigaledger.client import amount_of, date_of, datetime_of
from gigaledger.common.quantities import QuantityError, currency_exponent
from gigaledger.v1.projections_pb2 import MoneyFigure, RatioFigure
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

NOT_AVAILABLE = "n/a"
KW_PER_GW = 1_000_000
_PPM_PER_PERCENT = 10_000
_ABBREVIATIONS = {"it": "IT", "po": "PO", "spv": "SPV", "sku": "SKU", "gpu": "GPU", "uri": "URI"}
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def grouped(number: Decimal | int, places: int = 0) -> str:
    """Return a number with its digits grouped, and at least `places` decimal places."""
    whole, _, fraction = f"{number:,f}".partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def gigawatts(power_kw: int) -> str:
    """Return power in GW, exactly: 6,250,000 kW is "6.25 GW"."""
    return f"{grouped(Decimal(power_kw) / KW_PER_GW)} GW"


def money(message: Money) -> str:
    """Return an amount with its currency: "USD 1,234.50"."""
    if not message.currency_code:
        return NOT_AVAILABLE
    try:
        places = currency_exponent(message.currency_code)
    except QuantityError:
        places = 0
    return f"{message.currency_code} {grouped(amount_of(message), places)}"


def money_figure(message: MoneyFigure) -> str:
    """Return an amount that may be the known part of a sum with undisclosed parts."""
    if not message.HasField("amount"):
        return "not disclosed" if message.undisclosed_count else NOT_AVAILABLE
    if not message.undisclosed_count:
        return money(message.amount)
    known = message.amount.units or message.amount.nanos
    return f"at least {money(message.amount)}" if known else "not disclosed"


def quantity(amount: str, unit: str) -> str:
    """Return a decimal number and its unit: kilowatts as GW, currencies before the amount."""
    if not amount:
        return "not disclosed"
    number = Decimal(amount)
    if unit == "kW":
        return f"{grouped(number / KW_PER_GW)} GW"
    try:
        return f"{unit} {grouped(number, currency_exponent(unit))}"
    except QuantityError:
        return f"{grouped(number)} {unit}"


def percent(ppm: int) -> str:
    """Return parts per million in percent, exactly: 285,878 is "28.5878%"."""
    return f"{grouped(Decimal(ppm) / _PPM_PER_PERCENT)}%"


def ratio(message: RatioFigure) -> str:
    """Return a ratio in percent; n/a if its denominator is 0."""
    return percent(message.ppm) if message.HasField("ppm") else NOT_AVAILABLE


def day(message: Date) -> str:
    """Return a date as YYYY-MM-DD; empty if unset."""
    return date_of(message).isoformat() if message.year else ""


def instant(message: Timestamp) -> str:
    """Return an instant in UTC, to the second; empty if unset."""
    if not message.seconds and not message.nanos:
        return ""
    return f"{datetime_of(message):%Y-%m-%d %H:%M:%S} UTC"


def days(number: int) -> str:
    """Return a number of days in words."""
    return f"{number:,} day" if abs(number) == 1 else f"{number:,} days"


def label(name_of: Callable[[Any], str], number: int, prefix: str) -> str:
    """Return the name of an enum's value in words; a number unknown to this version as it is."""
    try:
        return words(name_of(number).removeprefix(prefix).lower())
    except ValueError:
        return str(number)


def words(name: str) -> str:
    """Return a name in words: "purchase_order_placed" and "PurchaseOrderPlaced" alike."""
    parts = [part.lower() for part in _WORD.findall(name)]
    return " ".join(_ABBREVIATIONS.get(part, part) for part in parts)


def sentence(text: str) -> str:
    """Return a text that starts with a capital letter."""
    return text[:1].upper() + text[1:]
