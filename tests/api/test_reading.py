"""Reads and subscriptions return every event once, in order, from any position."""

from __future__ import annotations

import base64
import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from gigaledger.common.quantities import instant_to_message
from gigaledger.v1.ledger_pb2 import (
    EventFilter,
    ListEventsRequest,
    ReadEventsRequest,
    ReadEventsResponse,
    ResolvePositionRequest,
    SubscribeEventsRequest,
    SubscribeEventsResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from tests.api.calls import SECONDS, Caller, error_of, events_of
from tests.facts import fact, parties, placed, received

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@contextmanager
def following(caller: Caller, **fields: Any) -> Iterator[Iterator[SubscribeEventsResponse]]:
    """Follow a book."""
    call = caller.stub.SubscribeEvents(
        SubscribeEventsRequest(book=caller.book, **fields), timeout=SECONDS
    )
    try:
        yield iter(call)
    finally:
        call.cancel()


def until_caught_up(responses: Iterator[SubscribeEventsResponse]) -> list[SubscribeEventsResponse]:
    """Take responses until one says that the head is reached."""
    found = []
    for response in responses:
        found.append(response)
        if response.caught_up:
            break
    return found


def test_an_event_as_it_was_sent(caller: Caller) -> None:
    sent = fact("party_registered", party="A", legal_name="A Inc.", approver="bob")
    receipt = caller.append(sent, request_id="first").receipts[0]

    recorded = caller.read()[1]

    expected = type(sent)()
    expected.CopyFrom(sent)
    # What the ledger adds.
    expected.request_id = "first"
    expected.policy = 1
    assert recorded.event == expected
    assert (recorded.position, recorded.stream, recorded.stream_version, recorded.event_id) == (
        receipt.position,
        "parties/A",
        1,
        receipt.event_id,
    )
    assert recorded.recorded_time.seconds > 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, range(1, 12)),
        ({"from_position": 5}, range(5, 12)),
        ({"to_position": 5}, range(1, 6)),
        ({"from_position": 4, "to_position": 6}, range(4, 7)),
        ({"from_position": 11, "to_position": 1 << 62}, range(11, 12)),
        ({"from_position": 12}, range(0)),
        ({"from_position": 7, "to_position": 3}, range(0)),
        ({"from_position": (1 << 63) - 1, "to_position": (1 << 63) - 1}, range(0)),
    ],
)
def test_parts_of_a_book(caller: Caller, fields: dict[str, int], expected: range) -> None:
    caller.append(*parties(*(f"P{n}" for n in range(10))))

    assert [event.position for event in caller.read(**fields)] == list(expected)


def test_pages_state_the_position_they_reach(caller: Caller) -> None:
    caller.append(*parties(*(f"P{n}" for n in range(10))))
    request = ReadEventsRequest(book=caller.book, filter=EventFilter(party="P3"))

    pages: list[ReadEventsResponse] = list(caller.stub.ReadEvents(request))

    assert [event.position for event in events_of(pages)] == [5]
    assert pages[-1].through_position == 11


def test_filters(caller: Caller) -> None:
    caller.append(*parties("SUP", "CUS", "THIRD"), placed(), received(1), received(2))

    def positions(**fields: Any) -> list[int]:
        return [event.position for event in caller.read(filter=EventFilter(**fields))]

    assert positions(stream="purchaseOrders/PO-1") == [5, 6, 7]
    assert positions(fact_types=["goods_received", "book_opened"]) == [1, 6, 7]
    assert positions(party="SUP") == [2, 5, 6, 7]
    assert positions(party="SUP", fact_types=["purchase_order_placed"]) == [5]
    assert positions(agreement="AGR") == []
    assert positions(effective_to=Date(year=2026, month=1, day=4)) == []
    assert positions(
        effective_from=Date(year=2026, month=1, day=5), effective_to=Date(year=2026, month=1, day=5)
    ) == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        (EventFilter(fact_types=["nothing"]), "filter.fact_types[0]"),
        (EventFilter(effective_from=Date(year=2026)), "filter.effective_from"),
        (EventFilter(stream="parties/\0"), "filter.stream"),
        (EventFilter(party="\0"), "filter.party"),
        (EventFilter(agreement="\0"), "filter.agreement"),
    ],
)
def test_invalid_filters(caller: Caller, chosen: EventFilter, field: str) -> None:
    calls = (
        lambda: caller.read(filter=chosen),
        lambda: caller.stub.ListEvents(ListEventsRequest(parent=caller.book, filter=chosen)),
        lambda: list(
            caller.stub.SubscribeEvents(SubscribeEventsRequest(book=caller.book, filter=chosen))
        ),
    )
    for call in calls:
        error = error_of(call)
        assert (error.code, error.fields) == (INVALID, [field])


@pytest.mark.parametrize("field", ["from_position", "to_position"])
def test_invalid_positions(caller: Caller, field: str) -> None:
    error = error_of(lambda: caller.read(**{field: -1}))

    assert (error.code, error.fields) == (INVALID, [field])


