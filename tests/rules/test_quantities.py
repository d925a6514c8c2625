"""Exact quantities: the published vectors, and that nothing is lost between message and number."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from gigaledger.common.quantities import (
    MAX_AMOUNT_MINOR,
    Money,
    QuantityError,
    currency_exponent,
    date_from_message,
    date_to_message,
    decimal_from_text,
    decimal_to_text,
    instant_from_message,
    instant_to_message,
    money_from_message,
    money_to_message,
    ratio_ppm,
)
from gigaledger.ledger.domain.field_forms import is_lei
from gigaledger.ledger.domain.refusals import Refused
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money as MoneyMessage
from hypothesis import given
from hypothesis import strategies as st

from tests.facts import authorised, definitive, issued, money, number, parties
from tests.rules.ledger import MemoryLedger
from tests.rules.refusals import NOW

AMOUNTS = st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR)


@pytest.mark.parametrize(
    ("lei", "valid"),
    [
        ("549300S4KLFTLO7GSQ80", True),
        ("INR2EJN1ERAN0W5ZP974", True),
        ("R2I72C950HOYXII45366", True),
        ("1Z4GXXU7ZHVWFCD8TV52", True),
        ("549300WV6GIDOZJTV909", True),
        ("ZXTILKJKG63JELOEG630", True),
        ("5493003BZYYYCDIO0R13", True),
        ("BQ4BKCS1HXDV9HN80Z93", True),
        ("549300S4KLFTLO7GSQ81", False),
        ("549300S4KLFTLO7GSQ8", False),
        ("549300s4klftlo7gsq80", False),
        ("549300S4KLFTLO7GSQ8\u0660", False),
        ("", False),
    ],
)
def test_legal_entity_identifiers(lei: str, *, valid: bool) -> None:
    assert is_lei(lei) == valid


@pytest.mark.parametrize(
    ("amount_minor", "price", "whole_shares"),
    [
        (200_000_000_000, "87.20", 22_935_779),
        (35_000_000_000, "40.00", 8_750_000),
        (1_000_000_000_000, "640.00", 15_625_000),
    ],
)
def test_whole_shares_for_an_amount(amount_minor: int, price: str, whole_shares: int) -> None:
    """HR-INV-06 takes exactly the largest whole number of shares that the amount buys."""

    def issuance(shares: int) -> None:
        ledger = MemoryLedger(NOW)
        ledger.append(*parties("SUP", "CUS"), definitive(), authorised("1e9"))
        fact = issued(str(shares), amount=money(amount_minor), price_per_share=number(price))
        ledger.record(fact)

    issuance(whole_shares)
    for shares in (whole_shares - 1, whole_shares + 1):
        with pytest.raises(Refused, match="HR-INV-06"):
            issuance(shares)


@given(AMOUNTS, st.sampled_from(["USD", "JPY", "BHD", "CLF"]))
def test_money_survives_the_message(amount_minor: int, currency: str) -> None:
    assert money_from_message(money_to_message(amount_minor, currency)) == Money(
        amount_minor, currency
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (MoneyMessage(currency_code="USD", nanos=1), "2 decimal places"),
        (MoneyMessage(currency_code="JPY", nanos=500_000_000), "0 decimal places"),
        (MoneyMessage(currency_code="USD", units=1, nanos=-10_000_000), "sign"),
        (MoneyMessage(currency_code="USD", nanos=1_000_000_000), "below one unit"),
        (MoneyMessage(currency_code="USD", units=2**63 // 100 + 1), "exceeds"),
        (MoneyMessage(currency_code="usd", units=1), "not an ISO 4217"),
        (MoneyMessage(currency_code="", units=1), "not an ISO 4217"),
        (MoneyMessage(currency_code="XAU", units=1), "no minor unit"),
    ],
)
def test_money_that_is_not_exact(message: MoneyMessage, reason: str) -> None:
    with pytest.raises(QuantityError, match=reason):
        money_from_message(message)


def test_exponents() -> None:
    assert [currency_exponent(c) for c in ("USD", "EUR", "JPY", "KWD")] == [2, 2, 0, 3]


@given(st.dates())
def test_days_survive_the_message(day: dt.date) -> None:
    assert date_from_message(date_to_message(day)) == day


@pytest.mark.parametrize(
    "message", [Date(), Date(year=2026), Date(year=2026, month=2), Date(year=2026, month=2, day=30)]
)
def test_days_that_are_none(message: Date) -> None:
    with pytest.raises(QuantityError, match="no such day"):
        date_from_message(message)


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_instants_survive_the_message(instant: dt.datetime) -> None:
    assert instant_from_message(instant_to_message(instant)) == instant


def test_instants_that_are_none() -> None:
    with pytest.raises(QuantityError, match="microsecond"):
        instant_from_message(Timestamp(nanos=1))
    with pytest.raises(QuantityError, match="9999"):
        instant_from_message(Timestamp(seconds=1 << 40))


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20
    )
)
def test_decimals_survive_their_text(value: Decimal) -> None:
    assert decimal_from_text(decimal_to_text(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1_000",
        " 1",
        "1 ",
        "\u0661",
        "1,5",
        "0x1",
        "NaN",
        "Infinity",
        "1e",
        "1.12345678901",
        "1e40",
        "1e999999999",
        "1e-11",
        "--1",
        ".",
    ],
)
def test_decimals_that_are_none(text: str) -> None:
    with pytest.raises(QuantityError):
        decimal_from_text(text)


@pytest.mark.parametrize("text", ["1", "-1", "+1", "1.", ".5", "1e3", "1.5E2", "12.3400000000"])
def test_decimals_in_the_forms_of_the_contract(text: str) -> None:
    assert decimal_from_text(text) == Decimal(text)


@given(AMOUNTS, AMOUNTS)
def test_ratios_are_rounded_half_to_even(numerator: int, denominator: int) -> None:
    ppm = ratio_ppm(numerator, denominator)

    if denominator == 0:
        assert ppm is None
    else:
        # Fractions of Python round half to even.
        assert ppm == round(Fraction(numerator, denominator) * 1_000_000)


def test_a_conversion_between_currencies_of_different_exponents() -> None:
    dollars = money_from_message(MoneyMessage(currency_code="USD", units=10_000_000_000))
    yen = Fraction(dollars.amount_minor, 100) * Fraction(decimal_from_text("162.73"))

    assert money_to_message(int(yen), "JPY").units == 1_627_300_000_000
