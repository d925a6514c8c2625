"""Books and pages, as AIPs 122 and 158 require."""

from __future__ import annotations

from uuid import uuid4

import grpc
import pytest
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    CreateBookRequest,
    EventFilter,
    GetBookRequest,
    GetEventRequest,
    ListAttemptsRequest,
    ListBooksRequest,
    ListEventsRequest,
    ReadEventsRequest,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.protobuf.timestamp_pb2 import Timestamp

from tests.api.calls import Caller, error_of
from tests.facts import parties, received

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def test_a_new_book(stub: LedgerServiceStub) -> None:
    book_id = f"b{uuid4().hex}"

    made = stub.CreateBook(CreateBookRequest(book_id=book_id, display_name="A book")).book

    assert made.name == f"books/{book_id}"
    assert made.display_name == "A book"
    assert made.clock == BookClock.BOOK_CLOCK_SERVER
    assert made.head_position == 1
    assert made.head_recorded_time == made.opened_time
    assert stub.GetBook(GetBookRequest(name=made.name)).book == made
    (opening,) = Caller(stub, made.name).read()
    assert opening.event.book_opened.book == book_id
    assert opening.event.actor == "gigaledger"


def test_a_book_is_opened_once(stub: LedgerServiceStub) -> None:
    request = CreateBookRequest(book_id=f"b{uuid4().hex}")
    stub.CreateBook(request)

    error = error_of(lambda: stub.CreateBook(request))

    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "BOOK_EXISTS")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CreateBookRequest(), "book_id"),
        (CreateBookRequest(book_id="Capital"), "book_id"),
        (CreateBookRequest(book_id="1st"), "book_id"),
        (CreateBookRequest(book_id="a" * 41), "book_id"),
        (CreateBookRequest(book_id='a"; drop'), "book_id"),
        (CreateBookRequest(book_id="a", display_name="x" * 201), "display_name"),
        (CreateBookRequest(book_id="a", display_name="\0"), "display_name"),
        (CreateBookRequest(book_id="a", clock=BookClock.BOOK_CLOCK_IMPORTED), "opened_time"),
        (CreateBookRequest(book_id="a", opened_time=Timestamp(seconds=1)), "opened_time"),
        (
            CreateBookRequest(
                book_id="a",
                clock=BookClock.BOOK_CLOCK_IMPORTED,
                opened_time=Timestamp(seconds=1 << 60),
            ),
            "opened_time",
        ),
        (CreateBookRequest(book_id="a", clock=7), "clock"),  # type: ignore[arg-type]
    ],
)
def test_invalid_books(stub: LedgerServiceStub, request_: CreateBookRequest, field: str) -> None:
    error = error_of(lambda: stub.CreateBook(request_))

    assert error.code is INVALID
    assert error.fields == [field]


def test_names_that_differ_in_a_hyphen_are_different_books(stub: LedgerServiceStub) -> None:
    """Each has a schema of its own."""
    suffix = uuid4().hex[:20]
    books = [
        stub.CreateBook(CreateBookRequest(book_id=f"{name}{suffix}")).book
        for name in ("a-b-", "a--b", "ab--")
    ]

    assert len({book.name for book in books}) == 3


def test_unknown_books(stub: LedgerServiceStub) -> None:
    calls = [
        lambda: stub.GetBook(GetBookRequest(name="books/nowhere")),
        lambda: stub.AppendEvents(AppendEventsRequest(book="books/nowhere")),
        lambda: list(stub.ReadEvents(ReadEventsRequest(book="books/nowhere"))),
        lambda: stub.ListEvents(ListEventsRequest(parent="books/nowhere")),
        lambda: stub.GetEvent(GetEventRequest(name="books/nowhere/events/1")),
        lambda: stub.ListAttempts(ListAttemptsRequest(parent="books/nowhere")),
    ]
    for call in calls:
        error = error_of(call)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "BOOK_NOT_FOUND")


def test_all_books_are_listed_by_pages(stub: LedgerServiceStub) -> None:
    made = {Caller.of_new_book(stub).book for _ in range(7)}
    listed: list[str] = []
    request = ListBooksRequest(page_size=3)
    while True:
        page = stub.ListBooks(request)
        assert len(page.books) <= 3
        listed += [book.name for book in page.books]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert made <= set(listed)
    assert listed == sorted(set(listed))


def test_all_events_are_listed_by_pages(caller: Caller) -> None:
    caller.append(*parties(*(f"P{n}" for n in range(10))))
    request = ListEventsRequest(
        parent=caller.book, page_size=4, filter=EventFilter(fact_types=["party_registered"])
    )
    positions: list[int] = []
    while True:
        page = caller.stub.ListEvents(request)
        positions += [event.position for event in page.events]
        if not page.next_page_token:
            break
        assert len(page.events) == 4
        request.page_token = page.next_page_token

    assert positions == list(range(2, 12))


def test_a_page_token_belongs_to_its_query(caller: Caller) -> None:
    caller.append(*parties("A", "B", "C"))
    page = caller.stub.ListEvents(ListEventsRequest(parent=caller.book, page_size=1))
    other = ListEventsRequest(
        parent=caller.book,
        page_token=page.next_page_token,
        filter=EventFilter(party="A"),
    )

    error = error_of(lambda: caller.stub.ListEvents(other))

    assert (error.code, error.fields) == (INVALID, ["page_token"])


def test_all_refusals_are_listed_by_pages(caller: Caller) -> None:
    for _ in range(5):
        caller.refused(received(1))
    request = ListAttemptsRequest(parent=caller.book, page_size=2)
    numbers: list[int] = []
    while True:
        page = caller.stub.ListAttempts(request)
        numbers += [attempt.number for attempt in page.attempts]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert len(numbers) == 5
    assert numbers == sorted(numbers, reverse=True)


def test_one_event(caller: Caller) -> None:
    caller.append(*parties("A"))

    found = caller.stub.GetEvent(GetEventRequest(name=f"{caller.book}/events/2")).event

    assert found == caller.read()[1]
    missing = GetEventRequest(name=f"{caller.book}/events/3")
    error = error_of(lambda: caller.stub.GetEvent(missing))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "EVENT_NOT_FOUND")


@pytest.mark.parametrize("name", ["", "books/a", "books/a/events/0", "books/a/events/x", "a\0"])
def test_invalid_event_names(stub: LedgerServiceStub, name: str) -> None:
    error = error_of(lambda: stub.GetEvent(GetEventRequest(name=name)))

    assert (error.code, error.fields) == (INVALID, ["name"])
