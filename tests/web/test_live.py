"""Open pages are woken by appends, by the process that serves them."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import httpx
import pytest
from gigaledger.client import Book, Client, facts
from gigaledger.web.live import Updates

from tests.processes import ServiceProcess
from tests.web.conftest import Books, started

SECONDS = 20


@pytest.fixture(scope="module")
def client(books: Books) -> Iterator[Client]:
    """A blocking client."""
    with books.connect() as client:
        yield client


@pytest.fixture
def web(books: Books) -> Iterator[ServiceProcess]:
    """The page as a process."""
    with ExitStack() as processes:
        addresses = {
            "GIGALEDGER_LEDGER_ADDRESS": books.services.ledger.address,
            "GIGALEDGER_PROJECTIONS_ADDRESS": books.services.projections.address,
        }
        yield started("web", addresses, processes)


def register(book: Book, name: str) -> int:
    return book.append(
        facts.party_registered(party=name, legal_name=f"{name} Inc."),
        effective_date=dt.date(2026, 1, 1),
        status="FACT",
    ).position


def events_of(lines: Iterator[str]) -> Iterator[int]:
    """Positions that a stream of server-sent events announces."""
    name = ""
    for line in lines:
        if line.startswith("event:"):
            name = line.partition(":")[2].strip()
        elif line.startswith("data:"):
            assert name == "position"
            yield int(line.partition(":")[2])


def test_each_open_page_learns_of_each_position(web: ServiceProcess, client: Client) -> None:
    book = client.create_book(f"b{uuid4().hex}")
    address = f"http://{web.address}/books/{book.name.removeprefix('books/')}/live"
    with (
        httpx.Client(timeout=SECONDS) as browser,
        browser.stream("GET", address, params={"after": 1}) as one,
        browser.stream("GET", address) as other,
    ):
        assert one.headers["content-type"].startswith("text/event-stream")
        first, second = events_of(one.iter_lines()), events_of(other.iter_lines())
        assert next(second) == 1, "a page that shows less is woken at once"
        for number in range(3):
            position = register(book, f"P{number}")
            assert next(first) == position
            assert next(second) == position


def test_open_pages_do_not_delay_the_end(web: ServiceProcess, client: Client) -> None:
    book = client.create_book(f"b{uuid4().hex}")
    address = f"http://{web.address}/books/{book.name.removeprefix('books/')}/live"
    with (
        httpx.Client(timeout=SECONDS) as browser,
        browser.stream("GET", address) as stream,
    ):
        lines = stream.iter_lines()
        assert next(events_of(lines)) == 1
        ended: list[int] = []
        ending = threading.Thread(target=lambda: ended.append(web.terminate()))
        ending.start()
        assert list(events_of(lines)) == []
        ending.join(SECONDS)

    assert ended == [0]


def test_a_book_that_is_not_there_ends_the_stream(web: ServiceProcess) -> None:
    answer = httpx.get(f"http://{web.address}/books/nowhere/live", timeout=SECONDS)

    assert answer.status_code == 200
    assert list(events_of(iter(answer.text.splitlines()))) == []


def test_only_names_of_this_machine_are_served_on_a_loopback_address(web: ServiceProcess) -> None:
    ours = httpx.get(f"http://localhost:{web.port}/", timeout=SECONDS)
    theirs = httpx.get(f"http://{web.address}/", headers={"Host": "evil.example"}, timeout=SECONDS)

    assert (ours.status_code, theirs.status_code) == (200, 421)
    assert "server" not in ours.headers


async def test_pages_that_show_the_same_are_rendered_once() -> None:
    updates = Updates()
    calls: list[int] = []

    async def render() -> tuple[int, str]:
        calls.append(len(calls))
        return 200, f"page {calls[-1]}"

    asked = [("/a", 5), ("/a", 5), ("/a", 4), ("/b", 5), ("/a", 6)]
    answers = await asyncio.gather(*(updates.rendered(*which, render) for which in asked))

    assert len(calls) == 3
    assert answers[0] == answers[1] == answers[2]
    assert answers[4] != answers[0], "a page does not get less than it asks for"
