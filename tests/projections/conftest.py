"""A book's read models in a real PostgreSQL, filled without a ledger service."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import pytest
from gigaledger.ledger.log.schema import SESSION_OPTIONS as LEDGER_OPTIONS
from gigaledger.projections.engine import (
    evaluation,
    generations,
    leases,
    store,
    subtotal_builder,
)
from gigaledger.projections.engine.generations import Generation
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.projections.engine.snapshot import (
    KnowledgePoint,
    Snapshot,
    open_snapshot,
    reading_pool,
)
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.v1.events_pb2 import RecordedEvent
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

SCHEMA = "book_main"
WORKER = "worker of the test"
BY_NAME = {projection.name: projection for projection in PROJECTIONS}


@dataclass
class ReadModels:
    """The read models of one book."""

    connection: AsyncConnection[tuple[object, ...]]
    pool: AsyncConnectionPool[AsyncConnection[DictRow]]

    async def apply(self, events: Sequence[RecordedEvent], *projections: Projection) -> None:
        """Fold events, into all projections unless some are named."""
        led = [Generation(projection, 1) for projection in projections or PROJECTIONS]
        stopped = await store.apply(self.connection, SCHEMA, led, events, "resume", WORKER)
        for generation in led:
            if generation.projection.evaluator is not None:
                await self.evaluate(generation)
        while await subtotal_builder.build_subtotals(self.connection, SCHEMA, led):
            pass
        for error in stopped.values():
            raise error

    async def evaluate(self, generation: Generation) -> None:
        """Evaluate the pending events of a generation, as a process of its own would."""
        assert generation.projection.evaluator is not None
        evaluator = generation.projection.evaluator()
        while await evaluation.evaluate(self.connection, SCHEMA, generation, evaluator, WORKER):
            pass

    @asynccontextmanager
    async def snapshot(
        self,
        projection: str,
        as_of: dt.date | None = None,
        statuses: Collection[str] = (),
        min_position: int = 1,
        known: KnowledgePoint | None = None,
    ) -> AsyncIterator[Snapshot]:
        """Open a snapshot."""
        async with open_snapshot(
            self.pool,
            SCHEMA,
            BY_NAME[projection],
            as_of=as_of,
            statuses=statuses,
            min_position=min_position,
            known=known,
        ) as snapshot:
            yield snapshot

    async def forget(self) -> None:
        """Empty all tables, so that everything can be folded again."""
        for projection in PROJECTIONS:
            for table in projection.all_tables:
                await self.connection.execute(
                    sql.SQL("TRUNCATE {}").format(sql.Identifier(SCHEMA, f"{table}_1"))
                )
        await self.connection.execute(
            sql.SQL("UPDATE {} SET position = 0, resume_token = ''").format(
                sql.Identifier(SCHEMA, "projection_progress")
            )
        )
        await self.connection.execute("UPDATE book_main.projection_subtotal SET position = 0")
        await self.connection.execute(
            "UPDATE book_main.projection_evaluation SET position = 0, resume_after = ''"
        )

    async def content(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything in the tables of entries, in order."""
        found = {}
        for projection in PROJECTIONS:
            for table in projection.tables:
                cursor = await self.connection.execute(
                    sql.SQL("SELECT * FROM {} ORDER BY position, item").format(
                        sql.Identifier(SCHEMA, table)
                    )
                )
                found[table] = await cursor.fetchall()
        return found


@pytest.fixture
async def read_models(database_url: str) -> AsyncIterator[ReadModels]:
    """The read models of a fresh book."""
    with psycopg.connect(database_url, options=LEDGER_OPTIONS, autocommit=True) as connection:
        connection.execute("SELECT gigaledger.create_book('main', 'Main', true, '2025-01-01Z')")
    async with (
        await AsyncConnection.connect(
            database_url, options=SESSION_OPTIONS, autocommit=True
        ) as writing,
        reading_pool(database_url, 2) as pool,
    ):
        await generations.prepare(writing, SCHEMA, PROJECTIONS)
        # Books are short here: so are the blocks, that there are subtotals of several levels.
        await writing.execute("UPDATE book_main.projection_subtotal SET block_events = 2")
        await leases.claim(writing, SCHEMA, PROJECTIONS, WORKER)
        yield ReadModels(writing, pool)
