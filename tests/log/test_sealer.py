"""Sealing: every signed tree covers the recorded events and extends the tree signed before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from gigaledger.common.transparency.checkpoints import Checkpoint, open_checkpoint
from gigaledger.common.transparency.keys import SUCCESSION, new_key
from gigaledger.common.transparency.leaves import recorded_events
from gigaledger.common.transparency.merkle import (
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
)
from gigaledger.common.transparency.notes import Signer, Verifier, open_note
from gigaledger.ledger.log import sealer as sealing
from gigaledger.ledger.log.books import BookRow
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.ledger.log.sealer import BeingSealedError, Sealer, UnknownKeyError
from gigaledger.ledger.log.seals import BLOCK, CheckpointRow, KeyRow, SealTables, TreeDamagedError
from gigaledger.ledger.log.writer import BookWriter
from gigaledger.v1.ledger_pb2 import ReadEventsResponse
from psycopg_pool import ConnectionPool

from tests.facts import parties, placed, received
from tests.log.books import NOW, LoggedBook, append, until

KEY = new_key("ledger.test")
MAIN = BookRow("main", "book_main", "Main", imported=False, opened_at=NOW)


class Seals:
    """The seals of a book."""

    def __init__(self, book: LoggedBook, pool: ConnectionPool) -> None:
        self.book = book
        self.pool = pool
        self.tables = SealTables(book.schema)

    def sealer(self, *keys: Signer) -> Sealer:
        """A sealer of a process that has just started."""

        async def books() -> list[BookRow]:
            return [MAIN]

        return Sealer(self.pool, keys or (KEY,), self.book.clock, books)

    def checkpoints(self) -> list[CheckpointRow]:
        with self.book.connect() as connection:
            return list(self.tables.after(connection, 0, 1000))

    def signing_keys(self) -> list[KeyRow]:
        with self.book.connect() as connection:
            return list(self.tables.keys(connection))

    def latest(self, key: Signer = KEY) -> Checkpoint:
        """The latest checkpoint, opened with a key."""
        note = self.checkpoints()[-1].note
        return open_checkpoint(note, [key.named("ledger.test/books/main").verifier])

    def leaves(self) -> list[bytes]:
        """The hashes of the leaves, made of what a reader of the log gets."""
        rows = self.book.select("position, prefix || event", "event")
        answer = b"".join(bytes(entry) for _, entry in rows if isinstance(entry, bytes))
        assert len(ReadEventsResponse.FromString(answer).events) == len(rows)
        return [leaf_hash(leaf) for leaf in recorded_events(answer)]

    def expected_root(self, size: int) -> bytes:
        """The root over the first leaves."""
        frontier = Frontier()
        frontier.extend(self.leaves()[:size])
        return frontier.root()


@pytest.fixture
def seals(book: LoggedBook) -> Iterator[Seals]:
    """The book, to be sealed."""
    with ConnectionPool(
        book.url, kwargs={"options": SESSION_OPTIONS}, min_size=0, max_size=4, open=True
    ) as pool:
        yield Seals(book, pool)


def grow(writer: BookWriter, name: str, count: int) -> None:
    """Append so many facts."""
    append(writer, name, *parties(*(f"{name}-{number}" for number in range(count))))


def change_as_the_owner(book: LoggedBook, *statements: str) -> None:
    """Change stored data, as the owner of the database can."""
    with psycopg.connect(book.url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.replace("LOG", book.schema))


def test_a_checkpoint_covers_the_bytes_that_readers_get(seals: Seals, writer: BookWriter) -> None:
    append(writer, "order", placed(), received(1))

    assert seals.sealer().seal(MAIN) is False

    checkpoint = seals.latest()
    assert (checkpoint.origin, checkpoint.size) == ("ledger.test/books/main", 5)
    assert checkpoint.root == seals.expected_root(5)
    assert not checkpoint.imported


def test_checkpoints_of_an_imported_book_state_that_it_is_imported(seals: Seals) -> None:
    imported = BookRow("main", "book_main", "Main", imported=True, opened_at=NOW)

    seals.sealer().seal(imported)

    assert seals.latest().imported


def test_an_unchanged_book_is_not_signed_again(seals: Seals, writer: BookWriter) -> None:
    sealer = seals.sealer()
    sealer.seal(MAIN)
    sealer.seal(MAIN)
    grow(writer, "A", 1)
    sealer.seal(MAIN)

    assert [row.size for row in seals.checkpoints()] == [3, 4]


@pytest.mark.parametrize("again", [False, True], ids=["one process", "started again each time"])
def test_trees_that_grow_across_blocks(seals: Seals, writer: BookWriter, *, again: bool) -> None:
    sealer = seals.sealer()
    for number, count in enumerate((1, BLOCK - 5, 1, 1, BLOCK, 3 * BLOCK + 7)):
        grow(writer, f"G{number}", count)
        sealer = seals.sealer() if again else sealer
        sealer.seal(MAIN)

    for row in seals.checkpoints():
        assert row.root_hash == seals.expected_root(row.size)


def test_many_events_are_sealed_in_several_transactions(
    seals: Seals, writer: BookWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "MAX_SEALED_EVENTS", 100)
    grow(writer, "A", 250)
    sealer = seals.sealer()

    assert [sealer.seal(MAIN) for _ in range(3)] == [True, True, False]

    assert [row.size for row in seals.checkpoints()] == [100, 200, 253]
    assert seals.latest().root == seals.expected_root(253)


def seal_if_free(sealer: Sealer) -> None:
    """Seal the book, unless another process does."""
    with suppress(BeingSealedError):
        sealer.seal(MAIN)


def test_several_processes_seal_one_book(seals: Seals, writer: BookWriter) -> None:
    sealers = [seals.sealer() for _ in range(3)]
    with ThreadPoolExecutor(3) as processes:
        for number in range(20):
            grow(writer, f"G{number}", 30)
            list(processes.map(seal_if_free, sealers))

    rows = seals.checkpoints()
    assert rows[-1].size == 603
    for row in rows:
        assert row.root_hash == seals.expected_root(row.size)


def test_proofs_from_stored_nodes(seals: Seals, writer: BookWriter) -> None:
    grow(writer, "A", 3 * BLOCK + 50)
    seals.sealer().seal(MAIN)
    leaves, size = seals.leaves(), 3 * BLOCK + 53
    root = seals.latest().root

    with seals.book.connect() as connection:
        for index in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 7, size - 1):
            put_together = partial(inclusion_proof, index=index, size=size)
            proof = seals.tables.proof(connection, put_together)
            check_inclusion(leaves[index], index, size, proof, root)
        for first in (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, size):
            put_together = partial(consistency_proof, first=first, second=size)
            proof = seals.tables.proof(connection, put_together)
            check_consistency(first, size, proof, seals.expected_root(first), root)


def test_a_key_is_succeeded_by_another(seals: Seals, writer: BookWriter) -> None:
    second, third = new_key("ledger.test"), new_key("ledger.test")
    seals.sealer(KEY).seal(MAIN)
    for number, keys in enumerate(((KEY, second), (KEY, second, third), (third,))):
        grow(writer, f"G{number}", 1)
        seals.sealer(*keys).seal(MAIN)

    assert [row.from_size for row in seals.signing_keys()] == [3, 4, 5]
    assert seals.latest(third).size == 6
    first, *others = seals.signing_keys()
    for row in others:
        verifier = Verifier.parse(first.verifier_key)
        note = open_note(row.succession, [verifier])
        assert note.signed_by == (verifier,)
        assert note.text == f"{SUCCESSION}\n{row.verifier_key}\n{row.from_size}\n"
        first = row


def test_a_key_without_a_succession_signs_nothing(seals: Seals, writer: BookWriter) -> None:
    seals.sealer().seal(MAIN)
    grow(writer, "A", 1)

    with pytest.raises(UnknownKeyError, match=r"ledger\.test/books/main"):
        seals.sealer(new_key("ledger.test")).seal(MAIN)

    assert len(seals.checkpoints()) == len(seals.signing_keys()) == 1


async def test_a_book_that_cannot_be_sealed_does_not_stop_others(
    seals: Seals, writer: BookWriter
) -> None:
    async def books() -> list[BookRow]:
        lost = BookRow("lost", "book_lost", "Lost", imported=False, opened_at=NOW)
        return [lost, MAIN]

    sealer = Sealer(seals.pool, [KEY], seals.book.clock, books)
    running = asyncio.create_task(sealer.run())
    try:
        await asyncio.to_thread(until, lambda: seals.checkpoints() or None)
        grow(writer, "A", 1)
        sealer.appended("book_lost", 2)
        sealer.appended(seals.book.schema, seals.book.head().position)
        await asyncio.to_thread(until, lambda: len(seals.checkpoints()) > 1 or None)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


ALTERATIONS = {
    "an event": ["UPDATE LOG.event SET event = event || 'x' WHERE position = 300"],
    "its place": ["UPDATE LOG.event SET prefix = prefix || 'x' WHERE position = 300"],
    "a missing event": ["DELETE FROM LOG.event WHERE position = 299"],
    "a stored subtree": ["UPDATE LOG.tree_node SET hash = sha256('x') WHERE index = 0"],
    "a missing subtree": ["DELETE FROM LOG.tree_node"],
    "the root": ["UPDATE LOG.checkpoint SET root_hash = sha256('x')"],
    "the end": [
        "DELETE FROM LOG.event WHERE position > 200",
        "UPDATE LOG.head SET position = 200",
    ],
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_log_is_not_signed(seals: Seals, writer: BookWriter, alteration: str) -> None:
    grow(writer, "A", 300)
    seals.sealer().seal(MAIN)
    change_as_the_owner(seals.book, *ALTERATIONS[alteration])
    if alteration != "the end":
        grow(writer, "B", 1)

    with pytest.raises(TreeDamagedError):
        seals.sealer().seal(MAIN)

    assert len(seals.checkpoints()) == 1
