"""What a projection keeps: its tables in a book's schema, and how far it has come.

Rows and position are written in one transaction, under a lock on the projection's own row of
progress, so that an event is counted once whatever dies when, and however many workers there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from gigaledger.v1.events_pb2 import RecordedEvent
from psycopg import AsyncConnection, sql

from services.projections.catalogue import PROJECTIONS
from services.projections.facts import Folded, FoldError, fold_event
from services.projections.projection import Projection
from services.runtime.migrations import migrations_of

Connection = AsyncConnection[Any]


class OvertakenError(RuntimeError):
    """Another worker has written in between. What was folded was not written."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a projection has come.

    Attributes:
        position: the log up to this position is reflected.
        resume_token: resumes the ledger's subscription there; empty at the beginning.
        failure: why it stopped; empty where it runs.
    """

    position: int
    resume_token: str
    failure: str


async def migrate(connection: Connection, schema: str) -> None:
    """Bring the tables of all projections in a book's schema to this version's shape.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
    """
    async with connection.transaction():
        await _enter(connection, schema)
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema}/projections",)
        )
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS projection_migration ("
            " package text, number integer, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (package, number))"
        )
        cursor = await connection.execute("SELECT package, number FROM projection_migration")
        done = set(await cursor.fetchall())
        for package, folder in _migration_folders():
            for migration in migrations_of(folder):
                if (package, migration.number) not in done:
                    await connection.execute(migration.sql.encode())
                    await connection.execute(
                        "INSERT INTO projection_migration (package, number, name)"
                        " VALUES (%s, %s, %s)",
                        (package, migration.number, migration.name),
                    )
        for projection in PROJECTIONS:
            await connection.execute(
                "INSERT INTO projection_progress (projection) VALUES (%s) ON CONFLICT DO NOTHING",
                (projection.name,),
            )


def _migration_folders() -> list[tuple[str, Traversable]]:
    shared = "services.projections"
    return [
        (shared, files(shared) / "migrations"),
        *((projection.package, projection.migrations) for projection in PROJECTIONS),
    ]


async def read_progress(connection: Connection, schema: str, projection: Projection) -> Progress:
    """Return how far a projection has come."""
    async with connection.transaction():
        await _enter(connection, schema)
        cursor = await connection.execute(
            "SELECT position, resume_token, coalesce(failure, '')"
            " FROM projection_progress WHERE projection = %s",
            (projection.name,),
        )
        row = await cursor.fetchone()
    if row is None:
        raise AssertionError("progress is kept for every projection")
    return Progress(*row)


async def apply(
    connection: Connection,
    schema: str,
    projection: Projection,
    events: Sequence[RecordedEvent],
    resume_token: str,
) -> None:
    """Fold events that follow on what is reflected, and write rows and position together.

    Where an event can't be folded, those before it are written, and that it stopped the projection.

    Raises:
        OvertakenError: the events do not follow on what is reflected.
        FoldError: an event can't be folded.
    """
    folded, failure = _folded(projection, events)
    async with connection.transaction():
        await _enter(connection, schema)
        cursor = await connection.execute(
            "SELECT position FROM projection_progress WHERE projection = %s FOR UPDATE",
            (projection.name,),
        )
        row = await cursor.fetchone()
        if row is None or row[0] != events[0].position - 1:
            raise OvertakenError(f"{projection.name} is not at {events[0].position - 1}")
        if folded:
            await _write(connection, projection, folded)
            await connection.execute(
                "UPDATE projection_progress SET position = %s, recorded_time = %s,"
                " updated_time = now(), resume_token = %s,"
                " failed_position = NULL, failure = NULL WHERE projection = %s",
                (
                    folded[-1].position,
                    folded[-1].recorded_time,
                    "" if failure else resume_token,
                    projection.name,
                ),
            )
        if failure is not None:
            await _fail(connection, projection, failure.position, str(failure))
    if failure is not None:
        raise failure


async def fail(
    connection: Connection, schema: str, projection: Projection, position: int, reason: str
) -> None:
    """Keep that a projection stopped at a position, and why."""
    async with connection.transaction():
        await _enter(connection, schema)
        await _fail(connection, projection, position, reason)


async def _fail(connection: Connection, projection: Projection, position: int, reason: str) -> None:
    await connection.execute(
        "UPDATE projection_progress SET failed_position = %s, failure = %s, updated_time = now()"
        " WHERE projection = %s",
        (position, reason, projection.name),
    )


async def _enter(connection: Connection, schema: str) -> None:
    """Make the names of tables stand for those of a book until the transaction ends."""
    await connection.execute("SELECT set_config('search_path', quote_ident(%s), true)", (schema,))


def _folded(
    projection: Projection, events: Sequence[RecordedEvent]
) -> tuple[list[Folded], FoldError | None]:
    folded: list[Folded] = []
    for event in events:
        try:
            folded.append(fold_event(projection.folds, event))
        except FoldError as error:
            return folded, error
    return folded, None


async def _write(connection: Connection, projection: Projection, folded: Iterable[Folded]) -> None:
    by_shape: dict[tuple[str, tuple[str, ...]], list[tuple[object, ...]]] = defaultdict(list)
    reversals = []
    for one in folded:
        for row in one.rows:
            by_shape[row.table, tuple(row.columns)].append(tuple(row.columns.values()))
        if one.reverses is not None:
            reversals.append((one.position, one.reverses))
    for (table, columns), rows in by_shape.items():
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for values in rows:
                await copy.write_row(values)
    for position, target in reversals:
        for table in projection.tables:
            await connection.execute(
                sql.SQL("UPDATE {} SET reversed_position = %s WHERE position = %s").format(
                    sql.Identifier(table)
                ),
                (position, target),
            )
