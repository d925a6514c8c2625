"""Who folds: one worker leads each generation of each projection, and another takes its place.

A leader holds a lease by the clock of the database and renews it. Every write names its leader
under the lock of the row, so that one that has lost its lease writes nothing, however late it finds
out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from gigaledger.projections.engine.generations import Generation, enter
from gigaledger.projections.engine.projection import Projection
from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

LEASE_SECONDS = 3.0
"""How long a leader that is gone still has its place."""
HEARTBEAT_SECONDS = 1.0
"""How often a lease is renewed, and how often others look whether it has ended."""


async def claim(
    connection: Connection,
    schema: str,
    projections: Iterable[Projection],
    worker: str,
    tried: Collection[tuple[str, int]] = (),
) -> list[Generation]:
    """Take the lead of what nobody leads, renew what this worker leads, and return both.

    What was made by another version of a projection is left alone. What is being written to at this
    moment has a leader, and is neither waited for nor returned. What has stopped is tried again by
    each worker once: another one may be of a version that can fold what it stopped at.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        projections: the projections of this version.
        worker: who claims.
        tried: keys of generations that it has led before.
    """
    by_name = {projection.name: projection for projection in projections}
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            """
            WITH free AS (
                SELECT projection, generation FROM projection_progress
                JOIN unnest(%(names)s::text[], %(versions)s::integer[]) AS ours (name, made_by)
                    ON projection = name AND version = made_by
                WHERE state <> 'RETIRED'
                    AND (failure IS NULL OR (projection, generation) NOT IN (
                        SELECT * FROM unnest(%(tried)s::text[], %(tried_numbers)s::integer[])
                    ))
                    AND (leader = %(worker)s OR lease_until IS NULL OR lease_until < now())
                FOR UPDATE OF projection_progress SKIP LOCKED
            )
            UPDATE projection_progress SET
                leader = %(worker)s, lease_until = now() + %(seconds)s * interval '1 second',
                failed_position = NULL, failure = NULL
            FROM free
            WHERE projection_progress.projection = free.projection
                AND projection_progress.generation = free.generation
            RETURNING free.projection, free.generation
            """,
            {
                "worker": worker,
                "seconds": LEASE_SECONDS,
                "tried": [name for name, _ in tried],
                "tried_numbers": [number for _, number in tried],
                "names": list(by_name),
                "versions": [projection.version for projection in by_name.values()],
            },
        )
        found = sorted(await cursor.fetchall())
    return [Generation(by_name[name], number) for name, number in found]


async def release(connection: Connection, schemas: Iterable[str], worker: str) -> None:
    """Give back what a worker leads, so that nobody has to wait for its lease to end."""
    for schema in schemas:
        async with connection.transaction():
            await enter(connection, schema)
            await connection.execute(
                "UPDATE projection_progress SET leader = '', lease_until = NULL WHERE leader = %s",
                (worker,),
            )
