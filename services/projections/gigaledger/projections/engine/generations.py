"""Generations of a read model: several can be built side by side, and one of them answers.

The tables of a generation have its number as a suffix, all in the schema of the book. A rebuild
starts a new generation at the beginning of the log while the live one continues; once it has caught
up, it replaces the live one in one transaction. The retired generation is kept until the next
rebuild, for readers that still use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

import psycopg
from gigaledger.common.postgres.migrations import migrations_of
from gigaledger.projections.engine.projection import Projection, qualify_tables
from psycopg import AsyncConnection, sql

Connection = AsyncConnection[Any]

LOCK_MILLISECONDS = 1000
"""How long a switch waits for readers in SQL before it is tried again later."""


class State(StrEnum):
    """What a generation is for."""

    LIVE = "LIVE"
    BUILDING = "BUILDING"
    RETIRED = "RETIRED"


class BeingRebuiltError(RuntimeError):
    """A new generation is being built already."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation of a projection."""

    projection: Projection
    number: int

    @property
    def key(self) -> tuple[str, int]:
        """Name of the projection, and number."""
        return self.projection.name, self.number

    def table(self, name: str) -> sql.Identifier:
        """Return a table of it."""
        return sql.Identifier(f"{name}_{self.number}")

    def qualify_tables(self, query: bytes) -> bytes:
        """Return a statement with the plain names of tables replaced by those of it."""
        return qualify_tables(query, self.projection.all_tables, self.number)


async def enter(connection: Connection, schema: str) -> None:
    """Make the names of tables stand for those of a book until the transaction ends."""
    await connection.execute("SELECT set_config('search_path', quote_ident(%s), true)", (schema,))


async def prepare(connection: Connection, schema: str, projections: Iterable[Projection]) -> None:
    """Bring a book to the versions of the projections.

    A projection that the book lacks gets its first generation. One of an older version gets another
    generation, which is built beside the live one.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        projections: the projections of this version.
    """
    async with connection.transaction():
        await enter(connection, schema)
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema}/projections",)
        )
        await _migrate(connection)
        for projection in projections:
            live = await _one(connection, projection, State.LIVE)
            if live is None:
                await _create(connection, Generation(projection, 1), State.LIVE)
                await _publish(connection, Generation(projection, 1))
            elif live["version"] < projection.version:
                building = await _one(connection, projection, State.BUILDING)
                if building is not None and building["version"] < projection.version:
                    await _drop(connection, Generation(projection, building["generation"]))
                    building = None
                if building is None:
                    await _begin(connection, projection)


async def _migrate(connection: Connection) -> None:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS projection_migration (number integer PRIMARY KEY,"
        " name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    cursor = await connection.execute("SELECT number FROM projection_migration")
    done = {number for (number,) in await cursor.fetchall()}
    for migration in migrations_of(files("gigaledger.projections.engine") / "migrations"):
        if migration.number not in done:
            await connection.execute(migration.sql.encode())
            await connection.execute(
                "INSERT INTO projection_migration (number, name) VALUES (%s, %s)",
                (migration.number, migration.name),
            )


async def rebuild(connection: Connection, schema: str, projection: Projection) -> None:
    """Begin a new generation of a projection.

    Raises:
        BeingRebuiltError: there is one already.
        psycopg.errors.UndefinedTable: no worker has found the book yet.
    """
    async with connection.transaction():
        await enter(connection, schema)
        await _rows(connection, projection)
        if await _one(connection, projection, State.BUILDING) is not None:
            raise BeingRebuiltError(f"{projection.name} is being rebuilt already")
        await _begin(connection, projection)


async def promote(connection: Connection, schema: str, generation: Generation) -> bool:
    """Let a generation take the place of the live one, if it has come as far.

    Neither position nor figures step back for anybody: a question is answered from the generation
    that was live when it was asked.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        generation: the one that is being built.

    Returns:
        Whether it answers now.
    """
    try:
        async with connection.transaction():
            await enter(connection, schema)
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
            rows = await _rows(connection, generation.projection)
            states = {row["state"]: row for row in rows}
            live, building = states[State.LIVE], states.get(State.BUILDING)
            if building is None or building["generation"] != generation.number:
                return False
            if building["position"] < live["position"]:
                return False
            await _set_state(connection, generation.projection, live["generation"], State.RETIRED)
            await _set_state(connection, generation.projection, generation.number, State.LIVE)
            await _publish(connection, generation)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


async def _begin(connection: Connection, projection: Projection) -> None:
    """Make an empty generation, and drop those that have had their time."""
    rows = await _rows(connection, projection)
    for row in rows:
        if row["state"] == State.RETIRED:
            await _drop(connection, Generation(projection, row["generation"]))
    number = max(row["generation"] for row in rows) + 1
    await _create(connection, Generation(projection, number), State.BUILDING)


async def _create(connection: Connection, generation: Generation, state: State) -> None:
    projection = generation.projection
    await connection.execute(generation.qualify_tables(projection.definition.encode()))
    await connection.execute(
        "INSERT INTO projection_progress (projection, generation, version, state)"
        " VALUES (%s, %s, %s, %s)",
        (projection.name, generation.number, projection.version, state),
    )
    behind = {
        "projection_subtotal": projection.subtotals,
        "projection_evaluation": projection.evaluator,
    }
    for table in [table for table, made in behind.items() if made is not None]:
        await connection.execute(
            sql.SQL("INSERT INTO {} (projection, generation) VALUES (%s, %s)").format(
                sql.Identifier(table)
            ),
            generation.key,
        )


async def _drop(connection: Connection, generation: Generation) -> None:
    cursor = await connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind = 'r' AND relname ~ %s",
        (f"^{generation.projection.name.replace('-', '_')}_.*_{generation.number}$",),
    )
    for (table,) in await cursor.fetchall():
        await connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
    for table in ("projection_progress", "projection_subtotal", "projection_evaluation"):
        await connection.execute(
            sql.SQL("DELETE FROM {} WHERE projection = %s AND generation = %s").format(
                sql.Identifier(table)
            ),
            generation.key,
        )


async def _publish(connection: Connection, generation: Generation) -> None:
    for table in generation.projection.tables:
        await connection.execute("SELECT publish_read_model(%s, %s)", (table, generation.number))


async def _set_state(
    connection: Connection, projection: Projection, number: int, state: State
) -> None:
    await connection.execute(
        "UPDATE projection_progress SET state = %s WHERE projection = %s AND generation = %s",
        (state, projection.name, number),
    )


async def _rows(connection: Connection, projection: Projection) -> Sequence[dict[str, Any]]:
    """Return the generations of a projection, in order, and lock them."""
    cursor = await connection.execute(
        "SELECT generation, version, state,"
        " least(progress.position, evaluation.position) AS position"
        " FROM projection_progress AS progress"
        " LEFT JOIN projection_evaluation AS evaluation USING (projection, generation)"
        " WHERE projection = %s ORDER BY generation FOR UPDATE OF progress",
        (projection.name,),
    )
    names = ("generation", "version", "state", "position")
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def _one(
    connection: Connection, projection: Projection, state: State
) -> dict[str, Any] | None:
    rows = await _rows(connection, projection)
    return next((row for row in rows if row["state"] == state), None)
