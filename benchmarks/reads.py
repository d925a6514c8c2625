"""Reads: replay, rebuild of projections, and the lag from an append to a query."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable

import grpc
import psycopg
from gigaledger.ledger.log.schema import SESSION_OPTIONS
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.v1.ledger_pb2 import (
    AppendEventStreamRequest,
    ReadEventsRequest,
    ReadEventsResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import GetProjectionRequest, QueryCapacityRequest, ReadSpec
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

from benchmarks import library
from benchmarks.appends import Figures
from benchmarks.peers import UmaDB
from benchmarks.stage import (
    CHANNEL_OPTIONS,
    Stage,
    order_of,
    request_of,
    schema_of,
    umadb_server,
)

ORDER_FACTS = 1000
LAG_RATE = 1000
LAG_FACTS = 10
LAG_ASKED = 10
BY_NAME = {projection.name: projection for projection in PROJECTIONS}
"""Facts appended per second, facts per request, and requests per sample."""


def fill(stage: Stage, book: str, facts: int, first: int = 0) -> None:
    """Fill a book with facts, in orders of 1000 facts each."""
    with grpc.insecure_channel(stage.ledger.address, options=CHANNEL_OPTIONS) as channel:
        requests = (
            AppendEventStreamRequest(append=order_of(book, first + number, ORDER_FACTS))
            for number in range(facts // ORDER_FACTS)
        )
        for answer in LedgerServiceStub(channel).AppendEventStream(requests):
            assert answer.WhichOneof("outcome") == "appended"


def replay(stage: Stage, book: str) -> Figures:
    """Return the events per second of each reader over the whole log."""
    figures = {"gigaledger": replayed_per_second(stage, book)}
    with grpc.insecure_channel(stage.ledger.address, options=CHANNEL_OPTIONS) as channel:
        started = time.perf_counter()
        pages = LedgerServiceStub(channel).ReadEvents(ReadEventsRequest(book=book))
        count = sum(len(page.events) for page in pages)
        figures["gigaledger, parsed by the client"] = count / (time.perf_counter() - started)
    statement = f"SELECT position, prefix, event FROM {schema_of(book)}.event ORDER BY position"  # noqa: S608
    with psycopg.connect(stage.url, options=SESSION_OPTIONS) as connection:
        started = time.perf_counter()
        with connection.cursor(name="replay", binary=True) as cursor:
            cursor.itersize = 10_000
            cursor.execute(statement)
            rows = sum(1 for _ in cursor)
        figures["psycopg"] = rows / (time.perf_counter() - started)
    with umadb_server(stage.folder) as address:
        if address is not None:
            client = UmaDB(address)
            for _ in range(count // ORDER_FACTS):
                client.append(ORDER_FACTS)
            started = time.perf_counter()
            figures["UmaDB"] = client.read() / (time.perf_counter() - started)
    return figures


def replayed_per_second(stage: Stage, book: str) -> float:
    """Return the events per second of a client that does not parse them."""
    with grpc.insecure_channel(stage.ledger.address, options=CHANNEL_OPTIONS) as channel:
        read: Callable[[ReadEventsRequest], Iterable[bytes]] = channel.unary_stream(
            "/gigaledger.v1.LedgerService/ReadEvents",
            request_serializer=ReadEventsRequest.SerializeToString,
        )
        started = time.perf_counter()
        (last,) = deque(read(ReadEventsRequest(book=book)), maxlen=1)
        took = time.perf_counter() - started
    return ReadEventsResponse.FromString(last).through_position / took


def rebuild(stage: Stage, book: str, seconds: float) -> Figures:
    """Return the facts per second at which all projections of a book are rebuilt."""
    schema = schema_of(book)
    with psycopg.connect(stage.url) as connection:
        row = connection.execute(f"SELECT position FROM {schema}.head").fetchone()  # noqa: S608
        assert row is not None
        head = row[0]
    _seconds_until_at(stage, book, head)
    # On SIGTERM they release their leases, so that their successors need not wait for them.
    stage.projections.terminate()
    stage.exceptions.terminate()
    with psycopg.connect(stage.url) as connection:
        for projection in PROJECTIONS:
            for table in projection.all_tables:
                connection.execute(f"TRUNCATE {schema}.{table}_1")
        connection.execute(
            f"UPDATE {schema}.projection_progress"  # noqa: S608
            " SET position = 0, resume_token = ''"
        )
        connection.execute(f"UPDATE {schema}.projection_subtotal SET position = 0")  # noqa: S608
        connection.execute(
            f"UPDATE {schema}.projection_evaluation"  # noqa: S608
            " SET position = 0, resume_after = ''"
        )
    stage.exceptions.restart()
    stage.projections.restart()
    took = _seconds_until_at(stage, book, head)
    return {
        f"gigaledger, {len(PROJECTIONS)} projections and exceptions": head / max(took.values()),
        f"gigaledger, {len(PROJECTIONS) - 1} projections": head
        / max(seconds for name, seconds in took.items() if BY_NAME[name].evaluator is None),
        "its read path alone": replayed_per_second(stage, book),
        "eventsourcing's ProjectionRunner": library.projected_per_second(stage, seconds),
    }


def _seconds_until_at(stage: Stage, book: str, position: int) -> dict[str, float]:
    """Wait until all projections reflect a position; return the seconds until each does."""
    took = {}
    with stage.projections.channel() as channel:
        stub = ProjectionServiceStub(channel)
        started = time.perf_counter()
        # Exceptions are evaluated last.
        for name in sorted(BY_NAME, key=lambda name: BY_NAME[name].evaluator is not None):
            request = GetProjectionRequest(name=f"{book}/projections/{name}")
            while stub.GetProjection(request).projection.position < position:
                time.sleep(0.05)
            took[name] = time.perf_counter() - started
    return took


def lag(stage: Stage, seconds: float) -> Figures:
    """Return the milliseconds from an acknowledged append to a query that reflects it.

    Measured with the evaluation of exceptions and then without.
    """
    figures = _percentiles("", asyncio.run(_lag(stage, stage.new_book(), seconds)))
    stage.exceptions.terminate()
    try:
        without = asyncio.run(_lag(stage, stage.new_book(), seconds))
    finally:
        stage.exceptions.restart()
    return figures | _percentiles(", without evaluation of exceptions", without)


def _percentiles(suffix: str, took: list[float]) -> Figures:
    centiles = statistics.quantiles(took, n=100)
    return {f"median{suffix}": 1000 * centiles[49], f"p99{suffix}": 1000 * centiles[98]}


async def _lag(stage: Stage, book: str, seconds: float) -> list[float]:
    """Append ten facts a hundred times a second; sample the lag of every tenth request."""
    took: list[float] = []
    async with (
        grpc.aio.insecure_channel(stage.ledger.address) as writing,
        grpc.aio.insecure_channel(stage.projections.address) as asking,
    ):
        ledger, projections = LedgerServiceStub(writing), ProjectionServiceStub(asking)

        async def one(*, ask: bool) -> None:
            receipt = await ledger.AppendEvents(request_of(book, LAG_FACTS))
            if not ask:
                return
            started = time.perf_counter()
            read = ReadSpec(min_position=receipt.receipts[-1].position)
            await projections.QueryCapacity(QueryCapacityRequest(book=book, read=read))
            took.append(time.perf_counter() - started)

        await one(ask=True)  # A new book is found first.
        took.clear()
        rate = LAG_RATE / LAG_FACTS
        started = time.perf_counter()
        tasks = []
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(one(ask=number % LAG_ASKED == LAG_ASKED - 1)))
        await asyncio.gather(*tasks)
    return took
