"""Leases: one worker leads each generation of each projection, and another can take over.

A leader holds a lease by the clock of the database and renews it. Every write checks the leader
under the lock of the row, so a worker that has lost its lease writes nothing, however late it
notices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from gigaledger.projections.engine.generations import Generation, enter
from gigaledger.projections.engine.projection import Projection
from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

LEASE_SECONDS = 3.0
"""How long the lease of a leader that has died keeps others out."""
HEARTBEAT_SECONDS = 1.0
"""How often a lease is renewed, and how often others look whether it has ended."""


async def claim(
    connection: Connection,
    schema: str,
    projections: Iterable[Projection],
    worker: str,
    tried: Collection[tuple[str, int]] = (),
) -> list[Generation]:
    """Claim generations without a leader, renew the leases of this worker, and return both.

    Generations of other versions of a projection are ignored. A row that is being written has a
    leader and is skipped. A generation that has stopped is tried once by each worker, because
    another worker may have a version that can fold the event it stopped at.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        projections: the projections of this version.
        worker: name of the worker that claims.
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
    """Release all leases of a worker, so that others need not wait for them to expire."""
    for schema in schemas:
        async with connection.transaction():
            await enter(connection, schema)
            await connection.execute(
                "UPDATE projection_progress SET leader = '', lease_until = NULL WHERE leader = %s",
                (worker,),
            )
