"""The tables of what is judged: what a judge reads, and what it writes."""

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
    AllRacks,
    CapacityDelta,
    Racks,
    subject_of,
)
from gigaledger.v1.events_pb2 import Event
from psycopg import AsyncConnection
from psycopg.rows import dict_row

_RACKS = sorted(CERTIFICATES | GOODS | {RATING, PLACED})
_REFUND = "supplier_refund_settled"

_EVENT = b"SELECT position, recorded_time, effective_date, assertion_status, fact_type, document,\
 settlement, event FROM exceptions_event "
_NEXT = _EVENT + b"WHERE position > %(position)s ORDER BY position LIMIT %(most)s"
_TARGETS = _EVENT + b"WHERE position = ANY(%(positions)s)"
_SETTLED = b"""
    SELECT settlement, position, document FROM exceptions_event
    WHERE settlement <> '' AND settlement = ANY(%(settlements)s) ORDER BY position
"""
_BELONGS = b"UPDATE exceptions_event SET document = %(document)s WHERE position = %(position)s"
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
_ABOUT_RACKS = (
    _EVENT
    + b"""
    AS told WHERE position <= %(position)s AND (
        fact_type = ANY(%(kinds)s) OR fact_type = 'entry_reversed' AND EXISTS (
            SELECT FROM exceptions_event AS target
            WHERE target.reversed_position = told.position AND target.fact_type = ANY(%(kinds)s)
        )
    ) ORDER BY position
"""
)
_REVERSED_RACKS = (
    _EVENT
    + b"""
    WHERE reversed_position <= %(position)s AND fact_type = ANY(%(kinds)s)
"""
)
_RUNS = b"""
    SELECT * FROM exceptions_verdict
    WHERE document = ANY(%(documents)s) AND reversed_position IS NULL
"""
_RACK_RUNS = b"""
    SELECT * FROM exceptions_verdict
    WHERE document LIKE 'agreements/%%' AND reversed_position IS NULL
"""
_CARRIED = b"""
    SELECT agreement, effective_date, power_basis, denominator, sum(numerator) AS numerator,
           sum(receipts) AS receipts
    FROM exceptions_carried WHERE position <= %(position)s GROUP BY 1, 2, 3, 4
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
    UPDATE exceptions_verdict SET reversed_position = %s
    WHERE exception = %s AND position = %s AND effective_date = %s
"""
_COPY_VERDICTS = b"""
    COPY exceptions_verdict (exception, rule, subject, description, positions, arose_date,
        arose_position, arose_time, cleared_date, cleared_position, cleared_time,
        effective_date, end_date, position, reversed_position, document) FROM STDIN
"""
_COPY_CARRIED = b"""
    COPY exceptions_carried (position, agreement, effective_date, power_basis, numerator,
        denominator, receipts) FROM STDIN
"""
_COPY_STATUSES = b"COPY exceptions_status (assertion_status, position, effective_date) FROM STDIN"


@dataclass(slots=True)
class StoredEvent:
    """An event of a book, with the document that it is judged with."""

    posting: Posting
    document: str
    settlement: str


def target_of(event: StoredEvent) -> int:
    """Return the position of what an event reverses; 0 where it reverses nothing."""
    return event.posting.fact.position if event.posting.kind == REVERSAL else 0


@dataclass(slots=True)
class PendingWrites:
    """What is to be written."""

    documents: dict[str, Document] = field(default_factory=dict)
    named: dict[str, set[str]] = field(default_factory=dict)
    carried: list[tuple[int, CapacityDelta]] = field(default_factory=list)
    statuses: list[tuple[str, int, dt.date]] = field(default_factory=list)


