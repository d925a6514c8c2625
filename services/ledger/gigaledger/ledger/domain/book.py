"""A book in memory: decides on requests one by one, on top of the recorded entries.

`Book` holds the states that decisions need, reads others from a `Source`, and keeps accepted
entries as pending until they are recorded. With an empty source it is a complete ledger in memory:
the model that the log is tested against.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import localcontext
from typing import Any

from gigaledger.common.quantities import EXACT
from gigaledger.ledger.domain import reversal, validation
from gigaledger.ledger.domain.book_view import NaturalKey, minor
from gigaledger.ledger.domain.catalogue import (
    CONTROL_STREAM,
    FACT_TYPES,
    REFERENCED_STREAMS,
    REVERSAL,
)
from gigaledger.ledger.domain.control import Control
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.fact_type import Nature
from gigaledger.ledger.domain.folding import apply, fold
from gigaledger.ledger.domain.pending import Accepted, Pending, Source
from gigaledger.ledger.domain.refusals import Refused, Rule, Violation
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event

MAX_EVENTS_PER_REQUEST = 1000
"""Keeps the time for which one request holds up the others below a second."""
MAX_EVENT_BYTES = 65_535
"""Size limit of an entry in the format C2SP tlog-tiles, so that outside tools read proofs."""
FUTURE_TOLERANCE = dt.timedelta(days=1)
"""HR-TIME-01: it is tomorrow already in other time zones."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a stream must be like. `version` None asks only whether it `exists`."""

    stream: str
    version: int | None
    exists: bool | None


@dataclass(frozen=True, slots=True)
class Request:
    """Facts to append, all or none.

    Attributes:
        request_id: names the request for ever.
        events: the facts, well formed.
        recorded_times: for an imported book, when each was recorded; None in another.
        checks: what streams must be like.
    """

    request_id: str
    events: Sequence[Event]
    recorded_times: Sequence[dt.datetime | None]
    checks: Sequence[Check] = ()


@dataclass(slots=True)
class _Slot:
    """A stream in memory: its state, its version, and the transaction that used it last."""

    state: Any
    version: int
    used: int


