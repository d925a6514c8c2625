"""The facts of a history that figures depend on, and which of them count for a query.

Nothing here is shared with the projections. Facts are kept whole in serialized form and parsed for
each query, so an answer is a function of the history and the query only.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from gigaledger.common.quantities import instant_from_message
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from google.protobuf.message_factory import GetMessageClass

_WITHOUT_FIGURES = frozenset(
    {
        "book_opened",
        "entry_reversed",
        "period_closed",
        "period_reopened",
        "policy_adopted",
        "exception_opened",
        "exception_reviewed",
        "exception_closed",
        "external_confirmation_received",
        "party_amended",
        "purchase_order_acknowledged",
        "shipment_despatched",
        "share_class_authorised",
        "valuation_determined",
    }
)
"""Facts that no figure rests on."""
_MESSAGES = {
    entry.name: GetMessageClass(entry.message_type)
    for entry in Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if entry.message_type is not None
}
_STATUSES = {
    number: name.removeprefix("ASSERTION_STATUS_") for name, number in AssertionStatus.items()
}
HYPOTHETICAL = frozenset({"PLAN", "ASSUMPTION"})
"""Statuses of facts that state nothing about what has happened."""

by_time = attrgetter("day", "position")
"""The order in which changes take effect: effective date, then position."""


class HistoryError(ValueError):
    """The input is not a history; the text names the position and the fault."""


class Entry(NamedTuple):
    """A recorded fact.

    Attributes:
        position: place in the book.
        day: effective date.
        status: FACT, REPORTED, PLAN or ASSUMPTION.
        kind: the name of the fact, e.g. "goods_received".
        data: the fact, serialized.
        event_id: id of the event.
    """

    position: int
    day: dt.date
    status: str
    kind: str
    data: bytes
    event_id: str

    @property
    def fact(self) -> Any:
        """The message of the fact."""
        return _MESSAGES[self.kind].FromString(self.data)


@lru_cache(maxsize=10_000)
def _day(year: int, month: int, day: int) -> dt.date:
    return dt.date(year, month, day)


class History:
    """The facts of a book, in the order of their positions.

    Attributes:
        position: position of the last event; 0 before the first.
    """

    def __init__(self) -> None:
        self.position = 0
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        self._reversed_at: dict[int, int] = {}
        self._clock: list[tuple[int, dt.date]] = []

    def add(self, recorded: RecordedEvent) -> None:
        """Add the next event.

        Raises:
            HistoryError: its position is not the next one, or its fact or status is unknown.
        """
        if recorded.position != self.position + 1:
            raise HistoryError(
                f"position {recorded.position} follows position {self.position}: "
                "positions are 1, 2, 3 and so on"
            )
        event = recorded.event
        kind = event.WhichOneof("fact")
        if kind is None:
            raise HistoryError(
                f"position {recorded.position}: the fact is of a type that this version does not "
                "know"
            )
        if event.assertion_status not in _STATUSES:
            raise HistoryError(
                f"position {recorded.position}: status {event.assertion_status} is not one that"
                " this version knows"
            )
        self.position = recorded.position
        clock = instant_from_message(recorded.recorded_time).date()
        if not self._clock or self._clock[-1][1] != clock:
            self._clock.append((recorded.position, clock))
        if kind == "entry_reversed":
            self._reversed_at[event.entry_reversed.position] = recorded.position
        if kind not in _WITHOUT_FIGURES:
            date = event.effective_date
            self._entries[kind].append(
                Entry(
                    recorded.position,
                    _day(date.year, date.month, date.day),
                    _STATUSES[event.assertion_status],
                    kind,
                    getattr(event, kind).SerializeToString(),
                    recorded.event_id,
                )
            )

    def entries(self, *kinds: str) -> Iterator[Entry]:
        """Yield the entries of some kinds, each kind in the order of positions."""
        for kind in kinds:
            yield from self._entries.get(kind, ())

    def entry(self, position: int) -> Entry:
        """Return the entry at a position.

        Raises:
            KeyError: no figure depends on the event there.
        """
        for entries in self._entries.values():
            at = bisect_right(entries, position, key=attrgetter("position")) - 1
            if at >= 0 and entries[at].position == position:
                return entries[at]
        raise KeyError(position)

    def reversed_at(self, position: int) -> int | None:
        """Return the position of the reversal of an entry; None if it is not reversed."""
        return self._reversed_at.get(position)

    def recorded_on(self, position: int) -> dt.date:
        """Return the day (UTC) on which the event at a position was recorded.

        Raises:
            HistoryError: there is no such event.
        """
        if not 1 <= position <= self.position:
            raise HistoryError(
                f"there is no position {position}: the history ends at {self.position}"
            )
        return self._clock[bisect_right(self._clock, (position, dt.date.max)) - 1][1]


@dataclass(frozen=True)
class View:
    """A history as seen by a query.

    A fact is *recorded* if its position is at most `position`, *known* if it is not reversed by
    then, and *counted* if it is known, effective by `as_of`, and of a status that the query
    includes.

    Attributes:
        history: the history.
        position: the last known position.
        as_of: the last effective date that counts; None for all.
        statuses: the statuses that count; None for all.
        traced: whether figures keep their events.
        reversals: whether reversals count; without them every fact ever recorded does.
    """

    history: History
    position: int
    as_of: dt.date | None = None
    statuses: frozenset[str] | None = None
    traced: bool = False
    reversals: bool = True
    as_of_end: dt.date = field(init=False)
    evaluation_date: dt.date = field(init=False)

    def __post_init__(self) -> None:
        # The evaluation date of plans, last days and paces.
        evaluation_date = self.as_of or self.history.recorded_on(self.position)
        object.__setattr__(self, "evaluation_date", evaluation_date)
        object.__setattr__(self, "as_of_end", self.as_of or dt.date.max)

    def recorded(self, *kinds: str) -> Iterator[Entry]:
        """Yield recorded facts."""
        return (entry for entry in self.history.entries(*kinds) if entry.position <= self.position)

    def known(self, *kinds: str) -> Iterator[Entry]:
        """Yield known facts."""
        return (entry for entry in self.recorded(*kinds) if self.knows(entry))

    def counted(self, *kinds: str) -> Iterator[Entry]:
        """Yield what counts."""
        return (entry for entry in self.known(*kinds) if self.counts(entry))

    def knows(self, entry: Entry) -> bool:
        """Return whether a recorded entry is not reversed."""
        reversed_at = self.history.reversed_at(entry.position)
        return not self.reversals or reversed_at is None or reversed_at > self.position

    def latest(self, read: Callable[[Any], tuple[Any, Any]], *kinds: str) -> dict[Any, Any]:
        """Return the value of each name, from its latest known fact, or else from its latest fact.

        Args:
            read: returns name and value of a fact.
            kinds: the facts to read.
        """
        ranks: dict[Any, tuple[bool, int]] = {}
        found: dict[Any, Any] = {}
        for entry in self.recorded(*kinds):
            key, value = read(entry.fact)
            rank = (self.knows(entry), entry.position)
            if key not in ranks or rank > ranks[key]:
                ranks[key], found[key] = rank, value
        return found

    def counts(self, entry: Entry) -> bool:
        """Return whether a known entry counts."""
        return entry.day <= self.as_of_end and (
            self.statuses is None or entry.status in self.statuses
        )

    def every_counted(self) -> Iterator[Entry]:
        """Yield all that counts, of every kind."""
        return self.counted(*_MESSAGES)

    def hypothetical(self) -> bool:
        """Return whether a plan or an assumption counts."""
        return any(entry.status in HYPOTHETICAL for entry in self.every_counted())