class Tables:
    """The tables of a generation."""

    def __init__(self, connection: AsyncConnection[Any], named: Callable[[bytes], bytes]) -> None:
        """Read and write in a transaction.

        Args:
            connection: of the projections' role, in the schema of the book.
            named: puts the names of the generation's tables into a statement.
        """
        self._connection = connection
        self._named = named

    async def _rows(self, query: bytes, **parameters: object) -> list[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._named(query), parameters)
            return await cursor.fetchall()

    async def wait_for_ever(self) -> None:
        """Let PostgreSQL wait in this transaction, however long nothing is asked of it."""
        await self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    async def next_events(self, after: int, most: int) -> list[StoredEvent]:
        """Return some of the events after a position, in order."""
        return await self._events(_NEXT, position=after, most=most)

    async def events_of_book(self, kinds: Sequence[str], position: int) -> list[StoredEvent]:
        """Return what is no trade and of some kinds, and reversals, up to a position, in order."""
        return await self._events(_OF_BOOK, kinds=kinds, position=position)

    async def _events(self, query: bytes, **parameters: object) -> list[StoredEvent]:
        return [
            StoredEvent(posting_of(row), row["document"], row["settlement"])
            for row in await self._rows(query, **parameters)
        ]

    async def targets(self, events: Iterable[StoredEvent]) -> dict[int, StoredEvent]:
        """Return what reversals reverse, by position."""
        positions = [target_of(event) for event in events if event.posting.kind == REVERSAL]
        found = await self._events(_TARGETS, positions=positions) if positions else []
        return {event.posting.position: event for event in found}

    async def place(
        self, events: Sequence[StoredEvent], targets: Mapping[int, StoredEvent]
    ) -> None:
        """Find the documents of what does not tell them itself, and keep them."""
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
                    self._named(_BELONGS),
                    {"document": event.document, "position": event.posting.position},
                )

    async def documents(
        self, names: Collection[str], policy: Policy, references: References, position: int
    ) -> dict[str, Document]:
        """Read documents as they are judged by a position."""
        if not names:
            return {}
        postings: dict[str, list[Posting]] = {name: [] for name in names}
        given = {"documents": sorted(names), "position": position}
        for event in await self._events(_OF_DOCUMENTS, **given):
            postings[event.document].append(event.posting)
        runs: dict[str, list[FindingInterval]] = {name: [] for name in names}
        for row in await self._rows(_RUNS, **given):
            runs[row["document"]].append(_run(row))
        return {
            name: Document(policy, references, postings[name], FindingHistory(runs[name]))
            for name in names
        }

    async def naming(self, name: str, after: str, most: int) -> list[str]:
        """Return some documents that name a party or an agreement, or any, in order."""
        found = await self._rows(_NAMING, name=name, after=after, most=most)
        return [row["document"] for row in found]

    async def earliest(self) -> dict[str, dt.date]:
        """Return the earliest day of facts of each status."""
        cursor = await self._connection.execute(self._named(_STATUSES))
        return dict(await cursor.fetchall())

    async def restore(
        self, racks: AllRacks, certificates: Iterable[Posting], position: int
    ) -> None:
        """Read what is known of racks."""
        deltas: dict[str, list[CapacityDelta]] = {}
        for row in await self._rows(_CARRIED, position=position):
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
        runs: dict[str, list[FindingInterval]] = {}
        for row in await self._rows(_RACK_RUNS):
            runs.setdefault(row["document"], []).append(_run(row))
        for agreement in deltas.keys() | certified.keys():
            spread = FindingHistory(runs.get(subject_of(agreement), ()))
            one = Racks(racks.policy, agreement, spread)
            one.restore(deltas.get(agreement, ()), certified.get(agreement, ()))
            racks.agreements[agreement] = one

    async def about_racks(self, position: int) -> list[tuple[Posting, Posting | None]]:
        """Read everything about racks from the beginning of the book."""
        given = {"position": position, "kinds": _RACKS}
        wrong = {
            event.posting.position: event.posting
            for event in await self._events(_REVERSED_RACKS, **given)
        }
        return [
            (event.posting, wrong[event.posting.fact.position])
            if event.posting.kind == REVERSAL
            else (event.posting, None)
            for event in await self._events(_ABOUT_RACKS, **given)
        ]

    async def write(self, written: PendingWrites, racks: AllRacks) -> None:
        """Write what has changed."""
        spreads = {name: document.spread for name, document in written.documents.items()}
        spreads |= {one.subject: one.spread for one in racks.agreements.values()}
        rows: list[tuple[object, ...]] = []
        ends: list[tuple[object, ...]] = []
        for name, spread in spreads.items():
            begun, ended = spread.take_changes()
            for run, end in begun:
                places = run.first_day, run.end_day, run.position, end, name
                rows.append((*_columns(run.verdict), *places))
            ends += ((end, run.verdict.id, run.position, run.first_day) for run, end in ended)
        carried = [
            (
                at,
                delta.agreement,
                delta.day,
                delta.power_basis,
                delta.carried_kw.numerator,
                delta.carried_kw.denominator,
                delta.receipts,
            )
            for at, delta in written.carried
        ]
        async with self._connection.cursor() as cursor:
            if ends:
                await cursor.executemany(self._named(_END), ends)
            if written.named:
                named = [(name, sorted(names)) for name, names in written.named.items()]
                await cursor.executemany(self._named(_NAMES), named)
        await self._copy(_COPY_VERDICTS, rows)
        await self._copy(_COPY_CARRIED, carried)
        await self._copy(_COPY_STATUSES, written.statuses)

    async def _copy(self, statement: bytes, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(self._named(statement)) as copy,
        ):
            for row in rows:
                await copy.write_row(row)


def posting_of(row: Mapping[str, Any]) -> Posting:
    """Return the posting of a row of events."""
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


def verdict_of(row: Mapping[str, Any]) -> ExceptionRecord:
    """Return the verdict of a row."""
    rest = {name: row[name] for name in ExceptionRecord._fields[1:]}
    return ExceptionRecord(id=row["exception"], **rest | {"positions": tuple(row["positions"])})


def _columns(verdict: ExceptionRecord) -> tuple[object, ...]:
    return tuple(verdict._replace(positions=list(verdict.positions)))  # type: ignore[arg-type]


def _run(row: Mapping[str, Any]) -> FindingInterval:
    return FindingInterval(verdict_of(row), row["effective_date"], row["end_date"], row["position"])
