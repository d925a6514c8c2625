"""Prometheus metrics of the ledger and the projections."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from gigaledger.cli.errors import ExitCode
from gigaledger.v1.ledger_pb2 import CreateBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from prometheus_client.parser import text_string_to_metric_families

from tests.api.calls import Caller
from tests.cli.conftest import Shell, clean_environment
from tests.facts import paid, parties, placed, received
from tests.log.books import until
from tests.processes import ServiceProcess


def free_address() -> str:
    """Return a free address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


def fetch_metrics(address: str) -> dict[tuple[str, frozenset[str]], float]:
    """Fetch the metrics, by name and label values."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def addresses(database_url: str) -> Iterator[tuple[ServiceProcess, str, str]]:
    """A ledger, and the metrics addresses of it and its projections."""
    ledger_metrics, projections_metrics = free_address(), free_address()
    database = {"GIGALEDGER_DATABASE_URL": database_url}
    with ExitStack() as stack:
        ledger = ServiceProcess(
            "ledger", database | {"GIGALEDGER_LEDGER_METRICS_ADDRESS": ledger_metrics}
        )
        ledger.start()
        stack.callback(ledger.kill)
        projections = ServiceProcess(
            "projections",
            database
            | {
                "GIGALEDGER_LEDGER_ADDRESS": ledger.address,
                "GIGALEDGER_PROJECTIONS_METRICS_ADDRESS": projections_metrics,
            },
        )
        projections.start()
        stack.callback(projections.kill)
        yield ledger, ledger_metrics, projections_metrics


def test_metrics_of_appends_refusals_and_projections(
    addresses: tuple[ServiceProcess, str, str],
) -> None:
    ledger, ledger_metrics, projections_metrics = addresses
    with ledger.channel() as channel:
        stub = LedgerServiceStub(channel)
        caller = Caller(stub, stub.CreateBook(CreateBookRequest(book_id="main")).book.name)
        caller.append(*parties("SUP", "CUS"), placed())
        caller.append(*(received(1) for _ in range(130)))
        refused = caller.refused(paid(1, "PAY-1", invoice="NONE"))
        head = caller.head()

    metrics = fetch_metrics(ledger_metrics)
    # The first event was recorded when the book was opened.
    assert metrics["gigaledger_events_appended_total", frozenset({"book_main"})] >= 3
    assert (
        metrics["gigaledger_requests_refused_total", frozenset({"book_main", refused.reason})] == 1
    )
    assert metrics["gigaledger_group_requests_count", frozenset({"book_main"})] >= 2
    ledger_service = "gigaledger.v1.LedgerService"
    appends = (ledger_service, "AppendEvents")
    assert metrics["grpc_server_handled_total", frozenset({*appends, "OK"})] == 2
    assert metrics["grpc_server_handled_total", frozenset({*appends, refused.code.name})] == 1
    assert metrics["grpc_server_handling_seconds_count", frozenset(appends)] == 3

    def caught_up() -> dict[tuple[str, frozenset[str]], float] | None:
        found = fetch_metrics(projections_metrics)
        key = ("gigaledger_projection_position", frozenset({"books/main", "capacity", "1"}))
        head_key = ("gigaledger_book_head_position", frozenset({"books/main"}))
        summed = found.get(("gigaledger_subtotal_position", round_trip))
        return found if found.get(key) == found.get(head_key) == head and summed else None

    round_trip = frozenset({"books/main", "round-trip", "1"})
    found = until(caught_up)
    assert found["gigaledger_subtotal_position", round_trip] == 128
    assert found["gigaledger_projection_leads", round_trip] == 1
    assert found["gigaledger_projection_failed", round_trip] == 0


def test_an_address_in_use_is_named(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        shell = Shell(
            clean_environment(tmp_path_factory.mktemp("home"))
            | {
                "GIGALEDGER_DATABASE_URL": database_url,
                "GIGALEDGER_LEDGER_ADDRESS": free_address(),
                "GIGALEDGER_LEDGER_METRICS_ADDRESS": address,
            }
        )
        done = shell("serve", "ledger")

    assert done.code == ExitCode.UNAVAILABLE, done.err
    assert f"metrics can't be served on {address}" in done.err
    assert "Traceback" not in done.err
