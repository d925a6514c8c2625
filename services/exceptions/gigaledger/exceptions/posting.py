"""A recorded event as the rules of exceptions see it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Any

from gigaledger.common.quantities import date_from_message, instant_from_message
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent


@cache
def fields_of(kind: str) -> frozenset[str]:
    """Return the names of a fact's fields."""
    message = Event.DESCRIPTOR.fields_by_name[kind].message_type
    return frozenset(message.fields_by_name) if message is not None else frozenset()


@dataclass(frozen=True, slots=True)
class Posting:
    """An event with its place in the book.

    Attributes:
        position: place in the book.
        recorded_time: when it was recorded.
        effective_date: since when it holds.
        status: FACT, REPORTED, PLAN or ASSUMPTION.
        kind: name of the fact's field in the event.
        event: the event.
        fact: the fact's message.
    """

    position: int
    recorded_time: dt.datetime
    effective_date: dt.date
    status: str
    kind: str
    event: Event
    fact: Any

    @property
    def recorded_date(self) -> dt.date:
        """The day (UTC) on which it was recorded."""
        return self.recorded_time.astimezone(dt.UTC).date()


def posting_of(recorded: RecordedEvent) -> Posting:
    """Return the posting of a recorded event."""
    event = recorded.event
    kind = event.WhichOneof("fact") or ""
    return Posting(
        position=recorded.position,
        recorded_time=instant_from_message(recorded.recorded_time),
        effective_date=date_from_message(event.effective_date),
        status=AssertionStatus.Name(event.assertion_status).removeprefix("ASSERTION_STATUS_"),
        kind=kind,
        event=event,
        fact=getattr(event, kind),
    )
