"""The Merkle tree of a book in PostgreSQL: roots of subtrees, checkpoints, keys.

Subtrees of fewer than 256 leaves are not stored: a proof hashes them from the stored events.
PostgreSQL itself hashes the leaves, so that events are not transferred.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from gigaledger.common.transparency.merkle import HASH_BYTES, Frontier, Read, frontier_nodes
from psycopg import sql
from psycopg.rows import class_row

STORED_LEVEL = 8
BLOCK = 1 << STORED_LEVEL
"""Leaves below the lowest stored node."""

# A prefix begins with the tag and the length of the field `events` (see `wire`). The rest of it and
# the event are the RecordedEvent, which is the data of the leaf.
_LEAF_HASHES = """
    SELECT string_agg(
        sha256('\\x00'::bytea || substr(prefix, CASE
            WHEN octet_length(prefix) + octet_length(event) <= 129 THEN 3
            WHEN octet_length(prefix) + octet_length(event) <= 16386 THEN 4
            ELSE 5 END) || event),
        ''::bytea ORDER BY position)
    FROM {schema}.event WHERE position BETWEEN %s AND %s
"""
_CHECKPOINT = f"""
    SELECT size, size - octet_length(leaf_hashes) / {HASH_BYTES} AS previous_size, root_hash, note,
           sealed_at
    FROM {{schema}}.checkpoint
