"""The table of currencies, held against the package that follows ISO 4217's current list."""

from __future__ import annotations

import pytest
from gigaledger.common.currencies import CURRENCIES, WITHOUT_MINOR_UNIT
from gigaledger.common.quantities import (
    Money,
    currency_exponent,
    money_from_message,
    money_to_message,
)
from iso4217 import Currency


def test_current_currencies_are_those_of_iso_4217() -> None:
    published = {c.code: c.exponent for c in Currency if c.exponent is not None}
    current = {c.code: c.exponent for c in CURRENCIES.values() if c.last_day is None}

    assert current == published
    assert {c.code for c in Currency if c.exponent is None} == WITHOUT_MINOR_UNIT


def test_periods_are_periods() -> None:
    for currency in CURRENCIES.values():
        if currency.first_day and currency.last_day:
            assert currency.first_day < currency.last_day, currency


@pytest.mark.parametrize(("currency", "exponent"), [("BGN", 2), ("HRK", 2), ("ITL", 0), ("DEM", 2)])
def test_amounts_of_withdrawn_currencies_stay_readable(currency: str, exponent: int) -> None:
    assert currency_exponent(currency) == exponent
    amount = Money(123, currency)
    assert money_from_message(money_to_message(123, currency)) == amount
