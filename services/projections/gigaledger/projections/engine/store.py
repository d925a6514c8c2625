"""Writing of folded rows, together with the position they reflect.

Both are written in one transaction, under a lock on the generation's row of progress, so an event
counts once whichever process dies, and however many workers there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gigaledger.common.quantities import instant_from_message
from gigaledger.projections.engine.folding import HEADER, Folded, FoldError, fold_event
from gigaledger.projections.engine.generations import Generation, enter
from gigaledger.projections.engine.leases import LEASE_SECONDS
from gigaledger.projections.engine.projection import Projection
from gigaledger.v1.events_pb2 import RecordedEvent
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg import AsyncConnection, sql

Connection = AsyncConnection[Any]

ANALYSED_FROM = 1024
"""From this position on, PostgreSQL analyses the tables each time the log doubles. The server's own
analysis comes a minute later; until then, questions about a book that fills quickly are planned for
empty tables, which is up to twenty times as slow, as measured.
"""

Key = tuple[str, int]
"""Name of a projection and number of a generation."""


CHANNEL = "gigaledger_folded"
"""Notified with the schema of a book when events that need evaluation are folded."""


class OvertakenError(RuntimeError):
    """Another worker leads, or has written in between. The folded rows were not written."""


class NotStoppedError(RuntimeError):
    """There is nothing to resume."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a generation of a projection.

    Attributes:
        position: the log up to this position is reflected.
        resume_token: resumes the ledger's subscription there; empty at the beginning.
        failure: why it stopped; empty if it runs.
        building: whether it is to replace the generation that answers.
        leader: the worker that folds, or did last.
    """

    position: int
    resume_token: str
    failure: str
    building: bool
    leader: str


async def read_progress(connection: Connection, schema: str) -> dict[Key, Progress]:
    """Return how far each generation that is not retired has come."""
    async with connection.transaction():
        await enter(connection, schema)
        cursor = await connection.execute(
            "SELECT projection, generation, position, resume_token, coalesce(failure, ''),"
            " state = 'BUILDING', leader FROM projection_progress WHERE state <> 'RETIRED'"
        )
        return {
            (name, generation): Progress(*rest)
            for name, generation, *rest in await cursor.fetchall()
        }


async def apply(
    connection: Connection,
    schema: str,
    generations: Sequence[Generation],
    events: Sequence[RecordedEvent],
    resume_token: str,
    worker: str,
) -> dict[Key, FoldError]:
    """Fold the events after those that are reflected, and write rows and positions together.

    If a projection cannot fold an event, the events before it are written, and that it stopped.

    Args:
        connection: of the projections' role.
        schema: schema of the book.
        generations: generations that reflect the log up to the first event.
        events: the events, at least one.
        resume_token: resumes the ledger's subscription after the last.
        worker: name of their leader; its lease is renewed.

    Returns:
        For each generation that stopped, by its key, why.

    Raises:
        OvertakenError: another worker leads one of them, or the events do not continue the log that
            is reflected.
    """
    before, last = events[0].position - 1, events[-1].position
    keys = [generation.key for generation in generations]
    folded = [_folded(generation.projection, events) for generation in generations]
    stopped = {
        key: error for key, (_, error) in zip(keys, folded, strict=True) if error is not None
    }
    async with connection.transaction():
        await enter(connection, schema)
        await _lead(connection, keys, worker, before)
        for generation, (rows, _) in zip(generations, folded, strict=True):
            await _write(connection, generation, rows)
            if _has_doubled(before, last):
                await _analyse(connection, generation)
        healthy = [key for key in keys if key not in stopped]
        await _advance(connection, healthy, last, events[-1].recorded_time, resume_token)
        for key, error in stopped.items():
            if error.position > events[0].position:
                reached = events[error.position - before - 2]
                await _advance(connection, [key], reached.position, reached.recorded_time, "")
            await _fail(connection, key, error.position, str(error))
        if any(generation.projection.evaluator for generation in generations):
            await _notify(connection, schema)
    return stopped


async def _notify(connection: Connection, schema: str) -> None:
    """Wake the processes that evaluate, once the transaction is committed."""
    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, schema))


async def fail(
    connection: Connection, schema: str, generation: Generation, position: int, reason: str
) -> None:
    """Keep that a generation stopped at a position, and why."""
    async with connection.transaction():
        await enter(connection, schema)
        await _fail(connection, generation.key, position, reason)


async def resume(connection: Connection, schema: str, projection: Projection) -> None:
    """Let a projection that has stopped go on from before the event that it stopped at.

    Raises:
        NotStoppedError: it has not stopped.
    """
    async with connection.transaction():
        await enter(connection, schema)
        resumed = 0
        for table in ("projection_progress", "projection_evaluation"):
            cursor = await connection.execute(
                sql.SQL(
                    "UPDATE {} SET failed_position = NULL, failure = NULL"
                    " WHERE projection = %s AND failure IS NOT NULL"
                ).format(sql.Identifier(table)),
                (projection.name,),
            )
            resumed += cursor.rowcount
        await _notify(connection, schema)
    if not resumed:
        raise NotStoppedError(f"{projection.name} has not stopped")


async def _lead(connection: Connection, keys: Sequence[Key], worker: str, before: int) -> None:
    """Lock the rows of generations, and check that a worker leads them from a position on.

    Raises:
        OvertakenError: it does not.
    """
    cursor = await connection.execute(
        "SELECT leader, position FROM projection_progress"
        " JOIN unnest(%s::text[], %s::integer[]) AS asked (name, number)"
        " ON projection = name AND generation = number"
        " WHERE state <> 'RETIRED' ORDER BY projection, generation"
        " FOR UPDATE OF projection_progress",
        ([name for name, _ in keys], [number for _, number in keys]),
    )
    rows = await cursor.fetchall()
    if len(rows) != len(keys) or any(row != (worker, before) for row in rows):
        raise OvertakenError(f"another worker has gone on from {before}")


def _has_doubled(before: int, last: int) -> bool:
    return last >= ANALYSED_FROM and before.bit_length() != last.bit_length()


async def _analyse(connection: Connection, generation: Generation) -> None:
    """Update the statistics by which PostgreSQL plans queries on the tables of a generation."""
    for table in generation.projection.all_tables:
        await connection.execute(sql.SQL("ANALYZE {}").format(generation.table(table)))


async def _advance(
    connection: Connection,
    keys: Sequence[Key],
    position: int,
    recorded_time: Timestamp,
    resume_token: str,
) -> None:
    await connection.execute(
        "UPDATE projection_progress SET position = %s, recorded_time = %s, updated_time = now(),"
        " resume_token = %s, failed_position = NULL, failure = NULL,"
        " lease_until = clock_timestamp() + %s * interval '1 second'"
        " FROM unnest(%s::text[], %s::integer[]) AS asked (name, number)"
        " WHERE projection = name AND generation = number",
        (
            position,
            instant_from_message(recorded_time),
            resume_token,
            LEASE_SECONDS,
            [name for name, _ in keys],
            [number for _, number in keys],
        ),
    )


async def _fail(connection: Connection, key: Key, position: int, reason: str) -> None:
    await connection.execute(
        "UPDATE projection_progress SET failed_position = %s, failure = %s, updated_time = now()"
        " WHERE projection = %s AND generation = %s",
        (position, reason, *key),
    )


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


async def _write(connection: Connection, generation: Generation, folded: Iterable[Folded]) -> None:
    by_shape: dict[tuple[str, tuple[str, ...]], list[tuple[object, ...]]] = defaultdict(list)
    reversals = []
    for one in folded:
        for row, values in one.values():
            by_shape[row.table, tuple(row.columns)].append(values)
        if one.reverses is not None:
            reversals.append((one.position, one.reverses))
    for (table, columns), rows in by_shape.items():
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            generation.table(table), sql.SQL(", ").join(map(sql.Identifier, HEADER + columns))
        )
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for values in rows:
                await copy.write_row(values)
    for position, target in reversals:
        for table in generation.projection.tables:
            await connection.execute(
                sql.SQL("UPDATE {} SET reversed_position = %s WHERE position = %s").format(
                    generation.table(table)
                ),
                (position, target),
            )