"""  # noqa: S608 - a constant


class TreeDamagedError(RuntimeError):
    """The stored tree is not the signed one. The message says what differs."""


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A row of the table of checkpoints."""

    size: int
    previous_size: int
    root_hash: bytes
    note: str
    sealed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key, with the smallest tree size that it signed."""

    from_size: int
    verifier_key: str
    succession: str


class SealTables:
    """Statements on the tree of one book. Each runs in its connection's transaction."""

    def __init__(self, schema: str) -> None:
        """Use the tables in a schema."""
        self.schema = schema

    def try_lock(self, connection: psycopg.Connection) -> bool:
        """Lock the sealing of the book until the transaction ends; return whether it was free."""
        row = connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self.schema}/seal",)
        ).fetchone()
        return row is not None and bool(row[0])

    def latest(self, connection: psycopg.Connection) -> CheckpointRow | None:
        """Return the latest checkpoint."""
        return self._checkpoint(connection, f"{_CHECKPOINT} ORDER BY size DESC LIMIT 1")

    def at(self, connection: psycopg.Connection, size: int) -> CheckpointRow | None:
        """Return the checkpoint of a size."""
        return self._checkpoint(connection, f"{_CHECKPOINT} WHERE size = %s", (size,))

    def after(
        self, connection: psycopg.Connection, size: int, limit: int
    ) -> Sequence[CheckpointRow]:
        """Return checkpoints that are larger than a size, the smallest first."""
        statement = self._sql(f"{_CHECKPOINT} WHERE size > %s ORDER BY size LIMIT %s")
        with connection.cursor(row_factory=class_row(CheckpointRow)) as cursor:
            return cursor.execute(statement, (size, limit)).fetchall()

    def keys(self, connection: psycopg.Connection) -> Sequence[KeyRow]:
        """Return the keys in the order in which they have signed."""
        statement = self._sql(
            "SELECT from_size, verifier_key, succession FROM {schema}.signing_key"
            " ORDER BY from_size"
        )
        with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
            return cursor.execute(statement).fetchall()

    def hashes_of(self, connection: psycopg.Connection, size: int) -> bytes | None:
        """Return the leaf hashes that a checkpoint adds; None if there is no such checkpoint."""
        statement = self._sql("SELECT leaf_hashes FROM {schema}.checkpoint WHERE size = %s")
        row = connection.execute(statement, (size,), binary=True).fetchone()
        return row[0] if row else None

    def leaf_hashes(self, connection: psycopg.Connection, first: int, last: int) -> list[bytes]:
        """Return the leaf hashes of a range of positions."""
        cursor = connection.execute(self._sql(_LEAF_HASHES), (first, last), binary=True)
        row = cursor.fetchone()
        joined: bytes = (row and row[0]) or b""
        return [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]

    def frontier(self, connection: psycopg.Connection, size: int) -> Frontier:
        """Return the frontier of the stored tree of a size."""
        nodes = frontier_nodes(size)
        read = self._reading(connection, nodes)
        return Frontier(size, [read(level, index) for level, index in nodes])

    def proof(
        self, connection: psycopg.Connection, build: Callable[[Read], list[bytes]]
    ) -> list[bytes]:
        """Return a proof, and read all nodes for it in one statement.

        Args:
            connection: the connection.
            build: builds the proof from nodes that it reads; called twice.
        """
        wanted: set[tuple[int, int]] = set()

        def note(level: int, index: int) -> bytes:
            wanted.add((level, index))
            return bytes(HASH_BYTES)

        build(note)
        return build(self._reading(connection, wanted))

    def insert(
        self,
        connection: psycopg.Connection,
        leaves: Sequence[bytes],
        nodes: Sequence[tuple[int, int, bytes]],
        checkpoint: CheckpointRow,
    ) -> None:
        """Insert a checkpoint, the leaf hashes that it adds, and the subtrees that it completes."""
        kept = [node for node in nodes if node[0] >= STORED_LEVEL]
        connection.execute(
            self._sql(
                "INSERT INTO {schema}.tree_node (level, index, hash)"
                " SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"
            ),
            tuple([node[part] for node in kept] for part in range(3)),
        )
        connection.execute(
            self._sql(
                "INSERT INTO {schema}.checkpoint (size, root_hash, note, leaf_hashes, sealed_at)"
                " VALUES (%s, %s, %s, %s, %s)"
            ),
            (
                checkpoint.size,
                checkpoint.root_hash,
                checkpoint.note,
                b"".join(leaves),
                checkpoint.sealed_at,
            ),
        )

    def insert_key(self, connection: psycopg.Connection, key: KeyRow) -> None:
        """Insert a key."""
        connection.execute(
            self._sql(
                "INSERT INTO {schema}.signing_key (from_size, verifier_key, succession)"
                " VALUES (%s, %s, %s)"
            ),
            (key.from_size, key.verifier_key, key.succession),
        )

    def _reading(self, connection: psycopg.Connection, nodes: Collection[tuple[int, int]]) -> Read:
        """Return a function that returns the roots of these subtrees, which are read now.

        The function raises TreeDamagedError for a subtree that is not stored.

        """
        found: dict[tuple[int, int], bytes] = {}
        stored = [node for node in nodes if node[0] >= STORED_LEVEL]
        rows = connection.execute(
            self._sql(
                "SELECT level, index, hash FROM {schema}.tree_node"
                " JOIN unnest(%s::smallint[], %s::bigint[]) AS wanted (level, index)"
                " USING (level, index)"
            ),
            ([level for level, _ in stored], [index for _, index in stored]),
            binary=True,
        )
        found.update({(level, index): root for level, index, root in rows})
        blocks = {index << level >> STORED_LEVEL for level, index in nodes if level < STORED_LEVEL}
        for block in blocks:
            first = block * BLOCK
            within = Frontier()
            for leaf in self.leaf_hashes(connection, first + 1, first + BLOCK):
                for level, index, root in within.append(leaf):
                    found[level, index + (first >> level)] = root

        def read(level: int, index: int) -> bytes:
            try:
                return found[level, index]
            except KeyError:
                first, last = (index << level) + 1, index + 1 << level
                message = f"the tree over the positions {first} to {last} is not stored"
                raise TreeDamagedError(message) from None

        return read

    def _checkpoint(
        self, connection: psycopg.Connection, statement: LiteralString, values: Sequence[Any] = ()
    ) -> CheckpointRow | None:
        with connection.cursor(row_factory=class_row(CheckpointRow)) as cursor:
            return cursor.execute(self._sql(statement), values).fetchone()

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self.schema))
