"""What is made behind the rows of projections: events are judged, and subtotals are made.

Folding does not wait for either, and each has a row of progress of its own. Both are left to the
worker that leads a generation. Should another take the lead meanwhile, one waits for the other, and
nothing is made twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from gigaledger.projections.engine.folding import FoldError
from gigaledger.projections.engine.generations import Generation, enter
from gigaledger.projections.engine.projection import EvaluationProgress, Evaluator
from gigaledger.projections.engine.store import Key
from gigaledger.projections.engine.subtotals import Subtotals, blocks_ending_with
from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[Any]

SUMMED_BLOCKS = 64
"""Of how many blocks subtotals are made in one transaction, at the most."""

_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '30s'"
"""Whoever judges locks out nobody who folds, and may take its time between two statements."""


class EvaluationError(RuntimeError):
    """An event cannot be judged.

    Attributes:
        generation: what it stops.
        position: position of the event.
    """

    def __init__(self, generation: Generation, error: FoldError) -> None:
        super().__init__(str(error))
        self.generation = generation
        self.position = error.position


async def evaluate_pending(
    connection: Connection,
    schema: str,
    generations: Iterable[Generation],
    worker: str,
    evaluators: Mapping[Key, Evaluator],
) -> dict[Key, int]:
    """Judge some of the events of each generation that are folded and not judged yet.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        generations: those that a worker leads.
        worker: who leads them.
        evaluators: by the key of a generation, who judges it.

    Returns:
        By the key of a generation of which some were left to judge, how far it is judged now.

    Raises:
        JudgeError: an event cannot be judged; those before it are.
    """
    found = {}
    for generation in generations:
        evaluator = evaluators.get(generation.key)
        if evaluator is None:
            continue
        try:
            position = await _judge_some(connection, schema, generation, worker, evaluator)
            if position is not None:
                found[generation.key] = position
        except FoldError as error:
            before = error.position - 1
            while (
                await _judge_some(connection, schema, generation, worker, evaluator, before)
            ) is not None:
                pass
            raise EvaluationError(generation, error) from error
    return found


async def _judge_some(
    connection: Connection,
    schema: str,
    generation: Generation,
    worker: str,
    evaluator: Evaluator,
    until: int | None = None,
) -> int | None:
    """Judge some events up to a position; None where none are left, or another worker leads."""
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            "SELECT judged.position, judged.recorded_time, until, least(progress.position, %s)"
            " FROM projection_progress AS progress"
            " JOIN projection_judged AS judged USING (projection, generation)"
            " WHERE projection = %s AND generation = %s AND leader = %s AND state <> 'RETIRED'"
            " FOR UPDATE OF judged",
            (until, *generation.key, worker),
        )
        row = await cursor.fetchone()
        if row is None or row[0] >= row[3]:
            return None
        await connection.execute(_PATIENCE)
        judged = await evaluator.advance(
            connection, generation.named, EvaluationProgress(*row[:3]), row[3]
        )
        await connection.execute(
            "UPDATE projection_judged SET position = %s, recorded_time = %s, until = %s"
            " WHERE projection = %s AND generation = %s",
            (judged.position, judged.time, judged.until, *generation.key),
        )
    return judged.position


async def build_subtotals(
    connection: Connection, schema: str, generations: Iterable[Generation], worker: str
) -> dict[Key, int]:
    """Make subtotals that are missing, of some blocks of each generation.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        generations: those that a worker leads.
        worker: who leads them.

    Returns:
        By the key of a generation of which some were missing, the position that its subtotals
        reach now.
    """
    found = {}
    for generation in generations:
        position = await _sum_up_some(connection, schema, generation, worker)
        if position is not None:
            found[generation.key] = position
    return found


async def _sum_up_some(
    connection: Connection,
    schema: str,
    generation: Generation,
    worker: str,
) -> int | None:
    """Make subtotals of some blocks; None where none are missing, or another worker leads."""
    subtotals = generation.projection.subtotals
    if subtotals is None:
        return None
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            "SELECT subtotal.position / block_events,"
            " least(progress.position, judged.position) / block_events, block_events"
            " FROM projection_progress AS progress"
            " JOIN projection_subtotal AS subtotal USING (projection, generation)"
            " LEFT JOIN projection_judged AS judged USING (projection, generation)"
            " WHERE projection = %s AND generation = %s AND leader = %s AND state <> 'RETIRED'"
            " FOR UPDATE OF subtotal",
            (*generation.key, worker),
        )
        row = await cursor.fetchone()
        if row is None or row[0] >= row[1]:
            return None
        first, end, events = row
        end = min(end, first + SUMMED_BLOCKS)
        for number in range(first, end):
            await _sum_up_block(connection, generation, subtotals, number, events)
        await connection.execute(
            "UPDATE projection_subtotal SET position = %s"
            " WHERE projection = %s AND generation = %s",
            (end * events, *generation.key),
        )
    return int(end * events)


async def _sum_up_block(
    connection: Connection,
    generation: Generation,
    subtotals: Subtotals,
    number: int,
    events: int,
) -> None:
    """Make the subtotals of a block of level 0, and of the blocks that it completes."""
    given = {"before": number * events, "position": (number + 1) * events}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(generation.named(subtotals.touched), given)
        touched = await cursor.fetchone()
        if touched is not None and any(touched.values()):
            await cursor.execute(
                generation.named(subtotals.of_block), {**given, **touched, "block": number}
            )
        for block in islice(blocks_ending_with(number), 1, None):
            await cursor.execute(
                generation.named(subtotals.of_part_blocks),
                {"level": block.level, "block": block.number},
            )
