"""One ledger process for each worker of the test run; each test has books of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.api.calls import Caller
from tests.postgres import PostgresServer
from tests.processes import ServiceProcess


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


@pytest.fixture(scope="session")
def stub(ledger_process: ServiceProcess) -> Iterator[LedgerServiceStub]:
    """A client of it."""
    with ledger_process.channel() as channel:
        yield LedgerServiceStub(channel)


@pytest.fixture
def caller(stub: LedgerServiceStub) -> Caller:
    """A caller of a fresh book."""
    return Caller.of_new_book(stub)
