"""Writers, ledgers and connections are killed under load: nothing is lost, nothing counted twice.

Eight callers append to one book over two ledger processes, which are killed with SIGKILL and whose
connections to PostgreSQL are cut. A caller that is not answered repeats its request, as the
contract says.
"""

from __future__ import annotations

import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
import pytest
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventsResponse,
    CreateBookRequest,
    NewEvent,
    ReadEventsRequest,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.protobuf.json_format import MessageToDict

from tests.api.calls import events_of
from tests.facts import parties
from tests.processes import COMMAND, ServiceProcess, StartLedger

CALLERS = 6
REQUESTS = 120
FILE_LINES = 400
KILLS = 3


def request_of(request_id: str) -> AppendEventsRequest:
    """A request of two facts."""
    facts = parties(f"A-{request_id}", f"B-{request_id}")
    return AppendEventsRequest(
        book="books/main",
        request_id=request_id,
        events=[NewEvent(event=event) for event in facts],
    )


@dataclass
class Load:
    """Callers that repeat unanswered requests."""

    ledgers: list[ServiceProcess]
    acknowledged: dict[str, AppendEventsResponse] = field(default_factory=dict)
    repeated: int = 0
    progress: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run(self, caller: int) -> None:
        """Append all requests of a caller."""
        channels = [ledger.channel() for ledger in self.ledgers]
        stubs = [LedgerServiceStub(channel) for channel in channels]
        for number in range(REQUESTS):
            request = request_of(f"c{caller}-{number}")
            turn = caller
            while True:
                try:
                    answer = stubs[turn % 2].AppendEvents(request, timeout=20)
                except grpc.RpcError as error:
                    code = error.code()
                    if code is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    self.repeated += 1
                    turn += 1
                    continue
                break
            self.acknowledged[request.request_id] = answer
            self.progress.release()
        for channel in channels:
            channel.close()

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests are acknowledged."""
        for _ in range(count):
            assert self.progress.acquire(timeout=60)


def positions(answer: AppendEventsResponse) -> tuple[int, ...]:
    return tuple(receipt.position for receipt in answer.receipts)


@pytest.fixture
def ledgers(start_ledger: StartLedger) -> list[ServiceProcess]:
    """Two ledger processes on one database, with a book."""
    started = [start_ledger(), start_ledger()]
    with started[0].channel() as channel:
        LedgerServiceStub(channel).CreateBook(CreateBookRequest(book_id="main"))
    return started


def test_acknowledged_facts_are_recorded_exactly_once(
    database_url: str, ledgers: list[ServiceProcess], tmp_path: Path
) -> None:
    file = tmp_path / "facts.jsonl"
    lines = []
    for number in range(FILE_LINES):
        request = request_of(f"file-{number}")
        request.book = ""
        lines.append(json.dumps(MessageToDict(request)))
    file.write_text("\n".join(lines), "utf-8")

    load = Load(ledgers)
    with ThreadPoolExecutor(CALLERS) as callers:
        running = [callers.submit(load.run, caller) for caller in range(CALLERS)]
        for kill in range(KILLS):
            load.wait_for(CALLERS * REQUESTS // (4 * KILLS))
            # A client that dies in the middle of a file,
            appending = append(file, ledgers[1 - kill % 2])
            load.wait_for(40)
            appending.kill()
            appending.wait()
            # connections that are cut,
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            load.wait_for(40)
            # and a ledger that is killed.
            ledgers[kill % 2].kill()
            ledgers[kill % 2].restart()
        for future in running:
            future.result()
    finished = append(file, ledgers[0])
    assert finished.wait(60) == 0

    assert load.repeated, "callers met the faults"
    with ledgers[0].channel() as channel:
        stub = LedgerServiceStub(channel)
        log = events_of(stub.ReadEvents(ReadEventsRequest(book="books/main")))
        again = {name: stub.AppendEvents(request_of(name)) for name in load.acknowledged}

    # Positions are 1 to N, and each request is there once, whole.
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    assert len(log) == 1 + 2 * (CALLERS * REQUESTS + FILE_LINES)
    found: dict[str, tuple[int, ...]] = {}
    for event in log[1:]:
        found[event.event.request_id] = (
            *found.get(event.event.request_id, ()),
            event.position,
        )
    assert all(len(places) == 2 and places[1] == places[0] + 1 for places in found.values())
    # Acknowledged facts are at their positions, and every repetition gets the first answer.
    assert {name: positions(answer) for name, answer in load.acknowledged.items()} == {
        name: places for name, places in found.items() if name.startswith("c")
    }
    assert all(answer.replayed for answer in again.values())
    assert {name: positions(answer) for name, answer in again.items()} == {
        name: positions(answer) for name, answer in load.acknowledged.items()
    }


def append(file: Path, ledger: ServiceProcess) -> subprocess.Popen[bytes]:
    """Append a file with the command."""
    return subprocess.Popen(
        [COMMAND, "append", file, "--ledger", ledger.address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_terminated_ledger_finishes_received_requests(ledgers: list[ServiceProcess]) -> None:
    """SIGTERM loses no request: each is answered, or was never taken."""
    acknowledged: list[str] = []
    with ledgers[0].channel() as channel, ThreadPoolExecutor(8) as callers:
        stub = LedgerServiceStub(channel)
        first = threading.Event()

        def run(caller: int) -> None:
            for number in range(1000):
                request = request_of(f"c{caller}-{number}")
                try:
                    stub.AppendEvents(request, timeout=20)
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
                    return
                acknowledged.append(request.request_id)
                first.set()

        running = [callers.submit(run, caller) for caller in range(8)]
        assert first.wait(30)
        assert ledgers[0].terminate() == 0
        for future in running:
            future.result()
    with ledgers[1].channel() as channel:
        pages = LedgerServiceStub(channel).ReadEvents(ReadEventsRequest(book="books/main"))
        recorded = {event.event.request_id for event in events_of(pages)} - {"gigaledger-open-main"}

    assert recorded == set(acknowledged)


def test_the_ledger_reconnects_to_its_database(
    database_url: str, ledgers: list[ServiceProcess]
) -> None:
    """A subscription is ended by name, and the next call works."""
    with ledgers[0].channel() as channel:
        stub = LedgerServiceStub(channel)
        stub.AppendEvents(request_of("before"))
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        answer = stub.AppendEvents(request_of("after"))
        pages = list(stub.ReadEvents(ReadEventsRequest(book="books/main")))

    assert positions(answer) == (4, 5)
    assert len(events_of(pages)) == 5
