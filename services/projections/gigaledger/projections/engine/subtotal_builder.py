"""Builds the subtotals of blocks of the log, in transactions of their own.

Folding does not wait for them. Several processes may build: each takes what no other has locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from gigaledger.projections.engine.generations import Generation, enter
from gigaledger.projections.engine.store import Key
from gigaledger.projections.engine.subtotals import Subtotals, blocks_ending_with
from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[Any]

SUMMED_BLOCKS = 64
"""Blocks whose subtotals are built in one transaction, at most."""


async def build_subtotals(
    connection: Connection, schema: str, generations: Iterable[Generation]
) -> dict[Key, int]:
    """Build missing subtotals of some blocks of each generation.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        generations: the generations.

    Returns:
        The position that its subtotals now reach, by the key of each generation that had some
        missing.
    """
    found = {}
    for generation in generations:
        position = await _build_some(connection, schema, generation)
        if position is not None:
            found[generation.key] = position
    return found


async def _build_some(connection: Connection, schema: str, generation: Generation) -> int | None:
    """Build subtotals of some blocks; None if none are missing or another process builds them."""
    subtotals = generation.projection.subtotals
    if subtotals is None:
        return None
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            "SELECT subtotal.position / block_events,"
            " least(progress.position, evaluation.position) / block_events, block_events"
            " FROM projection_progress AS progress"
            " JOIN projection_subtotal AS subtotal USING (projection, generation)"
            " LEFT JOIN projection_evaluation AS evaluation USING (projection, generation)"
            " WHERE projection = %s AND generation = %s AND state <> 'RETIRED'"
            " FOR UPDATE OF subtotal SKIP LOCKED",
            generation.key,
        )
        row = await cursor.fetchone()
        if row is None or row[0] >= row[1]:
            return None
        first, end, events = row
        end = min(end, first + SUMMED_BLOCKS)
        for number in range(first, end):
            await _build_block(connection, generation, subtotals, number, events)
        await connection.execute(
            "UPDATE projection_subtotal SET position = %s"
            " WHERE projection = %s AND generation = %s",
            (end * events, *generation.key),
        )
    return int(end * events)


async def _build_block(
    connection: Connection,
    generation: Generation,
    subtotals: Subtotals,
    number: int,
    events: int,
) -> None:
    """Build the subtotals of a block of level 0, and of the blocks that it completes."""
    given = {"before": number * events, "position": (number + 1) * events}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(generation.qualify_tables(subtotals.affected), given)
        affected = await cursor.fetchone()
        if affected is not None and any(affected.values()):
            await cursor.execute(
                generation.qualify_tables(subtotals.of_block),
                {**given, **affected, "block": number},
            )
        for block in islice(blocks_ending_with(number), 1, None):
            await cursor.execute(
                generation.qualify_tables(subtotals.of_part_blocks),
                {"level": block.level, "block": block.number},
            )