class Book:
    """A book as decisions see it.

    Attributes:
        position: position of its last entry, counting pending ones.
        recorded_at: when its last entry was recorded.
    """

    def __init__(self, source: Source, *, imported: bool) -> None:
        """Start with nothing in memory.

        Args:
            source: the recorded entries.
            imported: whether recorded times come with the facts.
        """
        self.position = 0
        self.recorded_at = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._pending = Pending(source)
        self._imported = imported
        self._slots: dict[str, _Slot] = {}
        self._transaction = 0

    @property
    def streams_in_memory(self) -> int:
        """How many streams have their state in memory."""
        return len(self._slots)

    @property
    def imported(self) -> bool:
        """Whether recorded times come with the facts."""
        return self._imported

    def clock(self, now: dt.datetime) -> dt.datetime:
        """Return the book's own time: that of its head if it is imported.

        Args:
            now: the server's clock.
        """
        return self.recorded_at if self._imported else max(now, self.recorded_at)

    @property
    def pending(self) -> Sequence[Accepted]:
        """The entries that are accepted and not yet recorded."""
        return self._pending.items

    def start(
        self, position: int, recorded_at: dt.datetime, news: Iterable[tuple[str, Entry]]
    ) -> None:
        """Begin a transaction at the head of the log.

        Args:
            position: the head.
            recorded_at: when the head was recorded.
            news: what others recorded since the last transaction, in order: the streams that count
                it, and the entry.
        """
        self._pending.clear()
        self._transaction += 1
        self.position, self.recorded_at = position, recorded_at
        for stream, entry in news:
            self._learn(stream, entry)

    def finish(self) -> None:
        """End the transaction: pending entries are recorded."""
        self._pending.clear()

    def _learn(self, stream: str, entry: Entry) -> None:
        slot = self._slots.get(stream)
        if slot is None:
            return
        if entry.kind == REVERSAL:
            # A fold cannot be undone: the stream is folded again when it is needed.
            del self._slots[stream]
            return
        apply(slot.state, entry, stream)
        if entry.stream == stream:
            slot.version = entry.version

    def forget(self) -> None:
        """Forget everything in memory."""
        self._slots.clear()
        self._pending.clear()

    def evict(self, streams: int) -> None:
        """Keep the states of at most so many streams: those used last."""
        excess = len(self._slots) - streams
        if excess > 0:
            by_use = sorted(self._slots, key=lambda stream: self._slots[stream].used)
            for stream in by_use[:excess]:
                del self._slots[stream]

    def wanted_streams(self, request: Request) -> Iterable[str]:
        """Yield the streams that deciding on a request will ask for and that are not in memory."""
        for event in request.events:
            kind = event.WhichOneof("fact")
            if kind is None or kind == REVERSAL:
                continue
            fact = getattr(event, kind)
            names = [FACT_TYPES[kind].stream(fact)]
            names += [REFERENCED_STREAMS[r].format(n) for _, r, n in validation.references(fact)]
            yield from (name for name in names if name not in self._slots)

    def wanted_keys(self, request: Request) -> Iterable[NaturalKey]:
        """Yield the natural keys that deciding on a request will ask for."""
        for event in request.events:
            kind = event.WhichOneof("fact")
            if kind in FACT_TYPES and FACT_TYPES[kind].has_keys:
                draft = Entry(_stream_of(event), 0, 0, self.recorded_at, event)
                yield from FACT_TYPES[kind].keys(self.state(draft.stream), draft)

    def accept(self, request: Request, now: dt.datetime) -> Sequence[Accepted]:
        """Decide on a request. Accepted entries are pending until the next `start`.

        Args:
            request: the facts.
            now: the server's clock; not used by an imported book.

        Raises:
            Refused: a rule refuses it. The book is unchanged.
        """
        mark, position, recorded_at = len(self.pending), self.position, self.recorded_at
        violations = list(self._check_violations(request.checks))
        if violations:
            raise Refused(violations)
        try:
            with localcontext(EXACT):
                for index, event in enumerate(request.events):
                    self._accept_one(request, index, event, now)
        except Refused:
            self._withdraw(mark, position, recorded_at)
            raise
        return self.pending[mark:]

    def try_out(self, request: Request, now: dt.datetime) -> Sequence[Accepted]:
        """Decide on a request and leave the book as it was.

        Raises:
            Refused: a rule stands against it.
        """
        mark, position, recorded_at = len(self.pending), self.position, self.recorded_at
        accepted = self.accept(request, now)
        self._withdraw(mark, position, recorded_at)
        return accepted

    def _withdraw(self, mark: int, position: int, recorded_at: dt.datetime) -> None:
        for accepted in self._pending.withdraw(mark):
            for stream in accepted.streams:
                self._slots.pop(stream, None)
        self.position, self.recorded_at = position, recorded_at

    def state(self, stream: str) -> Any:
        """Return the state of a stream."""
        return self._slot(stream).state

    def standing(self, stream: str) -> list[Entry]:
        """Return the entries of a stream that are not reversed, and those linked to it."""
        entries = self._pending.entries(stream)
        withdrawn = {entry.fact.position for entry in entries if entry.kind == REVERSAL}
        return [
            entry for entry in entries if entry.kind != REVERSAL and entry.position not in withdrawn
        ]

    def version(self, stream: str) -> int:
        """Return the version of a stream: the number of its entries."""
        return self._slot(stream).version

    def _slot(self, stream: str) -> _Slot:
        slot = self._slots.get(stream)
        if slot is None:
            entries = self._pending.entries(stream)
            version = max((entry.version for entry in entries if entry.stream == stream), default=0)
            with localcontext(EXACT):
                state = fold(stream, entries)
            slot = self._slots[stream] = _Slot(state, version, self._transaction)
        slot.used = self._transaction
        return slot

    def _check_violations(self, checks: Sequence[Check]) -> Iterable[Violation]:
        for index, check in enumerate(checks):
            field = f"checks[{index}]"
            try:
                version = self.version(check.stream)
            except ValueError as error:
                yield Violation(Rule.FIELD_INVALID, f"{field}.stream", str(error))
                continue
            if check.version is not None and check.version != version:
                expected = f"version {check.version}"
            elif check.exists is not None and check.exists != (version > 0):
                expected = "that it exists" if check.exists else "that it does not exist"
            else:
                continue
            yield Violation(
                Rule.SEQ_01,
                field,
                f"expected {expected}, but {check.stream} is at version {version}",
                {"stream": check.stream, "version": str(version)},
            )

    def _accept_one(self, request: Request, index: int, event: Event, now: dt.datetime) -> None:
        path = f"events[{index}]"
        recorded_at = self._recorded_time(request.recorded_times[index], now, path)
        stamped = Event()
        stamped.CopyFrom(event)
        stamped.request_id = request.request_id
        stamped.policy = self._control.policy
        prefix = f"{path}.event."
        target = self._target(stamped, prefix)
        stream = target.stream if target else _stream_of(stamped)
        slot = self._slot(stream)
        entry = Entry(stream, slot.version + 1, self.position + 1, recorded_at, stamped)
        violations = [
            replace(violation, field=prefix + violation.field)
            for violation in self._violations(entry, slot.state, target)
        ]
        if violations:
            raise Refused(violations)
        self._admit(entry, slot, target)

    def _recorded_time(self, given: dt.datetime | None, now: dt.datetime, path: str) -> dt.datetime:
        head = self.recorded_at
        if not self._imported:
            if given is None:
                return self.clock(now)
            message = "must be unset: this book records by the server's clock"
        elif given is None:
            message = "is required: this book is imported and has no clock of its own"
        elif given < head:
            message = f"is {given.isoformat()}, before the head of the book: {head.isoformat()}"
        else:
            return given
        raise Refused([Violation(Rule.RECORDED_TIME, f"{path}.recorded_time", message)])

    @property
    def _control(self) -> Control:
        state: Control = self.state(CONTROL_STREAM)
        return state

    def _target(self, event: Event, prefix: str) -> Entry | None:
        """Return the entry that a reversal names; None for another fact."""
        if event.WhichOneof("fact") != REVERSAL:
            return None
        position = event.entry_reversed.position
        target = self._pending.entry(position)
        if target is None:
            violation = reversal.unknown_target(position, self.position)
            raise Refused([replace(violation, field=f"{prefix}{REVERSAL}.{violation.field}")])
        return target

    def _violations(self, entry: Entry, state: Any, target: Entry | None) -> Iterable[Violation]:
        """Yield everything that stands against an entry."""
        yield from _size_violations(entry)
        yield from _time_violations(entry)
        yield from self._approval_violations(entry)
        if target is not None:
            ruling: Iterable[Violation] = reversal.decide(entry, target, self._pending)
        else:
            fact_type = FACT_TYPES[entry.kind]
            ruling = itertools.chain(
                self._reference_violations(entry),
                self._key_violations(fact_type.keys(state, entry)),
                fact_type.decide(state, entry, self),
            )
        for violation in ruling:
            yield replace(violation, field=f"{entry.kind}.{violation.field}")

    def _reference_violations(self, entry: Entry) -> Iterable[Violation]:
        """Yield what HR-ID-03 has against a fact, for all that the contract calls a reference."""
        for field, resource, name in validation.references(entry.fact):
            if not self.state(REFERENCED_STREAMS[resource].format(name)).exists:
                message = f"{_words(resource)} {name} is not recorded"
                yield Violation(Rule.ID_03, field, message, {field: name})

    def _key_violations(self, keys: Iterable[NaturalKey]) -> Iterable[Violation]:
        """Yield what HR-ID-02 has against a fact."""
        for key in keys:
            position = self._pending.key_position(key)
            if position is not None:
                message = f"{key.kind} {key.key[-1]} is recorded already, at position {position}"
                values = {"value": key.key[-1], "position": str(position)}
                yield Violation(Rule.ID_02, key.field, message, values)

    def _approval_violations(self, entry: Entry) -> Iterable[Violation]:
        """Yield what HR-AUTH-01 has against maker and checker."""
        event = entry.event
        values = {"actor": event.actor, "approver": event.approver}
        if event.approver and event.approver == event.actor:
            message = f"{event.actor} cannot approve what {event.actor} records"
            yield Violation(Rule.AUTH_01, "approver", message, values)
        if entry.kind == REVERSAL or FACT_TYPES[entry.kind].nature is Nature.OBSERVATION:
            return
        amount = getattr(entry.fact, "amount", None)
        if amount is None or event.approver:
            return
        threshold = self._control.approval_thresholds.get(amount.currency_code)
        if threshold is not None and minor(amount) > threshold:
            limit = f"{threshold} minor units of {amount.currency_code}"
            message = f"is required: the amount exceeds {limit}"
            yield Violation(Rule.AUTH_01, "approver", message, values)

    def _admit(self, entry: Entry, slot: _Slot, target: Entry | None) -> None:
        """Take an entry in that nothing stands against."""
        fact_type = FACT_TYPES[(target or entry).kind]
        keys = () if target else tuple(fact_type.keys(slot.state, entry))
        links = tuple(fact_type.links(slot.state, target or entry))
        agreement, parties = _concerned(target or entry, slot.state)
        accepted = Accepted(entry, keys, links, agreement, parties)
        self._pending.add(accepted)
        self.position, self.recorded_at = entry.position, entry.recorded_at
        if target is not None:
            # A fold cannot be undone: the streams are folded again without the target.
            for stream in accepted.streams:
                self._slots.pop(stream, None)
            return
        linked = [(stream, self.state(stream)) for stream in links if stream in self._slots]
        for stream, state in [(entry.stream, slot.state), *linked]:
            apply(state, entry, stream)
        slot.version = entry.version


