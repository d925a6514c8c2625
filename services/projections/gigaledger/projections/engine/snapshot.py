"""Consistent reading of a projection: the facts that count, at a stated position.

Rows of a read model are never deleted. The facts known at position K are the rows with position <=
K that were not reversed by then; as of a day, those of them that are effective by that day count.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gigaledger.common.postgres.connections import Database
from gigaledger.common.quantities import date_to_message, instant_to_message
from gigaledger.projections.engine.folding import enum_number, enum_text
from gigaledger.projections.engine.projection import Projection, qualify_tables
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.projections.engine.subtotals import Question, blocks_before
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.projections_pb2 import ReadContext
from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LAG_FACTOR = 3
"""Subtotals are used while they reflect this many times as many events as they lag behind."""

MOST_EVENTS = 1_000_000
"""Most events that an answer examines one by one. So many take some gigabytes of memory."""

ALL_STATUSES = frozenset(enum_text(AssertionStatus, value) for value in AssertionStatus.values())
_HYPOTHETICAL = frozenset({"PLAN", "ASSUMPTION"})


@dataclass(frozen=True, slots=True)
class KnowledgePoint:
    """A state of knowledge: everything recorded up to a position.

    Attributes:
        position: the position.
        recorded_time: when the event there was recorded.
    """

    position: int
    recorded_time: dt.datetime


@dataclass(frozen=True, slots=True)
class ReadScope:
    """The facts that an answer counts.

    Attributes:
        position: the last position that is known.
        recorded_time: when the event there was recorded.
        as_of: the last effective date that counts; None if all do.
        statuses: the assertion statuses that count.
        latest_position: position that the projection reflects, if it is beyond `position`; else 0.
    """

    position: int
    recorded_time: dt.datetime
    as_of: dt.date | None = None
    statuses: frozenset[str] = ALL_STATUSES
    latest_position: int = 0

    @property
    def as_of_end(self) -> dt.date:
        """The last effective date that counts."""
        return self.as_of or dt.date.max

    @property
    def evaluation_date(self) -> dt.date:
        """The day on which plans, expiry dates and paces are evaluated.

        It is as_of, or else the day (UTC) on which the last known event was recorded.
        """
        return self.as_of or self.recorded_time.astimezone(dt.UTC).date()

    def counts(self, effective_date: dt.date, assertion_status: str) -> bool:
        """Return whether a known row counts."""
        return effective_date <= self.as_of_end and assertion_status in self.statuses


@dataclass(slots=True)
class Snapshot:
    """A read-only snapshot of one projection of one book.

    Attributes:
        connection: in a transaction that sees the projection at `scope.position`.
        scope: the facts that count.
        projection: the projection.
        generation: number of the generation that answers.
        subtotal_position: position up to which subtotals are built.
        block_events: number of events that the shortest blocks of subtotals span.
    """

    connection: AsyncConnection[DictRow]
    scope: ReadScope
    projection: Projection
    generation: int
    subtotal_position: int
    block_events: int
    _statuses: set[str] = field(default_factory=set)

    async def rows(self, query: bytes, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a query made by `statement`."""
        return await self._rows(query, parameters)

    async def planned_rows(self, query: bytes, **parameters: object) -> list[dict[str, Any]]:
        """Return the same of a query whose best plan depends on its parameters."""
        return await self._rows(query, parameters, prepare=False)

    async def _rows(
        self, query: bytes, parameters: Mapping[str, object], *, prepare: bool | None = None
    ) -> list[dict[str, Any]]:
        scope = self.scope
        given = {
            "position": scope.position,
            "as_of_end": scope.as_of_end,
            "statuses": sorted(scope.statuses),
            **parameters,
        }
        query = qualify_tables(query, self.projection.all_tables, self.generation)
        cursor = await self.connection.execute(query, given, prepare=prepare)
        return await cursor.fetchall()

    async def sums(self, question: Question, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a query of sums, from subtotals if they give the same sooner.

        If the subtotals lag by a good part of the log, summing its rows is faster, because
        documents changed since the last block are summed twice, before and after.
        """
        position = self.scope.position
        summed = min(self.subtotal_position, position) // self.block_events
        before = summed * self.block_events
        if self.scope.statuses != ALL_STATUSES or before < LAG_FACTOR * (position - before):
            return await self.rows(question.of_rows, **parameters)
        (affected,) = await self.rows(question.affected, before=before)
        blocks = list(blocks_before(summed))
        given = {
            "before": before,
            "levels": [block.level for block in blocks],
            "blocks": [block.number for block in blocks],
            **affected,
            **parameters,
        }
        # If the subtotals lag, the best plan depends on how much has changed. If they do not,
        # that is never much, and a plan would take as long to make as the answer.
        lags = position - before >= self.block_events
        return await self._rows(question.of_blocks, given, prepare=False if lags else None)

    def add_provenance(self, statuses: Iterable[str]) -> None:
        """Note statuses of facts that the answer rests on."""
        self._statuses.update(statuses)

    def context(self) -> ReadContext:
        """Return what the answer reflects."""
        scope = self.scope
        return ReadContext(
            position=scope.position,
            recorded_time=instant_to_message(scope.recorded_time),
            as_of=date_to_message(scope.as_of) if scope.as_of else None,
            assertion_statuses=sorted(
                enum_number(AssertionStatus, status) for status in self._statuses
            ),
            hypothetical=bool(self._statuses & _HYPOTHETICAL),
            latest_position=scope.latest_position,
        )

    def at(self, known: KnowledgePoint) -> Snapshot:
        """Return a reader of the same snapshot that knows less."""
        latest = self.scope.latest_position or self.scope.position
        scope = replace(
            self.scope,
            position=known.position,
            recorded_time=known.recorded_time,
            latest_position=latest if known.position < latest else 0,
        )
        return replace(self, scope=scope, _statuses=set())

    def as_of(self, day: dt.date) -> Snapshot:
        """Return a view of the same snapshot as of another day."""
        return replace(self, scope=replace(self.scope, as_of=day), _statuses=set())


class BookNotFoundError(Exception):
    """There is no such book."""

    def __init__(self, schema: str) -> None:
        super().__init__(f"there is no book that is kept in schema {schema}")


class BehindError(Exception):
    """The projection does not reflect the requested position.

    Attributes:
        position: the position that it reflects; 0 if no worker has begun.
    """

    def __init__(self, position: int) -> None:
        super().__init__(f"the projection reflects position {position}")
        self.position = position


class TooManyEventsError(Exception):
    """More events count than an answer may examine one by one."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"more than {most:,} events count, which are too many to look at one by one for an"
            " answer: ask for less, as of an earlier day, or as known at an earlier position"
        )


