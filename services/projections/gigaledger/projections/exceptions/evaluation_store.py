"""The tables that evaluation reads and writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.register import ExceptionRecord
from gigaledger.projections.exceptions.bitemporal import FindingHistory, FindingInterval
from gigaledger.projections.exceptions.documents import PLACED, REVERSAL, Document, References
from gigaledger.projections.exceptions.hardware import (
    CERTIFICATES,
    GOODS,
    RATING,
    AllHardware,
    CapacityDelta,
    Hardware,
    subject_of,
)
from gigaledger.v1.events_pb2 import Event
from psycopg import AsyncConnection
from psycopg.rows import dict_row

_HARDWARE = sorted(CERTIFICATES | GOODS | {RATING, PLACED})
_REFUND = "supplier_refund_settled"

_EVENT = b"SELECT position, recorded_time, effective_date, assertion_status, fact_type, document,\
 settlement, event FROM exceptions_event "
_NEXT = _EVENT + b"WHERE position > %(position)s ORDER BY position LIMIT %(most)s"
_TARGETS = _EVENT + b"WHERE position = ANY(%(positions)s)"
_SETTLED = b"""
    SELECT settlement, position, document FROM exceptions_event
    WHERE settlement <> '' AND settlement = ANY(%(settlements)s) ORDER BY position
"""
_SET_DOCUMENT = b"UPDATE exceptions_event SET document = %(document)s WHERE position = %(position)s"
_OF_BOOK = (
    _EVENT
    + b"""
    WHERE document = '' AND position <= %(position)s
        AND (fact_type = ANY(%(kinds)s) OR fact_type = 'entry_reversed') ORDER BY position
"""
)
_OF_DOCUMENTS = (
    _EVENT
    + b"""
    WHERE document = ANY(%(documents)s) AND position <= %(position)s ORDER BY position
"""
)
_HARDWARE_HISTORY = (
    _EVENT
    + b"""
    AS event WHERE position <= %(position)s AND (
        fact_type = ANY(%(kinds)s) OR fact_type = 'entry_reversed' AND EXISTS (
            SELECT FROM exceptions_event AS target
            WHERE target.reversed_position = event.position AND target.fact_type = ANY(%(kinds)s)
        )
    ) ORDER BY position
"""
)
_REVERSED_HARDWARE = (
    _EVENT
    + b"""
    WHERE reversed_position <= %(position)s AND fact_type = ANY(%(kinds)s)
"""
)
_INTERVALS = b"""
    SELECT * FROM exceptions_finding
    WHERE document = ANY(%(documents)s) AND reversed_position IS NULL
"""
_HARDWARE_INTERVALS = b"""
    SELECT * FROM exceptions_finding
    WHERE document LIKE 'agreements/%%' AND reversed_position IS NULL
"""
_DELTAS = b"""
    SELECT agreement, effective_date, power_basis, denominator, sum(numerator) AS numerator,
           sum(receipts) AS receipts
    FROM exceptions_capacity_delta WHERE position <= %(position)s GROUP BY 1, 2, 3, 4
"""
_STATUSES = b"SELECT assertion_status, min(effective_date) FROM exceptions_status GROUP BY 1"
_NAMING = b"""
    SELECT document FROM exceptions_document
    WHERE document > %(after)s AND (%(name)s = '' OR names @> ARRAY[%(name)s])
    ORDER BY document LIMIT %(most)s
"""
_NAMES = b"""
    INSERT INTO exceptions_document (document, names) VALUES (%s, %s)
    ON CONFLICT (document) DO UPDATE SET names = excluded.names
"""
_END = b"""
    UPDATE exceptions_finding SET reversed_position = %s
    WHERE exception = %s AND position = %s AND effective_date = %s
"""
_COPY_FINDINGS = b"""
    COPY exceptions_finding (exception, rule, subject, description, positions, arose_date,
        arose_position, arose_time, cleared_date, cleared_position, cleared_time,
        effective_date, end_date, position, reversed_position, document) FROM STDIN
"""
_COPY_DELTAS = b"""
    COPY exceptions_capacity_delta (position, agreement, effective_date, power_basis, numerator,
        denominator, receipts) FROM STDIN
