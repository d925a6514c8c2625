"""The worker that evaluates exceptions, woken by notifications of the folding workers.

It keeps no connection, timer or query for a book in which nothing happens. A notification can be
lost, so all books are checked now and then.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

import psycopg
import structlog
from gigaledger.common import metrics
from gigaledger.common.backoff import Backoff
from gigaledger.common.postgres.connections import Database
from gigaledger.projections.engine import evaluation, generations, subtotal_builder
from gigaledger.projections.engine.generations import Generation
from gigaledger.projections.engine.projection import Evaluator, Projection
from gigaledger.projections.engine.store import CHANNEL, Key
from prometheus_client import Gauge
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

SWEEP_SECONDS = 5.0
"""How often all books are checked, in case a notification was lost."""
BATCH_SECONDS = 0.02
"""How long events gather before they are evaluated together: many cost little more than few."""

_Connection = AsyncConnection[TupleRow]
_log = structlog.get_logger("gigaledger.projections")


class EvaluationWorker:
    """Evaluates the books of a database until it is cancelled."""

    def __init__(self, database: Database, projections: Sequence[Projection]) -> None:
        """Evaluate projections.

        Args:
            database: where the read models are kept.
            projections: those with an evaluator.
        """
        self._database = database
        self._projections = {projection.name: projection for projection in projections}
        self._process = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._evaluators: dict[tuple[str, Key], Evaluator] = {}

    async def run(self) -> None:
        """Evaluate until cancelled; a lost database is waited for."""
        backoff = Backoff()
        while True:
            try:
                async with (
                    await self._database.connect_async() as listening,
                    await self._database.connect_async() as working,
                ):
                    backoff.reset()
                    await self._follow(listening, working)
            except psycopg.OperationalError as error:
                seconds = backoff.next_seconds()
                _log.warning("database not available", error=str(error), retry_seconds=seconds)
                await asyncio.sleep(seconds)

    async def _follow(self, listening: _Connection, working: _Connection) -> None:
        await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        try:
            schemas: set[str] = set()
            while True:
                # A batch of each book at a time, so that a long book does not delay others.
                behind = {
                    schema
                    for schema in sorted(schemas or await _books(working))
                    if await self._evaluate_book(working, schema)
                }
                schemas = behind | await _notified(listening, wait=not behind)
        finally:
            with suppress(psycopg.OperationalError):
                for schema in {schema for schema, _ in self._evaluators}:
                    await evaluation.release(working, schema, self._process)

    async def _evaluate_book(self, connection: _Connection, schema: str) -> bool:
        """Evaluate a batch of each pending generation of a book; return whether there was any."""
        evaluated = False
        for name, number, building in await evaluation.pending(connection, schema):
            projection = self._projections.get(name)
            if projection is None or projection.evaluator is None:
                continue
            generation = Generation(projection, number)
            evaluator = self._evaluators.setdefault(
                (schema, generation.key), projection.evaluator()
            )
            position = await evaluation.evaluate(
                connection, schema, generation, evaluator, self._process
            )
            if position is not None:
                _observe(metrics.PROJECTION_POSITION, schema, generation, position)
                evaluated = True
            await self._build_subtotals(connection, schema, generation)
            if building:
                await generations.promote(connection, schema, generation)
        return evaluated

    async def _build_subtotals(
        self, connection: _Connection, schema: str, generation: Generation
    ) -> None:
        while built := await subtotal_builder.build_subtotals(connection, schema, [generation]):
            _observe(metrics.SUBTOTAL_POSITION, schema, generation, built[generation.key])


async def _books(connection: _Connection) -> list[str]:
    """Return the schemas of books that have projections."""
    cursor = await connection.execute(
        "SELECT schemaname FROM pg_tables WHERE tablename = 'projection_evaluation'"
    )
    return [schema for (schema,) in await cursor.fetchall()]


async def _notified(listening: _Connection, *, wait: bool) -> set[str]:
    """Return the schemas that notifications name.

    If asked to wait, return none only if it is time for a sweep.
    """
    schemas: set[str] = set()
    seconds = SWEEP_SECONDS if wait else 0
    async for notification in listening.notifies(timeout=seconds, stop_after=1 if wait else None):
        schemas.add(notification.payload)
    if schemas and wait:
        async for notification in listening.notifies(timeout=BATCH_SECONDS):
            schemas.add(notification.payload)
    return schemas


def _observe(gauge: Gauge, schema: str, generation: Generation, value: int) -> None:
    name, number = generation.key
    gauge.labels(f"books/{schema.removeprefix('book_')}", name, str(number)).set(value)