def test_subscribing_from_the_beginning(caller: Caller) -> None:
    caller.append(*parties("A", "B"))
    with following(caller) as responses:
        history = until_caught_up(responses)
        caller.append(*parties("C"))
        later = next(responses)

    assert [event.position for event in events_of(history)] == [1, 2, 3]
    assert history[-1].through_position == 3
    assert [event.position for event in later.events] == [4]
    assert later.caught_up


def test_a_subscription_at_the_head_is_caught_up(caller: Caller) -> None:
    with following(caller, after_position=1) as responses:
        first = next(responses)

    assert (list(first.events), first.caught_up, first.through_position) == ([], True, 1)


def test_resuming_with_a_token(caller: Caller) -> None:
    caller.append(*parties("A", "B"))
    with following(caller) as responses:
        token = until_caught_up(responses)[-1].resume_token
    caller.append(*parties("C", "D"))
    with following(caller, resume_token=token) as responses:
        rest = until_caught_up(responses)

    assert [event.position for event in events_of(rest)] == [4, 5]


def test_a_token_of_another_history(caller: Caller) -> None:
    """A book restored from a backup that went on differently is not taken for the same."""
    other = Caller.of_new_book(caller.stub)
    for book in (caller, other):
        book.append(*parties("A"))
    with following(other) as responses:
        token = until_caught_up(responses)[-1].resume_token
    with following(caller, resume_token=token) as responses:
        error = error_of(lambda: next(responses))

    assert (error.code, error.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "HISTORY_DIVERGED",
    )


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "AAAA",
        base64.urlsafe_b64encode(bytes(16)).decode(),
        base64.urlsafe_b64encode(bytes(16) + b"-5").decode(),
        base64.urlsafe_b64encode(bytes(16) + b"9" * 40).decode(),
        base64.urlsafe_b64encode(bytes(16) + "٣".encode()).decode(),
    ],
)
def test_invalid_tokens(caller: Caller, token: str) -> None:
    with following(caller, resume_token=token) as responses:
        error = error_of(lambda: next(responses))

    assert (error.code, error.fields) == (INVALID, ["resume_token"])


@pytest.mark.parametrize("after", [-1, 2, (1 << 63) - 1])
def test_positions_outside_the_book(caller: Caller, after: int) -> None:
    with following(caller, after_position=after) as responses:
        error = error_of(lambda: next(responses))

    assert (error.code, error.fields) == (INVALID, ["after_position"])


def test_subscriptions_miss_nothing_during_appends(caller: Caller) -> None:
    count = 300

    def append() -> None:
        for number in range(count):
            caller.append(*parties(f"P{number}"))

    appending = threading.Thread(target=append)
    appending.start()
    positions: list[int] = []
    with following(caller) as responses:
        for response in responses:
            positions += [event.position for event in response.events]
            assert response.through_position == positions[-1]
            if len(positions) == count + 1:
                break
    appending.join()

    assert positions == list(range(1, count + 2))


def test_a_filtered_subscription_reports_progress(caller: Caller) -> None:
    with following(caller, filter=EventFilter(party="WANTED")) as responses:
        until_caught_up(responses)
        caller.append(*parties("OTHER"))
        passed = next(responses)
        caller.append(*parties("WANTED"))
        wanted = next(responses)

    assert (list(passed.events), passed.through_position) == ([], 2)
    assert [event.position for event in wanted.events] == [3]


def resolved(caller: Caller, instant: dt.datetime) -> tuple[int, Timestamp]:
    """The position at an instant."""
    found = caller.stub.ResolvePosition(
        ResolvePositionRequest(book=caller.book, recorded_time=instant_to_message(instant))
    )
    return found.position, found.recorded_time


def test_the_position_at_an_instant(stub: LedgerServiceStub) -> None:
    opened = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    caller = Caller.of_imported_book(stub, opened)
    # Some instants have several events, and some none.
    hours = [1, 1, 2, 5, 5, 5, 9, 13, 13, 21]
    for number, hour in enumerate(hours):
        at = replace(caller, recorded_at=opened + dt.timedelta(hours=hour))
        at.append(fact("party_registered", party=f"P{number}", legal_name="P"))
    recorded = [(e.position, e.recorded_time) for e in caller.read()]

    for hour in range(23):
        for moment in (dt.timedelta(0), dt.timedelta(microseconds=1)):
            instant = opened + dt.timedelta(hours=hour) + moment
            by_then = [
                (position, time)
                for position, time in recorded
                if time.ToDatetime(dt.UTC) <= instant
            ]
            assert resolved(caller, instant) == by_then[-1]


def test_an_instant_before_the_book_was_open(stub: LedgerServiceStub) -> None:
    opened = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    caller = Caller.of_imported_book(stub, opened)

    error = error_of(lambda: resolved(caller, opened - dt.timedelta(microseconds=1)))

    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "BOOK_NOT_OPEN")
    assert resolved(caller, opened)[0] == 1


@pytest.mark.parametrize("fields", [{}, {"recorded_time": Timestamp(nanos=1)}])
def test_an_instant_that_is_missing_or_too_fine(caller: Caller, fields: dict[str, Any]) -> None:
    request = ResolvePositionRequest(book=caller.book, **fields)
    error = error_of(lambda: caller.stub.ResolvePosition(request, timeout=SECONDS))
    assert (error.code, error.fields) == (INVALID, ["recorded_time"])
