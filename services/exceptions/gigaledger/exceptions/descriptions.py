"""Values in the descriptions of exceptions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from gigaledger.common.quantities import currency_exponent

_PRICE_PLACES = 10


def amount_text(minor: int, currency: str) -> str:
    """Return an amount as people read it: `USD 1,000.50`."""
    exponent = currency_exponent(currency)
    return f"{currency} {Decimal(minor).scaleb(-exponent):,.{exponent}f}"


def price_text(price_minor: Fraction, currency: str) -> str:
    """Return the price of one unit, to at most ten decimal places: `USD 0.0125`."""
    exponent = currency_exponent(currency)
    price = Decimal(round(price_minor * 10 ** (_PRICE_PLACES - exponent))).scaleb(-_PRICE_PLACES)
    whole, _, places = f"{price:,.{_PRICE_PLACES}f}".partition(".")
    places = places[:exponent] + places[exponent:].rstrip("0")
    return f"{currency} {whole}.{places}" if places else f"{currency} {whole}"


def kilowatts_text(power_kw: int) -> str:
    """Return a capacity as people read it: `900,000 kW`."""
    return f"{power_kw:,} kW"