def _stream_of(event: Event) -> str:
    kind = event.WhichOneof("fact") or ""
    return FACT_TYPES[kind].stream(getattr(event, kind))


def _size_violations(entry: Entry) -> Iterable[Violation]:
    size = entry.event.ByteSize()
    if size > MAX_EVENT_BYTES:
        message = f"is {size} bytes; at most {MAX_EVENT_BYTES} are recorded: attach as evidence"
        yield Violation(Rule.EVENT_TOO_LARGE, entry.kind, message, {"bytes": str(size)})


def _time_violations(entry: Entry) -> Iterable[Violation]:
    """Yield what HR-TIME-01 has against an entry."""
    recorded = entry.recorded_at.date()
    status = entry.event.assertion_status
    if entry.effective_date > recorded + FUTURE_TOLERANCE and status != _PLAN:
        message = (
            f"is {entry.effective_date}, more than a day after it is recorded ({recorded}): "
            f"only a PLAN may be, and this is {AssertionStatus.Name(status)}"
        )
        values = {"effective_date": str(entry.effective_date), "recorded_date": str(recorded)}
        yield Violation(Rule.TIME_01, "effective_date", message, values)


def _concerned(entry: Entry, state: Any) -> tuple[str, tuple[str, ...]]:
    """Return the agreement and the parties that a fact concerns, for readers to filter by."""
    agreement = getattr(entry.fact, "agreement", "") or getattr(state, "agreement", "")
    parties = [
        name for _, resource, name in validation.references(entry.fact) if resource == "Party"
    ]
    if entry.kind == "party_registered":
        parties.append(entry.fact.party)
    parties += (getattr(state, "buyer", ""), getattr(state, "supplier", ""))
    parties += getattr(state, "parties", ())
    return agreement, tuple(sorted({party for party in parties if party}))


def _words(name: str) -> str:
    """Return a name of the contract in words: `PurchaseOrder` as `purchase order`."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


_PLAN = AssertionStatus.ASSERTION_STATUS_PLAN
