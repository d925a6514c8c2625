"""The columns of facts in CSV, and the values of their cells.

Columns are the contract's own: the fields of `Event` and of the fact's message, by their names in
the .proto files. Amounts are decimal numbers in the currency of the column `currency`. A field of a
line that is called as one of its document has the prefix `line_`. Fields nested deeper than a line
have no CSV form; JSON Lines can hold them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache

from gigaledger.common.quantities import (
    QuantityError,
    currency_exponent,
    date_to_message,
    decimal_from_text,
    decimal_to_text,
    money_to_message,
)
from gigaledger.v1.events_pb2 import Event
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.type.decimal_pb2 import Decimal as DecimalMessage

LIST_SEPARATOR = ";"
LINES = "lines"
"""The repeated message that has a CSV form: a document's rows, one after another, are its lines."""
REQUEST_COLUMNS = {
    "fact": "which fact the row is, e.g. goods_received",
    "request_id": "names the request for ever; derived from file, line and content if empty",
    "recorded_time": "for an imported book: an instant such as 2026-01-15T12:00:00Z",
    "currency": "ISO 4217 code of the amounts in the row, e.g. USD",
}
EVIDENCE_COLUMNS = {
    "evidence_uri": "where the document is kept that supports the fact",
    "evidence_sha256": "SHA-256 of that document: 64 hex digits",
    "evidence_document_type": "what the document is, e.g. bank statement",
}
ENVELOPE = {
    name: Event.DESCRIPTOR.fields_by_name[name]
    for name in (
        "effective_date",
        "effective_time_zone",
        "assertion_status",
        "actor",
        "approver",
        "correlation_id",
        "causation_id",
        "source_system",
        "note",
    )
}
_RESERVED = {"book_opened"}
"""Facts that the ledger writes itself."""
_MONEY, _DATE, _DECIMAL = "google.type.Money", "google.type.Date", "google.type.Decimal"
_LEAVES = {_MONEY, _DATE, _DECIMAL}


@dataclass(frozen=True)
class Column:
    """A column as shown to people."""

    name: str
    required: bool
    form: str


@cache
def fact_types() -> tuple[str, ...]:
    """Return the facts that have a CSV form, by their field's name in Event."""
    facts = [field.name for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields]
    return tuple(
        fact
        for fact in facts
        if fact not in _RESERVED
        and all(_is_cell(field) for field in _message_of(fact).fields if is_required(field))
    )


@cache
def fields_of(fact: str) -> dict[str, FieldDescriptor]:
    """Return the fields of a fact that are columns, but for those of its lines."""
    return {
        field.name: field
        for field in _message_of(fact).fields
        if field.name != LINES and _is_cell(field)
    }


@cache
def line_fields_of(fact: str) -> dict[str, FieldDescriptor]:
    """Return the fields of a line by their columns; none if the fact has no lines."""
    lines = _message_of(fact).fields_by_name.get(LINES)
    if lines is None or lines.message_type is None:
        return {}
    own = fields_of(fact)
    return {
        f"line_{field.name}" if field.name in own else field.name: field
        for field in lines.message_type.fields
        if _is_cell(field)
    }


def needs_lines(fact: str) -> bool:
    """Return whether a fact has to have lines."""
    lines = _message_of(fact).fields_by_name.get(LINES)
    return lines is not None and is_required(lines)


def columns_of(fact: str) -> list[Column]:
    """Return the columns of a fact; those that every row has first.

    Raises:
        KeyError: there is no such fact with a CSV form.
    """
    if fact not in fact_types():
        raise KeyError(fact)
    others = {**REQUEST_COLUMNS, **EVIDENCE_COLUMNS}
    del others["fact"]
    return [
        Column("fact", required=True, form=fact),
        *(
            _column(name, field)
            for fields in (ENVELOPE, fields_of(fact), line_fields_of(fact))
            for name, field in fields.items()
        ),
        *(Column(name, required=False, form=text) for name, text in others.items()),
    ]


def is_required(field: FieldDescriptor) -> bool:
    """Say whether the contract marks a field as REQUIRED."""
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviours


