"""Requests that no method takes: undecodable ones, unknown fields, values out of range."""

from __future__ import annotations

import grpc
import pytest
from gigaledger.v1 import events_pb2, ledger_pb2
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.ledger_pb2 import (
    AppendEventStreamRequest,
    CreateBookRequest,
    ReadEventsRequest,
    ResolvePositionRequest,
    SubscribeEventsRequest,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.protobuf.timestamp_pb2 import Timestamp

from tests.api.calls import SECONDS, Caller, error_of
from tests.api.raw import UNKNOWN_FIELD, UNKNOWN_FIELD_NUMBER, call
from tests.facts import parties
from tests.processes import ServiceProcess

LEDGER = "gigaledger.v1.LedgerService"
MAX_INT64 = 2**63 - 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x0a\xff", id="truncated"),
        pytest.param(b"\x0a\x01\xff", id="invalid UTF-8"),
        pytest.param(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", id="no tag"),
    ],
)
@pytest.mark.parametrize(
    "method",
    [
        *(f"{LEDGER}/{name}" for name in ("AppendEvents", "ReadEvents", "AppendEventStream")),
        "gigaledger.v1.AuditService/ListSigningKeys",
        "grpc.health.v1.Health/Check",
    ],
)
def test_undecodable_requests(shared_ledger: ServiceProcess, method: str, content: bytes) -> None:
    with shared_ledger.channel() as channel:
        error = error_of(lambda: call(channel, method, content))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "REQUEST_UNDECODABLE"
    assert "Error" not in error.message
    assert "gigaledger.v1." not in error.message


@pytest.mark.parametrize(
    ("method", "content", "field"),
    [
        ("GetBook", UNKNOWN_FIELD, "request"),
        ("ListEvents", b"\x12" + bytes([len(UNKNOWN_FIELD)]) + UNKNOWN_FIELD, "filter"),
        ("AppendEvents", b"\x1a" + bytes([len(UNKNOWN_FIELD)]) + UNKNOWN_FIELD, "events[0]"),
    ],
)
def test_unknown_fields(
    shared_ledger: ServiceProcess, method: str, content: bytes, field: str
) -> None:
    with shared_ledger.channel() as channel:
        error = error_of(lambda: call(channel, f"{LEDGER}/{method}", content))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "FIELD_INVALID"
    assert error.fields == [field]
    assert str(UNKNOWN_FIELD_NUMBER) in error.message


def test_unknown_fields_of_a_fact(caller: Caller) -> None:
    request = caller.request(*parties("A", "B"))
    event = request.events[1].event
    event.MergeFromString(event.SerializeToString() + UNKNOWN_FIELD)

    error = error_of(lambda: caller.stub.AppendEvents(request))

    assert error.fields == ["events[1].event"]
    assert caller.head() == 1


def test_a_stream_ends_with_a_request_of_unknown_fields(caller: Caller) -> None:
    wrong = AppendEventStreamRequest.FromString(UNKNOWN_FIELD)
    good = AppendEventStreamRequest(append=caller.request(*parties("A")))
    responses = caller.stub.AppendEventStream(iter([good, wrong, good]), timeout=SECONDS)

    assert next(responses).appended.receipts[0].position == 2
    error = error_of(lambda: next(responses))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "FIELD_INVALID"
    assert caller.head() == 2


@pytest.mark.parametrize("nanos", [-1_000, 1_000_000_000, -1])
def test_instants_with_nanos_out_of_range(stub: LedgerServiceStub, nanos: int) -> None:
    instant = Timestamp(seconds=1_000_000_000, nanos=nanos)
    request = CreateBookRequest(
        book_id="out-of-range", clock=BookClock.BOOK_CLOCK_IMPORTED, opened_time=instant
    )

    error = error_of(lambda: stub.CreateBook(request))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == ["opened_time"]


@pytest.mark.parametrize("nanos", [-1_000, 1_000_000_000])
def test_facts_with_nanos_out_of_range(caller: Caller, nanos: int) -> None:
    request = caller.request(*parties("A"))
    request.events[0].recorded_time.CopyFrom(Timestamp(seconds=1_800_000_000, nanos=nanos))

    error = error_of(lambda: caller.stub.AppendEvents(request))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == ["events[0].recorded_time"]


@pytest.mark.parametrize("position", [MAX_INT64, MAX_INT64 - 1, 2**62])
def test_large_positions(caller: Caller, position: int) -> None:
    assert caller.read(from_position=position) == []
    assert caller.read(to_position=position) != []
    request = SubscribeEventsRequest(book=caller.book, after_position=position)
    error = error_of(lambda: next(caller.stub.SubscribeEvents(request, timeout=SECONDS)))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == ["after_position"]


@pytest.mark.parametrize("field", ["from_position", "to_position"])
def test_negative_positions(caller: Caller, field: str) -> None:
    request = ReadEventsRequest(book=caller.book)
    setattr(request, field, -1)

    error = error_of(lambda: list(caller.stub.ReadEvents(request, timeout=SECONDS)))

    assert error.fields == [field]


@pytest.mark.parametrize("seconds", [MAX_INT64, -MAX_INT64])
def test_instants_out_of_range(caller: Caller, seconds: int) -> None:
    instant = Timestamp(seconds=seconds)
    request = ResolvePositionRequest(book=caller.book, recorded_time=instant)

    error = error_of(lambda: caller.stub.ResolvePosition(request))

    assert error.fields == ["recorded_time"]


def test_no_field_has_the_number_of_the_unknown_one() -> None:
    for module in (events_pb2, ledger_pb2):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            assert UNKNOWN_FIELD_NUMBER not in message.fields_by_number