"""
_COPY_STATUSES = b"COPY exceptions_status (assertion_status, position, effective_date) FROM STDIN"


@dataclass(slots=True)
class StoredEvent:
    """An event of a book and the document that it belongs to."""

    posting: Posting
    document: str
    settlement: str


def target_of(event: StoredEvent) -> int:
    """Return the position that an event reverses; 0 if it is no reversal."""
    return event.posting.fact.position if event.posting.kind == REVERSAL else 0


@dataclass(slots=True)
class PendingWrites:
    """Changes to write at the end of a batch."""

    documents: dict[str, Document] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    deltas: list[tuple[int, CapacityDelta]] = field(default_factory=list)
    statuses: list[tuple[str, int, dt.date]] = field(default_factory=list)


class Tables:
    """The tables of a generation."""

    def __init__(
        self, connection: AsyncConnection[Any], qualify_tables: Callable[[bytes], bytes]
    ) -> None:
        """Read and write in a transaction.

        Args:
            connection: of the projections' role, in the schema of the book.
            qualify_tables: puts the names of the generation's tables into a statement.
        """
        self._connection = connection
        self._qualify_tables = qualify_tables

    async def _rows(self, query: bytes, **parameters: object) -> list[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._qualify_tables(query), parameters)
            return await cursor.fetchall()

    async def disable_idle_timeout(self) -> None:
        """Allow any time between two statements of this transaction."""
        await self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    async def next_events(self, after: int, most: int) -> list[StoredEvent]:
        """Return some of the events after a position, in order."""
        return await self._events(_NEXT, position=after, most=most)

    async def events_of_book(self, kinds: Sequence[str], position: int) -> list[StoredEvent]:
        """Return events of some kinds outside of documents, and reversals, in order of position."""
        return await self._events(_OF_BOOK, kinds=kinds, position=position)

    async def _events(self, query: bytes, **parameters: object) -> list[StoredEvent]:
        return [
            StoredEvent(posting_of(row), row["document"], row["settlement"])
            for row in await self._rows(query, **parameters)
        ]

    async def targets(self, events: Iterable[StoredEvent]) -> dict[int, StoredEvent]:
        """Return the events that reversals reverse, by position."""
        positions = [target_of(event) for event in events if event.posting.kind == REVERSAL]
        found = await self._events(_TARGETS, positions=positions) if positions else []
        return {event.posting.position: event for event in found}

    async def assign_documents(
        self, events: Sequence[StoredEvent], targets: Mapping[int, StoredEvent]
    ) -> None:
        """Find the documents of events that do not name one themselves, and store them."""
        refunds = [e for e in events if e.posting.kind == _REFUND]
        settled: dict[str, list[tuple[int, str]]] = {}
        if refunds:
            settlements = [event.document for event in refunds]
            for row in await self._rows(_SETTLED, settlements=settlements):
                place = row["position"], row["document"]
                settled.setdefault(row["settlement"], []).append(place)
        placed = {event.posting.position: event for event in events}
        for event in events:
            before = event.document
            target = targets.get(target_of(event))
            if target is not None and target.document:
                event.document = placed.get(target.posting.position, target).document
            elif event.posting.kind == _REFUND:
                for position, document in settled.get(before, ()):
                    if position < event.posting.position:
                        event.document = document
            if event.document != before:
                await self._connection.execute(
                    self._qualify_tables(_SET_DOCUMENT),
                    {"document": event.document, "position": event.posting.position},
                )

    async def documents(
        self, names: Collection[str], policy: Policy, references: References, position: int
    ) -> dict[str, Document]:
        """Read documents and their findings as evaluated up to a position."""
        if not names:
            return {}
        postings: dict[str, list[Posting]] = {name: [] for name in names}
        given = {"documents": sorted(names), "position": position}
        for event in await self._events(_OF_DOCUMENTS, **given):
            postings[event.document].append(event.posting)
        intervals: dict[str, list[FindingInterval]] = {name: [] for name in names}
        for row in await self._rows(_INTERVALS, **given):
            intervals[row["document"]].append(_interval(row))
        return {
            name: Document(policy, references, postings[name], FindingHistory(intervals[name]))
            for name in names
        }

    async def documents_referencing(self, name: str, after: str, most: int) -> list[str]:
        """Return some documents, in order, that reference a party or an agreement; any if empty."""
        found = await self._rows(_NAMING, name=name, after=after, most=most)
        return [row["document"] for row in found]

    async def earliest(self) -> dict[str, dt.date]:
        """Return the earliest day of facts of each status."""
        cursor = await self._connection.execute(self._qualify_tables(_STATUSES))
        return dict(await cursor.fetchall())

    async def restore(
        self, hardware: AllHardware, certificates: Iterable[Posting], position: int
    ) -> None:
        """Read the hardware of all agreements."""
        deltas: dict[str, list[CapacityDelta]] = {}
        for row in await self._rows(_DELTAS, position=position):
            carried_kw = Fraction(int(row["numerator"]), int(row["denominator"]))
            delta = CapacityDelta(
                row["agreement"],
                row["effective_date"],
                row["power_basis"],
                carried_kw,
                int(row["receipts"]),
            )
            deltas.setdefault(delta.agreement, []).append(delta)
        certified: dict[str, list[Posting]] = {}
        for posting in certificates:
            certified.setdefault(posting.fact.agreement, []).append(posting)
        intervals: dict[str, list[FindingInterval]] = {}
        for row in await self._rows(_HARDWARE_INTERVALS):
            intervals.setdefault(row["document"], []).append(_interval(row))
        for agreement in deltas.keys() | certified.keys():
            history = FindingHistory(intervals.get(subject_of(agreement), ()))
            one = Hardware(hardware.policy, agreement, history)
            one.restore(deltas.get(agreement, ()), certified.get(agreement, ()))
            hardware.agreements[agreement] = one

    async def hardware_history(self, position: int) -> list[tuple[Posting, Posting | None]]:
        """Read all events about hardware from the beginning of the book."""
        given = {"position": position, "kinds": _HARDWARE}
        wrong = {
            event.posting.position: event.posting
            for event in await self._events(_REVERSED_HARDWARE, **given)
        }
        return [
            (event.posting, wrong[event.posting.fact.position])
            if event.posting.kind == REVERSAL
            else (event.posting, None)
            for event in await self._events(_HARDWARE_HISTORY, **given)
        ]

    async def write(self, written: PendingWrites, hardware: AllHardware) -> None:
        """Write the changes of a batch."""
        histories = {name: document.history for name, document in written.documents.items()}
        histories |= {one.subject: one.history for one in hardware.agreements.values()}
        rows: list[tuple[object, ...]] = []
        ends: list[tuple[object, ...]] = []
        for name, history in histories.items():
            begun, ended = history.drain_changes()
            for interval, end in begun:
                places = interval.first_day, interval.end_day, interval.position, end, name
                rows.append((*_columns(interval.record), *places))
            ends += (
                (end, interval.record.id, interval.position, interval.first_day)
                for interval, end in ended
            )
        deltas = [
            (
                at,
                delta.agreement,
                delta.day,
                delta.power_basis,
                delta.carried_kw.numerator,
                delta.carried_kw.denominator,
                delta.receipts,
            )
            for at, delta in written.deltas
        ]
        async with self._connection.cursor() as cursor:
            if ends:
                await cursor.executemany(self._qualify_tables(_END), ends)
            if written.names:
                names = [(name, sorted(of_one)) for name, of_one in written.names.items()]
                await cursor.executemany(self._qualify_tables(_NAMES), names)
        await self._copy(_COPY_FINDINGS, rows)
        await self._copy(_COPY_DELTAS, deltas)
        await self._copy(_COPY_STATUSES, written.statuses)

    async def _copy(self, statement: bytes, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(self._qualify_tables(statement)) as copy,
        ):
            for row in rows:
                await copy.write_row(row)


def posting_of(row: Mapping[str, Any]) -> Posting:
    """Return the posting in a row of events."""
    event = Event.FromString(row["event"])
    return Posting(
        position=row["position"],
        recorded_time=row["recorded_time"],
        effective_date=row["effective_date"],
        status=row["assertion_status"],
        kind=row["fact_type"],
        event=event,
        fact=getattr(event, row["fact_type"]),
    )


def record_of(row: Mapping[str, Any]) -> ExceptionRecord:
    """Return the exception in a row of findings."""
    rest = {name: row[name] for name in ExceptionRecord._fields[1:]}
    return ExceptionRecord(id=row["exception"], **rest | {"positions": tuple(row["positions"])})


def _columns(record: ExceptionRecord) -> tuple[object, ...]:
    return tuple(record._replace(positions=list(record.positions)))  # type: ignore[arg-type]


def _interval(row: Mapping[str, Any]) -> FindingInterval:
    return FindingInterval(record_of(row), row["effective_date"], row["end_date"], row["position"])
