"""AuditService: checkpoints of books, and inclusion and consistency proofs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

import psycopg
from gigaledger.common.grpc.errors import InvalidArgumentError, NotFoundError
from gigaledger.common.grpc.interceptor import Context
from gigaledger.common.grpc.paging import make_page_token, page_size_of, read_page_token
from gigaledger.common.grpc.resource_names import book_id_of, checkpoint_of
from gigaledger.common.quantities import instant_to_message
from gigaledger.common.transparency.merkle import HASH_BYTES, consistency_proof, inclusion_proof
from gigaledger.ledger.api.errors import NotSealedError
from gigaledger.ledger.log.book_registry import BookRegistry
from gigaledger.ledger.log.books import BookRow
from gigaledger.ledger.log.seals import CheckpointRow, SealTables
from gigaledger.v1 import audit_pb2 as pb
from gigaledger.v1.audit_pb2_grpc import AuditServiceServicer

_SIZE = re.compile(r"[1-9][0-9]{0,17}")
AUDIT_SERVICE_NAME = pb.DESCRIPTOR.services_by_name["AuditService"].full_name

T = TypeVar("T")


class AuditService(AuditServiceServicer):
    """The methods of `gigaledger.v1.AuditService`."""

    def __init__(self, registry: BookRegistry) -> None:
        """Serve the proofs of the books of a registry."""
        self._registry = registry

    async def GetLatestCheckpoint(  # noqa: N802 - named by the contract
        self, request: pb.GetLatestCheckpointRequest, _context: Context
    ) -> pb.GetLatestCheckpointResponse:
        """Return the latest checkpoint of a book."""
        book = await self._book(request.book, "book")
        latest = await self._query(book, self._latest)
        return pb.GetLatestCheckpointResponse(checkpoint=_checkpoint(book, latest))

    async def GetCheckpoint(  # noqa: N802
        self, request: pb.GetCheckpointRequest, _context: Context
    ) -> pb.GetCheckpointResponse:
        """Return the checkpoint of a book at a size."""
        book_id, size = checkpoint_of(request.name)
        book = await self._registry.book(book_id)
        row = await self._query(book, lambda tables, connection: tables.at(connection, size))
        if row is None:
            raise _no_checkpoint(book_id, size)
        return pb.GetCheckpointResponse(checkpoint=_checkpoint(book, row))

    async def GetLeafHashes(  # noqa: N802
        self, request: pb.GetLeafHashesRequest, _context: Context
    ) -> pb.GetLeafHashesResponse:
        """Return the leaf hashes that a checkpoint adds to the one before it."""
        book_id, size = checkpoint_of(request.name)
        book = await self._registry.book(book_id)
        found = await self._query(
            book, lambda tables, connection: tables.hashes_of(connection, size)
        )
        if found is None:
            raise _no_checkpoint(book_id, size)
        first = size - len(found) // HASH_BYTES + 1
        return pb.GetLeafHashesResponse(first_position=first, hashes=found)

    async def ListCheckpoints(  # noqa: N802
        self, request: pb.ListCheckpointsRequest, _context: Context
    ) -> pb.ListCheckpointsResponse:
        """List the checkpoints of a book, by pages."""
        book = await self._book(request.parent, "parent")
        limit, size = page_size_of(request.page_size), 0
        if request.page_token:
            size = int(read_page_token(_SIZE, request.page_token, request)[0])
        rows = await self._query(
            book, lambda tables, connection: tables.after(connection, size, limit + 1)
        )
        more = make_page_token(str(rows[limit - 1].size), request) if len(rows) > limit else ""
        return pb.ListCheckpointsResponse(
            checkpoints=[_checkpoint(book, row) for row in rows[:limit]], next_page_token=more
        )

    async def GetInclusionProof(  # noqa: N802
        self, request: pb.GetInclusionProofRequest, _context: Context
    ) -> pb.GetInclusionProofResponse:
        """Return the proof that an event is in the tree of a size."""
        book = await self._book(request.book, "book")
        position = request.position

        def prove(
            tables: SealTables, connection: psycopg.Connection
        ) -> pb.GetInclusionProofResponse:
            size = self._tree_size(tables, connection, request.size, "size")
            if not 1 <= position <= size:
                message = f"is {position}; a tree of {size} events holds the positions 1 to {size}"
                raise InvalidArgumentError("position", message)
            hashes = tables.proof(
                connection, lambda read: inclusion_proof(read, position - 1, size)
            )
            (leaf,) = tables.leaf_hashes(connection, position, position)
            return pb.GetInclusionProofResponse(size=size, leaf_hash=leaf, hashes=hashes)

        return await self._query(book, prove)

    async def GetConsistencyProof(  # noqa: N802
        self, request: pb.GetConsistencyProofRequest, _context: Context
    ) -> pb.GetConsistencyProofResponse:
        """Return the proof that the tree of one size is a prefix of the tree of another."""
        book = await self._book(request.book, "book")
        first = request.first_size

        def prove(
            tables: SealTables, connection: psycopg.Connection
        ) -> pb.GetConsistencyProofResponse:
            second = self._tree_size(tables, connection, request.second_size, "second_size")
            if not 1 <= first <= second:
                message = f"is {first}; must be from 1 to the size of the larger tree: {second}"
                raise InvalidArgumentError("first_size", message)
            hashes = tables.proof(connection, lambda read: consistency_proof(read, first, second))
            return pb.GetConsistencyProofResponse(second_size=second, hashes=hashes)

        return await self._query(book, prove)

    async def ListSigningKeys(  # noqa: N802
        self, request: pb.ListSigningKeysRequest, _context: Context
    ) -> pb.ListSigningKeysResponse:
        """List the keys that sign the checkpoints of a book."""
        book = await self._book(request.parent, "parent")
        keys = await self._query(book, lambda tables, connection: tables.keys(connection))
        return pb.ListSigningKeysResponse(
            keys=[
                pb.SigningKey(
                    verifier_key=key.verifier_key,
                    from_size=key.from_size,
                    succession=key.succession,
                )
                for key in keys
            ]
        )

    async def _book(self, name: str, field: str) -> BookRow:
        return await self._registry.book(book_id_of(name, field))

    async def _query(
        self, book: BookRow, query: Callable[[SealTables, psycopg.Connection], T]
    ) -> T:
        def run() -> T:
            with self._registry.sealing_pool.connection() as connection:
                return query(SealTables(book.schema_name), connection)

        return await asyncio.to_thread(run)

    def _latest(self, tables: SealTables, connection: psycopg.Connection) -> CheckpointRow:
        """Return the latest checkpoint.

        Raises:
            NotFoundError: the book is not sealed yet.
            NotSealedError: the ledger has no signing key.
        """
        latest = tables.latest(connection)
        if latest is not None:
            return latest
        if not self._registry.seals:
            raise NotSealedError(
                "the ledger has no signing key, so this book is not sealed:"
                " see GIGALEDGER_SIGNING_KEY"
            )
        raise NotFoundError("NOT_SEALED", "this book is not sealed yet; try again")

    def _tree_size(
        self, tables: SealTables, connection: psycopg.Connection, size: int, field: str
    ) -> int:
        """Return the tree size of a request: the latest for 0.

        Raises:
            InvalidArgumentError: negative, or larger than the latest checkpoint.
        """
        latest = self._latest(tables, connection).size
        if not 0 <= size <= latest:
            message = f"is {size}; the latest checkpoint is of {latest} events"
            raise InvalidArgumentError(field, message)
        return size or latest


def _no_checkpoint(book_id: str, size: int) -> NotFoundError:
    message = f"book {book_id} has no checkpoint of {size} events"
    return NotFoundError("CHECKPOINT_NOT_FOUND", message)


def _checkpoint(book: BookRow, row: CheckpointRow) -> pb.Checkpoint:
    return pb.Checkpoint(
        name=f"books/{book.book}/checkpoints/{row.size}",
        size=row.size,
        root_hash=row.root_hash,
        note=row.note,
        sealed_time=instant_to_message(row.sealed_at),
        previous_size=row.previous_size,
    )
