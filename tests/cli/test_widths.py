"""Every figure of every report is shown whole, whatever the width of the terminal."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from gigaledger.cli.client import CALL_SECONDS, projections
from gigaledger.cli.output import add_row, table
from gigaledger.cli.report.flow_reports import circular_flow_tables
from gigaledger.cli.report.reports import (
    capacity_tables,
    exception_tables,
    investment_tables,
    round_trip_tables,
)
from gigaledger.client import connect, queries
from rich.console import Console, RenderableType

from tests.cli.conftest import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"
WIDTHS = (40, 60, 80, 120)
FIGURE = re.compile(r"\d(?:[\d,.:-]*\d)?%?")
UNLIMITED = 1000

Report = Callable[[Any], list[RenderableType]]
REPORTS: dict[str, tuple[str, Any, Report]] = {
    "capacity": ("QueryCapacity", queries.capacity(), capacity_tables),
    "investment": ("QueryInvestment", queries.investment(), investment_tables),
    "round-trip": (
        "QueryRoundTrip",
        queries.round_trip(include_lots=True),
        lambda answer: round_trip_tables(answer, with_lots=True),
    ),
    "circular-flows": ("QueryCircularFlows", queries.circular_flows(), circular_flow_tables),
    "exceptions": ("QueryExceptions", queries.exceptions(), exception_tables),
}


@pytest.fixture(scope="module")
def plan(services: Shell) -> str:
    """Resource name of a book that holds the example plan, followed by the projections."""
    services("book", "create", "wide-plan", "--imported", "--opened-at", "2025-09-22T00:00:00Z")
    done = services("append", EXAMPLES / "nvidia-openai-plan.jsonl", "--book", "wide-plan")
    assert done.code == 0, done.err
    with connect(services.environment["GIGALEDGER_LEDGER_ADDRESS"]) as client:
        head = client.book("wide-plan").info().head_position
    for report in ("capacity", "investment", "round-trip", "circular-flows", "exceptions"):
        services("report", report, "--book", "wide-plan", "--min-position", head)
    return "books/wide-plan"


def rendered(parts: Iterable[RenderableType], width: int) -> str:
    """The parts of a report as a terminal of some width shows them."""
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
    for part in parts:
        console.print(part)
    return out.getvalue()


def assert_whole(parts: list[RenderableType]) -> None:
    """Assert that no width cuts a figure, or makes a line longer than it is."""
    wanted = Counter(FIGURE.findall(rendered(parts, UNLIMITED)))
    for width in WIDTHS:
        shown = rendered(parts, width)
        assert not wanted - Counter(FIGURE.findall(shown)), f"at {width} columns"
        assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("report", REPORTS)
def test_every_figure_is_whole_at_every_width(services: Shell, plan: str, report: str) -> None:
    method, request, tables = REPORTS[report]
    request.book = plan
    with projections(services.environment["GIGALEDGER_PROJECTIONS_ADDRESS"]) as stub:
        answer = getattr(stub, method)(request, timeout=CALL_SECONDS)

    parts = tables(answer)

    assert len(FIGURE.findall(rendered(parts, UNLIMITED))) > 10
    assert_whole(parts)


def test_a_table_of_the_largest_amounts() -> None:
    made = table("Amounts", "", "paid", "received", "outside")
    largest = "92,233,720,368,547,758.07"
    add_row(made, ["bilateral first", largest, largest, largest])

    assert_whole([made])
    assert rendered([made], 40).count("\n") == 5


def test_a_table_without_rows() -> None:
    assert "position" in rendered([table("Events", "", "position")], 40)
