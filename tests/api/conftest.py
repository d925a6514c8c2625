"""Clients of the shared ledger; each test has books of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.api.calls import Caller
from tests.processes import ServiceProcess


@pytest.fixture(scope="module")
def stub(shared_ledger: ServiceProcess) -> Iterator[LedgerServiceStub]:
    """A client of it."""
    with shared_ledger.channel() as channel:
        yield LedgerServiceStub(channel)


@pytest.fixture
def caller(stub: LedgerServiceStub) -> Caller:
    """A caller of a fresh book."""
    return Caller.of_new_book(stub)