def reading_pool(database_url: str, size: int) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
    """Return a pool, not yet open, of connections for reading snapshots."""

    async def configure(connection: AsyncConnection[DictRow]) -> None:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)

    database = Database(database_url, SESSION_OPTIONS)
    return database.async_pool(size, configure=configure, row_factory=dict_row)


@dataclass(frozen=True, slots=True)
class Status:
    """Progress of a generation of a projection, its leader, and the failure that stopped it.

    Attributes:
        generation: its number.
        version: version of its folds.
        building: whether it is to replace the generation that answers.
        recorded_time: when the event at its position was recorded; None before the first.
        updated_time: when a worker last wrote; None if none has.
        failed_position: the position at which it stopped; None if it runs.
        leader: the worker that folds; empty if there is none.
    """

    generation: int
    version: int
    building: bool
    position: int
    recorded_time: dt.datetime | None
    updated_time: dt.datetime | None
    failed_position: int | None
    failure: str | None
    leader: str


async def read_statuses(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]], schema: str
) -> dict[str, list[Status]]:
    """Return the progress of each projection of a book; nothing if no worker has begun.

    The generation that answers comes first, then the one that is being built.

    Raises:
        BookNotFoundError: the schema does not exist.
    """
    async with pool.connection() as connection:
        if not await _enter(connection, schema):
            return {}
        cursor = await connection.execute(
            "SELECT projection, generation, version, state = 'BUILDING' AS building,"
            " least(progress.position, evaluation.position) AS position,"
            " CASE WHEN evaluation.position < progress.position THEN evaluation.recorded_time"
            " ELSE progress.recorded_time END AS recorded_time,"
            " updated_time, coalesce(progress.failed_position, evaluation.failed_position)"
            " AS failed_position, coalesce(progress.failure, evaluation.failure) AS failure,"
            " CASE WHEN progress.lease_until > now() THEN leader ELSE '' END AS leader"
            " FROM projection_progress AS progress"
            " LEFT JOIN projection_evaluation AS evaluation USING (projection, generation)"
            " WHERE state <> 'RETIRED' ORDER BY projection, building"
        )
        found: dict[str, list[Status]] = defaultdict(list)
        for row in await cursor.fetchall():
            found[row.pop("projection")].append(Status(**row))
        return found


