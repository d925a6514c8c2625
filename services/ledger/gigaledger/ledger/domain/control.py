"""Control of a book: its opening, periods, policy, and the register of exceptions."""

from __future__ import annotations

from collections.abc import Mapping

from gigaledger.ledger.domain.book_view import BookView, Violations, minor, repeated, wrong_state
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.control_facts_pb2 import ExceptionPolicy

HOURS_OF_A_DAY = 24
FIRST_POLICY = 1
"""Policy in force when a book is opened: no decision needs an approver."""


class Control:
    """State of the stream control."""

    def __init__(self) -> None:
        self.exists = False
        self.policy = FIRST_POLICY
        self.approval_thresholds: Mapping[str, int] = {}
        self.closed_periods: set[str] = set()

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if not self.exists:
            yield wrong_state("position", "the opening of the book is not reversed")


def apply_opened(state: Control, _entry: Entry) -> None:
    """Fold BookOpened."""
    state.exists = True


def decide_closed(state: Control, entry: Entry, _given: BookView) -> Violations:
    """Decide on PeriodClosed."""
    if entry.fact.period in state.closed_periods:
        yield wrong_state("period", f"period {entry.fact.period} is closed already")


def apply_closed(state: Control, entry: Entry) -> None:
    """Fold PeriodClosed."""
    state.closed_periods.add(entry.fact.period)


def decide_reopened(state: Control, entry: Entry, _given: BookView) -> Violations:
    """Decide on PeriodReopened."""
    if entry.fact.period not in state.closed_periods:
        yield wrong_state("period", f"period {entry.fact.period} is not closed")


def apply_reopened(state: Control, entry: Entry) -> None:
    """Fold PeriodReopened."""
    state.closed_periods.discard(entry.fact.period)


def decide_policy(state: Control, entry: Entry, _given: BookView) -> Violations:
    """Decide on PolicyAdopted."""
    fact = entry.fact
    if fact.policy != state.policy + 1:
        message = f"is {fact.policy}, but the next policy is {state.policy + 1}"
        yield wrong_state("policy", message, expected=str(state.policy + 1))
    for currency in repeated(money.currency_code for money in fact.approval_thresholds):
        message = f"{currency} has more than one threshold"
        yield Violation(Rule.FIELD_INVALID, "approval_thresholds", message)
    yield from _exception_violations(fact.exceptions)


def _exception_violations(thresholds: ExceptionPolicy) -> Violations:
    """Yield the faults of thresholds for the rules that flag."""
    tolerance = thresholds.match_tolerance
    for field, amounts in (
        ("round_amounts", thresholds.round_amounts),
        ("match_tolerance.prices", tolerance.prices),
        ("match_tolerance.amounts", tolerance.amounts),
    ):
        for currency in repeated(money.currency_code for money in amounts):
            message = f"{currency} has more than one amount"
            yield Violation(Rule.FIELD_INVALID, f"exceptions.{field}", message)
    for name in ("working_hours_from", "working_hours_to"):
        hour = getattr(thresholds, name)
        if hour > HOURS_OF_A_DAY:
            message = f"must be at most {HOURS_OF_A_DAY}, is {hour}"
            yield Violation(Rule.FIELD_INVALID, f"exceptions.{name}", message)


def apply_policy(state: Control, entry: Entry) -> None:
    """Fold PolicyAdopted."""
    state.policy = entry.fact.policy
    state.approval_thresholds = {
        money.currency_code: minor(money) for money in entry.fact.approval_thresholds
    }


class RegisteredException:
    """State of the stream exceptions/{exception}."""

    def __init__(self) -> None:
        self.exists = False
        self.closed = False
        self.followed = False

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if self.followed and not self.exists:
            yield wrong_state("position", "facts recorded about the exception depend on it")


def decide_exception_opened(
    state: RegisteredException, entry: Entry, _given: BookView
) -> Violations:
    """Decide on ExceptionOpened."""
    if state.exists:
        yield wrong_state("exception", f"exception {entry.fact.exception} is opened already")


def apply_exception_opened(state: RegisteredException, _entry: Entry) -> None:
    """Fold ExceptionOpened."""
    state.exists = True


def decide_exception_followed(
    state: RegisteredException, entry: Entry, _given: BookView
) -> Violations:
    """Decide on ExceptionReviewed and ExceptionClosed."""
    if not state.exists:
        yield wrong_state("exception", f"exception {entry.fact.exception} is not opened")
    elif state.closed:
        yield wrong_state("exception", f"exception {entry.fact.exception} is closed")


def apply_exception_reviewed(state: RegisteredException, _entry: Entry) -> None:
    """Fold ExceptionReviewed."""
    state.followed = True


def apply_exception_closed(state: RegisteredException, _entry: Entry) -> None:
    """Fold ExceptionClosed."""
    state.followed = state.closed = True
