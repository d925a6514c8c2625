"""Answers as flat rows, for spreadsheets and data frames.

    tables = records(book.investment())
    frame = pandas.DataFrame(tables["agreements"])

Every repeated message of an answer is a table, named by its path: "pairs.balances" has a row for
each balance of each pair. A row begins with what identifies the records around it, and ends with
what the answer reflects. All answers of a type have the same columns.

Values are exact: amounts are decimals in the currency of the row, power is in whole kilowatts,
ratios are in parts per million. None stands for what is not given, such as an undisclosed amount.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from gigaledger.client.values import amount_of, date_of, datetime_of
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

Value = Decimal | bool | int | str | dt.date | dt.datetime | None
Row = dict[str, Value]

LIST_SEPARATOR = ";"
_CONTEXT = "context"
_CURRENCY = "currency_code"
_KEYS = frozenset(
    {
        *("about", "agreement", "basis", "capacity_layer", "currency_code", "customer_investee"),
        *("effective_date", "fact_type", "figure", "holder", "investor", "issuer", "platform"),
        *("position", "power_basis", "recorded_time", "share_class", "site", "stream"),
        *("supplier_investor", "tranche", "unit", "warrant"),
    }
)
"""Fields that identify a record, and are repeated in the rows of the records within it."""
_DECIMAL_TEXTS = frozenset(
    {
        *("additions", "after", "amount", "average_price", "before", "closing", "difference"),
        *("opening", "price_per_share", "reductions", "shares", "shares_outstanding"),
        "weighted_lag_days",
    }
)
"""Fields of text that hold decimal numbers."""
_MONEY, _MONEY_FIGURE = "google.type.Money", "gigaledger.v1.MoneyFigure"
_SUBJECT = "gigaledger.v1.FigureSubject"
_LEAVES: dict[str, Callable[[Any], Value]] = {
    "google.protobuf.Timestamp": datetime_of,
    "google.type.Date": date_of,
    "google.type.Decimal": lambda message: _decimal(message.value),
    _MONEY: lambda message: amount_of(message) if message.currency_code else None,
}
"""Messages that are one value."""


def records(answer: Message) -> dict[str, list[Row]]:
    """Return the rows of an answer by the name of their table; every table is there."""
    found: dict[str, list[Row]] = {name: [] for name in record_columns(answer)}
    context = _context(answer)
    for name, row in _rows(answer, (), _keys(answer)):
        found[name].append(row | context)
    return found


def record_columns(answer: Message) -> dict[str, list[str]]:
    """Return the columns of the tables of an answer, by the name of the table."""
    context = _context(answer)
    rows = _rows(_filled(answer.DESCRIPTOR), (), _keys(answer))
    return {name: [*row, *context] for name, row in rows}


def _context(answer: Message) -> Row:
    """Return what an answer reflects, for each of its rows."""
    if _CONTEXT not in answer.DESCRIPTOR.fields_by_name:
        return {}
    context: Message = getattr(answer, _CONTEXT)
    return {f"{_CONTEXT}_{name}": value for name, value in _cells(context).items()}


def _filled(kind: Any) -> Message:
    """Return a message in which every repeated message has one item."""
    message: Message = GetMessageClass(kind)()
    for field in kind.fields:
        if not _holds_records(field):
            continue
        item = _filled(field.message_type)
        if field.is_repeated:
            getattr(message, field.name).append(item)
        else:
            getattr(message, field.name).CopyFrom(item)
    return message


def _rows(message: Message, path: tuple[str, ...], keys: Row) -> Iterator[tuple[str, Row]]:
    """Yield the rows of the records within a message, with the keys of what is around them."""
    for field in message.DESCRIPTOR.fields:
        if not _holds_records(field) or field.name == _CONTEXT:
            continue
        within = (*path, field.name)
        value = getattr(message, field.name)
        if not field.is_repeated:
            own = {f"{field.name}_{name}": key for name, key in _keys(value).items()}
            yield from _rows(value, within, keys | own)
            continue
        for item in value:
            yield ".".join(within), _with_currency(keys | _cells(item), item)
            yield from _rows(item, within, keys | _keys(item))


def _holds_records(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and kind.full_name not in {*_LEAVES, _SUBJECT}


def _keys(message: Message) -> Row:
    return {name: value for name, value in _cells(message).items() if name in _KEYS}


def _cells(message: Message, *, given: bool = True) -> Row:
    """Return the values of a message; of those within it, by the path of their fields."""
    row: Row = {}
    fields: Any = message.DESCRIPTOR.fields
    for field in fields:
        value = getattr(message, field.name)
        here = given and (not field.has_presence or message.HasField(field.name))
        if field.is_repeated:
            if not _holds_records(field):
                row[field.name] = LIST_SEPARATOR.join(_listed(field, item) for item in value)
        elif not _holds_records(field):
            row[field.name] = _leaf(field, value) if here else None
        elif field.message_type.full_name == _MONEY_FIGURE:
            known = here and value.HasField("amount")
            row[field.name] = amount_of(value.amount) if known else None
            row[f"{field.name}_undisclosed_count"] = value.undisclosed_count if here else None
        else:
            inner = _cells(value, given=here)
            row |= {f"{field.name}_{name}": cell for name, cell in inner.items()}
    return row


def _leaf(field: Any, value: Any) -> Value:
    """Return one value as a type of Python."""
    if field.enum_type is not None:
        return _enum_name(field, value)
    if field.message_type is not None:
        return _LEAVES[field.message_type.full_name](value)
    if field.name in _DECIMAL_TEXTS:
        return _decimal(value)
    return value  # type: ignore[no-any-return]


def _decimal(text: str) -> Value:
    """Return a decimal number; a figure that is no number, such as a date, as its text."""
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return text


def _enum_name(field: Any, number: int) -> str | None:
    """Return the name of an enum's value without its prefix; None if it is unspecified."""
    prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
    known = field.enum_type.values_by_number.get(number)
    if not number:
        return None
    return known.name.removeprefix(prefix) if known else str(number)


def _listed(field: Any, item: Any) -> str:
    """Return one of several values of a cell."""
    if field.message_type is not None and field.message_type.full_name == _SUBJECT:
        return f"{item.field}={item.value}"
    return str(_leaf(field, item))


def _with_currency(row: Row, message: Message) -> Row:
    """Put the currency of its amounts before them, unless the row names it already."""
    if _CURRENCY in row:
        return row
    names = [f.name for f in message.DESCRIPTOR.fields if _is_amount(f)]
    if not names:
        return row
    amounts = (getattr(message, name) for name in names)
    codes = (getattr(value, "amount", value).currency_code for value in amounts)
    currency = next(filter(None, codes), None)
    cells = list(row.items())
    first = list(row).index(names[0])
    return dict([*cells[:first], (_CURRENCY, currency), *cells[first:]])


def _is_amount(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and not field.is_repeated and kind.full_name in {_MONEY, _MONEY_FIGURE}
