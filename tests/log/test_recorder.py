"""The eventsourcing library's own test cases, run against the recorder of a book.

They expect an empty log, so they run without the event that opens every book.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    RecorderTestCase,
)
from gigaledger.ledger.log.recorder import BookRecorder
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.ledger.log.tables import LogTables
from psycopg_pool import ConnectionPool

from tests.log.books import NOW


@pytest.fixture
def recorder(database_url: str) -> Iterator[BookRecorder]:
    """A recorder on an empty log."""
    with psycopg.connect(database_url, options=SESSION_OPTIONS, autocommit=True) as connection:
        row = connection.execute(
            "SELECT gigaledger.create_book('main', 'Main', false, %s)", (NOW,)
        ).fetchone()
    assert row is not None
    with ConnectionPool(
        database_url, kwargs={"options": SESSION_OPTIONS}, min_size=0, max_size=12, open=True
    ) as pool:
        yield BookRecorder(pool, LogTables(row[0]), lambda: NOW)


class _OurRecorder(RecorderTestCase):
    recorder: BookRecorder

    @pytest.fixture(autouse=True)
    def _recorder(self, recorder: BookRecorder) -> None:
        self.recorder = recorder

    def create_recorder(self) -> Any:
        return self.recorder

    def new_originator_id(self) -> str:
        return f"streams/{uuid4()}"


class TestApplicationRecorder(_OurRecorder, ApplicationRecorderTestCase[BookRecorder]):
    """Insert, select, conflicts, concurrency, subscriptions.

    The library's aggregate cases contradict what they are a part of: they want no positions from
    `insert_events`. What else they ask is asked below.
    """

    def test_insert_subscribe(self) -> None:
        """The test case for recorders with subscriptions."""
        self.optional_test_insert_subscribe()

    def test_performance(self) -> None:
        """Measured elsewhere."""

    def test_concurrent_throughput(self) -> None:
        """Measured elsewhere."""


class TestNonInterleavingPositions(_OurRecorder, NonInterleavingNotificationIDsBaseCase):
    """Concurrently inserted batches do not interleave."""


def stored(stream: str, version: int) -> StoredEvent:
    return StoredEvent(stream, version, f"topic{version}", b"state")


def test_a_batch_is_all_or_none(recorder: BookRecorder) -> None:
    recorder.insert_events([stored("a", 1)])

    for batch in (
        [stored("a", 1), stored("a", 2)],
        [stored("a", 2), stored("a", 2)],
        [stored("b", 1), stored("a", 1)],
    ):
        with pytest.raises(IntegrityError):
            recorder.insert_events(batch)

    assert recorder.select_events("a") == [stored("a", 1)]
    assert recorder.select_events("b") == []


def test_a_conflict_leaves_no_gap(recorder: BookRecorder) -> None:
    recorder.insert_events([stored("a", 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored("b", 1), stored("a", 1)])

    assert recorder.insert_events([stored("b", 1)]) == [2]
    assert recorder.max_notification_id() == 2


def test_parts_of_a_stream_are_selected(recorder: BookRecorder) -> None:
    events = [stored("a", version) for version in (1, 2, 3)]
    recorder.insert_events([*events, stored("b", 0)])

    assert recorder.select_events("a", desc=True, limit=1) == events[2:]
    assert recorder.select_events("a", lte=2, desc=True, limit=1) == [events[1]]
    assert recorder.select_events("a", gt=1, lte=2) == [events[1]]
    assert recorder.select_events("b") == [stored("b", 0)]
    assert recorder.select_events("c") == []


def test_inserting_nothing_records_nothing(recorder: BookRecorder) -> None:
    assert recorder.insert_events([]) == []
    assert recorder.max_notification_id() is None


def test_a_reader_misses_nothing_during_concurrent_writes(recorder: BookRecorder) -> None:
    """A reader at position P has seen everything up to P, in whatever order writers commit.

    In a log that numbers events by a sequence, short batches overtake a long one: a reader passes
    its numbers before they are visible.
    """
    long_batch = [stored("long", version) for version in range(20_000)]
    total = len(long_batch) + 150
    seen: list[int] = []

    def follow() -> None:
        while len(seen) < total:
            found = recorder.select_notifications(
                seen[-1] if seen else None, 1000, inclusive_of_start=False
            )
            seen.extend(notification.id for notification in found)

    def write_singles() -> None:
        for version in range(150):
            recorder.insert_events([stored("short", version)])

    with ThreadPoolExecutor(3) as threads:
        following = threads.submit(follow)
        singles = threads.submit(write_singles)
        threads.submit(recorder.insert_events, long_batch).result()
        singles.result()
        following.result(60)

    assert seen == list(range(1, total + 1))
