"""Forms of fields: the check behind each value of the contract's `FieldForm`. Pure.

A check returns the violation of a value, or None. `field_rules.proto` states what a form allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, partial
from typing import Any
from zoneinfo import available_timezones

from gigaledger.common.quantities import (
    QuantityError,
    bounded_date_from_message,
    decimal_from_message,
    money_from_message,
)
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.field_rules_pb2 import FieldForm

Check = Callable[[Any], Violation | None]
"""Returns a violation that does not name the field yet."""

MAX_TEXT_LENGTH = 4000
"""Characters of a text: a page. Longer texts are attached as evidence."""
MAX_DOCUMENT_NUMBER_LENGTH = 128
SHA256_BYTES = 32
LEI_LENGTH = 20
MAX_AMOUNT_MINOR = 10**17
MAX_EXCHANGE_RATE = 10**9

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ID_RULE = "must be 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_RATE = re.compile(r"[0-9]{1,18}(\.[0-9]{1,10})?")
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")


def is_lei(text: str) -> bool:
    """Return whether a text is a Legal Entity Identifier: ISO 17442, check digits by mod 97-10."""
    if len(text) != LEI_LENGTH or not _LEI.fullmatch(text):
        return False
    return int("".join(str(int(character, 36)) for character in text)) % 97 == 1


def _invalid(message: str, **values: str) -> Violation:
    return Violation(Rule.FIELD_INVALID, "", message, values)


def _check_text(value: str) -> Violation | None:
    if len(value) > MAX_TEXT_LENGTH:
        return _invalid(f"must be at most {MAX_TEXT_LENGTH} characters, is {len(value)}")
    if not value.isprintable() and _CONTROL.search(value):
        return _invalid("must hold no control characters but tabs and line ends")
    return None


def _check_id(value: str) -> Violation | None:
    return None if _ID.fullmatch(value) else _invalid(f"{value!r} {_ID_RULE}", value=value[:100])


def _check_document_number(value: str) -> Violation | None:
    if len(value) > MAX_DOCUMENT_NUMBER_LENGTH or not value.isprintable() or value != value.strip():
        return _invalid(f"must be at most {MAX_DOCUMENT_NUMBER_LENGTH} visible characters")
    return None


def _check_lei(value: str) -> Violation | None:
    if is_lei(value):
        return None
    message = f"{value!r} is not 20 letters and digits whose check digits match (ISO 17442)"
    return Violation(Rule.ID_04, "", message, {"lei": value[:100]})


def _check_month(value: str) -> Violation | None:
    return None if _MONTH.fullmatch(value) else _invalid(f"{value!r} must be a month as YYYY-MM")


def _check_exchange_rate(value: str) -> Violation | None:
    if not _RATE.fullmatch(value) or not value.strip("0."):
        return _invalid(f"{value!r} must be a positive decimal number")
    if Decimal(value) > MAX_EXCHANGE_RATE:
        return _invalid(f"must be at most {MAX_EXCHANGE_RATE:,}, is {value}")
    return None


def _check_time_zone(value: str) -> Violation | None:
    return None if value in _time_zones() else _invalid(f"{value!r} is not an IANA time zone")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _check_sha256(value: bytes) -> Violation | None:
    return None if len(value) == SHA256_BYTES else _invalid(f"must be 32 bytes, is {len(value)}")


def _check_date(value: Any) -> Violation | None:
    try:
        bounded_date_from_message(value)
    except QuantityError as error:
        return _invalid(str(error))
    return None


def _check_amount(value: Any, *, least: int) -> Violation | None:
    try:
        minor = money_from_message(value).amount_minor
    except QuantityError as error:
        return Violation(Rule.TYPE_01, "", str(error))
    if least <= minor <= MAX_AMOUNT_MINOR:
        return None
    if minor < least:
        bound = "more than 0" if least == 1 else f"at least {least:,}"
    else:
        bound = f"at most {MAX_AMOUNT_MINOR:,}"
    message = f"must be {bound}, not {minor:,} minor units"
    return Violation(Rule.TYPE_01, "", message, {"amount_minor": str(minor)})


def _check_decimal(value: Any, *, most: int) -> Violation | None:
    try:
        number = decimal_from_message(value)
    except QuantityError as error:
        return _invalid(str(error))
    return _outside(number, 0, most)


def _check_integer(value: int, *, least: int = 0, most: int) -> Violation | None:
    return None if least <= value <= most else _outside(value, least, most)


def _outside(number: int | Decimal, least: int, most: int) -> Violation | None:
    if number < least:
        bound = "not be negative" if least == 0 else f"be at least {least:,}"
    elif number > most:
        bound = f"be at most {most:,}"
    else:
        return None
    return _invalid(f"must {bound}, is {number}", value=str(number))


CHECKS: Mapping[FieldForm.ValueType, Check] = {
    FieldForm.FIELD_FORM_TEXT: _check_text,
    FieldForm.FIELD_FORM_ID: _check_id,
    FieldForm.FIELD_FORM_DOCUMENT_NUMBER: _check_document_number,
    FieldForm.FIELD_FORM_LEI: _check_lei,
    FieldForm.FIELD_FORM_MONTH: _check_month,
    FieldForm.FIELD_FORM_EXCHANGE_RATE: _check_exchange_rate,
    FieldForm.FIELD_FORM_TIME_ZONE: _check_time_zone,
    FieldForm.FIELD_FORM_SHA256: _check_sha256,
    FieldForm.FIELD_FORM_DATE: _check_date,
    FieldForm.FIELD_FORM_AMOUNT: partial(_check_amount, least=1),
    FieldForm.FIELD_FORM_PRICE: partial(_check_amount, least=0),
    FieldForm.FIELD_FORM_AMOUNT_CHANGE: partial(_check_amount, least=-MAX_AMOUNT_MINOR),
    FieldForm.FIELD_FORM_SHARES: partial(_check_decimal, most=10**18),
    FieldForm.FIELD_FORM_SHARE_PRICE: partial(_check_decimal, most=10**12),
    FieldForm.FIELD_FORM_VOTES: partial(_check_decimal, most=10**6),
    FieldForm.FIELD_FORM_UNITS: partial(_check_integer, most=10**9),
    FieldForm.FIELD_FORM_UNITS_CHANGE: partial(_check_integer, least=-(10**9), most=10**9),
    FieldForm.FIELD_FORM_POWER_KW: partial(_check_integer, most=10**9),
    FieldForm.FIELD_FORM_POWER_FRACTION: partial(_check_integer, most=10**6),
    FieldForm.FIELD_FORM_ENERGY_KWH: partial(_check_integer, most=10**15),
    FieldForm.FIELD_FORM_NUMBER: partial(_check_integer, most=10**6),
    FieldForm.FIELD_FORM_POSITION: partial(_check_integer, most=10**18),
    FieldForm.FIELD_FORM_PARTS_PER_MILLION: partial(_check_integer, most=10**6),
    FieldForm.FIELD_FORM_DAYS: partial(_check_integer, most=36_500),
    FieldForm.FIELD_FORM_HOUR: partial(_check_integer, most=24),
    FieldForm.FIELD_FORM_MONTHS: partial(_check_integer, most=1_200),
    FieldForm.FIELD_FORM_PERCENT: partial(_check_decimal, most=1_000),
    FieldForm.FIELD_FORM_UNIT_PRICE: partial(_check_decimal, most=10**12),
}
"""The check of each form."""
