"""Appending: one request, many, refused ones; blocking and under asyncio."""

from __future__ import annotations

import datetime as dt
from contextlib import aclosing

import pytest
from gigaledger.client import (
    AlreadyExistsError,
    AsyncBook,
    Book,
    Client,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    RuleViolatedError,
    event,
    facts,
    money,
)
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from gigaledger.v1.party_facts_pb2 import PartyRegistered

DAY = dt.date(2026, 1, 5)


def party(name: str) -> PartyRegistered:
    return facts.party_registered(party=name, legal_name=f"{name} Inc.")


def test_append_and_repeat(book: Book) -> None:
    answer = book.append(party("SUP"), party("CUS"), effective_date=DAY, request_id="one")
    assert (answer.position, len(answer.receipts), answer.replayed) == (3, 2, False)
    assert answer.receipts[0].stream == "parties/SUP"
    assert answer.recorded_time.tzinfo is dt.UTC

    again = book.append(party("SUP"), party("CUS"), effective_date=DAY, request_id="one")
    assert again.replayed
    assert again.receipts == answer.receipts
    assert book.info().head_position == 3


def test_events_of_one_request_differ_in_what_they_state(book: Book) -> None:
    later = event(party("CUS"), effective_date=dt.date(2026, 1, 6), status="PLAN", actor="bob")
    book.append(party("SUP"), later, effective_date=DAY, note="a remark", approver="carol")
    first, second = (recorded.event for recorded in book.read(2))
    assert (first.actor, first.note, first.effective_date.day) == ("alice", "a remark", 5)
    assert (second.actor, second.note, second.effective_date.day) == ("bob", "a remark", 6)
    assert (first.assertion_status, second.assertion_status) == (1, 3)


def test_a_date_is_required(book: Book) -> None:
    with pytest.raises(ValueError, match=r"facts\[0\]: effective_date is missing"):
        book.append(party("SUP"))


def test_malformed(book: Book) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        book.append(facts.party_registered(party="", legal_name=""), effective_date=DAY)
    error = caught.value
    assert error.reason == "FIELD_REQUIRED"
    assert [v.field for v in error.violations] == [
        "events[0].event.party_registered.party",
        "events[0].event.party_registered.legal_name",
    ]
    assert str(error).count("\n") == 1
    assert "FIELD_REQUIRED events[0].event.party_registered.legal_name" in str(error)
    assert error.request_id in str(error)


def test_refused_by_a_rule(book: Book) -> None:
    call = facts.capital_call_issued(
        agreement="AGR", call="C-1", tranches=[1], amount=money(1, "USD")
    )
    with pytest.raises(RuleViolatedError) as caught:
        book.append(call, effective_date=DAY)
    assert caught.value.reason.startswith("HR-")
    assert caught.value.values
    assert "AGR" in str(caught.value)


def test_taken_and_moved_on(book: Book) -> None:
    book.append(party("SUP"), effective_date=DAY, request_id="one", checks={"parties/SUP": False})
    with pytest.raises(AlreadyExistsError) as taken:
        book.append(party("CUS"), effective_date=DAY, request_id="one")
    assert taken.value.reason == "HR-ID-01"
    with pytest.raises(ConflictError) as moved:
        book.append(
            party("CUS"), effective_date=DAY, checks={"parties/SUP": 7, "parties/CUS": True}
        )
    assert moved.value.reason == "HR-SEQ-01"
    assert len(moved.value.violations) == 2


def test_books(client: Client, book: Book) -> None:
    book_id = book.name.removeprefix("books/")
    assert book.name in [listed.name for listed in client.books()]
    assert client.create_book(book_id, exist_ok=True).name == book.name
    with pytest.raises(AlreadyExistsError):
        client.create_book(book_id)
    with pytest.raises(NotFoundError):
        client.book("no-such-book").info()


def test_imported_book(client: Client) -> None:
    opened = dt.datetime(2025, 9, 22, tzinfo=dt.UTC)
    book = client.create_book("imported", opened_time=opened)
    recorded = opened + dt.timedelta(days=1, microseconds=7)
    answer = book.append(party("SUP"), effective_date=DAY, recorded_time=recorded, status="PLAN")
    assert answer.recorded_time == recorded
    assert book.resolve_position(opened).position == 1


def requests_of(book: Book | AsyncBook, count: int) -> list[AppendEventsRequest]:
    return [book.request(party(f"P{i}"), effective_date=DAY) for i in range(count)]


def test_stream(book: Book) -> None:
    requests = requests_of(book, 1500)
    outcomes = list(book.append_stream(requests))
    assert [outcome.result().position for outcome in outcomes] == list(range(2, 1502))
    assert [outcome.request for outcome in outcomes] == requests
    again = list(book.append_stream(requests))
    assert all(outcome.result().replayed for outcome in again)


def test_stream_goes_on_after_a_refusal(book: Book) -> None:
    good, bad, last = requests_of(book, 3)
    bad.events[0].event.party_registered.legal_name = ""
    outcomes = list(book.append_stream([good, bad, last]))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    with pytest.raises(InvalidArgumentError):
        outcomes[1].result()


def test_stream_in_sequence_ends_with_a_refusal(book: Book) -> None:
    good, bad, last = requests_of(book, 3)
    bad.events[0].event.party_registered.legal_name = ""
    outcomes = list(book.append_stream([good, bad, last], in_sequence=True))
    assert [outcome.error is None for outcome in outcomes] == [True, False]
    assert book.info().head_position == 2


def test_stream_of_requests_that_cannot_be_read(book: Book) -> None:
    def requests() -> object:
        yield requests_of(book, 1)[0]
        raise OSError("the file is gone")

    outcomes = book.append_stream(requests())  # type: ignore[arg-type]
    assert next(outcomes).result().position == 2
    with pytest.raises(OSError, match="the file is gone"):
        next(outcomes)


async def test_asyncio(async_book: AsyncBook) -> None:
    answer = await async_book.append(party("SUP"), effective_date=DAY)
    assert answer.position == 2
    with pytest.raises(InvalidArgumentError):
        await async_book.append(party(""), effective_date=DAY)
    outcomes = [o async for o in async_book.append_stream(requests_of(async_book, 1500))]
    assert [outcome.result().position for outcome in outcomes] == list(range(3, 1503))
    async with aclosing(async_book.read(1500)) as events:
        assert [recorded.position async for recorded in events] == [1500, 1501, 1502]


async def test_asyncio_stream_of_requests_that_cannot_be_read(async_book: AsyncBook) -> None:
    async def requests() -> object:
        yield requests_of(async_book, 1)[0]
        raise OSError("the file is gone")

    outcomes = async_book.append_stream(requests())  # type: ignore[arg-type]
    assert (await anext(outcomes)).result().position == 2
    with pytest.raises(OSError, match="the file is gone"):
        await anext(outcomes)
