"""`python -m benchmarks.sealing`: the cost of sealing to appends.

Two ledgers run side by side on separate databases of one PostgreSQL. One has a signing key and
seals; the other has none. They take the same facts in turns, each time into a new book, and the
first has to have sealed everything before the second has its turn.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import psycopg
from gigaledger.common.postgres.embedded import embedded_postgres
from gigaledger.common.transparency.keys import new_key, write_keys
from gigaledger.ledger.log.schema import prepare_database
from gigaledger.v1.audit_pb2 import GetLatestCheckpointRequest
from gigaledger.v1.audit_pb2_grpc import AuditServiceStub
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventStreamRequest,
    CreateBookRequest,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from benchmarks.stage import CHANNEL_OPTIONS, ORDERED, request_of, service
from tests.facts import parties, placed
from tests.processes import ServiceProcess

if TYPE_CHECKING:
    from gigaledger.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

MOST_SECONDS = 60.0
"""The run ends with an error if a call or a seal takes longer."""
WAYS = {"in a stream of batches of 100": 100, "one by one, 64 in flight": 1}
IN_FLIGHT = 64


@dataclass
class Measured:
    """Seconds that the same facts took in each round."""

    plain: list[float] = field(default_factory=list)
    sealing: list[float] = field(default_factory=list)
    sealed_later: list[float] = field(default_factory=list)

    def add(self, took: float, sealed_later: float, *, seals: bool) -> None:
        """Add the seconds of one ledger in one round."""
        if seals:
            self.sealing.append(took)
            self.sealed_later.append(sealed_later)
        else:
            self.plain.append(took)

    def row(self, way: str, facts: int) -> str:
        """Return a line of the table: medians, and the median of the ratios of the rounds."""
        ratios = [p / s for p, s in zip(self.plain, self.sealing, strict=True)]
        without, with_key = (facts / statistics.median(took) for took in (self.plain, self.sealing))
        return (
            f"| {way} | {without:,.0f} | {with_key:,.0f} | {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f})"
            f" | {statistics.median(self.sealed_later):.2f} |"
        )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Measure what sealing costs.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--facts", type=int, default=10_000, help="of each measurement")
    options = parser.parse_args()
    print(f"{options.rounds} rounds of {options.facts:,} facts, in turns\n")
    print("| facts per second | no key | with a key | ratio (all rounds) | sealed after, s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with _ledgers() as (plain, sealing):
        for way, batch in WAYS.items():
            facts = options.facts if batch > 1 else options.facts // 4
            measured = Measured()
            # The first round warms both up and does not count.
            for number in range(options.rounds + 1):
                seals_first = number % 2 == 0
                for seals in (seals_first, not seals_first):
                    ledger = sealing if seals else plain
                    took, later = _round(ledger, facts, batch, seals=seals)
                    if number:
                        measured.add(took, later, seals=seals)
            print(measured.row(way, facts), flush=True)


@contextmanager
def _ledgers() -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    """Run a ledger without a key and one with a key."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gigaledger-bench-")))
        folder.chmod(0o711)
        key = folder / "key"
        write_keys(key, [new_key("ledger.bench")])
        server = stack.enter_context(embedded_postgres(folder / "data"))
        ledgers = []
        for name, settings in (("plain", {}), ("sealing", {"GIGALEDGER_SIGNING_KEY": str(key)})):
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            url = server.url.replace("/gigaledger?", f"/{name}?")
            prepare_database(url)
            ledger = service("ledger", {"GIGALEDGER_DATABASE_URL": url, **settings})
            ledger.start()
            stack.callback(ledger.kill)
            ledgers.append(ledger)
        yield ledgers[0], ledgers[1]


def _round(ledger: ServiceProcess, facts: int, batch: int, *, seals: bool) -> tuple[float, float]:
    """Return the seconds until everything was acknowledged, and from then until it was sealed."""
    with ledger.channel() as channel:
        book = _new_book(LedgerServiceStub(channel))
        started = time.perf_counter()
        last = asyncio.run(_append(ledger.address, book, facts, batch))
        took = time.perf_counter() - started
        if seals:
            _until_sealed(AuditServiceStub(channel), book, last)
        return took, time.perf_counter() - started - took


def _new_book(ledger: LedgerServiceStub) -> str:
    """Open a book with an order on which goods can be received, and return its name."""
    book: str = ledger.CreateBook(CreateBookRequest(book_id=f"b{uuid4().hex}")).book.name
    opening = AppendEventsRequest(book=book, request_id="opening")
    for event in (*parties("SUP", "CUS"), placed(ORDERED)):
        opening.events.add().event.CopyFrom(event)
    ledger.AppendEvents(opening)
    return book


async def _append(address: str, book: str, facts: int, batch: int) -> int:
    """Append facts and return the last position."""
    async with (
        asyncio.timeout(MOST_SECONDS),
        grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel,
    ):
        stub = LedgerServiceStub(channel)
        if batch > 1:
            return await _in_batches(stub, book, facts // batch, batch)
        return await _one_by_one(stub, book, facts)


async def _in_batches(stub: LedgerServiceAsyncStub, book: str, count: int, batch: int) -> int:
    async def requests() -> AsyncIterator[AppendEventStreamRequest]:
        prepared = request_of(book, batch)
        for _ in range(count):
            prepared.request_id = uuid4().hex
            yield AppendEventStreamRequest(append=prepared, in_sequence=True)

    last = 0
    async for answer in stub.AppendEventStream(requests()):
        last = answer.appended.receipts[-1].position
    return last


async def _one_by_one(stub: LedgerServiceAsyncStub, book: str, count: int) -> int:
    numbers = iter(range(count))
    last = 0

    async def caller() -> None:
        nonlocal last
        for _ in numbers:
            answer = await stub.AppendEvents(request_of(book))
            last = max(last, answer.receipts[-1].position)

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return last


def _until_sealed(audit: AuditServiceStub, book: str, position: int) -> None:
    """Wait until a checkpoint covers a position.

    Raises:
        TimeoutError: none covers it in time.
    """
    end = time.perf_counter() + MOST_SECONDS
    request = GetLatestCheckpointRequest(book=book)
    while time.perf_counter() < end:
        try:
            if audit.GetLatestCheckpoint(request).checkpoint.size >= position:
                return
        except grpc.RpcError as error:
            # A new book has no checkpoint yet.
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
        time.sleep(0.02)
    raise TimeoutError(f"{book}: nothing covers position {position} after {MOST_SECONDS:g} s")


if __name__ == "__main__":
    main()
