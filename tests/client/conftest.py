"""A ledger process for the tests of a worker, and clients of it, each with a book of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from gigaledger.client import (
    AsyncBook,
    AsyncClient,
    Book,
    Client,
    RetryPolicy,
    connect,
    connect_async,
)

from tests.postgres import PostgresServer
from tests.processes import ServiceProcess

RETRY = RetryPolicy(seconds=20)


@pytest.fixture(scope="session")
def ledger_process(postgres_server: PostgresServer) -> Iterator[ServiceProcess]:
    """A ledger that serves."""
    with postgres_server.database() as url:
        process = ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": url})
        process.start()
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def client(ledger_process: ServiceProcess) -> Iterator[Client]:
    """A blocking client."""
    with connect(ledger_process.address, actor="alice", retry=RETRY) as client:
        yield client


@pytest.fixture
def book(client: Client) -> Book:
    """A fresh book."""
    return client.create_book(f"b{uuid4().hex}")


@pytest.fixture
async def async_client(ledger_process: ServiceProcess) -> AsyncIterator[AsyncClient]:
    """A client for asyncio."""
    async with connect_async(ledger_process.address, actor="alice", retry=RETRY) as client:
        yield client


@pytest.fixture
async def async_book(async_client: AsyncClient) -> AsyncBook:
    """A fresh book."""
    return await async_client.create_book(f"b{uuid4().hex}")
