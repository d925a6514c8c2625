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
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg import AsyncConnection, sql

from services.projections.catalogue import PROJECTIONS
from services.projections.facts import HEADER, Folded, FoldError, fold_event
from services.projections.projection import Projection
from services.quantities import instant_from_message
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


async def read_progress(connection: Connection, schema: str) -> dict[str, Progress]:
    """Return how far each projection has come, by name."""
    async with connection.transaction():
        await _enter(connection, schema)
        cursor = await connection.execute(
            "SELECT projection, position, resume_token, coalesce(failure, '')"
            " FROM projection_progress"
        )
        return {name: Progress(*rest) for name, *rest in await cursor.fetchall()}


async def apply(
    connection: Connection,
    schema: str,
    projections: Sequence[Projection],
    events: Sequence[RecordedEvent],
    resume_token: str,
) -> dict[str, FoldError]:
    """Fold events that follow on what is reflected, and write rows and positions together.

    Where a projection can't fold an event, those before it are written, and that it stopped.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        projections: those that fold, all of which reflect the log up to the first event.
        events: the events, one at least.
        resume_token: resumes the ledger's subscription after the last.

    Returns:
        By the name of a projection that stopped, why.

    Raises:
        OvertakenError: the events do not follow on what is reflected.
    """
    before, last = events[0].position - 1, events[-1].position
    folded = {projection.name: _folded(projection, events) for projection in projections}
    stopped = {name: error for name, (_, error) in folded.items() if error is not None}
    healthy = [name for name in folded if name not in stopped]
    async with connection.transaction():
        await _enter(connection, schema)
        cursor = await connection.execute(
            "SELECT position FROM projection_progress WHERE projection = ANY(%s)"
            " ORDER BY projection FOR UPDATE",
            (list(folded),),
        )
        if any(position != before for (position,) in await cursor.fetchall()):
            raise OvertakenError(f"another worker has gone on from {before}")
        for projection in projections:
            await _write(connection, projection, folded[projection.name][0])
        await _advance(connection, healthy, last, events[-1].recorded_time, resume_token)
        for name, error in stopped.items():
            if error.position > events[0].position:
                reached = events[error.position - before - 2]
                await _advance(connection, [name], reached.position, reached.recorded_time, "")
            await _fail(connection, name, error.position, str(error))
    return stopped


async def fail(
    connection: Connection, schema: str, projection: Projection, position: int, reason: str
) -> None:
    """Keep that a projection stopped at a position, and why."""
    async with connection.transaction():
        await _enter(connection, schema)
        await _fail(connection, projection.name, position, reason)


async def _advance(
    connection: Connection,
    names: Sequence[str],
    position: int,
    recorded_time: Timestamp,
    resume_token: str,
) -> None:
    await connection.execute(
        "UPDATE projection_progress SET position = %s, recorded_time = %s, updated_time = now(),"
        " resume_token = %s, failed_position = NULL, failure = NULL WHERE projection = ANY(%s)",
        (position, instant_from_message(recorded_time), resume_token, list(names)),
    )


async def _fail(connection: Connection, name: str, position: int, reason: str) -> None:
    await connection.execute(
        "UPDATE projection_progress SET failed_position = %s, failure = %s, updated_time = now()"
        " WHERE projection = %s",
        (position, reason, name),
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
        for row, values in one.values():
            by_shape[row.table, tuple(row.columns)].append(values)
        if one.reverses is not None:
            reversals.append((one.position, one.reverses))
    for (table, columns), rows in by_shape.items():
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, HEADER + columns))
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
