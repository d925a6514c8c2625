"""The worker that evaluates: books advance together, and an empty database is not polled."""

from __future__ import annotations

import asyncio
import time
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
FEW_TRANSACTIONS = 30
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
    before = _committed_transactions(database_url)
    worker = EvaluationWorker(Database(database_url, SESSION_OPTIONS), [BY_NAME["exceptions"]])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.run(), 1)

    assert _committed_transactions(database_url) - before < FEW_TRANSACTIONS


def _committed_transactions(database_url: str) -> int:
    """The transactions that the database has committed, once all other sessions have ended.

    A session reports its transactions at its end at the latest. While one is still there, for
    example of the preparation of the database, its transactions may be counted at any time.
    """
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    committed = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with psycopg.connect(database_url, autocommit=True) as connection:
            if connection.execute(others).fetchone() == (0,):
                return int(connection.execute(committed).fetchall()[0][0])
    raise AssertionError("another session did not end")
