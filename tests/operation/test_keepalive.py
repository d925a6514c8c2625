"""Keepalive pings keep idle subscriptions and connections open."""

from __future__ import annotations

import grpc
import pytest
from gigaledger.v1.ledger_pb2 import CreateBookRequest, GetBookRequest, SubscribeEventsRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.processes import StartLedger

PING_MILLISECONDS = 2500
"""Many clients ping every ten seconds; this takes a quarter of the time."""
SECONDS = 12
"""gRPC closes a connection at the third ping that it does not tolerate."""
OPTIONS = [
    ("grpc.keepalive_time_ms", PING_MILLISECONDS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


def test_idle_subscriptions_and_connections(start_ledger: StartLedger) -> None:
    ledger = start_ledger()
    with (
        grpc.insecure_channel(ledger.address, options=OPTIONS) as subscribed,
        grpc.insecure_channel(
            ledger.address, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        ) as idle,
    ):
        stub = LedgerServiceStub(subscribed)
        book = stub.CreateBook(CreateBookRequest(book_id="main")).book.name
        LedgerServiceStub(idle).GetBook(GetBookRequest(name=book))
        states: list[grpc.ChannelConnectivity] = []
        idle.subscribe(states.append)

        with pytest.raises(grpc.RpcError) as caught:
            list(stub.SubscribeEvents(SubscribeEventsRequest(book=book), timeout=SECONDS))

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert set(states) == {grpc.ChannelConnectivity.READY}
