"""A whole ledger in memory: the domain's book over nothing recorded, taking one fact at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from gigaledger.ledger.domain.book import Book, Check, Request
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.pending import EmptySource
from gigaledger.ledger.domain.refusals import Refused, Violation
from gigaledger.ledger.domain.validation import malformed
from gigaledger.v1.control_facts_pb2 import BookOpened
from gigaledger.v1.events_pb2 import Event

from tests.facts import fact


class MemoryLedger:
    """Records facts in memory by the rules of the domain."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.book = Book(EmptySource(), imported=False)
        opened = fact("book_opened", book="test", clock="BOOK_CLOCK_SERVER")
        assert isinstance(opened.book_opened, BookOpened)
        self.book.accept(Request("open", [opened], [None]), now)

    @property
    def entries(self) -> list[Entry]:
        """Everything recorded."""
        return [accepted.entry for accepted in self.book.pending]

    def append(self, *events: Event, checks: Sequence[Check] = ()) -> list[Entry]:
        """Record facts in one request."""
        for index, event in enumerate(events):
            found = malformed(event)
            if found:
                raise Refused(
                    [
                        Violation(v.rule, f"events[{index}].event.{v.field}", v.message, v.values)
                        for v in found
                    ]
                )
        request = Request("r", list(events), [None] * len(events), checks)
        return [accepted.entry for accepted in self.book.accept(request, self.now)]

    def record(self, event: Event) -> int:
        """Record a fact and return its position."""
        (entry,) = self.append(event)
        return entry.position

    def refused(self, *events: Event, checks: Sequence[Check] = ()) -> Sequence[Violation]:
        """Return why facts are refused; fail if they are not."""
        with pytest.raises(Refused) as caught:
            self.append(*events, checks=checks)
        return caught.value.violations
