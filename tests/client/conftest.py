"""Clients of the shared ledger, each with a book of its own."""

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

from tests.processes import ServiceProcess

RETRY = RetryPolicy(seconds=20)


@pytest.fixture
def client(shared_ledger: ServiceProcess) -> Iterator[Client]:
    """A blocking client."""
    with connect(shared_ledger.address, actor="alice", retry=RETRY) as client:
        yield client


@pytest.fixture
def book(client: Client) -> Book:
    """A fresh book."""
    return client.create_book(f"b{uuid4().hex}")


@pytest.fixture
async def async_client(shared_ledger: ServiceProcess) -> AsyncIterator[AsyncClient]:
    """A client for asyncio."""
    async with connect_async(shared_ledger.address, actor="alice", retry=RETRY) as client:
        yield client


@pytest.fixture
async def async_book(async_client: AsyncClient) -> AsyncBook:
    """A fresh book."""
    return await async_client.create_book(f"b{uuid4().hex}")
