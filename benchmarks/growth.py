"""Growth: the same things measured in one book while it grows. The curve has to stay flat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from gigaledger.v1.ledger_pb2 import GetBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import (
    QueryCapacityRequest,
    QueryCircularFlowsRequest,
    QueryInvestmentRequest,
    QueryRoundTripRequest,
    ReadSpec,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

from benchmarks.appends import Figures, per_second, streamed_per_second
from benchmarks.reads import ORDER_FACTS, fill, replayed_per_second
from benchmarks.stage import Stage

QUERIES = 3


def growth(stage: Stage, sizes: Sequence[int], seconds: float) -> Iterator[tuple[int, Figures]]:
    """Yield for each size what a book of so many events does."""
    book = stage.new_book()
    filled = 0
    for size in sizes:
        fill(stage, book, size - filled, filled // ORDER_FACTS)
        filled = size
        yield (
            size,
            {
                "unary appends per second, 16 in flight": per_second(stage, book, 16, seconds),
                "facts per second, batches of 1000": streamed_per_second(
                    stage, book, 1000, seconds
                ),
                "events read per second": replayed_per_second(stage, book),
                **_query_milliseconds(stage, book),
            },
        )


def _query_milliseconds(stage: Stage, book: str) -> Figures:
    """Return how long each query takes of a book whose projections have come to rest."""
    with stage.ledger.channel() as channel:
        head = LedgerServiceStub(channel).GetBook(GetBookRequest(name=book)).book.head_position
    read = ReadSpec(min_position=head)
    with stage.projections.channel() as channel:
        stub = ProjectionServiceStub(channel)
        queries: dict[str, Callable[..., object]] = {
            "capacity": partial(stub.QueryCapacity, QueryCapacityRequest(book=book, read=read)),
            "investment": partial(
                stub.QueryInvestment, QueryInvestmentRequest(book=book, read=read)
            ),
            "the round trip": partial(
                stub.QueryRoundTrip, QueryRoundTripRequest(book=book, read=read)
            ),
            "circular flows": partial(
                stub.QueryCircularFlows, QueryCircularFlowsRequest(book=book, read=read)
            ),
        }
        return {
            f"milliseconds for a query of {name}": _milliseconds(query)
            for name, query in queries.items()
        }


def _milliseconds(query: Callable[..., object]) -> float:
    """Return the mean of some calls, after one that waits for the projection."""
    query(timeout=600)
    started = time.perf_counter()
    for _ in range(QUERIES):
        query(timeout=600)
    return 1000 * (time.perf_counter() - started) / QUERIES
