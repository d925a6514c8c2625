"""A sealed ledger with its projections, the example books, and the page in front of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from gigaledger.client import AsyncClient, Client, RetryPolicy, connect, connect_async
from gigaledger.common.transparency.keys import new_key, write_keys
from gigaledger.web.app import create_app

from tests.postgres import PostgresServer
from tests.processes import RunningServices, ServiceProcess
from tests.scenarios.test_checkpoints import requests_of

RETRY = RetryPolicy(seconds=20)
PLAN, CORRECTIONS = "nvidia-openai-plan", "corrections"


@dataclass(frozen=True)
class Books:
    """Running services, and books of them.

    Attributes:
        services: that hold the books.
        by_example: id of the book that holds an example.
        empty: id of a book without a fact.
    """

    services: RunningServices
    by_example: dict[str, str]
    empty: str

    def connect(self) -> Client:
        """Return a blocking client."""
        return connect(
            self.services.ledger.address,
            projections=self.services.projections.address,
            actor="alice",
            retry=RETRY,
        )


@pytest.fixture(scope="module")
def books(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Books]:
    """The example books in services that have caught up with them."""
    key = tmp_path_factory.mktemp("key") / "key"
    write_keys(key, [new_key("ledger.test")])
    with postgres_server.database() as url, ExitStack() as processes:
        database = {"GIGALEDGER_DATABASE_URL": url}
        ledger = started("ledger", database | {"GIGALEDGER_SIGNING_KEY": str(key)}, processes)
        follows = database | {"GIGALEDGER_LEDGER_ADDRESS": ledger.address}
        projections = started("projections", follows, processes)
        started("exceptions", database, processes)
        made = Books(RunningServices(ledger, projections), {}, "empty")
        with made.connect() as client:
            client.create_book(made.empty)
            for name in (PLAN, CORRECTIONS):
                made.by_example[name] = example(client, name)
        yield made


def started(name: str, environment: dict[str, str], processes: ExitStack) -> ServiceProcess:
    """Start a service that ends with the stack."""
    process = ServiceProcess(name, environment)  # type: ignore[arg-type]
    process.start()
    processes.callback(process.kill)
    return process


def example(client: Client, name: str) -> str:
    """Append an example to a book of its own and return the book's id."""
    book_id = f"b{uuid4().hex[:12]}"
    requests = requests_of(name)
    opened = requests[0].events[0].recorded_time.ToDatetime(dt.UTC)
    book = client.create_book(book_id, display_name=name, opened_time=opened)
    appended = [book.send(request) for request in requests]
    read = {"min_position": appended[-1].position, "max_wait": 30}
    book.capacity(**read)  # type: ignore[arg-type]
    book.investment(**read)  # type: ignore[arg-type]
    book.round_trip(**read)  # type: ignore[arg-type]
    next(book.exceptions(**read))  # type: ignore[arg-type]
    return book_id


@pytest.fixture
async def client(books: Books) -> AsyncIterator[AsyncClient]:
    """A client for asyncio."""
    async with connect_async(
        books.services.ledger.address,
        projections=books.services.projections.address,
        actor="alice",
        retry=RETRY,
    ) as client:
        yield client


@pytest.fixture
async def page(client: AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, in front of the page in this process."""
    app, _ = create_app(client, ledger="LEDGER", projections="PROJECTIONS", hosts=["page.test"])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://page.test") as browser:
        yield browser
