"""Prometheus metrics of a process.

Their names and units follow the conventions of Prometheus; those of calls, of its gRPC middleware.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram, start_http_server

RPCS_HANDLED = Counter(
    "grpc_server_handled",
    "Calls that ended, by gRPC status code",
    ["grpc_service", "grpc_method", "grpc_code"],
)
RPC_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Time from a call's request to its end, in seconds",
    ["grpc_service", "grpc_method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
EVENTS_APPENDED = Counter(
    "gigaledger_events_appended", "Events recorded by this process", ["schema"]
)
REQUESTS_REFUSED = Counter(
    "gigaledger_requests_refused",
    "Refused requests, by the rule that refused them",
    ["schema", "rule"],
)
GROUP_REQUESTS = Histogram(
    "gigaledger_group_requests",
    "Requests in one transaction",
    ["schema"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
GROUP_SECONDS = Histogram(
    "gigaledger_group_seconds",
    "Time to decide on a group of requests and commit it",
    ["schema"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
BOOK_HEAD = Gauge(
    "gigaledger_book_head_position", "Position of the last known event of a book", ["book"]
)
PROJECTION_POSITION = Gauge(
    "gigaledger_projection_position",
    "Position that a generation led by this process reflects",
    ["book", "projection", "generation"],
)
SUBTOTAL_POSITION = Gauge(
    "gigaledger_subtotal_position",
    "Position that the subtotals of a generation led by this process reflect",
    ["book", "projection", "generation"],
)
PROJECTION_LEADS = Gauge(
    "gigaledger_projection_leads",
    "1 if this process leads a generation, 0 if it no longer does",
    ["book", "projection", "generation"],
)
PROJECTION_FAILED = Gauge(
    "gigaledger_projection_failed",
    "1 if a generation has stopped at an event, 0 if it is running",
    ["book", "projection", "generation"],
)


class MetricsAddressError(RuntimeError):
    """The metrics' address can't be listened on."""


@contextmanager
def served(address: str | None) -> Iterator[None]:
    """Serve the metrics of this process over HTTP while entered.

    Args:
        address: host:port; None to serve none.

    Raises:
        MetricsAddressError: the address can't be listened on.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"))
    except (OSError, ValueError) as error:
        raise MetricsAddressError(
            f"metrics can't be served on {address}: it is in use or not HOST:PORT of this machine"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
