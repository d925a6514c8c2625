"""Values in the descriptions of exceptions."""

from __future__ import annotations

from decimal import Decimal

from gigaledger.common.quantities import currency_exponent


def amount_text(minor: int, currency: str) -> str:
    """Return an amount as people read it: `USD 1,000.50`."""
    exponent = currency_exponent(currency)
    return f"{currency} {Decimal(minor).scaleb(-exponent):,.{exponent}f}"


def kilowatts_text(power_kw: int) -> str:
    """Return a capacity as people read it: `900,000 kW`."""
    return f"{power_kw:,} kW"
