"""A book as an application of the eventsourcing library: its own test cases, and a projection."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    NotSupportedError,
    StoredEvent,
)
from eventsourcing.projection import ProjectionRunner
from eventsourcing.sqlite import SQLiteDatastore
from eventsourcing.tests.persistence import ApplicationRecorderTestCase
from gigaledger.client import AlreadyExistsError, Book, Client, ConflictError, facts
from gigaledger.client.eventsourcing import BookRecorder, BookSubscription
from gigaledger.v1.events_pb2 import Event, RecordedEvent

from examples import funded_by_party as example
from tests.client.test_appending import DAY, party
from tests.facts import definitive, funded, parties
from tests.processes import ServiceProcess

TOPICS = {
    "topic1": "exception_opened",
    "topic2": "exception_reviewed",
    "topic3": "exception_opened",
}


class LibraryRecorder(BookRecorder):
    """Writes what the library's test cases write as facts, and reads them back as it wrote them.

    The cases number their events from 1, and a book begins with an event of its own.
    """

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.first = book.info().head_position + 1

    def insert_events(self, stored_events: Sequence[StoredEvent], **_kwargs: Any) -> Sequence[int]:
        events = []
        for stored in stored_events:
            name = str(stored.originator_id).removeprefix("exceptions/")
            fact: Any = (
                facts.exception_reviewed(exception=name, finding=stored.topic)
                if stored.topic == "topic2"
                else facts.exception_opened(exception=name, description=stored.topic)
            )
            event = Event(note=stored.state.decode())
            getattr(event, TOPICS[stored.topic]).CopyFrom(fact)
            events.append(event)
        first = stored_events[0]
        try:
            answer = self.book.append(
                *events,
                effective_date=DAY,
                checks={str(first.originator_id): first.originator_version - 1},
            )
        except (ConflictError, AlreadyExistsError) as error:
            raise IntegrityError(error) from error
        return [receipt.position - self.first + 1 for receipt in answer.receipts]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        shift = self.first - 1
        found = super().select_notifications(
            (start or (1 if inclusive_of_start else 0)) + shift,
            # Two topics of the cases are one fact: those that are not requested are left out below.
            limit if not topics else 1000,
            None if stop is None else stop + shift,
            [TOPICS[topic] for topic in topics],
            inclusive_of_start=inclusive_of_start,
        )
        as_written = [written(notification, shift) for notification in found]
        return [one for one in as_written if not topics or one.topic in topics][:limit]

    def max_notification_id(self) -> int | None:
        return ((super().max_notification_id() or 0) - self.first + 1) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> BookSubscription:
        shift = self.first - 1

        class Subscription(BookSubscription):
            def __next__(self) -> Notification:
                while True:
                    one = written(super().__next__(), shift)
                    if not topics or one.topic in topics:
                        return one

        return Subscription(self, (gt or 0) + shift, [TOPICS[topic] for topic in topics])


def written(notification: Notification, shift: int) -> Notification:
    event = RecordedEvent.FromString(notification.state).event
    topic = event.exception_opened.description or event.exception_reviewed.finding
    return replace(notification, id=notification.id - shift, topic=topic, state=event.note.encode())


class TestRecorder(ApplicationRecorderTestCase[LibraryRecorder]):
    """The library's cases of selecting and subscribing. What a recorder writes is the ledger's."""

    INITIAL_VERSION = 1
    book: Book

    @pytest.fixture(autouse=True)
    def _book(self, book: Book) -> None:
        self.book = book

    def create_recorder(self) -> LibraryRecorder:
        return LibraryRecorder(self.book)

    def new_originator_id(self) -> UUID | str:
        return f"exceptions/X{next(_numbers)}"

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()

    def test_performance(self) -> None:
        """Of writing."""

    def test_concurrent_no_conflicts(self, initial_position: int = 0) -> None:  # noqa: PT028
        """Of writing."""

    def test_concurrent_throughput(self) -> None:
        """Of writing."""


_numbers = itertools.count()


def test_streams_and_positions(book: Book) -> None:
    recorder = BookRecorder(book)
    book.append(party("A"), party("B"), effective_date=DAY)
    book.append(facts.party_amended(party="A", legal_name="A Ltd."), effective_date=DAY)
    assert recorder.max_notification_id() == 4
    found = recorder.select_notifications(None, 10)
    assert [one.id for one in found] == [1, 2, 3, 4]
    assert [one.topic for one in found][1:] == ["party_registered"] * 2 + ["party_amended"]
    versions = [one.originator_version for one in recorder.select_events("parties/A")]
    assert versions == [1, 2]
    (last,) = recorder.select_events("parties/A", desc=True, limit=1)
    assert last.topic == "party_amended"
    assert [e.originator_version for e in recorder.select_events("parties/A", gt=1)] == [2]
    assert [e.originator_version for e in recorder.select_events("parties/A", lte=1)] == [1]


def test_a_book_is_read_only(book: Book) -> None:
    with pytest.raises(NotSupportedError, match=r"facts are appended with Book\.append"):
        BookRecorder(book).insert_events([])


CENTS = 12_345
FILE = Path(example.__file__)


@pytest.fixture
def main_book(client: Client) -> Book:
    """A book with an agreement under which SUP funds CUS."""
    book = client.create_book(f"b{next(_numbers)}-{os.getpid()}")
    book.append(*parties("SUP", "CUS"), definitive())
    return book


def fund(book: Book, first: int, count: int) -> None:
    requests = (
        book.request(funded(CENTS, f"F-{number}", bank_reference=f"B-{number}"))
        for number in range(first, first + count)
    )
    for outcome in book.append_stream(requests):
        outcome.result()


def environment(ledger: ServiceProcess, book: Book, file: Path) -> dict[str, str]:
    return {
        "GIGALEDGER_LEDGER_ADDRESS": ledger.address,
        "GIGALEDGER_BOOK": book.name.removeprefix("books/"),
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(file),
    }


def test_runner(shared_ledger: ServiceProcess, main_book: Book, tmp_path: Path) -> None:
    fund(main_book, 0, 10)
    for total in (10, 25):
        with ProjectionRunner(
            application_class=example.Main,
            projection_class=example.Funded,
            view_class=example.FundedView,
            env=environment(shared_ledger, main_book, tmp_path / "funded.db"),
        ) as runner:
            if total > 10:
                fund(main_book, 10, total - 10)
            runner.wait(main_book.info().head_position, timeout=20)
            assert runner.view.totals() == {("CUS", "USD"): Decimal(CENTS * total) / 100}


def started(ledger: ServiceProcess, book: Book, file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, FILE, file], env=os.environ | environment(ledger, book, file)
    )


@pytest.fixture
def view(tmp_path: Path) -> Iterator[example.FundedView]:
    """The view, as another process reads it."""
    recorder = example.FundedView(SQLiteDatastore(str(tmp_path / "funded.db")))
    recorder.create_table()
    yield recorder
    recorder.datastore.close()


def test_each_event_counts_once_when_the_runner_is_killed(
    shared_ledger: ServiceProcess, main_book: Book, tmp_path: Path, view: example.FundedView
) -> None:
    total = 2000
    fund(main_book, 0, total)
    head = main_book.info().head_position
    reached: list[int] = []
    deadline = time.monotonic() + 120
    while not reached or reached[-1] < head:
        assert time.monotonic() < deadline
        process = started(shared_ledger, main_book, tmp_path / "funded.db")
        before = reached[-1] if reached else 0
        while (now := view.max_tracking_id("Main") or 0) < min(before + 500, head):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached.append(view.max_tracking_id("Main") or now)
    assert len(reached) > 2
    assert view.totals() == {("CUS", "USD"): Decimal(CENTS * total) / 100}
