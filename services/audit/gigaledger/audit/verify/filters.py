"""The expected answers of each filter of the contract, from the bytes of the events only. Pure.

Filters are answered from columns beside the bytes of an event. The bytes are proven, so a changed
column shows as a filtered answer that the bytes contradict. An event concerns the agreement and
parties that its fact refers to, and those of the document that opened its stream: goods received
concern buyer and supplier of their order.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, NamedTuple

from gigaledger.audit.verify.verification import Finding, Kind
from gigaledger.common.quantities import date_from_message, date_to_message
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import EventFilter
from google.api.resource_pb2 import resource_reference
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

PARTY = "gigaledger.v1/Party"
_OPENING = {
    "backstop_granted": ("grantor", "beneficiary"),
    "debt_drawn": ("lender", "borrower"),
    "guarantee_granted": ("guarantor", "debtor", "creditor"),
    "lease_commenced": ("lessor", "lessee"),
    "purchase_order_placed": ("buyer", "supplier"),
    "spv_formed": ("vehicle",),
    "warrant_issued": ("issuer", "holder"),
}
"""Facts that open a stream, and between whom."""
_SHOWN = 10
"""The number of events listed individually for one filter."""


class FilterQuery(NamedTuple):
    """A filter and its expected answer.

    Attributes:
        name: the field of the filter.
        value: the value filtered by.
        positions: positions of the matching events, in order.
    """

    name: str
    value: str
    positions: Collection[int]

    def filter(self) -> EventFilter:
        """Return the filter."""
        match self.name:
            case "effective date":
                day = date_to_message(dt.date.fromisoformat(self.value))
                return EventFilter(effective_from=day, effective_to=day)
            case "fact type":
                return EventFilter(fact_types=[self.value])
            case "agreement":
                return EventFilter(agreement=self.value)
            case "party":
                return EventFilter(party=self.value)
            case _:
                return EventFilter(stream=self.value)

    def compare(self, given: Collection[int]) -> Iterator[Finding]:
        """Yield the differences between the answered positions and those that match."""
        own, theirs = set(self.positions), set(given)
        about = f"a reader who asks for {self.name} {self.value}"
        wrong = [(position, f"{about} does not get event {position}") for position in own - theirs]
        wrong += [
            (position, f"{about} gets event {position}, which is not of it")
            for position in theirs - own
        ]
        if len(given) != len(theirs):
            wrong.append((max(theirs), f"{about} gets events twice"))
        for position, message in sorted(wrong)[:_SHOWN]:
            yield Finding(position, Kind.FILTER, message)
        if len(wrong) > _SHOWN:
            message = f"{about} gets {len(wrong)} events too few or too many in all"
            yield Finding(max(wrong)[0], Kind.FILTER, message)


class _Concerns(NamedTuple):
    """The references of a fact, and where it is recorded."""

    stream: str
    agreement: str
    parties: tuple[str, ...]


class _Opened(NamedTuple):
    """A fact that opened a stream, or went on opening it."""

    position: int
    kind: str
    agreement: str
    parties: tuple[str, ...]


class Filters:
    """Collects the expected answers of each filter, event by event."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._opened: dict[str, list[_Opened]] = defaultdict(list)
        # One entry per event; equal entries, of which there are few distinct ones, share an object.
        self._own: list[_Concerns] = []
        self._known: dict[_Concerns, _Concerns] = {}

    def add(self, recorded: RecordedEvent) -> None:
        """Add the next event, as it was proven."""
        event, position = recorded.event, recorded.position
        kind = event.WhichOneof("fact") or ""
        target = event.entry_reversed.position if kind == "entry_reversed" else 0
        if 0 < target <= len(self._own):
            # A reversal concerns what its target concerned, as known until then.
            own = self._own[target - 1]
        else:
            own = _own(recorded.stream, kind, getattr(event, kind) if kind else event)
        self._own.append(self._known.setdefault(own, own))
        agreement, parties = self._of_stream(own.stream)
        self._positions["fact type", kind].append(position)
        self._positions["stream", recorded.stream].append(position)
        if event.HasField("effective_date"):
            day = date_from_message(event.effective_date).isoformat()
            self._positions["effective date", day].append(position)
        if own.agreement or agreement:
            self._positions["agreement", own.agreement or agreement].append(position)
        for party in {*own.parties, *parties} - {""}:
            self._positions["party", party].append(position)
        opened = self._opened[own.stream] if target or kind in _OPENING else []
        if target:
            opened[:] = [fact for fact in opened if fact.position != target]
        elif kind in _OPENING:
            sides = tuple(getattr(getattr(event, kind), side) for side in _OPENING[kind])
            opened.append(_Opened(position, kind, own.agreement, sides))

    def _of_stream(self, stream: str) -> tuple[str, tuple[str, ...]]:
        """Return the agreement and parties of the fact that opened a stream and is not reversed."""
        opened = self._opened.get(stream)
        if not opened:
            return "", ()
        latest = opened[-1]
        if latest.kind == "debt_drawn":
            # A later drawing need not repeat the agreement.
            stated = [fact.agreement for fact in opened if fact.agreement]
            return (stated[-1] if stated else ""), latest.parties
        return latest.agreement, latest.parties

    def query(self) -> Iterator[FilterQuery]:
        """Yield every filter with one value that occurs."""
        for (name, value), positions in sorted(self._positions.items()):
            yield FilterQuery(name, value, positions)

    def __len__(self) -> int:
        return len(self._positions)


def _own(stream: str, kind: str, fact: Any) -> _Concerns:
    """Return the references of a fact."""
    agreement = fact.agreement if "agreement" in fact.DESCRIPTOR.fields_by_name else ""
    parties = tuple(_parties(fact))
    if kind == "party_registered":
        parties = (*parties, fact.party)
    return _Concerns(stream, agreement, parties)


def _parties(message: Message) -> Iterator[str]:
    """Yield the parties that a message refers to, by the contract's `resource_reference`."""
    fields = _referring(message.DESCRIPTOR)
    if not fields:
        return
    for field, value in message.ListFields():
        if field.name in fields:
            for one in value if field.is_repeated else (value,):
                if field.message_type is None:
                    yield one
                else:
                    yield from _parties(one)


@cache
def _referring(descriptor: Descriptor) -> frozenset[str]:
    """Return the fields of a message that refer to parties, or hold messages that do."""
    return frozenset(
        field.name
        for field in descriptor.fields
        if field.GetOptions().Extensions[resource_reference].type == PARTY
        or (field.message_type is not None and _referring(field.message_type))
    )