@asynccontextmanager
async def open_snapshot(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]],
    schema: str,
    projection: Projection,
    *,
    min_position: int = 1,
    as_of: dt.date | None = None,
    statuses: Collection[str] = (),
    known: KnowledgePoint | None = None,
) -> AsyncIterator[Snapshot]:
    """Open a snapshot of a projection.

    Args:
        pool: connections for reading snapshots.
        schema: schema of the book.
        projection: the projection.
        min_position: position that it must reflect.
        as_of: the last effective date that counts; None if all do.
        statuses: the statuses that count; all if empty.
        known: the state of knowledge, which it must reflect as well; None for the latest.

    Raises:
        BookNotFoundError: the schema does not exist.
        BehindError: the projection does not reflect min_position yet, or is being built by this
            version.
    """
    needed = max(1, min_position, known.position if known else 0)
    async with pool.connection() as connection:
        progress = await _progress(connection, schema, projection)
        if progress is None or progress["position"] < needed:
            raise BehindError(progress["position"] if progress else 0)
        scope = ReadScope(
            position=progress["position"],
            recorded_time=progress["recorded_time"],
            as_of=as_of,
            statuses=frozenset(statuses) or ALL_STATUSES,
        )
        snapshot = Snapshot(
            connection,
            scope,
            projection,
            progress["generation"],
            progress["subtotal_position"],
            progress["block_events"],
        )
        yield snapshot.at(known) if known else snapshot


async def _progress(
    connection: AsyncConnection[DictRow], schema: str, projection: Projection
) -> DictRow | None:
    """Return the progress of the live generation; None if it is missing or of another version."""
    if not await _enter(connection, schema):
        return None
    return await (
        await connection.execute(
            "SELECT generation, least(progress.position, evaluation.position) AS position,"
            " CASE WHEN evaluation.position < progress.position THEN evaluation.recorded_time"
            " ELSE progress.recorded_time END AS recorded_time,"
            " coalesce(subtotal.position, 0) AS subtotal_position,"
            " coalesce(block_events, 1) AS block_events"
            " FROM projection_progress AS progress"
            " LEFT JOIN projection_subtotal AS subtotal USING (projection, generation)"
            " LEFT JOIN projection_evaluation AS evaluation USING (projection, generation)"
            " WHERE projection = %s AND version = %s AND state = 'LIVE'",
            (projection.name, projection.version),
        )
    ).fetchone()


async def _enter(connection: AsyncConnection[DictRow], schema: str) -> bool:
    """Put the schema of a book on the search path; return False if no worker has prepared it yet.

    Raises:
        BookNotFoundError: the schema does not exist.
    """
    found = await (
        await connection.execute(
            """
            SELECT to_regnamespace(%(schema)s) IS NOT NULL AS book,
                   to_regclass(%(schema)s || '.projection_progress') IS NOT NULL AS table,
                   set_config('search_path', %(schema)s, true)
            """,
            {"schema": schema},
        )
    ).fetchone()
    if found is None or not found["book"]:
        raise BookNotFoundError(schema)
    return bool(found["table"])
