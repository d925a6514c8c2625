"""HR-ID-01: a request id permanently identifies one content, whoever repeats it and when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from gigaledger.common.quantities import instant_to_message
from gigaledger.ledger.api.requests import content_hash
from gigaledger.ledger.domain.refusals import Kind, Rule
from gigaledger.ledger.log.submissions import Receipt
from gigaledger.ledger.log.writer import BookWriter

from tests.facts import fact, parties, placed, received
from tests.log.books import (
    NOW,
    SIDES,
    LoggedBook,
    answer,
    append,
    append_request,
    at_version,
    codes,
    positions,
    refusal,
    refused,
    submission,
)


def replay_of(receipt: Receipt) -> Receipt:
    return replace(receipt, replayed=True)


def test_a_repeated_request_gets_the_first_receipt(book: LoggedBook, writer: BookWriter) -> None:
    first = append(writer, "order", placed(), received(10))

    assert not first.replayed
    assert positions(first) == [4, 5]
    again = append(writer, "order", placed(), received(10))

    assert replay_of(first) == replace(again, entries=list(again.entries))
    assert book.head().position == 5
    assert book.attempts() == []


def test_a_repeated_request_after_a_restart(book: LoggedBook) -> None:
    with book.writer() as writer:
        append(writer, "sides", *SIDES)
        first = append(writer, "order", placed(), received(10))

    with book.writer() as restarted:
        again = append(restarted, "order", placed(), received(10))

    assert again == replay_of(first)
    assert book.head().position == 5


def test_a_repeated_request_in_the_same_group(book: LoggedBook, writer: BookWriter) -> None:
    with book.sharing_a_transaction(writer):
        twins = [writer.submit(submission("order", placed())) for _ in range(3)]

    first, *replays = map(answer, twins)
    assert not first.replayed
    assert replays == [replay_of(first)] * 2
    assert book.head().position == 4


def test_the_same_request_concurrently_from_two_writers(
    book: LoggedBook, writer: BookWriter
) -> None:
    with book.writer() as other:
        with book.held() as lock:
            twins = [w.submit(submission("order", placed())) for w in (writer, other)]
            lock.waiting(2)
        receipts = list(map(answer, twins))

    assert [receipt.entries for receipt in receipts] == [receipts[0].entries] * 2
    assert sorted(receipt.replayed for receipt in receipts) == [False, True]
    assert book.head().position == 4


def test_the_same_request_from_many_callers_of_two_writers(
    book: LoggedBook, writer: BookWriter
) -> None:
    with book.writer() as other, ThreadPoolExecutor(8) as callers:
        futures = [
            callers.submit(
                append,
                (writer, other)[number % 2],
                f"order {number // 16}".replace(" ", "-"),
                fact("party_amended", party="SUP", legal_name=f"N{number // 16}"),
            )
            for number in range(64)
        ]
        receipts = [future.result() for future in futures]

    assert len([receipt for receipt in receipts if not receipt.replayed]) == 4
    assert len({tuple(positions(receipt)) for receipt in receipts}) == 4
    assert book.head().position == 7


def test_other_content_is_refused(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "order", placed(100), received(10))

    (violation,) = refused(writer, "order", placed(101), received(10))

    assert violation.rule is Rule.ID_01
    assert (violation.rule.code, violation.rule.kind) == ("HR-ID-01", Kind.DUPLICATE)
    assert violation.field == "request_id"
    assert violation.message == (
        "request id 'order' was used for other content, recorded from position 4 to 5"
    )
    assert violation.values == {"first_position": "4", "last_position": "5"}
    assert book.head().position == 5
    assert book.attempts() == [("order", "alice", ["HR-ID-01"])]


def test_other_content_is_refused_after_a_restart(book: LoggedBook) -> None:
    with book.writer() as writer:
        append(writer, "request", *SIDES)

    with book.writer() as restarted:
        assert codes(refused(restarted, "request", *parties("THIRD"))) == ["HR-ID-01"]
        # Recorded requests can still be queried.
        assert append(restarted, "request", *SIDES).replayed


def test_other_content_is_refused_in_the_same_group(book: LoggedBook, writer: BookWriter) -> None:
    with book.sharing_a_transaction(writer):
        first = writer.submit(submission("order", placed(100)))
        other = writer.submit(submission("order", placed(101)))
        again = writer.submit(submission("order", placed(100)))

    assert positions(answer(first)) == [4]
    assert codes(refusal(other)) == ["HR-ID-01"]
    assert answer(again).replayed


def test_other_content_concurrently_from_two_writers(book: LoggedBook, writer: BookWriter) -> None:
    with book.writer() as other:
        with book.held() as lock:
            rivals = [
                w.submit(submission("order", placed(quantity)))
                for w, quantity in ((writer, 100), (other, 101))
            ]
            lock.waiting(2)
        errors = [rival.exception(60) for rival in rivals]

    assert len([error for error in errors if error is None]) == 1
    assert [str(error).split(":")[0] for error in errors if error] == ["HR-ID-01"]
    assert book.head().position == 4


def test_a_repeated_request_is_known_before_its_checks(writer: BookWriter) -> None:
    stream = "purchaseOrders/PO-1"
    new = [at_version(stream, 0)]
    first = append(writer, "order", placed(), checks=new)

    again = append(writer, "order", placed(), checks=new)

    assert again.entries == first.entries
    assert codes(refused(writer, "another", placed(), checks=new)) == ["HR-SEQ-01"]


def test_a_refused_request_leaves_its_id_free(book: LoggedBook, writer: BookWriter) -> None:
    assert codes(refused(writer, "goods", received(10))) == ["HR-ID-03"]
    assert book.attempts() == [("goods", "alice", ["HR-ID-03"])]

    # Corrected, or just sent again once the book allows it.
    assert positions(append(writer, "goods", placed())) == [4]
    assert book.select("request_id, first_position", "request") == [("goods", 4), ("sides", 2)]


def test_a_refused_request_may_be_corrected_in_its_group(
    book: LoggedBook, writer: BookWriter
) -> None:
    with book.sharing_a_transaction(writer):
        wrong = writer.submit(submission("goods", received(10)))
        right = writer.submit(submission("goods", placed()))

    assert codes(refusal(wrong)) == ["HR-ID-03"]
    assert positions(answer(right)) == [4]


def test_every_attempt_is_recorded(book: LoggedBook, writer: BookWriter) -> None:
    for actor in ("alice", "bob", "alice"):
        event = received(10)
        event.actor = actor
        refused(writer, "goods", event)

    assert [attempt[1] for attempt in book.attempts()] == ["alice", "bob", "alice"]


def test_validating_only_records_nothing(book: LoggedBook, writer: BookWriter) -> None:
    tried = answer(writer.submit(submission("order", placed(), validate_only=True)))
    in_vain = writer.submit(submission("goods", received(10), validate_only=True))

    assert tried.entries == [(0, "purchaseOrders/PO-1", 1, "")]
    assert codes(refusal(in_vain)) == ["HR-ID-03"]
    assert book.head().position == 3
    assert book.attempts() == []
    # The id is free for other content.
    assert positions(append(writer, "order", placed(7))) == [4]


def test_validating_a_recorded_request_returns_its_receipt(writer: BookWriter) -> None:
    first = append(writer, "order", placed())

    tried = answer(writer.submit(submission("order", placed(), validate_only=True)))

    assert tried == replay_of(first)


def test_facts_carry_the_id_of_their_request(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "order", placed(), received(10))

    assert all(b"order" in row.event for row in book.rows()[3:])
    assert book.select("request_id, first_position, last_position", "request") == [
        ("order", 4, 5),
        ("sides", 2, 3),
    ]


@pytest.mark.parametrize("change", ["event", "order", "check", "recorded time", "book"])
def test_every_field_is_part_of_the_content_hash(change: str) -> None:
    request = append_request("id", *SIDES, checks=[at_version("parties/SUP", 0)])
    before = content_hash(request)
    if change == "event":
        request.events[0].event.actor = "bob"
    elif change == "order":
        request.events.reverse()
    elif change == "check":
        request.checks[0].version = 1
    elif change == "recorded time":
        request.events[0].recorded_time.CopyFrom(instant_to_message(NOW))
    else:
        request.book = "books/other"

    assert content_hash(request) != before


def test_request_id_and_validate_only_are_not_hashed() -> None:
    requests = [append_request(name, *SIDES, validate_only=name == "b") for name in ("a", "b")]

    assert len(set(map(content_hash, requests))) == 1