def set_field(message: Message, field: FieldDescriptor, text: str, currency: str | None) -> None:
    """Set a field to the value of a cell.

    Args:
        message: holds the field.
        field: one of the columns above.
        text: the cell, not empty.
        currency: of the row's amounts.

    Raises:
        ValueError: the cell has no such value. The text says why.
    """
    if field.is_repeated:
        parts = [part.strip() for part in text.split(LIST_SEPARATOR)]
        getattr(message, field.name).extend(_scalar(field, part) for part in parts)
    elif field.message_type is not None:
        value = leaf_message(field.message_type.full_name, text, currency)
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, _scalar(field, text))


def _message_of(fact: str) -> Descriptor:
    message = Event.DESCRIPTOR.fields_by_name[fact].message_type
    if message is None:
        raise AssertionError("every fact is a message")
    return message


def _is_cell(field: FieldDescriptor) -> bool:
    if field.message_type is None or field.name == LINES:
        return True
    return field.message_type.full_name in _LEAVES and not field.is_repeated


def leaf_message(type_name: str, text: str, currency: str | None) -> Message:
    """Return the date, decimal number or amount that a text stands for.

    Raises:
        ValueError: it has another form. QuantityError: an amount without currency, or too precise.
    """
    message: Message
    if type_name == _DATE:
        try:
            message = date_to_message(dt.date.fromisoformat(text))
        except ValueError:
            raise ValueError(f"{text!r} is not a date such as 2026-12-31") from None
        return message
    number = decimal_from_text(_without_separators(text))
    if type_name == _DECIMAL:
        message = DecimalMessage(value=decimal_to_text(number))
        return message
    if currency is None:
        raise QuantityError("an amount needs its currency: fill the column currency, e.g. USD")
    exponent = currency_exponent(currency)
    minor = number.scaleb(exponent)
    if minor != minor.to_integral_value():
        raise QuantityError(f"{currency} has {exponent} decimal places, not more: {text}")
    message = money_to_message(int(minor), currency)
    return message


def _scalar(field: FieldDescriptor, text: str) -> str | int | bool:
    if field.enum_type is not None:
        return enum_number(field.enum_type, text)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.lower() not in {"true", "false"}:
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if field.type == FieldDescriptor.TYPE_STRING:
        return text
    digits = _without_separators(text)
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def enum_number(enum: EnumDescriptor, text: str) -> int:
    """Return the number of an enum's value, named with or without its prefix.

    Raises:
        ValueError: the enum has no such value.
    """
    prefix = _enum_prefix(enum)
    numbers = {value.name: value.number for value in enum.values if value.number}
    written = text.upper()
    for name in (written, prefix + written):
        if name in numbers:
            return numbers[name]
    choices = ", ".join(name.removeprefix(prefix) for name in numbers)
    raise ValueError(f"{text!r} is none of {choices}")


def _enum_prefix(enum: EnumDescriptor) -> str:
    """Return what the names of an enum's values start with: the first is PREFIX_UNSPECIFIED."""
    return enum.values_by_number[0].name.removesuffix("UNSPECIFIED")


def _without_separators(text: str) -> str:
    if any(letter in text for letter in ", _'"):
        raise ValueError(f"{text!r}: write numbers without separators, e.g. 34980000000.00")
    return text


def _column(name: str, field: FieldDescriptor) -> Column:
    if field.enum_type is not None:
        prefix = _enum_prefix(field.enum_type)
        form = " | ".join(value.name.removeprefix(prefix) for value in field.enum_type.values[1:])
    elif field.message_type is not None:
        form = {
            _MONEY: "amount in currency, e.g. 1250.00",
            _DATE: "date, e.g. 2026-12-31",
            _DECIMAL: "decimal number",
        }[field.message_type.full_name]
    else:
        form = {
            FieldDescriptor.TYPE_BOOL: "true | false",
            FieldDescriptor.TYPE_STRING: "text",
        }.get(field.type, "whole number")
    if field.is_repeated:
        form += f"; several separated by {LIST_SEPARATOR}"
    return Column(name, is_required(field), form)
