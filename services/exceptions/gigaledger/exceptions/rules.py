"""What a rule is: what it reads, how grave it is, and a pure function that finds what breaks it.

There are two shapes. A rule about a posting judges it when it is recorded, and again when something
that it rests on is reversed. A rule about a subject (an order, an agreement, a milestone) judges
the state of the subject after every posting that concerns it.
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
    """How grave an exception is; numbered as in the contract."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What breaks a rule.

    Attributes:
        description: what is so, with the values.
        positions: the events behind it.
        key: tells findings of one rule about one subject apart.
        since: the day on which time alone made it so; None where an event did.
    """

    description: str
    positions: tuple[int, ...]
    key: str = ""
    since: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PostingRule:
    """A rule about a posting.

    Attributes:
        code: as in the domain's catalogue.
        severity: how grave it is.
        statement: what is flagged, in a few words.
        kinds: facts that it judges; all where empty.
        find: what breaks it.
        subject: what an exception is about.
        outlives_reversal: whether a reversal of the posting leaves the exception as it is.
        asked: whether a policy asks for the rule.
        judged_anew: which postings, beside those that rest on it, are judged anew when a posting
            is reversed.
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
    """State of a subject: the fold of the postings that concern it and are not reversed."""

    def apply(self, posting: Posting, context: RuleContext) -> None:
        """Fold a posting."""


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """A rule about a subject.

    Attributes:
        code: as in the domain's catalogue.
        severity: how grave it is.
        statement: what is flagged, in a few words.
        find: what breaks it, by the state, the policy and the latest day that is looked at.
    """

    code: str
    severity: Severity
    statement: str
    find: Callable[[Any, Policy, dt.date], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Topic:
    """Subjects of one sort, and the rules about them.

    Attributes:
        kinds: facts that concern such subjects.
        subjects: the subjects that a posting concerns.
        new_state: state of a subject without postings, by its name.
        rules: the rules.
        days: for subjects that time alone can change, the days on which it does, beside those of
            postings; None for others.
    """

    kinds: frozenset[str]
    subjects: Callable[[Posting, RuleContext], Iterable[str]]
    new_state: Callable[[str], State]
    rules: tuple[SubjectRule, ...]
    days: Callable[[Any], Iterable[dt.date]] | None = None
