"""Events as rows of tables: one table of all events, and one for each type of fact.

Columns follow from the contract, so a new field of a fact becomes a column without code here.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from functools import cache
from typing import Any

from gigaledger.common.quantities import (
    currency_exponent,
    date_from_message,
    decimal_from_message,
    instant_from_message,
    money_from_message,
)
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

Cell = int | str | bool | Decimal | dt.date | dt.datetime | None
"""A value of a table; None if the fact does not state it."""


class Kind(Enum):
    """The content of a column."""

    INTEGER = auto()
    TEXT = auto()
    BOOLEAN = auto()
    DECIMAL = auto()
    DATE = auto()
    TIMESTAMP = auto()


@dataclass(frozen=True)
class Column:
    """A column: its name, its content, and how it is read."""

    name: str
    kind: Kind
    read: Callable[[Any], Cell]


class UnknownFactError(ValueError):
    """An event holds a fact of a type that this version does not know."""


def fact_of(recorded: RecordedEvent) -> tuple[str, Any]:
    """Return the type of an event's fact and its message.

    Raises:
        UnknownFactError: this version does not know the type.
    """
    kind = recorded.event.WhichOneof("fact")
    if kind is None:
        raise UnknownFactError(
            f"position {recorded.position}: the fact is of a type that this version does not know"
        )
    return kind, getattr(recorded.event, kind)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _message(value: Message) -> Any:
    return json_format.MessageToDict(value, preserving_proto_field_name=True)


def _place(name: str, kind: Kind, read: Callable[[RecordedEvent], Cell]) -> Column:
    return Column(name, kind, read)


def _text(name: str) -> Column:
    return Column(name, Kind.TEXT, lambda recorded: str(getattr(recorded.event, name)))


_POSITION = _place("position", Kind.INTEGER, lambda recorded: recorded.position)
_DAY = _place(
    "effective_date", Kind.DATE, lambda recorded: date_from_message(recorded.event.effective_date)
)
_STATUS = _place(
    "assertion_status",
    Kind.TEXT,
    lambda recorded: AssertionStatus.Name(recorded.event.assertion_status).removeprefix(
        "ASSERTION_STATUS_"
    ),
)


def _quantity(name: str, kind: Kind, read: Callable[[Any], Cell]) -> Column:
    """Return a column of all events for a quantity that many facts have."""

    def of(recorded: RecordedEvent) -> Cell:
        _, fact = fact_of(recorded)
        return read(getattr(fact, name)) if name in fact.DESCRIPTOR.fields_by_name else None

    return Column(name, kind, of)


def _shares(value: DecimalMessage) -> Decimal | None:
    return _decimal(value)


def _amount(recorded: RecordedEvent) -> Money:
    _, fact = fact_of(recorded)
    amount = getattr(fact, "amount", None)
    return amount if isinstance(amount, Money) else Money()


EVENTS = (
    _POSITION,
    _place("stream", Kind.TEXT, lambda recorded: recorded.stream),
    _place("stream_version", Kind.INTEGER, lambda recorded: recorded.stream_version),
    _place("event_id", Kind.TEXT, lambda recorded: recorded.event_id),
    _place(
        "recorded_time",
        Kind.TIMESTAMP,
        lambda recorded: instant_from_message(recorded.recorded_time),
    ),
    _DAY,
    _text("effective_time_zone"),
    _STATUS,
    *map(
        _text,
        (
            "actor",
            "approver",
            "request_id",
            "correlation_id",
            "causation_id",
            "source_system",
            "note",
        ),
    ),
    _place("policy", Kind.INTEGER, lambda recorded: recorded.event.policy),
    _place(
        "evidence",
        Kind.TEXT,
        lambda recorded: _json([_message(item) for item in recorded.event.evidence]),
    ),
    _quantity("agreement", Kind.TEXT, str),
    _quantity("power_kw", Kind.INTEGER, int),
    _quantity("quantity", Kind.INTEGER, int),
    _quantity("shares", Kind.DECIMAL, _shares),
    _place("amount", Kind.DECIMAL, lambda recorded: _money(_amount(recorded))),
    _place("amount_currency", Kind.TEXT, lambda recorded: _amount(recorded).currency_code or None),
    _place("fact_type", Kind.TEXT, lambda recorded: fact_of(recorded)[0]),
    _place("fact", Kind.TEXT, lambda recorded: _json(_message(fact_of(recorded)[1]))),
)
"""Columns of the table of all events."""


@cache
def columns_of(kind: str) -> tuple[Column, ...]:
    """Return the columns of the table of a type of fact."""
    descriptor = Event.DESCRIPTOR.fields_by_name[kind].message_type
    if descriptor is None:
        raise UnknownFactError(f"{kind} is no fact")
    columns = [_POSITION, _DAY, _STATUS]
    for field in descriptor.fields:
        columns += _columns(kind, field)
    return tuple(columns)


def _columns(kind: str, field: FieldDescriptor) -> list[Column]:  # noqa: PLR0911 - one for each type
    name = field.name

    def read(convert: Callable[[Any], Cell]) -> Callable[[RecordedEvent], Cell]:
        def of(recorded: RecordedEvent) -> Cell:
            fact = getattr(recorded.event, kind)
            if field.has_presence and not fact.HasField(name):
                return None
            return convert(getattr(fact, name))

        return of

    # Renamed if the envelope uses the name: entry_reversed has a position, too.
    shown = name if name not in ("position", "effective_date") else f"fact_{name}"
    message = field.message_type.full_name if field.message_type is not None else ""
    if field.is_repeated:
        return [Column(shown, Kind.TEXT, read(_repeated))]
    if message == Money.DESCRIPTOR.full_name:
        return [
            Column(shown, Kind.DECIMAL, read(_money)),
            Column(f"{shown}_currency", Kind.TEXT, read(lambda value: str(value.currency_code))),
        ]
    if message == Date.DESCRIPTOR.full_name:
        return [Column(shown, Kind.DATE, read(date_from_message))]
    if message == DecimalMessage.DESCRIPTOR.full_name:
        return [Column(shown, Kind.DECIMAL, read(_decimal))]
    if message:
        return [Column(shown, Kind.TEXT, read(lambda value: _json(_message(value))))]
    if field.enum_type is not None:
        values = field.enum_type.values_by_number
        return [Column(shown, Kind.TEXT, read(lambda value: str(values[value].name)))]
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return [Column(shown, Kind.BOOLEAN, read(bool))]
        case FieldDescriptor.TYPE_INT32 | FieldDescriptor.TYPE_INT64:
            return [Column(shown, Kind.INTEGER, read(int))]
        case _:
            return [Column(shown, Kind.TEXT, read(str))]


def _repeated(items: Any) -> str:
    return _json([_message(item) if isinstance(item, Message) else item for item in items])


def _money(value: Money) -> Decimal | None:
    if not value.currency_code:
        return None
    money = money_from_message(value)
    return Decimal(money.amount_minor).scaleb(-currency_exponent(money.currency))


def _decimal(value: DecimalMessage) -> Decimal | None:
    return decimal_from_message(value) if value.value else None
