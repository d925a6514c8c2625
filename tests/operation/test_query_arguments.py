"""Errors about query arguments that are out of range name the field."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import grpc
from gigaledger.v1.ledger_pb2 import CreateBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import (
    QueryCapacityRequest,
    QueryChangesRequest,
    QueryExceptionsRequest,
    ReadSpec,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.api.calls import error_of
from tests.processes import RunningServices

MAX_INT64 = 2**63 - 1
READS = {
    "read.max_wait": [
        ReadSpec(max_wait=Duration(seconds=MAX_INT64)),
        ReadSpec(max_wait=Duration(seconds=-MAX_INT64)),
        ReadSpec(max_wait=Duration(seconds=61)),
        ReadSpec(max_wait=Duration(nanos=-1)),
    ],
    "read.min_position": [ReadSpec(min_position=-1), ReadSpec(min_position=-MAX_INT64)],
    "read.as_known_position": [
        ReadSpec(as_known_position=MAX_INT64),
        ReadSpec(as_known_position=10**18),
        ReadSpec(as_known_position=-1),
    ],
    "read.as_known_time": [
        ReadSpec(as_known_time=Timestamp(seconds=MAX_INT64)),
        ReadSpec(as_known_time=Timestamp(nanos=-1000)),
    ],
}


def test_out_of_range(shared_services: RunningServices) -> None:
    with (
        shared_services.ledger.channel() as ledger_channel,
        shared_services.projections.channel() as channel,
    ):
        request = CreateBookRequest(book_id=f"b{uuid4().hex}")
        book = LedgerServiceStub(ledger_channel).CreateBook(request).book.name
        stub = ProjectionServiceStub(channel)

        for field, reads in READS.items():
            for read in reads:
                query = QueryCapacityRequest(book=book, read=read)
                error = error_of(partial(stub.QueryCapacity, query))
                assert error.code is grpc.StatusCode.INVALID_ARGUMENT, read
                assert error.fields == [field]

        changes = QueryChangesRequest(
            capacity=QueryCapacityRequest(book=book), since_position=MAX_INT64
        )
        assert error_of(lambda: list(stub.QueryChanges(changes))).fields == ["since_position"]
        negative = QueryExceptionsRequest(book=book, page_size=-1)
        assert error_of(lambda: stub.QueryExceptions(negative)).fields == ["page_size"]
