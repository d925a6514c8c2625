"""The systems under measurement: PostgreSQL with fsync on, the services, and the peers."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from uuid import uuid4

import grpc
import psycopg
from gigaledger.common.postgres.embedded import embedded_postgres
from gigaledger.ledger.log.schema import prepare_database
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, CreateBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.facts import parties, placed, received
from tests.processes import COMMAND, ServiceName, ServiceProcess

ORDERED = 1_000_000_000
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Stage:
    """The running systems."""

    url: str
    ledger: ServiceProcess
    projections: ServiceProcess
    exceptions: ServiceProcess
    folder: Path

    def new_book(self) -> str:
        """Open a book with an order on which goods can be received, and return its name."""
        with self.ledger.channel() as channel:
            stub = LedgerServiceStub(channel)
            book: str = stub.CreateBook(CreateBookRequest(book_id=f"b{uuid4().hex}")).book.name
            opening = AppendEventsRequest(book=book, request_id="opening")
            for event in (*parties("SUP", "CUS"), placed(ORDERED)):
                opening.events.add().event.CopyFrom(event)
            stub.AppendEvents(opening)
        return book

    @contextmanager
    def second_ledger(self) -> Iterator[ServiceProcess]:
        """Run a second ledger process on the same database."""
        ledger = service("ledger", {"GIGALEDGER_DATABASE_URL": self.url})
        ledger.start()
        try:
            yield ledger
        finally:
            ledger.kill()

    def new_database(self) -> str:
        """Create a database for a peer and return its URL."""
        name = f"peer_{uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url.replace("/gigaledger?", f"/{name}?")


def schema_of(book: str) -> str:
    """Return the PostgreSQL schema of a book that this stage opened."""
    return "book_" + book.removeprefix("books/")


def request_of(book: str, facts: int = 1) -> AppendEventsRequest:
    """Return a request with the given number of goods receipts."""
    request = AppendEventsRequest(book=book, request_id=uuid4().hex)
    for _ in range(facts):
        request.events.add().event.CopyFrom(_GOODS)
    return request


def order_of(book: str, number: int, facts: int) -> AppendEventsRequest:
    """Return a request that places an order and records receipts on it, `facts` in total."""
    order = f"PO-F{number}"
    request = AppendEventsRequest(book=book, request_id=f"fill-{number}")
    request.events.add().event.CopyFrom(placed(facts, purchase_order=order))
    goods = received(1, purchase_order=order)
    for _ in range(facts - 1):
        request.events.add().event.CopyFrom(goods)
    return request


_GOODS = received(1)


def service(name: ServiceName, environment: dict[str, str]) -> ServiceProcess:
    """Return a service as operators start it, not as a fork."""
    return ServiceProcess(name, environment, _start_command)


def _start_command(
    arguments: Sequence[str], environment: Mapping[str, str], *, stderr: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


@contextmanager
def stage() -> Iterator[Stage]:
    """Start everything, and stop it at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gigaledger-bench-")))
        folder.chmod(0o711)
        server = stack.enter_context(embedded_postgres(folder / "data"))
        prepare_database(server.url)
        database = {"GIGALEDGER_DATABASE_URL": server.url}
        ledger = service("ledger", database)
        ledger.start()
        stack.callback(ledger.kill)
        projections = service(
            "projections", database | {"GIGALEDGER_LEDGER_ADDRESS": ledger.address}
        )
        projections.start()
        stack.callback(projections.kill)
        exceptions = service("exceptions", database)
        exceptions.start()
        stack.callback(exceptions.kill)
        yield Stage(server.url, ledger, projections, exceptions, folder)


@contextmanager
def echo_server() -> Iterator[str]:
    """Run a grpc.aio server that echoes every message, and yield its address."""
    address = f"127.0.0.1:{free_port()}"
    with _process([sys.executable, "-m", "benchmarks.echo", address], address):
        yield address


@contextmanager
def umadb_server(folder: Path) -> Iterator[str | None]:
    """Run UmaDB and yield its address; None if it is not installed."""
    program = Path(sys.executable).with_name("umadb")
    if not program.exists():
        yield None
        return
    address = f"127.0.0.1:{free_port()}"
    path = folder / f"umadb-{uuid4().hex}.db"
    with _process([program, "--listen", address, "--db-path", path], address):
        yield address


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def _process(command: list[str | Path], address: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        yield
    finally:
        process.kill()
        process.wait()


async def keep_in_flight(count: int, seconds: float, call: object) -> tuple[int, list[float]]:
    """Keep `count` calls in flight for some seconds; return how many ended, and their durations."""
    end = time.perf_counter() + seconds
    took: list[float] = []

    async def caller() -> None:
        while (started := time.perf_counter()) < end:
            await call()  # type: ignore[operator]
            took.append(time.perf_counter() - started)

    await asyncio.gather(*(caller() for _ in range(count)))
    return len(took), took
