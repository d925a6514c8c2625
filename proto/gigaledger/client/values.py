"""Exact values of the contract from Python's own types, and back. Floats are refused."""

from __future__ import annotations

import datetime as dt
import decimal
from decimal import Decimal
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2
from google.type.money_pb2 import Money

Number = Decimal | int | str
"""An exact number. A `str` is read as a `Decimal` is."""

M = TypeVar("M", bound=Message)

_NANOS_PER_UNIT = 1_000_000_000
_MAX_UNITS = 2**63 - 1
_WIDE = decimal.Context(prec=60)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def money(amount: Number, currency: str) -> Money:
    """Return an exact amount: `money("10.50", "USD")`.

    Args:
        amount: units of the currency, with up to nine decimal places.
        currency: ISO 4217 code.

    Raises:
        TypeError: the amount is a float, which can't hold most amounts exactly.
        ValueError: the amount is not a number, or does not fit nine decimal places and 64 bits.
    """
    number = _exact(amount, "amount")
    nanos = number.scaleb(9, _WIDE)
    if nanos != nanos.to_integral_value():
        raise ValueError(f"amount: {number} has more than nine decimal places")
    units, rest = divmod(abs(int(nanos)), _NANOS_PER_UNIT)
    if units > _MAX_UNITS:
        raise ValueError(f"amount: {number} exceeds 64 bits")
    sign = -1 if nanos < 0 else 1
    return Money(currency_code=currency, units=sign * units, nanos=sign * rest)


def amount_of(message: Money) -> Decimal:
    """Return the units of an amount, exactly."""
    exact = _WIDE.add(Decimal(message.units), Decimal(message.nanos).scaleb(-9, _WIDE))
    return Decimal(format(exact.normalize(_WIDE), "f"))


def number(value: Number) -> decimal_pb2.Decimal:
    """Return a number of shares, a price or a rate.

    Raises:
        TypeError: it is a float.
        ValueError: it is not a finite number.
    """
    return decimal_pb2.Decimal(value=format(_exact(value, "number"), "f"))


def day(value: dt.date) -> date_pb2.Date:
    """Return a day.

    Raises:
        TypeError: it is not a `date`; a `datetime` is a day only in a time zone.
    """
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise TypeError(f"{value!r} is not a datetime.date")
    return date_pb2.Date(year=value.year, month=value.month, day=value.day)


def date_of(message: date_pb2.Date) -> dt.date:
    """Return the `date` of a day."""
    return dt.date(message.year, message.month, message.day)


def instant(value: dt.datetime) -> Timestamp:
    """Return an instant, to the microsecond.

    Raises:
        TypeError: it is not a `datetime`.
        ValueError: it has no time zone.
    """
    if not isinstance(value, dt.datetime):
        raise TypeError(f"{value!r} is not a datetime.datetime")
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: add tzinfo=datetime.UTC")
    seconds, rest = divmod((value - _EPOCH) // dt.timedelta(microseconds=1), 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def datetime_of(message: Timestamp) -> dt.datetime:
    """Return the `datetime` of an instant, in UTC."""
    return _EPOCH + dt.timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def build(kind: type[M], **fields: object) -> M:
    """Return a message of the contract with fields of Python's own types; None leaves one unset.

    Raises:
        TypeError: a value does not have the type of its field. The text names the field.
        ValueError: a value is out of range, or not a name of the enum.
    """
    message = kind()
    for name, value in fields.items():
        field = kind.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise TypeError(f"{kind.DESCRIPTOR.name} has no field {name}")
        if value is None:
            continue
        try:
            if field.is_repeated:
                getattr(message, name).extend([_item(field, item) for item in _list(value)])
            elif field.message_type is not None:
                getattr(message, name).CopyFrom(_item(field, value))
            else:
                setattr(message, name, _item(field, value))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{kind.DESCRIPTOR.name}.{name}: {error}") from None
    return message


def enum_number(field: Any, value: object) -> int:
    """Return the number of an enum's value, which may be given by name, without its prefix."""
    if isinstance(value, int):
        return value
    enum = field.enum_type
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    found = enum.values_by_name.get(f"{prefix}{value}") or enum.values_by_name.get(str(value))
    if found is None:
        names = ", ".join(v.name.removeprefix(prefix) for v in enum.values if v.number)
        raise ValueError(f"{value!r} is not one of {names}")
    return int(found.number)


def _item(field: Any, value: object) -> object:
    """Return one value in the form that protobuf takes."""
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float, which is not exact: use an int, a Decimal or a str")
    if field.enum_type is not None:
        return enum_number(field, value)
    if field.message_type is None:
        return value
    match value:
        case Message():
            if value.DESCRIPTOR.full_name == field.message_type.full_name:
                return value
        case dt.datetime() if field.message_type is Timestamp.DESCRIPTOR:
            return instant(value)
        case dt.date() if field.message_type is date_pb2.Date.DESCRIPTOR:
            return day(value)
        case Decimal() | int() | str() if field.message_type is decimal_pb2.Decimal.DESCRIPTOR:
            return number(value)
    hint = ": use money(amount, currency)" if field.message_type is Money.DESCRIPTOR else ""
    raise TypeError(f"{value!r} is not a {field.message_type.name}{hint}")


def _list(value: object) -> list[object]:
    if isinstance(value, str | bytes | Message) or not hasattr(value, "__iter__"):
        raise TypeError(f"{value!r} is not a sequence")
    return list(value)


def _exact(value: Number, name: str) -> Decimal:
    if isinstance(value, bool | float) or not isinstance(value, Decimal | int | str):
        raise TypeError(
            f"{name}: {value!r} is a {type(value).__name__}: use a Decimal, an int or a str, "
            "which are exact"
        )
    try:
        exact = Decimal(value)
    except decimal.InvalidOperation:
        raise ValueError(f"{name}: {value!r} is not a decimal number") from None
    if not exact.is_finite():
        raise ValueError(f"{name}: {value!r} is not a finite number")
    return exact
