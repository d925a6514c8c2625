"""Rules about when facts were recorded: closed periods, late facts, early reversals (SX-CUT-*).

They concern the recording itself, so a reversal does not clear them.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, PostingRule, Severity

MOST_BEHIND = 100
"""Events that an exception of a document names, at most: the latest. Every posting of a document
renews its exceptions, and a document can have very many postings."""
_CONTROL = frozenset(
    {
        *("book_opened", "period_closed", "period_reopened", "policy_adopted"),
        *("exception_opened", "exception_reviewed", "exception_closed"),
    }
)
"""Facts about the book itself, which belong to no period."""
_REFERENCE_DATA = frozenset(
    {
        *("party_registered", "party_amended", "group_membership_changed"),
        *("rack_sku_rated", "share_class_authorised"),
    }
)
"""Facts that describe what others refer to. They are entered when they are needed, not when they
take effect."""


TAKEN_BACK_EARLY = "SX-CUT-04"
TAKEN_BACK_EARLY_STATEMENT = "taken back before it was there"


class BalanceByDay:
    """A balance of one document by effective date, with the events behind it."""

    def __init__(self) -> None:
        self._changes: defaultdict[dt.date, int] = defaultdict(int)
        self._positions: list[int] = []

    def change(self, posting: Posting, amount: int) -> None:
        """Add an amount on the day of a posting; take it away if it is negative."""
        self._changes[posting.effective_date] += amount
        self._positions.append(posting.position)

    def find_negative(self, name: str) -> Iterator[Finding]:
        """Find the first day at whose end the balance is negative."""
        balance = 0
        for day in sorted(self._changes):
            balance += self._changes[day]
            if balance < 0:
                text = f"more is taken back by {day} than there was of {name}"
                yield Finding(text, tuple(self._positions[-MOST_BEHIND:]), name)
                return


def position_subject(posting: Posting) -> str:
    """Return an event as the subject of an exception."""
    return f"events/{posting.position}"


def find_closed_period(posting: Posting, context: RuleContext, _policy: Policy) -> Finding | None:
    """Find a fact dated in a period that was closed when it was recorded (SX-CUT-01)."""
    period = f"{posting.effective_date:%Y-%m}"
    if posting.kind in _CONTROL or period not in context.closed_periods:
        return None
    text = f"dated {posting.effective_date}, recorded {posting.recorded_date}: {period} is closed"
    return Finding(text, (posting.position,))


def find_late(posting: Posting, _context: RuleContext, policy: Policy) -> Finding | None:
    """Find a fact recorded many days after it took effect (SX-CUT-02)."""
    limit = policy.threshold("late_recording_days")
    days = (posting.recorded_date - posting.effective_date).days
    if limit is None or posting.kind in _CONTROL | _REFERENCE_DATA | {"entry_reversed"}:
        return None
    if days <= limit:
        return None
    text = f"recorded {days} days after {posting.effective_date}; the limit is {limit}"
    return Finding(text, (posting.position,))


def find_early_reversal(
    reversal: Posting, target: Posting, _context: RuleContext, policy: Policy
) -> Finding | None:
    """Find an entry that was in the books at period end and reversed soon after (SX-CUT-03)."""
    limit = policy.threshold("reversal_after_period_days")
    end = _end_of_month(target.effective_date)
    days = (reversal.recorded_date - end).days
    if limit is None or target.recorded_date > end or not 0 < days <= limit:
        return None
    text = f"recorded {target.recorded_date} and reversed {days} days after {end}"
    return Finding(text, (target.position, reversal.position))


def _end_of_month(day: dt.date) -> dt.date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


RULES = (
    PostingRule(
        "SX-CUT-01",
        Severity.WARNING,
        "posting into a closed period",
        frozenset(),
        find_closed_period,
        position_subject,
        outlives_reversal=True,
    ),
    PostingRule(
        "SX-CUT-02",
        Severity.NOTICE,
        "recorded late",
        frozenset(),
        find_late,
        position_subject,
        outlives_reversal=True,
    ),
)
EARLY_REVERSAL = "SX-CUT-03"
EARLY_REVERSAL_SEVERITY = Severity.WARNING
EARLY_REVERSAL_STATEMENT = "reversed soon after the end of its period"
