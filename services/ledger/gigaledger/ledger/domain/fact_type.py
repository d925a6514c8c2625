"""What the ledger knows of a type of fact, and the ways in which facts name streams and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gigaledger.ledger.domain.book_view import BookView, NaturalKey, Violations, bank_keys
from gigaledger.ledger.domain.entries import Entry


class Nature(Enum):
    """Whether a rule can keep a fact out."""

    OBSERVATION = "observation"
    """Something that happened. It is recorded, whatever the rules would have said."""
    DECISION = "decision"
    """Something within the authority of those who record it. The rules decide."""


def _no_violations(_state: Any, _entry: Entry, _given: BookView) -> Violations:
    yield from ()


def _no_keys(_state: Any, _entry: Entry) -> Iterable[NaturalKey]:
    return ()


def _no_links(_state: Any, _entry: Entry) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class FactType:
    """How the ledger treats a type of fact.

    Attributes:
        nature: observation or decision.
        stream: returns the stream of a fact.
        apply: folds the fact into the state of its stream.
        decide: yields the violations of recording the fact.
        keys: returns the natural keys of a fact (HR-ID-02).
        links: returns other streams whose rules count the fact.
        apply_link: folds the fact into the state of a stream that it is linked to.
        own: whether only the ledger itself records such facts.
    """

    nature: Nature
    stream: Callable[[Any], str]
    apply: Callable[[Any, Entry], None]
    decide: Callable[[Any, Entry, BookView], Violations] = _no_violations
    keys: Callable[[Any, Entry], Iterable[NaturalKey]] = _no_keys
    links: Callable[[Any, Entry], Iterable[str]] = _no_links
    apply_link: Callable[[Any, Entry], None] | None = None
    own: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether facts of this type have natural keys at all."""
        return self.keys is not _no_keys


def within(collection: str, field: str) -> Callable[[Any], str]:
    """Return the stream of facts that name it by one of their fields."""

    def stream(fact: Any) -> str:
        return f"{collection}/{getattr(fact, field)}"

    return stream


def key(kind: str, *fields: str) -> Callable[[Any, Entry], Iterable[NaturalKey]]:
    """Return the keys of a fact whose last field is a number that the others make unique."""

    def keys(_state: Any, entry: Entry) -> Iterable[NaturalKey]:
        values = tuple(getattr(entry.fact, name) for name in fields)
        return (NaturalKey(kind, values, fields[-1]),)

    return keys


def cash_keys(kind: str, *fields: str) -> Callable[[Any, Entry], Iterable[NaturalKey]]:
    """Return the keys of a movement of cash: its number, and the bank's reference."""
    number = key(kind, *fields)

    def keys(state: Any, entry: Entry) -> Iterable[NaturalKey]:
        yield from number(state, entry)
        yield from bank_keys(state, entry)

    return keys
