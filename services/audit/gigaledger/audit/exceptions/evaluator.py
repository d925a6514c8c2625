"""A second judge of what is legal to record but worth a look (domain rules, SX-*).

Postings are judged in the order in which they were recorded. After each one, what breaks a rule is
a function of the postings that stand: an exception arises with the posting after which it is there
and is cleared with the one after which it is not. A reversal is such a posting. Nothing here is
shared with the projections.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from gigaledger.audit.exceptions.postings import (
    CONFIRMATION,
    MEMBERSHIPS,
    SCHEDULES,
    TERMS,
    Posting,
    Standing,
    Thresholds,
)
from gigaledger.audit.exceptions.rule_types import EVERY, EVIDENCE, Broken, Check, Family, Watched

_Name = TypeVar("_Name")
_Identity = tuple[str, str, str, int]
"""Rule, subject, what tells it apart, and the position at which it arose."""
_CONTROL = frozenset(
    {
        *("book_opened", "period_closed", "period_reopened", "policy_adopted"),
        *("exception_opened", "exception_reviewed", "exception_closed"),
    }
)
_TELLING = frozenset(
    {*TERMS, *SCHEDULES, *MEMBERSHIPS, "rack_sku_rated", "capacity_milestone_planned"}
)
"""Facts that tell what others mean: without one of them, everything is judged again."""


@dataclass(slots=True)
class Life:
    """An exception: what it is about, since when, and until when.

    Attributes:
        found: the events that the rule finds behind it.
        arose: position and business date; when that was recorded, unless time alone made it so.
        cleared: the same of its end; no position where time alone ended it. None while it is open.
    """

    rule: str
    subject: str
    found: set[int]
    arose: tuple[int, dt.date, dt.datetime | None]
    cleared: tuple[int, dt.date, dt.datetime | None] | None = None

    @property
    def positions(self) -> set[int]:
        """The events behind it: those that the rule finds, and the one at which it arose."""
        return {*self.found, self.arose[0]}


@dataclass(slots=True)
class _Subject:
    family: Family
    name: str
    watched: Watched
    day: dt.date
    postings: list[Posting] = field(default_factory=list)
    open: dict[tuple[str, str], Life] = field(default_factory=dict)


class Judge:
    """Judges a book, posting by posting."""

    def __init__(
        self, thresholds: Thresholds, checks: Collection[Check], families: Collection[Family]
    ) -> None:
        """Start with nothing recorded."""
        self._lives: dict[_Identity, Life] = {}
        self._thresholds = thresholds
        self._checks = checks
        self._families = families
        self._standing = Standing()
        self._closed: set[str] = set()
        self._subjects: dict[tuple[int, str], _Subject] = {}
        self._concerned: dict[int, list[_Subject]] = defaultdict(list)
        self._flagged: dict[tuple[str, int], Life] = {}

    @property
    def lives(self) -> list[Life]:
        """All exceptions.

        What time alone brings back at the position where it arose is the same exception, open
        again.
        """
        return list(self._lives.values())

    def add(self, posting: Posting) -> None:
        """Judge the next posting."""
        self._judge_recording(posting)
        if posting.kind == "entry_reversed":
            self._reverse(posting)
        else:
            self._post(posting)

    def finish(self, today: dt.date) -> None:
        """Let time pass up to a day."""
        for subject in self._subjects.values():
            self._pass_time(subject, today)

    def _post(self, posting: Posting) -> None:
        self._standing.add(posting)
        if posting.kind == "period_closed":
            self._closed.add(posting.fact.period)
        elif posting.kind == "period_reopened":
            self._closed.discard(posting.fact.period)
        for check in self._checks:
            if check.kinds is EVERY or posting.kind in check.kinds:
                self._check(check, posting, posting)
        for number, family in enumerate(self._families):
            if posting.kind in family.kinds:
                for name in family.subjects(posting, self._standing):
                    self._concern(number, family, name, posting)
        self._confirm(posting, posting)

    def _confirm(self, confirmation: Posting, cause: Posting) -> None:
        """Judge the evidence of what a confirmation names, which comes or is taken back."""
        if confirmation.kind != CONFIRMATION or not confirmation.fact.agreed:
            return
        for check in self._checks:
            for position in confirmation.fact.positions if check.rule == EVIDENCE else ():
                posting = self._standing.postings.get(position)
                if posting is not None and posting.kind in check.kinds:
                    self._check(check, posting, cause)

    def _judge_recording(self, posting: Posting) -> None:
        """Flag what no reversal heals, for it is about the recording (SX-CUT-01, SX-CUT-02)."""
        if posting.kind in _CONTROL:
            return
        subject, own = f"events/{posting.position}", (posting.position,)
        if f"{posting.day:%Y-%m}" in self._closed:
            self._begin(Broken("SX-CUT-01", "", own), subject, posting)
        limit = self._thresholds.of("late_recording_days")
        late = (posting.recorded.date() - posting.day).days
        if limit is not None and late > limit and posting.kind != "entry_reversed":
            self._begin(Broken("SX-CUT-02", "", own), subject, posting)

    def _judge_reversal(self, reversal: Posting, target: Posting) -> None:
        """Flag what was in the books at the end of its month and soon taken out (SX-CUT-03)."""
        limit = self._thresholds.of("reversal_after_period_days")
        last = calendar.monthrange(target.day.year, target.day.month)[1]
        end = target.day.replace(day=last)
        after = (reversal.recorded.date() - end).days
        if limit is not None and target.recorded.date() <= end and 0 < after <= limit:
            positions = (target.position, reversal.position)
            broken = Broken("SX-CUT-03", "", positions)
            self._begin(broken, f"events/{target.position}", reversal)

    def _reverse(self, reversal: Posting) -> None:
        target = self._standing.remove(reversal.fact.position)
        if target is None:
            return
        self._judge_reversal(reversal, target)
        if target.kind == "period_closed":
            self._closed.discard(target.fact.period)
        elif target.kind == "period_reopened":
            self._closed.add(target.fact.period)
        if target.kind in _TELLING:
            self._judge_again(reversal)
            return
        for subject in self._concerned.pop(target.position, ()):
            subject.postings.remove(target)
            subject.watched = subject.family.new(subject.name)
            for posting in subject.postings:
                subject.watched.add(posting, self._standing)
            self._settle(subject, reversal)
        self._confirm(target, reversal)
        for check in self._checks:
            self._end(self._flagged.pop((check.rule, target.position), None), reversal)
            for position in self._in_question(check, target):
                self._check(check, self._standing.postings[position], reversal)

    def _in_question(self, check: Check, target: Posting) -> list[int]:
        """Return the later postings that may break a rule, or no longer do, without a target."""
        if target.kind in check.grows:
            return [
                position
                for position, posting in self._standing.postings.items()
                if position > target.position and posting.kind in check.kinds
            ]
        return sorted(
            position
            for (rule, position), life in self._flagged.items()
            if rule == check.rule and target.position in life.positions
        )

    def _judge_again(self, reversal: Posting) -> None:
        """Judge what stands as a book of its own, and go on from there."""
        other = Judge(self._thresholds, self._checks, self._families)
        for posting in self._standing.postings.values():
            other.add(posting)
        for key in self._subjects.keys() | other._subjects.keys():
            held = self._subjects[key].open if key in self._subjects else {}
            found = other._subjects[key].open if key in other._subjects else {}
            self._go_on(held, found, reversal)
        self._go_on(self._flagged, other._flagged, reversal)
        self._standing, self._flagged = other._standing, other._flagged
        self._subjects, self._concerned = other._subjects, other._concerned

    def _go_on(self, held: dict[_Name, Life], found: dict[_Name, Life], reversal: Posting) -> None:
        for name, life in found.items():
            mine = held.get(name)
            if mine is None:
                again = Broken(life.rule, str(name), tuple(life.found))
                found[name] = self._begin(again, life.subject, reversal)
            else:
                mine.found = life.found
                found[name] = mine
        for name, life in held.items():
            if name not in found:
                self._end(life, reversal)

    def _check(self, check: Check, posting: Posting, cause: Posting) -> None:
        name = (check.rule, posting.position)
        positions = check.find(posting, self._standing, self._thresholds)
        held = self._flagged.get(name)
        if positions is None:
            self._end(self._flagged.pop(name, None), cause)
        elif held is None:
            broken = Broken(check.rule, str(posting.position), positions)
            self._flagged[name] = self._begin(broken, check.subject(posting), cause)
        else:
            held.found = set(positions)

    def _concern(self, number: int, family: Family, name: str, posting: Posting) -> None:
        subject = self._subjects.get((number, name))
        if subject is None:
            subject = _Subject(family, name, family.new(name), posting.day)
            self._subjects[number, name] = subject
        self._pass_time(subject, posting.day)
        subject.watched.add(posting, self._standing)
        subject.postings.append(posting)
        self._concerned[posting.position].append(subject)
        self._settle(subject, posting)

    def _pass_time(self, subject: _Subject, until: dt.date) -> None:
        if not subject.family.ages:
            return
        turning = {day for day in subject.watched.turning_days() if subject.day < day < until}
        for day in sorted({*turning, until}):
            if day > subject.day:
                subject.day = day
                self._settle(subject, None)

    def _settle(self, subject: _Subject, cause: Posting | None) -> None:
        """Compare what a subject breaks with what it broke before."""
        found = {
            (broken.rule, broken.key): broken
            for broken in subject.watched.broken(self._thresholds, subject.day)
        }
        for name in [name for name in subject.open if name not in found]:
            self._end(subject.open.pop(name), cause, subject.day)
        for name, broken in found.items():
            held = subject.open.get(name)
            if held is not None:
                held.found = set(broken.positions)
            elif cause is not None:
                subject.open[name] = self._begin(broken, subject.name, cause)
            else:
                arose = (max(broken.positions), broken.since or subject.day, None)
                life = Life(broken.rule, subject.name, set(broken.positions), arose)
                subject.open[name] = self._keep(broken, life)

    def _begin(self, broken: Broken, subject: str, cause: Posting) -> Life:
        arose = (cause.position, broken.since or cause.day, cause.recorded)
        life = Life(broken.rule, subject, set(broken.positions), arose)
        return self._keep(broken, life)

    def _keep(self, broken: Broken, life: Life) -> Life:
        self._lives[broken.rule, life.subject, broken.key, life.arose[0]] = life
        return life

    @staticmethod
    def _end(life: Life | None, cause: Posting | None, day: dt.date | None = None) -> None:
        if life is None:
            return
        if cause is not None:
            life.cleared = (cause.position, cause.day, cause.recorded)
        elif day is not None:
            life.cleared = (0, day, None)
