"""What a rule that flags is: about a posting by itself, or about a subject that many concern."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple, Protocol

from gigaledger.audit.exceptions.postings import Posting, Standing, Thresholds

EVERY = frozenset({""})
"""As the kinds of a rule: facts of every kind."""
EVIDENCE = "SX-EVD-01"


class Broken(NamedTuple):
    """A rule that a subject breaks.

    Attributes:
        rule: its code.
        key: tells apart what one subject breaks of one rule.
        positions: the events behind it.
        since: the day on which time alone made it so.
    """

    rule: str
    key: str
    positions: tuple[int, ...]
    since: dt.date | None = None


class Check(NamedTuple):
    """A rule about a posting.

    Attributes:
        rule: its code.
        kinds: facts that it is about.
        find: returns the events behind it, where the posting breaks the rule.
        subject: what an exception is about.
        grows: facts without which postings can break the rule that did not.
    """

    rule: str
    kinds: frozenset[str]
    find: Callable[[Posting, Standing, Thresholds], tuple[int, ...] | None]
    subject: Callable[[Posting], str]
    grows: frozenset[str] = frozenset()


class Watched(Protocol):
    """A subject: what the postings that concern it, and stand, make of it."""

    def add(self, posting: Posting, standing: Standing) -> None:
        """Add the next posting."""

    def broken(self, thresholds: Thresholds, day: dt.date) -> Iterator[Broken]:
        """Yield which rules it breaks on a day."""

    def turning_days(self) -> Collection[dt.date]:
        """Return days that can change it by themselves."""


class Family(NamedTuple):
    """Subjects of one sort.

    Attributes:
        rules: codes of the rules about them.
        kinds: facts that concern them.
        subjects: returns which of them a posting concerns.
        new: makes one of a name.
        ages: whether time alone can change them.
    """

    rules: frozenset[str]
    kinds: frozenset[str]
    subjects: Callable[[Posting, Standing], Iterable[str]]
    new: Callable[[str], Watched]
    ages: bool = False
