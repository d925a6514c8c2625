"""An entry: an event in its place in a book, as decisions and folds see it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from gigaledger.common.quantities import date_from_message
from gigaledger.v1.events_pb2 import Event


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact with its place in the book.

    An entry is a domain event in the sense of the eventsourcing library: its originator is the
    stream.

    Attributes:
        stream: the stream that the entry belongs to.
        version: place in the stream, from 1.
        position: place in the book, from 1.
        recorded_at: when it was recorded (UTC).
        event: the event; not to be changed.
    """

    stream: str
    version: int
    position: int
    recorded_at: dt.datetime
    event: Event
    kind: str = field(init=False)
    fact: Any = field(init=False)
    effective_date: dt.date = field(init=False)

    def __post_init__(self) -> None:
        kind = self.event.WhichOneof("fact")
        if kind is None:
            raise ValueError("an entry holds a fact")
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "fact", getattr(self.event, kind))
        object.__setattr__(self, "effective_date", date_from_message(self.event.effective_date))

    @property
    def originator_id(self) -> str:
        """The stream, as the eventsourcing library calls it."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The version, as the eventsourcing library calls it."""
        return self.version
