"""Keepalive pings of clients, which hold idle connections open, do not end them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import grpc
from gigaledger.v1.ledger_pb2 import CreateBookRequest, GetBookRequest, SubscribeEventsRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.processes import StartLedger

PING_MILLISECONDS = 2500
"""Clients that ping every ten seconds are common; this shows the same in a quarter of the time."""
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
        ThreadPoolExecutor() as threads,
    ):
        stub = LedgerServiceStub(subscribed)
        book = stub.CreateBook(CreateBookRequest(book_id="main")).book.name
        LedgerServiceStub(idle).GetBook(GetBookRequest(name=book))
        states: list[grpc.ChannelConnectivity] = []
        idle.subscribe(states.append)
        responses = stub.SubscribeEvents(SubscribeEventsRequest(book=book), timeout=SECONDS)

        waiting = threads.submit(error_of_idle, responses)
        time.sleep(SECONDS)

        assert waiting.result() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert set(states) == {grpc.ChannelConnectivity.READY}


def error_of_idle(responses: Iterable[object]) -> grpc.StatusCode:
    """Read until the call ends; return its code."""
    try:
        for _ in responses:
            pass
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK
