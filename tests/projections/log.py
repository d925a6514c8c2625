"""Logs for tests of projections: facts as the ledger would record them, without a ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path

from gigaledger.common.quantities import date_from_message, instant_to_message
from gigaledger.ledger.api.requests import submission_of
from gigaledger.ledger.domain.book import Book, Request
from gigaledger.ledger.domain.pending import Accepted, EmptySource
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from google.protobuf.json_format import Parse

from tests.facts import fact

EXAMPLES = Path(__file__).parents[2] / "examples"
OPENED = dt.datetime(2025, 1, 1, 12, tzinfo=dt.UTC)


class Log:
    """A log in memory, by the rules of the ledger."""

    def __init__(self) -> None:
        self._book = Book(EmptySource(), imported=True)
        self.append(fact("book_opened", book="main", clock="BOOK_CLOCK_IMPORTED", on=OPENED.date()))

    def append(self, *events: Event, at: dt.datetime | None = None) -> None:
        """Record facts on their day, after what came before them, unless a time is given."""
        effective = [date_from_message(event.effective_date) for event in events]
        earliest = dt.datetime.combine(max(effective), dt.time(12), dt.UTC)
        latest = max(self._book.recorded_at, OPENED)
        time = at or max(latest, earliest) + dt.timedelta(minutes=1)
        self._book.accept(Request("r", list(events), [time] * len(events)), time)

    @property
    def accepted(self) -> list[Accepted]:
        """Everything recorded, with what goes into the log beside it."""
        return list(self._book.pending)

    @property
    def events(self) -> list[RecordedEvent]:
        """Everything recorded, as readers of the ledger are sent it."""
        return [
            RecordedEvent(
                position=accepted.entry.position,
                stream=accepted.entry.stream,
                stream_version=accepted.entry.version,
                recorded_time=instant_to_message(accepted.entry.recorded_at),
                event=accepted.entry.event,
            )
            for accepted in self._book.pending
        ]


def example(name: str) -> list[RecordedEvent]:
    """The events of an example file."""
    return example_log(name).events


def example_log(name: str) -> Log:
    """The log of an example file."""
    log = Log()
    for line in (EXAMPLES / f"{name}.jsonl").read_text("utf-8").splitlines():
        request = submission_of(Parse(line, AppendEventsRequest()), Future()).request
        for event, time in zip(request.events, request.recorded_times, strict=True):
            log.append(event, at=time)
    return log


def log_of(events: Iterable[Event]) -> list[RecordedEvent]:
    """The log of facts that are recorded one after another."""
    log = Log()
    for event in events:
        log.append(event)
    return log.events
