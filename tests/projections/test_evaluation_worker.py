"""The worker that evaluates: books advance together, and an empty database is not polled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from gigaledger.common.postgres.connections import Database
from gigaledger.ledger.log.schema import SESSION_OPTIONS as LEDGER_OPTIONS
from gigaledger.projections.engine import generations, leases, store
from gigaledger.projections.engine.evaluation_worker import EvaluationWorker
from gigaledger.projections.engine.generations import Generation
from gigaledger.projections.engine.projection import EvaluationProgress
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.projections.registry import PROJECTIONS
from psycopg import AsyncConnection

from tests.facts import parties
from tests.projections.conftest import BY_NAME, SCHEMA, WORKER, ReadModels
from tests.projections.log import Log

OTHER = "book_other"
EVENTS = 50
FEW_TRANSACTIONS = 300
"""In a second: autovacuum may commit dozens in a new database, and a worker that does not wait
thousands."""
_SECONDS = 30


@dataclass
class OneByOne:
    """An evaluator of one event at a time, which notes the book of each."""

    events: int
    evaluated: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    resume: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def advance(
        self,
        connection: AsyncConnection[Any],
        _qualify_tables: Callable[[bytes], bytes],
        progress: EvaluationProgress,
        _limit: int,
    ) -> EvaluationProgress:
        cursor = await connection.execute("SELECT current_schema()")
        row = await cursor.fetchone()
        assert row is not None
        self.evaluated.append(row[0])
        self.begun.set()
        await self.resume.wait()
        if len(self.evaluated) == self.events:
            self.ended.set()
        return EvaluationProgress(progress.position + 1, None)


async def test_a_long_book_does_not_delay_another(
    read_models: ReadModels, database_url: str
) -> None:
    evaluator = OneByOne(EVENTS + 2)
    exceptions = replace(BY_NAME["exceptions"], evaluator=lambda: evaluator, subtotals=None)
    led = [Generation(exceptions, 1)]
    log = Log()
    for event in parties(*(f"P{number}" for number in range(EVENTS))):
        log.append(event)
    with psycopg.connect(database_url, options=LEDGER_OPTIONS, autocommit=True) as connection:
        connection.execute("SELECT gigaledger.create_book('other', 'Other', true, '2025-01-01Z')")
    writing = read_models.connection
    await generations.prepare(writing, OTHER, PROJECTIONS)
    await leases.claim(writing, OTHER, PROJECTIONS, WORKER)
    await store.apply(writing, SCHEMA, led, log.events, "resume", WORKER)

    worker = EvaluationWorker(Database(database_url, SESSION_OPTIONS), [exceptions])
    async with asyncio.timeout(_SECONDS), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(worker.run())
        await evaluator.begun.wait()
        await store.apply(writing, OTHER, led, log.events[:1], "resume", WORKER)
        evaluator.resume.set()
        await evaluator.ended.wait()
        running.cancel()

    assert evaluator.evaluated.index(OTHER) < EVENTS


async def test_a_database_without_books_is_left_alone(database_url: str) -> None:
    def transactions() -> int:
        with psycopg.connect(database_url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            return int(row[0])

    before = transactions()
    worker = EvaluationWorker(Database(database_url, SESSION_OPTIONS), [BY_NAME["exceptions"]])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.run(), 1)

    assert transactions() - before < FEW_TRANSACTIONS
