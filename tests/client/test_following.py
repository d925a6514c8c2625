"""Reading and following a book: resumed by itself, nothing missed or repeated."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from contextlib import aclosing
from uuid import uuid4

import pytest
from gigaledger.client import (
    AsyncBook,
    Book,
    HistoryDivergedError,
    InvalidArgumentError,
    RetryPolicy,
    UnavailableError,
    connect,
    connect_async,
    event_filter,
    facts,
)

from tests.client.test_appending import DAY, party, requests_of
from tests.processes import ServiceProcess, StartLedger


def fill(book: Book, count: int) -> None:
    for outcome in book.append_stream(requests_of(book, count)):
        outcome.result()


def test_read(book: Book) -> None:
    fill(book, 30)
    assert [event.position for event in book.read()] == list(range(1, 32))
    assert [event.position for event in book.read(5, 7)] == [5, 6, 7]
    assert not list(book.read(100))
    matching = event_filter(party="P3", fact_types=["party_registered"])
    assert [event.stream for event in book.read(matching=matching)] == ["parties/P3"]
    assert [event.stream for event in book.events(matching=matching)] == ["parties/P3"]
    assert [event.position for event in book.events(page_size=7)] == list(range(1, 32))
    assert book.event(2).stream == "parties/P0"


def test_filter_by_effective_date(book: Book) -> None:
    book.append(party("A"), effective_date=DAY)
    book.append(party("B"), effective_date=DAY + dt.timedelta(days=1))
    matching = event_filter(effective_to=DAY, fact_types=["party_registered"])
    assert [event.stream for event in book.read(matching=matching)] == ["parties/A"]


def test_an_unknown_fact_type_is_refused(book: Book) -> None:
    with pytest.raises(InvalidArgumentError, match="no_such_fact"):
        list(book.read(matching=event_filter(fact_types=["no_such_fact"])))


def test_subscribe_catches_up_and_goes_on(book: Book) -> None:
    fill(book, 3)
    with book.subscribe() as updates:
        seen = []
        for update in updates:
            seen += [event.position for event in update.events]
            if update.caught_up:
                break
        assert seen == [1, 2, 3, 4]
        assert not update.resumed
        book.append(party("LATE"), effective_date=DAY)
        late = next(update for update in updates if update.events)
    assert [event.position for event in late.events] == [5]

    with book.subscribe(resume_token=update.resume_token) as updates:
        assert [event.position for event in next(u.events for u in updates if u.events)] == [5]


def test_close_ends_a_subscription_that_waits(book: Book) -> None:
    updates = book.subscribe()
    threading.Timer(0.5, updates.close).start()
    assert sum(len(update.events) for update in updates) == 1


def test_a_stream_that_is_dropped_cancels_its_call(book: Book) -> None:
    fill(book, 3)
    updates = book.subscribe()
    next(updates)
    ending = updates._ending
    del updates
    assert ending._call.cancelled()


def test_a_client_that_is_closed_ends_its_streams(shared_ledger: ServiceProcess) -> None:
    client = connect(shared_ledger.address, actor="alice")
    book = client.create_book(f"b{uuid4().hex}")
    updates = book.subscribe()
    threading.Timer(0.5, client.close).start()
    with pytest.raises(UnavailableError):
        list(updates)
    with pytest.raises(RuntimeError, match="the client is closed"):
        book.info()


def test_history_diverged(book: Book) -> None:
    other = "AAAAAAAAAAAAAAAAAAAAADE="  # an event id of zeros, at position 1
    with pytest.raises(HistoryDivergedError) as caught:
        next(book.subscribe(resume_token=other))
    assert caught.value.reason == "HISTORY_DIVERGED"


def kill_and_restart(ledger: ServiceProcess) -> None:
    ledger.kill()
    time.sleep(0.3)
    ledger.restart()


def test_everything_goes_on_when_the_ledger_is_killed(start_ledger: StartLedger) -> None:
    ledger = start_ledger()
    with connect(ledger.address, actor="alice") as client:
        book = client.create_book("main")
        positions: list[int] = []
        resumed: list[bool] = []
        updates = book.subscribe()

        def follow() -> None:
            for update in updates:
                positions.extend(event.position for event in update.events)
                resumed.append(update.resumed)

        follower = threading.Thread(target=follow)
        follower.start()
        outcomes = book.append_stream(requests_of(book, 3000))
        answers = [next(outcomes).result() for _ in range(500)]
        kill_and_restart(ledger)
        answers += [outcome.result() for outcome in outcomes]
        assert [answer.position for answer in answers] == list(range(2, 3002))

        ledger.kill()
        threading.Timer(1.0, ledger.restart).start()
        assert book.append(party("LAST"), effective_date=DAY).position == 3002
        deadline = time.monotonic() + 20
        while len(positions) < 3002 and time.monotonic() < deadline:
            time.sleep(0.05)
        updates.close()
        follower.join()
        assert positions == list(range(1, 3003))
        assert any(resumed)


async def test_asyncio_goes_on_when_the_ledger_is_killed(start_ledger: StartLedger) -> None:
    ledger = start_ledger()
    async with connect_async(ledger.address, actor="alice") as client:
        book: AsyncBook = await client.create_book("main")
        positions: list[int] = []

        async def follow() -> None:
            async with aclosing(book.subscribe()) as updates:
                async for update in updates:
                    positions.extend(event.position for event in update.events)
                    if len(positions) >= 2001:
                        return

        follower = asyncio.create_task(follow())
        count = 0
        async for outcome in book.append_stream(requests_of(book, 2000)):
            count += 1
            assert outcome.result().position == count + 1
            if count == 300:
                await asyncio.to_thread(kill_and_restart, ledger)
        async with asyncio.timeout(20):
            await follower
        assert positions == list(range(1, 2002))


def test_a_ledger_that_stays_away() -> None:
    with connect("127.0.0.1:1", actor="alice", retry=RetryPolicy(seconds=0.5)) as client:
        book = client.book("main")
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            book.append(facts.party_registered(party="A", legal_name="A"), effective_date=DAY)
        assert caught.value.request_id
        with pytest.raises(UnavailableError):
            list(book.read())
        with pytest.raises(UnavailableError):
            list(book.append_stream(requests_of(book, 3)))
        assert time.monotonic() - started < 10


def test_request_id_is_kept_over_a_deadline(start_ledger: StartLedger) -> None:
    ledger = start_ledger()
    with connect(ledger.address, actor="alice", timeout=0.5) as client:
        book = client.create_book(f"b{uuid4().hex}", exist_ok=True)
        ledger.pause()
        threading.Timer(1.5, ledger.resume).start()
        answer = book.append(party("SUP"), effective_date=DAY)
        assert answer.position == 2
        assert book.info().head_position == 2
