"""AuditService: checkpoints of books, and the proofs that go with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import psycopg
from gigaledger.common.quantities import instant_to_message
from gigaledger.common.transparency.merkle import HASH_BYTES, consistency_proof, inclusion_proof
from gigaledger.ledger.api import names
from gigaledger.ledger.api.errors import (
    Context,
    InvalidArgumentError,
    NotFoundError,
    NotSealedError,
    answered,
)
from gigaledger.ledger.log.book_registry import Shelf
from gigaledger.ledger.log.books import BookRow
from gigaledger.ledger.log.seals import CheckpointRow, SealTables
from gigaledger.v1 import audit_pb2 as pb
from gigaledger.v1.audit_pb2_grpc import AuditServiceServicer

AUDIT_SERVICE_NAME = pb.DESCRIPTOR.services_by_name["AuditService"].full_name

T = TypeVar("T")


class AuditService(AuditServiceServicer):
    """The methods of `gigaledger.v1.AuditService`."""

    def __init__(self, shelf: Shelf) -> None:
        """Prove the books of a shelf."""
        self._shelf = shelf

    @answered
    async def GetLatestCheckpoint(  # noqa: N802 - named by the contract
        self, request: pb.GetLatestCheckpointRequest, _context: Context
    ) -> pb.GetLatestCheckpointResponse:
        """Return the latest checkpoint of a book."""
        book = await self._book(request.book, "book")
        latest = await self._ask(book, self._latest)
        return pb.GetLatestCheckpointResponse(checkpoint=_checkpoint(book, latest))

    @answered
    async def GetCheckpoint(  # noqa: N802
        self, request: pb.GetCheckpointRequest, _context: Context
    ) -> pb.GetCheckpointResponse:
        """Return the checkpoint of a book at a size."""
        book_id, size = names.checkpoint_of(request.name)
        book = await self._shelf.book(book_id)
        row = await self._ask(book, lambda tables, connection: tables.at(connection, size))
        if row is None:
            raise _no_checkpoint(book_id, size)
        return pb.GetCheckpointResponse(checkpoint=_checkpoint(book, row))

    @answered
    async def GetLeafHashes(  # noqa: N802
        self, request: pb.GetLeafHashesRequest, _context: Context
    ) -> pb.GetLeafHashesResponse:
        """Return the hashes of the leaves that a checkpoint adds to the one before it."""
        book_id, size = names.checkpoint_of(request.name)
        book = await self._shelf.book(book_id)
        found = await self._ask(book, lambda tables, connection: tables.hashes_of(connection, size))
        if found is None:
            raise _no_checkpoint(book_id, size)
        first = size - len(found) // HASH_BYTES + 1
        return pb.GetLeafHashesResponse(first_position=first, hashes=found)

    @answered
    async def ListCheckpoints(  # noqa: N802
        self, request: pb.ListCheckpointsRequest, _context: Context
    ) -> pb.ListCheckpointsResponse:
        """List the checkpoints of a book, by pages."""
        book = await self._book(request.parent, "parent")
        limit, query = names.page_size(request.page_size), request.parent.encode()
        token = request.page_token
        place = names.page_place(token, query) if token else "0"
        if not place.isdecimal():
            raise InvalidArgumentError("page_token", "is not a token of this service")
        rows = await self._ask(
            book, lambda tables, connection: tables.after(connection, int(place), limit + 1)
        )
        more = names.page_token(str(rows[limit - 1].size), query) if len(rows) > limit else ""
        return pb.ListCheckpointsResponse(
            checkpoints=[_checkpoint(book, row) for row in rows[:limit]], next_page_token=more
        )

    @answered
    async def GetInclusionProof(  # noqa: N802
        self, request: pb.GetInclusionProofRequest, _context: Context
    ) -> pb.GetInclusionProofResponse:
        """Return the proof that an event is in the tree of a size."""
        book = await self._book(request.book, "book")
        position = request.position

        def prove(
            tables: SealTables, connection: psycopg.Connection
        ) -> pb.GetInclusionProofResponse:
            size = self._size(tables, connection, request.size, "size")
            if not 1 <= position <= size:
                message = f"is {position}; a tree of {size} events holds the positions 1 to {size}"
                raise InvalidArgumentError("position", message)
            hashes = tables.proof(
                connection, lambda read: inclusion_proof(read, position - 1, size)
            )
            (leaf,) = tables.leaf_hashes(connection, position, position)
            return pb.GetInclusionProofResponse(size=size, leaf_hash=leaf, hashes=hashes)

        return await self._ask(book, prove)

    @answered
    async def GetConsistencyProof(  # noqa: N802
        self, request: pb.GetConsistencyProofRequest, _context: Context
    ) -> pb.GetConsistencyProofResponse:
        """Return the proof that the tree of a size is the beginning of that of another."""
        book = await self._book(request.book, "book")
        first = request.first_size

        def prove(
            tables: SealTables, connection: psycopg.Connection
        ) -> pb.GetConsistencyProofResponse:
            second = self._size(tables, connection, request.second_size, "second_size")
            if not 1 <= first <= second:
                message = f"is {first}; must be from 1 to the size of the larger tree: {second}"
                raise InvalidArgumentError("first_size", message)
            hashes = tables.proof(connection, lambda read: consistency_proof(read, first, second))
            return pb.GetConsistencyProofResponse(second_size=second, hashes=hashes)

        return await self._ask(book, prove)

    @answered
    async def ListSigningKeys(  # noqa: N802
        self, request: pb.ListSigningKeysRequest, _context: Context
    ) -> pb.ListSigningKeysResponse:
        """List the keys that checkpoints of a book are signed with."""
        book = await self._book(request.parent, "parent")
        keys = await self._ask(book, lambda tables, connection: tables.keys(connection))
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
        return await self._shelf.book(names.book_of(name, field))

    async def _ask(
        self, book: BookRow, question: Callable[[SealTables, psycopg.Connection], T]
    ) -> T:
        def ask() -> T:
            with self._shelf.proving_pool.connection() as connection:
                return question(SealTables(book.schema_name), connection)

        return await asyncio.to_thread(ask)

    def _latest(self, tables: SealTables, connection: psycopg.Connection) -> CheckpointRow:
        """Return the latest checkpoint.

        Raises:
            NotFoundError: nothing is sealed yet.
            NotSealedError: nothing will be.
        """
        latest = tables.latest(connection)
        if latest is not None:
            return latest
        if not self._shelf.seals:
            raise NotSealedError(
                "the ledger has no signing key, so that nothing of this book is sealed:"
                " see GIGALEDGER_SIGNING_KEY"
            )
        raise NotFoundError("NOT_SEALED", "nothing of this book is sealed yet; ask again")

    def _size(
        self, tables: SealTables, connection: psycopg.Connection, asked: int, field: str
    ) -> int:
        """Return the size of the tree that is asked for, which is not beyond what is signed."""
        latest = self._latest(tables, connection).size
        if not 0 <= asked <= latest:
            message = f"is {asked}; the latest checkpoint is of {latest} events"
            raise InvalidArgumentError(field, message)
        return asked or latest


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
    )
