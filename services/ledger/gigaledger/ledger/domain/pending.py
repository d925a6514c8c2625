"""Accepted entries that are not yet recorded, and the recorded ones, as one view for decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gigaledger.ledger.domain.book_view import NaturalKey
from gigaledger.ledger.domain.catalogue import REVERSAL
from gigaledger.ledger.domain.entries import Entry


class Source(Protocol):
    """The committed entries, as far as decisions need them."""

    def entries(self, stream: str) -> Sequence[Entry]:
        """Return the entries of a stream and those linked to it, in order of position."""

    def entry(self, position: int) -> Entry | None:
        """Return the entry at a position; None if there is none."""

    def key_position(self, key: NaturalKey) -> int | None:
        """Return the position of the entry that uses a natural key; None if it is free."""

    def reversal_of(self, position: int) -> int | None:
        """Return the position that reverses an entry; None if it is not reversed."""

    def dependant(self, entry: Entry) -> int | None:
        """Return the first entry that stands, in another stream, and refers to what one opened."""


class EmptySource:
    """A book in which nothing is recorded yet."""

    def entries(self, _stream: str) -> Sequence[Entry]:
        """Return nothing."""
        return ()

    def entry(self, _position: int) -> Entry | None:
        """Return nothing."""
        return None

    def key_position(self, _key: NaturalKey) -> int | None:
        """Return nothing."""
        return None

    def reversal_of(self, _position: int) -> int | None:
        """Return nothing."""
        return None

    def dependant(self, _entry: Entry) -> int | None:
        """Return nothing."""
        return None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An entry with what the log stores beside it.

    Attributes:
        entry: the entry.
        keys: its natural keys.
        links: other streams that count it.
        agreement: agreement that it concerns; empty if none.
        parties: parties that it concerns.
    """

    entry: Entry
    keys: Sequence[NaturalKey]
    links: Sequence[str]
    agreement: str
    parties: Sequence[str]

    @property
    def streams(self) -> Sequence[str]:
        """Every stream whose rules count the entry."""
        return (self.entry.stream, *self.links)


class Pending:
    """Accepted entries in order of position, found by position, stream, key and target."""

    def __init__(self, source: Source) -> None:
        """Start with nothing pending on top of a source."""
        self.items: list[Accepted] = []
        self._source = source
        self._by_stream: dict[str, list[Entry]] = {}
        self._key_positions: dict[NaturalKey, list[int]] = {}
        self._reversals: dict[int, int] = {}

    def add(self, accepted: Accepted) -> None:
        """Add an entry at the end."""
        self.items.append(accepted)
        entry = accepted.entry
        for stream in accepted.streams:
            self._by_stream.setdefault(stream, []).append(entry)
        for key in accepted.keys:
            self._key_positions.setdefault(key, []).append(entry.position)
        if entry.kind == REVERSAL:
            self._reversals[entry.fact.position] = entry.position

    def withdraw(self, mark: int) -> list[Accepted]:
        """Take back the entries from a mark on, and return them."""
        if mark == len(self.items):
            return []
        withdrawn = self.items[mark:]
        kept = self.items[:mark]
        self.clear()
        for accepted in kept:
            self.add(accepted)
        return withdrawn

    def clear(self) -> None:
        """Forget all that is pending: it is recorded now, or never will be."""
        self.items = []
        self._by_stream.clear()
        self._key_positions.clear()
        self._reversals.clear()

    def entries(self, stream: str) -> list[Entry]:
        """Return the entries of a stream and those linked to it, in order of position."""
        return [*self._source.entries(stream), *self._by_stream.get(stream, ())]

    def entry(self, position: int) -> Entry | None:
        """Return the entry at a position; None if there is none."""
        if self.items:
            place = position - self.items[0].entry.position
            if place >= 0:
                return self.items[place].entry if place < len(self.items) else None
        return self._source.entry(position)

    def key_position(self, key: NaturalKey) -> int | None:
        """Return the position of the entry that uses a natural key; None if it is free."""
        for position in self._key_positions.get(key, ()):
            if position not in self._reversals:
                return position
        recorded = self._source.key_position(key)
        return None if recorded in self._reversals else recorded

    def reversal_of(self, position: int) -> int | None:
        """Return the position that reverses an entry; None if it is not reversed."""
        return self._reversals.get(position) or self._source.reversal_of(position)

    def dependant(self, target: Entry) -> int | None:
        """Return the first entry that stands, in another stream, and refers to what one opened."""
        opened = _opened_resource(target)
        if opened is None:
            return None
        for accepted in self.items:
            entry = accepted.entry
            named = (("agreement", accepted.agreement), *(("party", p) for p in accepted.parties))
            if (
                opened in named
                and entry.stream != target.stream
                and entry.kind != REVERSAL
                and self.reversal_of(entry.position) is None
            ):
                return entry.position
        return self._source.dependant(target)


def _opened_resource(entry: Entry) -> tuple[str, str] | None:
    """Return what other streams can refer to once this entry is recorded."""
    if entry.kind == "party_registered":
        return "party", entry.fact.party
    if entry.kind in {"letter_of_intent_signed", "definitive_agreement_executed"}:
        return "agreement", entry.fact.agreement
    return None
