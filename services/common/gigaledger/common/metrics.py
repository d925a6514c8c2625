"""Metrics of a process, for Prometheus to fetch.

Observed where things happen, and served on an address of their own where the settings name one.
Names and units follow the conventions of Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram, start_http_server

EVENTS_APPENDED = Counter(
    "gigaledger_events_appended", "Events recorded by this process", ["schema"]
)
REQUESTS_REFUSED = Counter(
    "gigaledger_requests_refused", "Requests refused, by each rule that refused", ["schema", "rule"]
)
GROUP_REQUESTS = Histogram(
    "gigaledger_group_requests",
    "Requests that shared one transaction",
    ["schema"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
GROUP_SECONDS = Histogram(
    "gigaledger_group_seconds",
    "Time to decide on a group of requests and to commit it",
    ["schema"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
BOOK_HEAD = Gauge(
    "gigaledger_book_head_position", "Position of the last event that was seen of a book", ["book"]
)
PROJECTION_POSITION = Gauge(
    "gigaledger_projection_position",
    "Position that a generation reflects, where this process leads it",
    ["book", "projection", "generation"],
)
SUBTOTAL_POSITION = Gauge(
    "gigaledger_subtotal_position",
    "Position up to which the subtotals of a generation are made, where this process leads it",
    ["book", "projection", "generation"],
)
PROJECTION_LEADS = Gauge(
    "gigaledger_projection_leads",
    "1 where this process leads a generation, 0 where it no longer does",
    ["book", "projection", "generation"],
)
PROJECTION_FAILED = Gauge(
    "gigaledger_projection_failed",
    "1 where a generation has stopped at an event, 0 where it runs",
    ["book", "projection", "generation"],
)


class MetricsAddressError(RuntimeError):
    """The metrics' address can't be listened on."""


@contextmanager
def served(address: str | None) -> Iterator[None]:
    """Serve the metrics of this process over HTTP while entered; nothing where there is no address.

    Args:
        address: host:port.

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
