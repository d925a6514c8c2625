"""Asynchronous evaluation: what a projection derives from its folded events, in order of the log.

Evaluation runs in processes of its own. Each generation has a row of progress with a lease: one
process evaluates it at a time, and another takes over once the lease has run out. A process without
work writes nothing, so that books at rest cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gigaledger.projections.engine.folding import FoldError
from gigaledger.projections.engine.generations import Generation, enter
from gigaledger.projections.engine.projection import EvaluationProgress, Evaluator
from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

LEASE_SECONDS = 10.0
"""How long a process may take for one transaction before another may take its place."""


async def pending(connection: Connection, schema: str) -> Sequence[tuple[str, int, bool]]:
    """Return the generations that have events to evaluate and have not stopped.

    Args:
        connection: of the projections' role.
        schema: schema of the book.

    Returns:
        Projection and generation of each, and whether it is being built.
    """
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            "SELECT projection, generation, state = 'BUILDING' FROM projection_progress AS progress"
            " JOIN projection_evaluation AS evaluation USING (projection, generation)"
            " WHERE state <> 'RETIRED' AND evaluation.position < progress.position"
            " AND evaluation.failure IS NULL"
        )
        return await cursor.fetchall()


async def evaluate(
    connection: Connection, schema: str, generation: Generation, evaluator: Evaluator, process: str
) -> int | None:
    """Evaluate some of the pending events of a generation.

    An event that cannot be evaluated stops the generation at its position; those before it count.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        generation: the generation.
        evaluator: holds its state in memory.
        process: name of this process.

    Returns:
        The position that is evaluated now; None if nothing is pending, the generation has stopped,
        or another process evaluates it.
    """
    try:
        return await _evaluate(connection, schema, generation, evaluator, process)
    except FoldError as error:
        before = error.position - 1
        reached = None
        while (
            position := await _evaluate(connection, schema, generation, evaluator, process, before)
        ) is not None:
            reached = position
        await _fail(connection, schema, generation, error)
        return reached


async def _evaluate(
    connection: Connection,
    schema: str,
    generation: Generation,
    evaluator: Evaluator,
    process: str,
    limit: int | None = None,
) -> int | None:
    """Evaluate some events, none of them after a position if there is a limit."""
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            "SELECT evaluation.position, evaluation.recorded_time, resume_after,"
            " least(progress.position, %s)"
            " FROM projection_progress AS progress"
            " JOIN projection_evaluation AS evaluation USING (projection, generation)"
            " WHERE projection = %s AND generation = %s AND state <> 'RETIRED'"
            " AND evaluation.failure IS NULL"
            " AND (evaluator = %s OR evaluation.lease_until IS NULL"
            " OR evaluation.lease_until < clock_timestamp())"
            " FOR UPDATE OF evaluation SKIP LOCKED",
            (limit, *generation.key, process),
        )
        row = await cursor.fetchone()
        if row is None or row[0] >= row[3]:
            return None
        reached = await evaluator.advance(
            connection, generation.qualify_tables, EvaluationProgress(*row[:3]), row[3]
        )
        await connection.execute(
            "UPDATE projection_evaluation SET position = %s, recorded_time = %s, resume_after = %s,"
            " evaluator = %s, lease_until = clock_timestamp() + %s * interval '1 second'"
            " WHERE projection = %s AND generation = %s",
            (
                reached.position,
                reached.recorded_time,
                reached.resume_after,
                process,
                LEASE_SECONDS,
                *generation.key,
            ),
        )
    return reached.position


async def _fail(
    connection: Connection, schema: str, generation: Generation, error: FoldError
) -> None:
    async with connection.transaction():
        await enter(connection, schema)
        await connection.execute(
            "UPDATE projection_evaluation SET failed_position = %s, failure = %s"
            " WHERE projection = %s AND generation = %s",
            (error.position, str(error), *generation.key),
        )


async def release(connection: Connection, schema: str, process: str) -> None:
    """Give the leases of a process back."""
    async with connection.transaction():
        await enter(connection, schema)
        await connection.execute(
            "UPDATE projection_evaluation SET lease_until = NULL WHERE evaluator = %s", (process,)
        )
