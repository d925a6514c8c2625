"""Appends: one by one and in batches on a stream, beside an echo, the library, COPY and UmaDB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import grpc
import psycopg
from gigaledger.ledger.log.tables import EventRow, LogTables
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, AppendEventStreamRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from benchmarks import library
from benchmarks.peers import STATE, UmaDB
from benchmarks.stage import (
    CHANNEL_OPTIONS,
    Stage,
    echo_server,
    keep_in_flight,
    request_of,
    schema_of,
    umadb_server,
)

Figures = dict[str, float]


def unary(stage: Stage, in_flight: int, seconds: float) -> Figures:
    """Return appends per second of gigaledger and each peer."""
    figures = {"gigaledger": per_second(stage, stage.new_book(), in_flight, seconds)}
    with echo_server() as address:
        figures["grpc.aio echo"] = asyncio.run(_unary_echo(address, in_flight, seconds))
    with library.orders(stage) as application:
        figures["eventsourcing"] = _threads(
            in_flight, seconds, lambda: library.append(application, 1)
        )
    with umadb_server(stage.folder) as address:
        if address is not None:
            client = UmaDB(address)
            figures["UmaDB"] = _threads(in_flight, seconds, lambda: client.append(1))
    return figures


def streamed(stage: Stage, batch: int, seconds: float) -> Figures:
    """Return facts per second of gigaledger and each peer, in batches from one client."""
    figures = {"gigaledger": streamed_per_second(stage, stage.new_book(), batch, seconds)}
    figures["COPY"] = _copied(stage, batch, seconds)
    with library.orders(stage) as application:
        rate = _repeated(seconds, lambda: library.append(application, batch))
        figures["eventsourcing"] = batch * rate
    with umadb_server(stage.folder) as address:
        if address is not None:
            client = UmaDB(address)
            figures["UmaDB"] = batch * _repeated(seconds, lambda: client.append(batch))
    return figures


def several_processes(stage: Stage, seconds: float) -> Figures:
    """Return appends per second of one ledger process and of two, 64 in flight."""
    first, second = stage.new_book(), stage.new_book()
    with stage.second_ledger() as other:
        addresses = (stage.ledger.address, other.address)

        async def both(books: tuple[str, str]) -> float:
            return sum(
                await asyncio.gather(
                    *(
                        _unary_ours(address, book, 32, seconds)
                        for address, book in zip(addresses, books, strict=True)
                    )
                )
            )

        return {
            "one process": per_second(stage, first, 64, seconds),
            "two processes, one book": asyncio.run(both((first, first))),
            "two processes, a book each": asyncio.run(both((first, second))),
        }


def per_second(stage: Stage, book: str, in_flight: int, seconds: float) -> float:
    """Return the requests per second, of one fact each, that a book takes."""
    return asyncio.run(_unary_ours(stage.ledger.address, book, in_flight, seconds))


def streamed_per_second(stage: Stage, book: str, batch: int, seconds: float) -> float:
    """Return the facts per second that a book takes from one stream."""
    return asyncio.run(_streamed_ours(stage.ledger.address, book, batch, seconds))


async def _unary_ours(address: str, book: str, in_flight: int, seconds: float) -> float:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = LedgerServiceStub(channel)
        count, took = await keep_in_flight(
            in_flight, seconds, lambda: stub.AppendEvents(request_of(book))
        )
    return count / max(seconds, sum(took) / in_flight)


async def _unary_echo(address: str, in_flight: int, seconds: float) -> float:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/echo.Echo/Echo",
            request_serializer=AppendEventsRequest.SerializeToString,
            response_deserializer=AppendEventsRequest.FromString,
        )
        count, took = await keep_in_flight(in_flight, seconds, lambda: call(request_of("books/b")))
    return count / max(seconds, sum(took) / in_flight)


async def _streamed_ours(address: str, book: str, batch: int, seconds: float) -> float:
    end = time.perf_counter() + seconds
    prepared = request_of(book, batch)

    async def requests() -> AsyncIterator[AppendEventStreamRequest]:
        while time.perf_counter() < end:
            prepared.request_id = uuid4().hex
            yield AppendEventStreamRequest(append=prepared, in_sequence=True)

    recorded = 0
    started = time.perf_counter()
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        async for answer in LedgerServiceStub(channel).AppendEventStream(requests()):
            recorded += len(answer.appended.receipts)
    return recorded / (time.perf_counter() - started)


def _copied(stage: Stage, batch: int, seconds: float) -> float:
    """Return rows per second copied into a table of the same shape, without any decision."""
    schema = schema_of(stage.new_book())
    with psycopg.connect(stage.url) as connection:
        tables = LogTables(schema)
        head = tables.lock_head(connection)
        (template,) = tables.between(connection, head.position, head.position)
        connection.execute(f"CREATE TABLE copied_event (LIKE {schema}.event INCLUDING ALL)")
        connection.execute("CREATE TABLE copied_head (position bigint)")
        connection.commit()
        columns, _ = _columns_of(template, 0)
        position = 0

        def copy() -> None:
            nonlocal position
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY copied_event ({columns}) FROM STDIN") as copying:
                    for number in range(batch):
                        _, values = _columns_of(template, position + number + 1)
                        copying.write_row(values)
                position += batch
                cursor.execute("UPDATE copied_head SET position = %s", (position,))
            connection.commit()

        rate = batch * _repeated(seconds, copy)
        connection.execute("DROP TABLE copied_event, copied_head")
    return rate


def _columns_of(row: EventRow, position: int) -> tuple[str, tuple[object, ...]]:
    values = {
        "position": position,
        "stream": row.stream,
        "stream_version": position,
        "event_id": row.event_id,
        "recorded_at": row.recorded_at,
        "fact_type": row.fact_type,
        "effective_date": row.effective_date,
        "agreement": row.agreement,
        "parties": list(row.parties),
        "prefix": STATE,
        "event": row.event,
    }
    return ", ".join(values), tuple(values.values())


def _threads(in_flight: int, seconds: float, call: Callable[[], object]) -> float:
    with ThreadPoolExecutor(in_flight) as threads:
        started = time.perf_counter()
        counts = list(threads.map(lambda _: _count(started + seconds, call), range(in_flight)))
        return sum(counts) / (time.perf_counter() - started)


def _repeated(seconds: float, call: Callable[[], object]) -> float:
    started = time.perf_counter()
    count = _count(started + seconds, call)
    return count / (time.perf_counter() - started)


def _count(end: float, call: Callable[[], object]) -> int:
    count = 0
    while time.perf_counter() < end:
        call()
        count += 1
    return count
