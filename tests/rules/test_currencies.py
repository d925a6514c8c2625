"""The table of currencies, held against the package that follows ISO 4217's current list."""

from __future__ import annotations

import datetime as dt

import pytest
from gigaledger.common.currencies import CURRENCIES, WITHOUT_MINOR_UNIT
from gigaledger.common.quantities import (
    Money,
    QuantityError,
    check_legal_tender,
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


LEGAL = [
    ("BGN", "2025-12-31"),
    ("HRK", "2022-12-31"),
    ("EUR", "1999-01-01"),
    ("USD", "1900-01-01"),
    ("USD", "2199-12-31"),
]
NOT_LEGAL = [("BGN", "2026-01-01"), ("HRK", "2023-01-01"), ("EUR", "1998-12-31")]


@pytest.mark.parametrize(("currency", "day"), LEGAL)
def test_legal_tender(currency: str, day: str) -> None:
    check_legal_tender(currency, dt.date.fromisoformat(day))


@pytest.mark.parametrize(("currency", "day"), NOT_LEGAL)
def test_not_legal_tender(currency: str, day: str) -> None:
    with pytest.raises(QuantityError, match=currency):
        check_legal_tender(currency, dt.date.fromisoformat(day))
