"""Several ledger processes on one address, as docs/operator.md describes them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc
import psutil
import pytest
from gigaledger.cli.errors import ExitCode
from gigaledger.cli.run.processes import free_addresses
from gigaledger.common.grpc.health import HealthError, check_health
from gigaledger.v1.ledger_pb2 import CreateBookRequest, ReadEventsRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.api.calls import Caller
from tests.facts import parties, placed, received
from tests.log.books import until
from tests.processes import COMMAND

PROCESSES = 2
MAX_CONNECTIONS = 200
REQUESTS = 20
STOP_SECONDS = 30


def ledger(*arguments: object, **settings: str) -> subprocess.Popen[str]:
    """Start `gigaledger serve ledger`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIGALEDGER_")}
    return subprocess.Popen(
        [COMMAND, "serve", "ledger", *map(str, arguments)],
        env=kept | settings,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def address() -> str:
    """A free address."""
    (free,) = free_addresses(1)
    return free


@pytest.fixture
def running(database_url: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """Ledger processes that share the address."""
    process = ledger(
        "--processes",
        PROCESSES,
        GIGALEDGER_DATABASE_URL=database_url,
        GIGALEDGER_LEDGER_ADDRESS=address,
    )
    try:
        until(lambda: len(holding(process, address, psutil.CONN_LISTEN)) == PROCESSES or None)
        yield process
    finally:
        for child in children(process):
            child.kill()
        process.kill()
        process.communicate()


def serves(address: str) -> bool:
    """Return whether a ledger serves at the address."""
    try:
        check_health(address, "gigaledger.v1.LedgerService", 2)
    except HealthError:
        return False
    return True


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the child processes."""
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


@contextmanager
def connections(running: subprocess.Popen[str], address: str) -> Iterator[list[LedgerServiceStub]]:
    """Open connections until each process has at least one."""
    with ExitStack() as stack:
        stubs: list[LedgerServiceStub] = []
        while len(holding(running, address, psutil.CONN_ESTABLISHED)) < PROCESSES:
            assert len(stubs) < MAX_CONNECTIONS
            options = [("grpc.use_local_subchannel_pool", 1)]
            channel = stack.enter_context(grpc.insecure_channel(address, options))
            grpc.channel_ready_future(channel).result(STOP_SECONDS)
            stubs.append(LedgerServiceStub(channel))
        yield stubs


def holding(process: subprocess.Popen[str], address: str, status: str) -> set[int]:
    """Return the child processes that have a socket in a state at the address."""
    port = int(address.rpartition(":")[2])
    return {
        child.pid
        for child in children(process)
        for held in child.net_connections("tcp")
        if held.status == status and held.laddr.port == port
    }


def test_processes_on_one_address_write_one_book(
    running: subprocess.Popen[str], address: str
) -> None:
    with connections(running, address) as stubs:
        book = stubs[0].CreateBook(CreateBookRequest(book_id="shared")).book.name
        quantity = len(stubs) * REQUESTS
        Caller(stubs[0], book).append(*parties("SUP", "CUS"), placed(quantity))

        def receive(stub: LedgerServiceStub) -> None:
            for _ in range(REQUESTS):
                Caller(stub, book).append(received(1))

        with ThreadPoolExecutor(len(stubs)) as callers:
            list(callers.map(receive, stubs))
        pages = stubs[0].ReadEvents(ReadEventsRequest(book=book))
        events = [event for page in pages for event in page.events]

    assert [event.position for event in events] == list(range(1, len(events) + 1))
    goods = [event for event in events if event.event.HasField("goods_received")]
    assert [event.stream_version for event in goods] == list(range(2, quantity + 2))


def test_a_process_that_dies_ends_the_others(running: subprocess.Popen[str], address: str) -> None:
    victim, *_ = children(running)
    victim.kill()

    _, log = running.communicate(timeout=STOP_SECONDS)

    assert running.returncode == ExitCode.FAILED
    assert "the ledger service was killed by signal 9" in log
    assert not serves(address)


def test_all_processes_end_on_request(running: subprocess.Popen[str], address: str) -> None:
    running.send_signal(signal.SIGTERM)

    _, log = running.communicate(timeout=STOP_SECONDS)

    assert running.returncode == ExitCode.OK
    assert log.count('"event": "stopped"') == PROCESSES
    assert not serves(address)


def test_an_address_in_use_by_another_program_is_refused(
    running: subprocess.Popen[str], database_url: str, address: str
) -> None:
    assert running.poll() is None
    second = ledger(
        "--processes",
        PROCESSES,
        GIGALEDGER_DATABASE_URL=database_url,
        GIGALEDGER_LEDGER_ADDRESS=address,
    )

    _, log = second.communicate(timeout=STOP_SECONDS)

    assert second.returncode == ExitCode.UNAVAILABLE
    assert f"can't listen on {address}" in log


def test_a_port_is_required() -> None:
    process = ledger("--processes", PROCESSES, GIGALEDGER_LEDGER_ADDRESS="127.0.0.1:0")

    _, log = process.communicate(timeout=STOP_SECONDS)

    assert process.returncode == ExitCode.USAGE
    assert "GIGALEDGER_LEDGER_ADDRESS" in log
