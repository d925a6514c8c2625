"""The register of exceptions: which are open, which were, since when and until when.

Postings are applied in recorded order. An exception arises with the posting that made a rule's
condition true and is cleared by the one that ended it, possibly a reversal. So at every position
the register shows what was known at that point.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from gigaledger.exceptions import cut_off
from gigaledger.exceptions.catalogue import EVIDENCE, POSTING_RULES, RULES, TOPICS
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, PostingRule, State, Topic

_ID_DIGITS = 8
_REFERENCE = frozenset(
    {
        *("party_registered", "group_membership_changed", "rack_sku_rated"),
        *("letter_of_intent_signed", "definitive_agreement_executed", "agreement_amended"),
        *("deployment_schedule_baselined", "deployment_schedule_revised"),
        "capacity_milestone_planned",
    }
)
"""Facts that define what others mean. They are few and rarely reversed."""
_Key = TypeVar("_Key", tuple[str, str], tuple[str, int])
"""Code of a rule, and what distinguishes its findings: a key of the rule, or a position."""


class ExceptionRecord(NamedTuple):
    """An exception as the register shows it at a position.

    Attributes:
        id: its stable name.
        rule: code of the rule.
        subject: what it is about.
        description: the breach in words; while it is open, as of the latest posting.
        positions: the events behind it, ascending.
        arose_date: effective date on which it arose.
        arose_position: position of the posting that caused it.
        arose_time: when that was recorded; None if time alone caused it.
        cleared_date: effective date on which it was cleared; None while it is open.
        cleared_position: position of the posting that cleared it; None if no posting did.
        cleared_time: when that was recorded.
    """

    id: str
    rule: str
    subject: str
    description: str
    positions: tuple[int, ...]
    arose_date: dt.date
    arose_position: int
    arose_time: dt.datetime | None
    cleared_date: dt.date | None = None
    cleared_position: int | None = None
    cleared_time: dt.datetime | None = None


@dataclass(slots=True)
class _Raised:
    """An exception, and the events that the rule found behind it last."""

    record: ExceptionRecord
    found: tuple[int, ...]

    def find_again(self, finding: Finding) -> None:
        """Update it from a new finding."""
        self.found = finding.positions
        arose = self.record.arose_position
        self.record = self.record._replace(
            description=finding.description, positions=tuple(sorted({*finding.positions, arose}))
        )


def exception_id(rule: str, position: int, subject: str, key: str) -> str:
    """Return the id of an exception.

    Args:
        rule: code of the rule.
        position: where it arose.
        subject: what it is about.
        key: distinguishes findings of one rule about one subject.
    """
    digest = hashlib.sha256(f"{subject}\n{key}".encode()).hexdigest()[:_ID_DIGITS]
    return f"{rule}.{position}.{digest}"


@dataclass(slots=True)
class _Subject:
    """A subject: its state and postings, and its open exceptions by rule and key."""

    name: str
    state: State
    day: dt.date
    postings: list[Posting] = field(default_factory=list)
    open: dict[tuple[str, str], _Raised] = field(default_factory=dict)


class Register:
    """The exceptions of a book, posting by posting."""

    def __init__(self, policy: Policy, rules: frozenset[str] = frozenset()) -> None:
        """Start without postings.

        Args:
            policy: the thresholds.
            rules: codes of the rules to evaluate; all if empty.
        """
        self._policy = policy
        self._rules = rules
        self._context = RuleContext()
        self._raised: dict[str, _Raised] = {}
        self._changed: dict[str, _Raised] = {}
        self._postings: dict[int, Posting] = {}
        self._context_only: set[int] = set()
        self._subjects: dict[tuple[int, str], _Subject] = {}
        self._concerned: dict[int, list[tuple[Topic, _Subject]]] = defaultdict(list)
        self._by_posting: dict[tuple[str, int], _Raised] = {}
        self._resting: dict[int, set[tuple[PostingRule, int]]] = defaultdict(set)
        self._posting_rules = [
            rule for rule in POSTING_RULES if self._tests(rule.code) and rule.is_enabled(policy)
        ]
        self._topics = [
            (place, topic)
            for place, topic in enumerate(TOPICS)
            if any(self._tests(rule.code) for rule in topic.rules)
        ]

    @property
    def exceptions(self) -> list[ExceptionRecord]:
        """All exceptions, by arose_position and id."""
        found = [raised.record for raised in self._raised.values()]
        return sorted(found, key=lambda item: (item.arose_position, item.id))

    def changed(self) -> list[ExceptionRecord]:
        """Return the exceptions that have changed since the last call."""
        found = [raised.record for raised in self._changed.values()]
        self._changed.clear()
        return found

    def _tests(self, code: str) -> bool:
        return not self._rules or code in self._rules

    def feed(self, posting: Posting, *, evaluated: bool = True) -> None:
        """Apply the next posting.

        Args:
            posting: the posting, recorded after all before.
            evaluated: whether rules evaluate it; if not, it is context for others only.
        """
        for rule in self._posting_rules:
            if evaluated and rule.outlives_reversal:
                self._evaluate(rule, posting, posting)
        if posting.kind == "entry_reversed":
            self._reverse(posting)
            return
        self._postings[posting.position] = posting
        self._context.apply(posting)
        if not evaluated:
            self._context_only.add(posting.position)
            return
        for rule in self._posting_rules:
            if not rule.outlives_reversal and (not rule.kinds or posting.kind in rule.kinds):
                self._evaluate(rule, posting, posting)
        for place, topic in self._topics:
            if posting.kind in topic.kinds:
                for name in topic.subjects(posting, self._context):
                    self._concern(place, topic, name, posting)
        if posting.kind == "external_confirmation_received" and posting.fact.agreed:
            for position in posting.fact.positions:
                self._clear(self._by_posting.pop((EVIDENCE, position), None), posting)

    def finish(self, evaluation_date: dt.date) -> None:
        """Let time pass up to a day."""
        topics = dict(self._topics)
        for (place, _), subject in self._subjects.items():
            self._pass_time(topics[place], subject, evaluation_date)

    def _concern(self, place: int, topic: Topic, name: str, posting: Posting) -> None:
        subject = self._subjects.get((place, name))
        if subject is None:
            subject = _Subject(name, topic.new_state(name), posting.effective_date)
            self._subjects[place, name] = subject
        self._pass_time(topic, subject, posting.effective_date)
        subject.state.apply(posting, self._context)
        subject.postings.append(posting)
        self._concerned[posting.position].append((topic, subject))
        self._examine(topic, subject, posting)

    def _pass_time(self, topic: Topic, subject: _Subject, day: dt.date) -> None:
        if topic.days is not None and day > subject.day:
            waiting = {other for other in topic.days(subject.state) if subject.day < other < day}
            for other in (*sorted(waiting), day):
                subject.day = other
                self._examine(topic, subject, None)

    def _examine(self, topic: Topic, subject: _Subject, cause: Posting | None) -> None:
        """Compare the breaches of a subject with its open exceptions."""
        found: dict[tuple[str, str], Finding] = {}
        for rule in topic.rules:
            if self._tests(rule.code):
                for finding in rule.find(subject.state, self._policy, subject.day):
                    found[rule.code, finding.key] = finding
        for key in [key for key in subject.open if key not in found]:
            self._clear(subject.open.pop(key), cause, subject.day)
        for key, finding in found.items():
            held = subject.open.get(key)
            if held is None:
                subject.open[key] = self._raise(key[0], subject.name, finding, cause)
            else:
                self._find_again(held, finding)

    def _evaluate(self, rule: PostingRule, posting: Posting, cause: Posting) -> None:
        """Compare the finding of a rule about a posting with its open exception."""
        key = rule.code, posting.position
        finding = rule.find(posting, self._context, self._policy)
        held = self._by_posting.get(key)
        if finding is None:
            self._clear(self._by_posting.pop(key, None), cause)
            return
        if held is None:
            if cause is not posting:
                # One reversal can bring several postings about one subject to break a rule.
                finding = replace(finding, key=f"{posting.position}")
            self._by_posting[key] = self._raise(rule.code, rule.subject(posting), finding, cause)
        else:
            self._find_again(held, finding)
        if not rule.outlives_reversal:
            for position in finding.positions:
                self._resting[position].add((rule, posting.position))

    def _reverse(self, reversal: Posting) -> None:
        target = self._postings.pop(reversal.fact.position, None)
        if target is None:
            return
        if self._tests(cut_off.EARLY_REVERSAL) and target.position not in self._context_only:
            finding = cut_off.find_early_reversal(reversal, target, self._context, self._policy)
            if finding is not None:
                subject = cut_off.position_subject(target)
                self._raise(cut_off.EARLY_REVERSAL, subject, finding, reversal)
        if target.kind in _REFERENCE:
            self._reevaluate_all(reversal)
            return
        self._context.undo(target)
        for topic, concerned in self._concerned.pop(target.position, ()):
            concerned.postings.remove(target)
            concerned.state = topic.new_state(concerned.name)
            for posting in concerned.postings:
                concerned.state.apply(posting, self._context)
            self._examine(topic, concerned, reversal)
        self._reevaluate(target, reversal)

    def _reevaluate_all(self, reversal: Posting) -> None:
        """Evaluate the whole book again, because a reversed entry defined what others mean."""
        lasting = {rule.code for rule in POSTING_RULES if rule.outlives_reversal}
        tested = frozenset(self._rules or RULES) - lasting
        if not tested:
            return
        other = Register(self._policy, tested)
        for posting in self._postings.values():
            other.feed(posting, evaluated=posting.position not in self._context_only)
        fresh = other._subjects
        for key in self._subjects.keys() | fresh.keys():
            held = self._subjects[key].open if key in self._subjects else {}
            self._take_over(fresh[key].open if key in fresh else {}, held, reversal)
        kept = {key: item for key, item in self._by_posting.items() if key[0] in lasting}
        evaluated = {key: item for key, item in self._by_posting.items() if key[0] not in lasting}
        self._take_over(other._by_posting, evaluated, reversal)
        self._by_posting = other._by_posting | kept
        self._context, self._subjects = other._context, fresh
        self._concerned, self._resting = other._concerned, other._resting

    def _take_over(
        self, found: dict[_Key, _Raised], held: dict[_Key, _Raised], reversal: Posting
    ) -> None:
        """Keep exceptions that remain, raise new ones, clear the others."""
        for key, item in found.items():
            mine = held.get(key)
            if mine is None:
                _, tells_apart = key
                finding = Finding(item.record.description, item.found, str(tells_apart))
                found[key] = self._raise(item.record.rule, item.record.subject, finding, reversal)
            else:
                self._find_again(mine, Finding(item.record.description, item.found))
                found[key] = mine
        for key, item in held.items():
            if key not in found:
                self._clear(item, reversal)

    def _reevaluate(self, target: Posting, reversal: Posting) -> None:
        """Re-evaluate postings whose findings depend on a reversed posting."""
        fresh = self._resting.pop(target.position, set())
        for rule in self._posting_rules:
            if not rule.outlives_reversal:
                fresh |= {(rule, p) for p in rule.reevaluate(target, self._context)}
        for rule, position in sorted(fresh, key=lambda pair: (pair[0].code, pair[1])):
            posting = self._postings.get(position)
            if posting is not None:
                if not rule.kinds or posting.kind in rule.kinds:
                    self._evaluate(rule, posting, reversal)
            else:
                self._clear(self._by_posting.pop((rule.code, position), None), reversal)

    def _raise(self, rule: str, subject: str, finding: Finding, cause: Posting | None) -> _Raised:
        position = cause.position if cause else max(finding.positions)
        record = ExceptionRecord(
            id=exception_id(rule, position, subject, finding.key),
            rule=rule,
            subject=subject,
            description=finding.description,
            positions=tuple(sorted({*finding.positions, position})),
            arose_date=finding.since or (cause.effective_date if cause else dt.date.max),
            arose_position=position,
            arose_time=cause.recorded_time if cause else None,
        )
        raised = _Raised(record, finding.positions)
        self._raised[record.id] = self._changed[record.id] = raised
        return raised

    def _find_again(self, raised: _Raised, finding: Finding) -> None:
        raised.find_again(finding)
        self._changed[raised.record.id] = raised

    def _clear(
        self, raised: _Raised | None, cause: Posting | None, day: dt.date | None = None
    ) -> None:
        if raised is None:
            return
        record = raised.record._replace(cleared_date=cause.effective_date if cause else day)
        if cause is not None:
            record = record._replace(
                cleared_position=cause.position, cleared_time=cause.recorded_time
            )
        raised.record = record
        self._changed[record.id] = raised


def register_of(
    postings: Iterable[Posting],
    policy: Policy,
    evaluation_date: dt.date,
    rules: frozenset[str] = frozenset(),
) -> Register:
    """Return the register of postings in recorded order.

    Args:
        postings: the postings that count.
        policy: the thresholds.
        evaluation_date: the day up to which time passes.
        rules: codes of the rules to evaluate; all if empty.
    """
    register = Register(policy, rules)
    for posting in postings:
        register.feed(posting)
    register.finish(evaluation_date)
    return register
