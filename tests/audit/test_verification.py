"""Every alteration of a history is found and named; an honest one is never accused."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import pytest
from gigaledger.audit.verify.verification import Finding, Kind
from gigaledger.common.transparency.checkpoints import IMPORTED, Checkpoint
from gigaledger.common.transparency.keys import new_key, succession_of
from gigaledger.common.transparency.merkle import Frontier, leaf_hash
from gigaledger.common.transparency.notes import Signer
from gigaledger.v1.audit_pb2 import SigningKey
from gigaledger.v1.events_pb2 import RecordedEvent

from tests.audit.sealed import KEY, Sealed, leaves_of, recorded, sealed
from tests.hypothesis_profiles import thorough

COUNT = 24
SIZES = (7, 8, 16, 21)
EVENTS = recorded(COUNT)
HONEST = sealed(leaves_of(EVENTS), SIZES)
ORDERING = {Kind.POSITION, Kind.VERSION, Kind.TIME}


def altered(change: Callable[[Sealed], object]) -> list[Finding]:
    """The findings in the honest book after a change."""
    book = copy.deepcopy(HONEST)
    change(book)
    return book.findings()


def with_leaf(position: int, leaf: bytes) -> list[Finding]:
    """The findings if an event has other bytes."""

    def change(book: Sealed) -> None:
        book.leaves[position - 1] = leaf

    return altered(change)


def with_note(number: int, note: str) -> list[Finding]:
    """The findings if a checkpoint is another."""

    def change(book: Sealed) -> None:
        book.notes[number] = note

    return altered(change)


def kinds(findings: list[Finding], position: int) -> set[Kind]:
    """The fault at a position."""
    return {finding.kind for finding in findings if finding.position == position}


def sealing_size(position: int) -> int:
    """The size of the first checkpoint that covers a position."""
    return min(size for size in (*SIZES, COUNT) if size >= position)


def test_an_honest_book_is_not_accused() -> None:
    assert HONEST.findings() == []
    assert HONEST.findings(kept=HONEST.notes[2]) == []


def test_a_thousand_honest_books_are_not_accused() -> None:
    choose = random.Random(11)  # noqa: S311 - the same books each time
    for seed in range(1000):
        count = choose.randint(3, 40)
        sizes = choose.sample(range(1, count + 1), choose.randint(0, min(5, count)))
        book = sealed(leaves_of(recorded(count, seed)), sizes)
        assert book.findings(kept=choose.choice(book.notes)) == []


@pytest.mark.parametrize("position", range(1, COUNT + 1))
def test_a_bit_in_every_byte_of_every_event(position: int) -> None:
    original = HONEST.leaves[position - 1]
    bits = range(8 * len(original))
    # One bit in each byte, another one from byte to byte, unless every bit is requested.
    for bit in bits if thorough() else (8 * byte + byte % 8 for byte in range(len(original))):
        leaf = bytearray(original)
        leaf[bit // 8] ^= 1 << bit % 8

        found = with_leaf(position, bytes(leaf))

        assert Kind.ALTERED in kinds(found, position), (position, bit)
        assert {f.position for f in found if f.kind is Kind.ALTERED} == {position}
        assert Kind.ROOT in kinds(found, sealing_size(position))


FIELDS: dict[str, Callable[[RecordedEvent], object]] = {
    "position": lambda e: setattr(e, "position", e.position + 1),
    "stream": lambda e: setattr(e, "stream", e.stream + "x"),
    "version": lambda e: setattr(e, "stream_version", e.stream_version + 1),
    "event id": lambda e: setattr(e, "event_id", e.event_id[:-1] + "z"),
    "recorded earlier": lambda e: setattr(
        e.recorded_time, "seconds", e.recorded_time.seconds - 100
    ),
    "recorded later": lambda e: setattr(e.recorded_time, "seconds", e.recorded_time.seconds + 100),
    "effective date": lambda e: setattr(e.event.effective_date, "day", 6),
    "actor": lambda e: setattr(e.event, "actor", "mallory"),
    "request": lambda e: setattr(e.event, "request_id", "other"),
    "status": lambda e: setattr(e.event, "assertion_status", 3),
    "the fact": lambda e: e.event.period_closed.SetInParent(),
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_every_event(field: str) -> None:
    for position in range(1, COUNT + 1):
        event = copy.deepcopy(EVENTS[position - 1])
        FIELDS[field](event)

        found = with_leaf(position, event.SerializeToString())

        assert Kind.ALTERED in kinds(found, position)


@pytest.mark.parametrize("position", range(1, COUNT + 1))
def test_a_missing_event(position: int) -> None:
    found = altered(lambda book: book.leaves.pop(position - 1))

    if position < COUNT:
        assert Kind.POSITION in kinds(found, position)
        assert any(f"event {position} is missing" in finding.message for finding in found)
    assert Kind.TRUNCATED in kinds(found, COUNT)


@pytest.mark.parametrize("first", range(1, COUNT))
def test_events_in_the_place_of_others(first: int) -> None:
    for second in range(first + 1, COUNT + 1):

        def swap(book: Sealed, a: int = first - 1, b: int = second - 1) -> None:
            book.leaves[a], book.leaves[b] = book.leaves[b], book.leaves[a]

        found = altered(swap)

        assert Kind.POSITION in kinds(found, first)
        assert any(finding.kind is Kind.ROOT for finding in found)


@pytest.mark.parametrize("position", range(1, COUNT + 1))
def test_an_event_too_many(position: int) -> None:
    again = altered(lambda book: book.leaves.insert(position, book.leaves[position - 1]))
    assert Kind.POSITION in kinds(again, position + 1)

    extra = copy.deepcopy(EVENTS[position - 1])
    extra.event_id = "00000000-0000-0000-0000-0000000000ff"
    found = altered(lambda book: book.leaves.insert(position - 1, extra.SerializeToString()))
    assert Kind.ALTERED in kinds(found, position)
    assert Kind.POSITION in kinds(found, position + 1)


@pytest.mark.parametrize("left", range(COUNT))
def test_a_history_that_was_cut_off(left: int) -> None:
    found = altered(lambda book: book.leaves.__delitem__(slice(left, None)))

    assert Kind.TRUNCATED in kinds(found, left + 1)


def renumbered(book: Sealed, dropped: int) -> list[bytes]:
    """The history without an event, with everything after it moved up to look right."""
    events = [RecordedEvent.FromString(leaf) for leaf in book.leaves]
    versions: dict[str, int] = {}
    kept = [event for event in events if event.position != dropped]
    for position, event in enumerate(kept, 1):
        versions[event.stream] = versions.get(event.stream, 0) + 1
        event.position, event.stream_version = position, versions[event.stream]
    return leaves_of(kept)


@pytest.mark.parametrize("dropped", range(1, COUNT + 1))
def test_a_history_that_was_written_anew_in_good_order(dropped: int) -> None:
    """Positions, versions and times are all in order: only the roots differ."""
    found = altered(lambda book: setattr(book, "leaves", renumbered(book, dropped)))

    assert not ORDERING & {finding.kind for finding in found}
    assert any(finding.kind is Kind.ROOT for finding in found) == (dropped <= SIZES[-1])
    assert Kind.TRUNCATED in kinds(found, COUNT)


@pytest.mark.parametrize("dropped", range(1, COUNT))
def test_a_fork_that_the_ledger_itself_signed(dropped: int) -> None:
    """The operator rewrites the book and signs it again: who kept a checkpoint sees it."""
    fork = sealed(renumbered(HONEST, dropped), SIZES)
    assert fork.findings() == []

    kept = next(note for note in HONEST.notes if int(note.splitlines()[1]) >= dropped)
    found = fork.findings(kept=kept)

    size = int(kept.splitlines()[1])
    if size < COUNT:
        assert Kind.FORK in kinds(found, size)
    else:
        assert Kind.TRUNCATED in kinds(found, COUNT)


def test_a_book_that_another_key_signed() -> None:
    other = new_key("ledger.test").named(KEY.name)
    assert {f.kind for f in sealed(HONEST.leaves, SIZES, other).findings()} >= {Kind.KEY}
    replaced = altered(
        lambda book: book.keys[0].MergeFrom(SigningKey(verifier_key=str(other.verifier)))
    )
    assert Kind.KEY in {finding.kind for finding in replaced}


def test_a_checkpoint_of_another_key() -> None:
    other = new_key("ledger.test").named(KEY.name)
    forged = sealed(HONEST.leaves, SIZES, other).notes[1]

    found = with_note(1, forged)

    assert kinds(found, SIZES[1]) == {Kind.SIGNATURE}


@pytest.mark.parametrize("number", range(len(SIZES) + 1))
def test_every_character_of_every_checkpoint(number: int) -> None:
    note = HONEST.notes[number]
    for place, character in enumerate(note):
        other = "A" if character != "A" else "B"
        changed = note[:place] + other + note[place + 1 :]

        found = with_note(number, changed)

        assert {finding.kind for finding in found} & {Kind.SIGNATURE, Kind.FORK}, (place, changed)


def test_a_checkpoint_of_another_book() -> None:
    other = Signer("ledger.test/books/other", KEY.seed)
    foreign = sealed(HONEST.leaves, SIZES, other).notes[0]

    found = altered(lambda book: book.notes.append(foreign))

    assert {finding.kind for finding in found} == {Kind.SIGNATURE}


def test_a_book_that_changes_whose_clock_it_runs_on() -> None:
    frontier = Frontier()
    frontier.extend([leaf_hash(leaf) for leaf in HONEST.leaves[: SIZES[0]]])
    imported = Checkpoint(KEY.name, SIZES[0], frontier.root(), (IMPORTED,)).signed(KEY)

    found = altered(lambda book: book.notes.append(imported))

    assert kinds(found, SIZES[0]) == {Kind.FORK}


def rotated(statement_by: Signer, from_size: int, stated_size: int) -> Sealed:
    """A book whose key was followed by another at a size."""
    new = new_key("ledger.test").named(KEY.name)
    book = sealed(HONEST.leaves, SIZES)
    later = sealed(HONEST.leaves, SIZES, new)
    book.notes = [*book.notes[:2], *later.notes[2:]]
    succession = succession_of(statement_by, new.verifier, stated_size)
    book.keys.append(
        SigningKey(verifier_key=str(new.verifier), from_size=from_size, succession=succession)
    )
    return book


def test_a_key_that_follows_another() -> None:
    assert rotated(KEY, 16, 16).findings() == []


def test_a_key_that_follows_without_a_statement() -> None:
    other = new_key("ledger.test").named(KEY.name)
    for book in (rotated(other, 16, 16), rotated(KEY, 16, 21)):
        assert {f.kind for f in book.findings()} == {Kind.KEY, Kind.SIGNATURE, Kind.UNSEALED}


def test_hashes_that_do_not_lead_to_the_root_explain_nothing() -> None:
    """Who alters an event and the hashes that are kept beside it is found by the root."""

    def change(book: Sealed) -> None:
        book.leaves[9] += b"x"
        first, hashes = book.hashes[16]
        at = 32 * (10 - first)
        book.hashes[16] = (first, hashes[:at] + leaf_hash(book.leaves[9]) + hashes[at + 32 :])

    found = altered(change)

    assert Kind.ROOT in kinds(found, 16)
    assert Kind.ALTERED not in {finding.kind for finding in found}
