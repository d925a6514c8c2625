"""The forms of fields: every field of a fact has one, and each accepts its bounds and no more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from gigaledger.common.quantities import date_to_message, money_to_message
from gigaledger.ledger.domain.field_forms import CHECKS, MAX_AMOUNT_MINOR
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.field_rules_pb2 import FieldForm, field_form
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

_TYPES = {
    "TEXT ID DOCUMENT_NUMBER LEI MONTH EXCHANGE_RATE TIME_ZONE": "string",
    "SHA256": "bytes",
    "DATE": "google.type.Date",
    "AMOUNT PRICE AMOUNT_CHANGE": "google.type.Money",
    "SHARES SHARE_PRICE VOTES PERCENT UNIT_PRICE": "google.type.Decimal",
    "UNITS UNITS_CHANGE POWER_KW POWER_FRACTION ENERGY_KWH POSITION": "integer",
    "NUMBER PARTS_PER_MILLION DAYS HOUR MONTHS": "integer",
}
TYPE_OF_FORM = {
    FieldForm.Value(f"FIELD_FORM_{name}"): kind
    for names, kind in _TYPES.items()
    for name in names.split()
}


def fields_of_facts() -> Iterator[FieldDescriptor]:
    """Every field of an event, at any depth, that holds a value."""
    pending, seen = [Event.DESCRIPTOR], set[str]()
    while pending:
        descriptor = pending.pop()
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            nested: Descriptor | None = field.message_type
            if nested is not None and nested.full_name.startswith("gigaledger."):
                pending.append(nested)
            elif field.enum_type is None and field.type != FieldDescriptor.TYPE_BOOL:
                yield field


def type_of(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return str(field.message_type.full_name)
    if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
        return "string" if field.type == FieldDescriptor.TYPE_STRING else "bytes"
    return "integer"


@pytest.mark.parametrize("field", list(fields_of_facts()), ids=lambda field: field.full_name)
def test_every_field_of_a_fact_has_a_form_for_its_type(field: FieldDescriptor) -> None:
    form = field.GetOptions().Extensions[field_form]

    assert form, "state a (field_form)"
    assert TYPE_OF_FORM[form] == type_of(field)


def test_every_form_has_a_check() -> None:
    assert {0, *CHECKS} == set(FieldForm.values())


def _money(minor: int, currency: str = "USD") -> Money:
    return money_to_message(minor, currency)


def _decimal(text: str) -> DecimalMessage:
    return DecimalMessage(value=text)


INTEGERS = {
    "UNITS": (0, 10**9),
    "UNITS_CHANGE": (-(10**9), 10**9),
    "POWER_KW": (0, 10**9),
    "POWER_FRACTION": (0, 10**6),
    "ENERGY_KWH": (0, 10**15),
    "NUMBER": (0, 10**6),
    "POSITION": (0, 10**18),
    "PARTS_PER_MILLION": (0, 10**6),
    "DAYS": (0, 36_500),
    "HOUR": (0, 24),
    "MONTHS": (0, 1_200),
}
DECIMALS = {
    "SHARES": 10**18,
    "SHARE_PRICE": 10**12,
    "VOTES": 10**6,
    "PERCENT": 1_000,
    "UNIT_PRICE": 10**12,
}
AMOUNTS = {
    "AMOUNT": (1, MAX_AMOUNT_MINOR),
    "PRICE": (0, MAX_AMOUNT_MINOR),
    "AMOUNT_CHANGE": (-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR),
}


def cases() -> Iterator[tuple[str, Any, Any]]:
    """A form, a value on one of its bounds, and the nearest value beyond it."""
    for name, (least, most) in INTEGERS.items():
        yield name, least, least - 1
        yield name, most, most + 1
    for name, most in DECIMALS.items():
        yield name, _decimal("0"), _decimal("-0.0000000001")
        beyond = format(Decimal(most) + Decimal("0.0000000001"), "f")
        yield name, _decimal(str(most)), _decimal(beyond if most < 10**18 else str(most + 1))
    for name, (least, most) in AMOUNTS.items():
        yield name, _money(least), _money(least - 1)
        yield name, _money(most, "JPY"), _money(most + 1, "JPY")
    first, last, day = dt.date(1900, 1, 1), dt.date(2199, 12, 31), dt.timedelta(days=1)
    yield "DATE", date_to_message(first), date_to_message(first - day)
    yield "DATE", date_to_message(last), date_to_message(last + day)
    yield "EXCHANGE_RATE", "1000000000", "1000000000.0000000001"
    yield "EXCHANGE_RATE", "0.0000000001", "0"
    yield "TEXT", "x" * 4000, "x" * 4001
    yield "TEXT", "a\tb\n", "a\x01"
    yield "ID", "x" * 63, "x" * 64
    yield "DOCUMENT_NUMBER", "x" * 128, "x" * 129
    yield "MONTH", "2026-12", "2026-13"
    yield "TIME_ZONE", "Asia/Tokyo", "Mars/Olympus"
    yield "LEI", "549300S4KLFTLO7GSQ80", "549300S4KLFTLO7GSQ81"
    yield "SHA256", bytes(32), bytes(31)


CASES = list(cases())


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    CASES,
    ids=[f"{name} {i}" for i, (name, _, _) in enumerate(CASES)],
)
def test_a_form_accepts_its_bounds_and_no_more(name: str, accepted: Any, refused: Any) -> None:
    check = CHECKS[FieldForm.Value(f"FIELD_FORM_{name}")]

    assert check(accepted) is None
    violation = check(refused)

    assert violation is not None
    assert violation.message


def test_every_form_has_a_case() -> None:
    assert {f"FIELD_FORM_{name}" for name, _, _ in CASES} == set(FieldForm.keys()[1:])
