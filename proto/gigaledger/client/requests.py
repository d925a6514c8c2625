"""Requests to append and to read, from facts and Python's own types."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypedDict, Unpack

from gigaledger.client.values import build, day, enum_number, instant
from gigaledger.v1.common_pb2 import AssertionStatus, Evidence
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, EventFilter, NewEvent, StreamCheck
from google.protobuf.message import Message

Status = Literal["FACT", "REPORTED", "PLAN", "ASSUMPTION"]
"""How firmly the source of a fact stands behind it: see AssertionStatus in the contract."""

Checks = Mapping[str, int | bool]
"""The state that streams must be in, by name: a version, True if it must exist, or False if not."""

_FACT_FIELDS: dict[str, str] = {
    field.message_type.full_name: field.name
    for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type is not None
}
_DEFAULTS = ("actor", "approver", "note", "correlation_id", "causation_id", "source_system")


class EventOptions(TypedDict, total=False):
    """The circumstances of the facts of one request.

    They apply to every fact of the request, except for what an `Event` among them states itself.
    """

    effective_date: dt.date
    effective_time_zone: str
    status: Status
    actor: str
    approver: str
    correlation_id: str
    causation_id: str
    source_system: str
    evidence: Sequence[Evidence]
    note: str


class AppendOptions(EventOptions, total=False):
    """The circumstances of the facts, and of the request itself."""

    request_id: str
    checks: Checks
    validate_only: bool
    recorded_time: dt.datetime


def event(fact: Message, **options: Unpack[EventOptions]) -> Event:
    """Return the event of a fact, for a request whose facts differ in date or source.

    Args:
        fact: a message of the contract, such as `facts.party_registered(...)` returns.
        **options: what is known about it; `append` supplies what is left out.

    Raises:
        TypeError: the message is not a fact.
    """
    name = _FACT_FIELDS.get(fact.DESCRIPTOR.full_name)
    if name is None:
        raise TypeError(f"{fact.DESCRIPTOR.name} is not a fact of gigaledger.v1.Event")
    made = Event()
    getattr(made, name).CopyFrom(fact)
    getattr(made, name).SetInParent()
    _complete(made, options)
    return made


def append_request(
    book: str, items: Iterable[Message], options: AppendOptions, default_actor: str = ""
) -> AppendEventsRequest:
    """Return the request that appends facts.

    Args:
        book: resource name of the book.
        items: facts, events, or new events with a recorded time.
        options: the circumstances; the request id is made up if none is given.
        default_actor: who records, unless the options or an event say so.

    Raises:
        TypeError: an item is not a fact, an event or a new event.
        ValueError: a fact has no effective date.
    """
    request = AppendEventsRequest(
        book=book,
        request_id=options.get("request_id") or str(uuid.uuid4()),
        validate_only=options.get("validate_only", False),
        checks=[_check(stream, expected) for stream, expected in options.get("checks", {}).items()],
    )
    for index, item in enumerate(items):
        new = request.events.add()
        match item:
            case NewEvent():
                new.CopyFrom(item)
            case Event():
                new.event.CopyFrom(item)
            case Message():
                new.event.CopyFrom(event(item))
            case _:
                raise TypeError(f"facts[{index}]: {item!r} is not a fact")
        _complete(new.event, options)
        new.event.actor = new.event.actor or default_actor
        new.event.assertion_status = (
            new.event.assertion_status or AssertionStatus.ASSERTION_STATUS_FACT
        )
        if not new.event.HasField("effective_date"):
            raise ValueError(f"facts[{index}]: effective_date is missing")
        if "recorded_time" in options and not new.HasField("recorded_time"):
            new.recorded_time.CopyFrom(instant(options["recorded_time"]))
    return request


def event_filter(
    *,
    stream: str = "",
    fact_types: Sequence[str] = (),
    agreement: str = "",
    party: str = "",
    effective_from: dt.date | None = None,
    effective_to: dt.date | None = None,
) -> EventFilter:
    """Return the filter of events that meet every condition that is given."""
    return build(
        EventFilter,
        stream=stream,
        fact_types=fact_types,
        agreement=agreement,
        party=party,
        effective_from=effective_from,
        effective_to=effective_to,
    )


def _complete(made: Event, options: EventOptions) -> None:
    """Set what the options state and the event does not."""
    if "effective_date" in options and not made.HasField("effective_date"):
        made.effective_date.CopyFrom(day(options["effective_date"]))
        made.effective_time_zone = made.effective_time_zone or options.get(
            "effective_time_zone", ""
        )
    if not made.assertion_status and "status" in options:
        field = Event.DESCRIPTOR.fields_by_name["assertion_status"]
        made.assertion_status = enum_number(field, options["status"])  # type: ignore[assignment]
    for name in _DEFAULTS:
        if not getattr(made, name) and name in options:
            setattr(made, name, options[name])  # type: ignore[literal-required]
    if not made.evidence:
        made.evidence.extend(options.get("evidence", ()))


def _check(stream: str, expected: int) -> StreamCheck:
    if expected is True:
        return StreamCheck(stream=stream, exists=True)
    return StreamCheck(stream=stream, version=int(expected))
