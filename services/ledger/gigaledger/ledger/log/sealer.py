"""Seals books: signs a checkpoint of the log, asynchronously to appends.

A checkpoint follows an append within about a second; nothing is done for a book without appends. Of
several ledger processes, one seals a book at a time. A signature cannot be revoked, so a checkpoint
is signed only if its tree extends the one that was signed before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import psycopg
import psycopg_pool
import structlog
from gigaledger.common.transparency.checkpoints import IMPORTED, Checkpoint, origin_of
from gigaledger.common.transparency.keys import succession_of
from gigaledger.common.transparency.merkle import Frontier
from gigaledger.common.transparency.notes import Signer
from gigaledger.ledger.log.books import BookRow
from gigaledger.ledger.log.recorder import Clock
from gigaledger.ledger.log.seals import CheckpointRow, KeyRow, SealTables, TreeDamagedError
from gigaledger.ledger.log.tables import LogTables
from psycopg_pool import ConnectionPool

SEAL_SECONDS = 0.5
"""Interval at which a book that is written to is sealed."""
RETRY_SECONDS = 10.0
"""Delay before a book is sealed again that could not be sealed."""
MAX_SEALED_EVENTS = 20_000
"""Most events hashed in one transaction."""

_PASSING = (psycopg.OperationalError, psycopg_pool.PoolTimeout)
"""Transient failures of PostgreSQL."""

_log = structlog.get_logger("gigaledger.sealer")


class UnknownKeyError(RuntimeError):
    """Another key signed last, and the ledger does not have it to sign its succession."""


class BeingSealedError(RuntimeError):
    """Another process seals the book, perhaps not up to its latest event."""


class Sealer:
    """Seals books with the newest of the ledger's keys."""

    def __init__(
        self,
        pool: ConnectionPool,
        keys: Sequence[Signer],
        clock: Clock,
        books: Callable[[], Awaitable[Iterable[BookRow]]],
    ) -> None:
        """Seal once `run` is started.

        Args:
            pool: connections with the ledger's role.
            keys: the ledger's keys, the oldest first; the last one signs.
            clock: the server's clock.
            books: lists all books.
        """
        self._pool = pool
        self._keys = keys
        self._clock = clock
        self._books = books
        self._frontiers: dict[str, Frontier] = {}
        self._known: dict[str, BookRow] = {}
        self._pending: set[str] = set()
        """Schemas of books that may have events to seal."""
        self._all_pending = True
        self._wake = asyncio.Event()
        self._wake.set()
        self._failed: dict[str, str] = {}

    def appended(self, schema: str, _position: int) -> None:
        """Mark a book for sealing after an append."""
        self._mark(schema)

    def missed(self) -> None:
        """Mark all books for sealing, because a notification may have been lost."""
        self._all_pending = True
        self._wake.set()

    def _mark(self, schema: str) -> None:
        self._pending.add(schema)
        self._wake.set()

    async def run(self) -> None:
        """Seal books until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._find_books()
                for schema in sorted(self._pending & self._known.keys()):
                    # An append from here on marks the book again.
                    self._pending.discard(schema)
                    await self._seal_all(self._known[schema])
            except _PASSING as error:
                _log.warning("not sealing: database not available", error=str(error))
                self._wake.set()
            await asyncio.sleep(SEAL_SECONDS)

    async def _find_books(self) -> None:
        if self._all_pending or self._pending - self._known.keys():
            mark_all, self._all_pending = self._all_pending, False
            try:
                self._known = {book.schema_name: book for book in await self._books()}
            except _PASSING:
                self._all_pending = mark_all
                raise
            if mark_all:
                self._pending |= self._known.keys()

    async def _seal_all(self, book: BookRow) -> None:
        """Seal a book up to its head. A failure is logged once, and does not affect other books.

        Raises:
            psycopg.OperationalError: the database can't be reached.
            psycopg_pool.PoolTimeout: the same.
        """
        try:
            while await asyncio.to_thread(self.seal, book):
                pass
        except BeingSealedError:
            self._mark_later(book)
        except _PASSING:
            self._mark(book.schema_name)
            raise
        except Exception as error:  # noqa: BLE001 - must not affect other books
            self._mark_later(book)
            reason = str(error)
            if self._failed.get(book.book) != reason:
                self._failed[book.book] = reason
                _log.error("not sealed", book=book.book, exc_info=error)
        else:
            self._failed.pop(book.book, None)

    def _mark_later(self, book: BookRow) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(RETRY_SECONDS, self._mark, book.schema_name)

    def seal(self, book: BookRow) -> bool:
        """Sign a checkpoint of a book; return whether there are more events to seal.

        Raises:
            BeingSealedError: another process seals the book.
            TreeDamagedError: the stored tree does not extend the signed one.
            UnknownKeyError: another key signed last, and the ledger does not have it.
        """
        tables, log = SealTables(book.schema_name), LogTables(book.schema_name)
        with self._pool.connection() as connection, connection.transaction():
            if not tables.try_lock(connection):
                raise BeingSealedError(f"another process seals book {book.book}")
            latest = tables.latest(connection)
            sealed, head = latest.size if latest else 0, log.head_position(connection)
            if head <= sealed:
                if head < sealed:
                    raise TreeDamagedError(
                        f"{sealed} events were signed, but the log ends at {head}"
                    )
                return False
            frontier = self._frontier(connection, tables, latest)
            last = min(head, sealed + MAX_SEALED_EVENTS)
            leaves = tables.leaf_hashes(connection, sealed + 1, last)
            nodes = frontier.extend(leaves)
            if frontier.size != last:
                raise TreeDamagedError(f"there are {frontier.size} events up to position {last}")
            signer = self._signer(connection, tables, book, last)
            checkpoint = Checkpoint(
                signer.name, last, frontier.root(), (IMPORTED,) if book.imported else ()
            )
            note = checkpoint.signed(signer)
            row = CheckpointRow(last, sealed, checkpoint.root, note, self._clock())
            tables.insert(connection, leaves, nodes, row)
        self._frontiers[book.schema_name] = frontier
        return last < head

    def _frontier(
        self, connection: psycopg.Connection, tables: SealTables, latest: CheckpointRow | None
    ) -> Frontier:
        """Return the frontier of the tree that was signed last.

        Raises:
            TreeDamagedError: the stored tree is not the signed one.
        """
        if latest is None:
            return Frontier()
        # Removed, because a failed transaction leaves it unusable.
        frontier = self._frontiers.pop(tables.schema, None)
        if frontier is None or frontier.size != latest.size:
            frontier = tables.frontier(connection, latest.size)
        if frontier.root() != latest.root_hash:
            raise TreeDamagedError(
                f"the {latest.size} stored events are not those that were signed"
            )
        return frontier

    def _signer(
        self, connection: psycopg.Connection, tables: SealTables, book: BookRow, size: int
    ) -> Signer:
        """Return the key that signs a book's checkpoint of a size, under the book's origin.

        Raises:
            UnknownKeyError: another key signed last, and the ledger does not have it.
        """
        *olds, signer = [key.named(origin_of(key.name, book.book)) for key in self._keys]
        kept = tables.keys(connection)
        succession = ""
        if kept:
            last = kept[-1].verifier_key
            if last == str(signer.verifier):
                return signer
            old = next((key for key in olds if str(key.verifier) == last), None)
            if old is None:
                raise UnknownKeyError(
                    f"the checkpoints are signed by {last}: the file of keys must hold that key"
                    " on a line before the key that succeeds it"
                )
            succession = succession_of(old, signer.verifier, size)
        tables.insert_key(connection, KeyRow(size, str(signer.verifier), succession))
        return signer
