"""Rules: what a rule reads, its severity, and a pure function that finds what breaks it.

There are two kinds. A posting rule evaluates one posting when it is recorded, and again when
something that its finding depends on is reversed. A subject rule evaluates the state of a subject
(an order, an agreement, a milestone) after every posting that concerns it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext


class Severity(IntEnum):
    """Severity of an exception, numbered as in the contract."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach of a rule.

    Attributes:
        description: the breach in words, with its values.
        positions: the events behind it.
        key: distinguishes findings of one rule about one subject.
        since: the day on which time alone caused it; None if an event did.
    """

    description: str
    positions: tuple[int, ...]
    key: str = ""
    since: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PostingRule:
    """A rule about a posting.

    Attributes:
        code: as in docs/exceptions.md.
        severity: the severity.
        statement: what is flagged, in a few words.
        kinds: the kinds of facts it evaluates; all if empty.
        find: returns the breach, if any.
        subject: returns the subject of an exception.
        outlives_reversal: whether the exception remains when the posting is reversed.
        is_enabled: returns whether a policy enables the rule.
        reevaluate: returns the postings to re-evaluate when a posting is reversed, besides those
            whose findings depend on it.
    """

    code: str
    severity: Severity
    statement: str
    kinds: frozenset[str]
    find: Callable[[Posting, RuleContext, Policy], Finding | None]
    subject: Callable[[Posting], str]
    outlives_reversal: bool = False
    is_enabled: Callable[[Policy], bool] = lambda _policy: True
    reevaluate: Callable[[Posting, RuleContext], Iterable[int]] = lambda _posting, _context: ()


class State(Protocol):
    """State of a subject: the fold of its postings that are not reversed."""

    def apply(self, posting: Posting, context: RuleContext) -> None:
        """Fold a posting."""


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """A rule about a subject.

    Attributes:
        code: as in docs/exceptions.md.
        severity: the severity.
        statement: what is flagged, in a few words.
        find: yields breaches, given the state, the policy and the latest day considered.
    """

    code: str
    severity: Severity
    statement: str
    find: Callable[[Any, Policy, dt.date], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Topic:
    """A kind of subject and the rules about it.

    Attributes:
        kinds: the kinds of facts that concern such subjects.
        subjects: returns the subjects that a posting concerns.
        new_state: returns the state of a subject without postings, by its name.
        rules: the rules.
        days: for subjects that time alone can change, returns the days on which it does, besides
            those of postings; None for others.
    """

    kinds: frozenset[str]
    subjects: Callable[[Posting, RuleContext], Iterable[str]]
    new_state: Callable[[str], State]
    rules: tuple[SubjectRule, ...]
    days: Callable[[Any], Iterable[dt.date]] | None = None
