"""Balances by effective date: what is left at the end of each day, in whatever order facts come."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal

from gigaledger.ledger.domain.book_view import Violations
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation

Quantity = int | Decimal


class DatedBalance:
    """A balance of kilowatts, shares or minor units, from which decisions take."""

    def __init__(self) -> None:
        self._changes: defaultdict[dt.date, Quantity] = defaultdict(int)

    def change(self, entry: Entry, amount: Quantity) -> None:
        """Add an amount on the effective date of an entry; take it away if it is negative."""
        self._changes[entry.effective_date] += amount

    def on(self, day: dt.date) -> Quantity:
        """Return the balance at the end of a day."""
        return sum(amount for date, amount in self._changes.items() if date <= day)

    def lowest_from(self, day: dt.date) -> Quantity:
        """Return the lowest balance at the end of a day or of any later one."""
        balance = lowest = self.on(day)
        for date in sorted(date for date in self._changes if date > day):
            balance += self._changes[date]
            lowest = min(lowest, balance)
        return lowest

    def lowest(self) -> Quantity:
        """Return the lowest balance at the end of any day; at most 0."""
        return min(0, self.lowest_from(dt.date.min))

    def too_early(self, entry: Entry, amount: Quantity, what: str, unit: str) -> Violations:
        """Refuse a decision that takes more than is left on its day or a later one (HR-TIME-02).

        A decision that takes more than is left in the end breaks a rule of its own instead.

        Args:
            entry: the decision.
            amount: the amount it takes.
            what: the balance in words.
            unit: unit of the amounts.
        """
        day = entry.effective_date
        left, in_the_end = self.lowest_from(day), self.on(dt.date.max)
        if left < amount <= in_the_end:
            message = f"is {day}, from when on only {left} {unit} are left of {what}"
            values = {"value": str(amount), "limit": str(left), "unit": unit}
            yield Violation(Rule.TIME_02, "effective_date", message, values)


def not_before(entry: Entry, day: dt.date, what: str) -> Violations:
    """Refuse a decision that takes effect before what it rests on (HR-TIME-02)."""
    if entry.effective_date < day:
        message = f"is {entry.effective_date}, before {what} on {day}"
        values = {"effective_date": str(entry.effective_date), "earliest": str(day)}
        yield Violation(Rule.TIME_02, "effective_date", message, values)
