"""Short forms in JSON Lines, beside those of protobuf's JSON mapping.

A date is "2026-01-15", an amount "USD 1600000.00", a decimal number "0.25", and the name of an
enum's value may omit its prefix: "FACT".
"""

from __future__ import annotations

from typing import Any

from gigaledger.cli.ledger.csv_columns import enum_number, leaf_message
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

_MONEY, _DATE, _DECIMAL = "google.type.Money", "google.type.Date", "google.type.Decimal"
_OBJECT_FORM = {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.Any"}
"""Types with a JSON form of their own, which is left as it is."""


def expand(value: Any, message: Descriptor, path: str = "") -> Any:
    """Return a JSON object of a message with its short forms written out.

    What is neither a short form nor an object stays as it is, for the strict parser to refuse.

    Args:
        value: as read from JSON.
        message: type of the message.
        path: path of the object, for errors.

    Raises:
        ValueError: a short form can't be read. The text names the field, and the form expected.
    """
    if not isinstance(value, dict):
        return value
    fields = {field.json_name: field for field in message.fields} | dict(message.fields_by_name)
    return {
        name: _expand_field(item, fields[name], f"{path}{name}") if name in fields else item
        for name, item in value.items()
    }


def _expand_field(value: Any, field: FieldDescriptor, path: str) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return value
    if field.is_repeated and isinstance(value, list):
        return [_expand_one(item, field, f"{path}[{i}]") for i, item in enumerate(value)]
    return _expand_one(value, field, path)


def _expand_one(value: Any, field: FieldDescriptor, path: str) -> Any:
    try:
        if field.enum_type is not None:
            return enum_number(field.enum_type, value) if isinstance(value, str) else value
        if field.message_type is None:
            return value
        name = field.message_type.full_name
        if name == _DECIMAL and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if name in {_DATE, _DECIMAL} and isinstance(value, str):
            return json_format.MessageToDict(leaf_message(name, value, None))
        if name == _MONEY and isinstance(value, str):
            return _amount(value)
        if name in _OBJECT_FORM:
            return value
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return expand(value, field.message_type, f"{path}.")


def _amount(text: str) -> Any:
    currency, _, number = text.strip().partition(" ")
    if not number:
        raise ValueError(f'{text!r} is not an amount such as "USD 1600000.00"')
    return json_format.MessageToDict(leaf_message(_MONEY, number, currency))
