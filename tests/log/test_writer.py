"""The writer: queued requests share a transaction, and several processes share a book."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from gigaledger.ledger.domain.book import Check, Request
from gigaledger.ledger.log import writer as writing
from gigaledger.ledger.log.writer import BookWriter, StoreUnavailableError, WriterBusyError

from tests.facts import certified, claimed, definitive, fact, parties, placed, received
from tests.log.books import (
    LIMIT_SECONDS,
    NOW,
    SIDES,
    LoggedBook,
    answer,
    append,
    at_version,
    codes,
    positions,
    refusal,
    refused,
    submission,
)
from tests.proxies import cutting_proxy


def test_queued_requests_share_a_transaction(book: LoggedBook, writer: BookWriter) -> None:
    with book.sharing_a_transaction(writer):
        futures = [writer.submit(submission(f"party-{n}", *parties(f"P{n}"))) for n in range(20)]

    assert [positions(answer(future)) for future in futures] == [[n + 4] for n in range(20)]
    assert len(book.transactions(range(4, 24))) == 1


def test_a_single_request_is_recorded_at_once(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "one", *parties("A"))
    append(writer, "two", *parties("B"))

    assert len(book.transactions([4, 5])) == 2


def test_a_refused_request_affects_no_other(book: LoggedBook, writer: BookWriter) -> None:
    with book.sharing_a_transaction(writer):
        before = writer.submit(submission("before", placed()))
        unknown = writer.submit(submission("unknown", received(1, purchase_order="PO-9")))
        half = writer.submit(submission("half", received(3), received(1, line=9)))
        outdated = writer.submit(
            submission("outdated", received(4), checks=[at_version("purchaseOrders/PO-1", 7)])
        )
        after = writer.submit(submission("after", received(5)))

    assert positions(answer(before)) == [4]
    assert codes(refusal(unknown)) == ["HR-ID-03"]
    assert codes(refusal(half)) == ["HR-ID-03"]
    assert codes(refusal(outdated)) == ["HR-SEQ-01"]
    # Nothing of the refused ones is left: neither a position nor a version.
    assert answer(after).entries[0][:3] == (5, "purchaseOrders/PO-1", 2)
    assert len(book.transactions([4, 5])) == 1
    assert [attempt[0] for attempt in book.attempts()] == ["unknown", "half", "outdated"]


def test_decisions_of_a_group_see_each_other(writer: BookWriter, book: LoggedBook) -> None:
    with book.sharing_a_transaction(writer):
        chain = [
            writer.submit(submission("agreement", definitive())),
            writer.submit(submission("claim", claimed(1_000_000))),
            writer.submit(submission("certificate", certified(600_000))),
            writer.submit(submission("more", certified(600_000, "CERT-2"))),
            writer.submit(submission("rest", certified(400_000, "CERT-3"))),
        ]

    assert [positions(answer(chain[i])) for i in (0, 1, 2, 4)] == [[4], [5], [6], [7]]
    assert codes(refusal(chain[3])) == ["HR-CAP-01"]


def test_events_of_another_process_count(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "agreement", definitive(), claimed(1_000_000))
    append(writer, "first", certified(600_000))
    with book.writer() as other:
        append(other, "second", certified(300_000, "CERT-2"))

    # 100,000 kW are left of the claim, not the 400,000 that the first writer remembers.
    assert codes(refused(writer, "third", certified(400_000, "CERT-3"))) == ["HR-CAP-01"]
    assert positions(append(writer, "fourth", certified(100_000, "CERT-3"))) == [8]


def test_links_of_another_process_count(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "agreement", definitive())
    append(writer, "warm", claimed(1))
    with book.writer() as other:
        superseding = definitive()
        superseding.definitive_agreement_executed.agreement = "NEW"
        superseding.definitive_agreement_executed.supersedes.append("AGR")
        append(other, "superseding", superseding)

    violations = refused(
        writer,
        "baseline",
        fact(
            "capacity_milestone_planned",
            agreement="AGR",
            milestone="M9",
            power_kw=1,
            power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        ),
    )
    assert codes(violations) == ["HR-STATE-01"]


def test_a_reversal_by_another_process_counts(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "order", placed(), received(10))
    with book.writer() as other:
        append(other, "reversal", fact("entry_reversed", position=5, reason_code="ERROR"))

    assert codes(
        refused(writer, "again", fact("entry_reversed", position=5, reason_code="ERROR"))
    ) == ["HR-REV-02"]


def test_an_entry_reversed_by_another_process_does_not_count(
    book: LoggedBook, writer: BookWriter
) -> None:
    append(writer, "agreement", definitive(), claimed(1_000_000))
    append(writer, "first", certified(600_000))
    with book.writer() as other:
        append(other, "second", certified(300_000, "CERT-2"))
        append(other, "error", fact("entry_reversed", position=6, reason_code="ERROR"))
        append(other, "third", certified(100_000, "CERT-3"))

    # 400,000 kW are certified: those of the first certificate are free again.
    assert codes(refused(writer, "much", certified(600_001, "CERT-4"))) == ["HR-CAP-01"]
    assert positions(append(writer, "rest", certified(600_000, "CERT-4"))) == [10]


def test_all_states_are_dropped_after_many_events_of_others(
    book: LoggedBook, writer: BookWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(writer, "order", placed(), received(10))
    with book.writer() as other:
        for number in range(6):
            append(other, f"more-{number}", received(1))
    monkeypatch.setattr(writing, "MAX_CATCH_UP_EVENTS", 5)

    assert append(writer, "last", received(1)).entries[0][2] == 9


def test_concurrent_processes_leave_no_gap(book: LoggedBook, writer: BookWriter) -> None:
    with book.writer() as other, ThreadPoolExecutor(8) as callers:
        receipts = list(
            callers.map(
                lambda n: append((writer, other)[n % 2], f"p-{n}", *parties(f"P{n}", f"Q{n}")),
                range(100),
            )
        )

    assert sorted(p for receipt in receipts for p in positions(receipt)) == list(range(4, 204))
    assert [row.position for row in book.rows()] == list(range(1, 204))
    # The facts of a request stand together.
    assert all(b - a == 1 for a, b in map(positions, receipts))


def test_recorded_times_never_decrease(book: LoggedBook, writer: BookWriter) -> None:
    book.clock.now = NOW + dt.timedelta(hours=1)
    append(writer, "later", *parties("A"))
    book.clock.now = NOW - dt.timedelta(days=1)
    back = append(writer, "clock-went-back", *parties("B"))

    assert back.recorded_at == NOW + dt.timedelta(hours=1)
    assert book.head().recorded_at == back.recorded_at


def test_a_lost_connection_is_replaced(book: LoggedBook, writer: BookWriter) -> None:
    with book.held() as lock:
        future = writer.submit(submission("order", placed()))
        (waiting,) = lock.waiting(1)
        lock.connection.execute("SELECT pg_terminate_backend(%s)", (waiting,))

    assert positions(answer(future)) == [4]
    assert book.head().position == 4


def test_a_connection_lost_after_the_commit_duplicates_nothing(book: LoggedBook) -> None:
    """Who loses the connection does not know whether it committed: the request id does."""
    with cutting_proxy(book.url) as proxy, LoggedBook(proxy.url, book.schema).writer() as writer:
        append(writer, "sides", *SIDES)
        proxy.cut_at_commit()
        receipt = append(writer, "order", placed())

        assert proxy.cuts == 1
    assert receipt.replayed
    assert positions(receipt) == [4]
    assert book.head().position == 4


def test_callers_get_an_error_without_a_database(book: LoggedBook) -> None:
    gone = LoggedBook("postgresql://nobody@127.0.0.1:1/nothing", book.schema)
    with gone.writer() as writer:
        future = writer.submit(submission("order", placed()))

        error = future.exception(LIMIT_SECONDS)

    assert isinstance(error, StoreUnavailableError)


def test_callers_get_an_error_when_the_queue_is_full(
    book: LoggedBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_QUEUED_REQUESTS", 3)
    with book.writer() as writer:
        with book.held() as lock:
            first = writer.submit(submission("first", *parties("A")))
            lock.waiting(1)
            queued = [writer.submit(submission(f"p-{n}", *parties(f"P{n}"))) for n in range(3)]
            with pytest.raises(WriterBusyError):
                writer.submit(submission("one-too-many", *parties("Z")))

        assert [positions(answer(future)) for future in (first, *queued)] == [[2], [3], [4], [5]]


def test_groups_are_bounded(
    book: LoggedBook, writer: BookWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_GROUP_EVENTS", 4)
    with book.sharing_a_transaction(writer):
        futures = [
            writer.submit(submission(f"p-{n}", *parties(f"P{n}", f"Q{n}"))) for n in range(4)
        ]
    for future in futures:
        answer(future)

    assert len(book.transactions(range(4, 12))) == 2


def test_a_request_that_raises_in_the_writer_fails_alone(
    book: LoggedBook, writer: BookWriter
) -> None:
    """No request should be able to; should one be found, its neighbours don't pay for it."""
    broken = submission("broken", placed())
    broken.request = Request("broken", [placed()], [None], [Check("parties/\0", 0, None)])
    with book.sharing_a_transaction(writer):
        before = writer.submit(submission("before", *parties("A")))
        breaking = writer.submit(broken)
        after = writer.submit(submission("after", *parties("B")))

    assert positions(answer(before)) == [4]
    assert isinstance(breaking.exception(LIMIT_SECONDS), psycopg.DataError)
    assert positions(answer(after)) == [5]


def test_closing_finishes_the_queue(book: LoggedBook) -> None:
    with book.writer() as writer:
        futures = [writer.submit(submission(f"p-{n}", *parties(f"P{n}"))) for n in range(50)]

    assert [positions(future.result(0)) for future in futures] == [[n + 2] for n in range(50)]
