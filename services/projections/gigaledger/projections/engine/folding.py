"""Folds: pure functions from one recorded event to rows of a read model.

A fold writes down what the fact states, under the names that the fact uses (an order, an invoice, a
milestone). Queries look up what these names refer to. A fold therefore does not depend on earlier
events, on how the log is cut into batches, or on later corrections of the documents it names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from gigaledger.common.quantities import date_from_message, instant_from_message, money_from_message
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import RecordedEvent
from google.type.money_pb2 import Money as MoneyMessage

if TYPE_CHECKING:
    # Known to the type stubs alone: what a generated enum is an instance of.
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

    EnumType = _EnumTypeWrapper[Any]

HEADER = ("position", "item", "recorded_time", "effective_date", "assertion_status")
"""Columns that every row of every read model starts with."""
REVERSAL = "entry_reversed"
"""The fact that concerns all projections alike."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a read model: its table, and its columns after the header."""

    table: str
    columns: Mapping[str, object]


Fold = Callable[[Any], Iterable[Row]]
"""From a fact's message to the rows that it adds."""


@dataclass(frozen=True, slots=True)
class EventFold:
    """A fold of the whole event, for what depends on who recorded a fact and on what evidence."""

    rows: Callable[[RecordedEvent], Iterable[Row]]

    def __call__(self, recorded: RecordedEvent) -> Iterable[Row]:
        """Return the rows that an event adds."""
        return self.rows(recorded)


class FoldError(Exception):
    """An event that a projection cannot fold.

    Attributes:
        position: position of the event.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


@cache
def enum_text(enum: EnumType, number: int) -> str:
    """Return the name of an enum's value without the enum's own name: `FACT`, `CHIP_SUPPLY`.

    Raises:
        ValueError: this version of the contract does not know the value.
    """
    return enum.Name(number).removeprefix(_prefix(enum))


def enum_number(enum: EnumType, text: str) -> Any:
    """Return the value that `enum_text` names."""
    return enum.Value(_prefix(enum) + text)


def _prefix(enum: EnumType) -> str:
    return enum.Name(0).removesuffix("UNSPECIFIED")


def money_columns(message: MoneyMessage, prefix: str = "") -> dict[str, object]:
    """Return the columns of an amount: minor units and currency.

    Raises:
        QuantityError: the amount is not exact.
    """
    money = money_from_message(message)
    return {f"{prefix}amount_minor": money.amount_minor, f"{prefix}currency": money.currency}


def disclosed_money_columns(fact: Any) -> dict[str, object]:
    """Return the columns of a fact's `amount`, which are null if it is not disclosed.

    Raises:
        QuantityError: the amount is not exact.
    """
    return money_columns(fact.amount) if fact.HasField("amount") else unknown_money_columns()


def unknown_money_columns(prefix: str = "") -> dict[str, object]:
    """Return the columns of an amount that is not disclosed: unknown, which is not zero."""
    return {f"{prefix}amount_minor": None, f"{prefix}currency": ""}


@dataclass(frozen=True, slots=True)
class Folded:
    """What an event does to a read model.

    Attributes:
        position: position of the event.
        header: what its rows start with, between their number and their own columns.
        rows: the rows that it adds.
        reverses: the position whose rows count no more from this event on; None for most events.
    """

    position: int
    header: tuple[dt.datetime, dt.date, str] | None = None
    rows: Sequence[Row] = ()
    reverses: int | None = None

    def values(self) -> Iterator[tuple[Row, tuple[object, ...]]]:
        """Yield each row with its values: those of `HEADER`, then those of its columns."""
        for item, row in enumerate(self.rows):
            yield row, (self.position, item, *(self.header or ()), *row.columns.values())


def fold_event(folds: Mapping[str, Fold], recorded: RecordedEvent) -> Folded:
    """Fold one event.

    A fact that a projection has no fold for does not concern it. A reversal concerns all alike: the
    rows of its target stay, and say from which position on they do not count.

    Raises:
        FoldError: the fact is of a type that this version does not know, or its fold failed.
    """
    position, event = recorded.position, recorded.event
    kind = event.WhichOneof("fact")
    if kind is None:
        raise FoldError(position, "the fact is of a type that this version does not know")
    reverses = event.entry_reversed.position if kind == REVERSAL else None
    fold = folds.get(kind)
    if fold is None:
        return Folded(position, reverses=reverses)
    try:
        header = (
            instant_from_message(recorded.recorded_time),
            date_from_message(event.effective_date),
            enum_text(AssertionStatus, event.assertion_status),
        )
        folded = recorded if isinstance(fold, EventFold) else getattr(event, kind)
        return Folded(position, header, tuple(fold(folded)), reverses)
    except Exception as error:
        # Whatever goes wrong in a fold must stop this projection alone, at this position.
        raise FoldError(position, f"{kind}: {type(error).__name__}: {error}") from error
