"""The public network: figures of the book that is loaded from the example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.cli.test_asking import head

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ai-network.jsonl"
BOOK = "network"


@pytest.fixture(scope="module")
def network(services: Shell) -> Shell:
    """A shell with the network in a book."""
    opened = services("book", "create", BOOK, "--imported", "--opened-at", "2025-03-07T00:00:00Z")
    assert opened.code == 0, opened.err
    appended = services("append", EXAMPLE, "--book", BOOK)
    assert appended.code == 0, appended.err
    return services


def answer(shell: Shell, report: str, *options: str) -> dict[str, Any]:
    position = head(shell, BOOK)
    done = shell("report", report, "--book", BOOK, "--min-position", position, "--json", *options)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def billions(figure: dict[str, Any]) -> float:
    return int(figure["amount"].get("units", 0)) / 10**9


@pytest.mark.parametrize(
    ("as_of", "committed", "funded"),
    [
        ("2025-09-30", 53, 21.6),
        ("2025-12-31", 54, 52.6),
        # With USD 2 billion of NVIDIA in CoreWeave.
        ("2026-03-31", 164 + 2, 67.8 + 2),
        ("2026-07-31", 164 + 2, 87.8 + 2),
    ],
)
def test_investment(network: Shell, as_of: str, committed: float, funded: float) -> None:
    (total,) = answer(network, "investment", "--as-of", as_of)["totals"]

    assert billions(total["committed"]) == committed
    assert billions(total["funded"]) == funded


def test_commitments_between_pairs(network: Shell) -> None:
    found = answer(network, "round-trip", "--as-of", "2026-03-31")
    held = {}
    for pair in found["pairs"]:
        if pair.get("currencyCode"):
            (balance,) = (
                one for one in pair["balances"] if one["basis"] == "ROUND_TRIP_BASIS_COMMITMENT"
            )
            key = (pair["supplierInvestor"], pair["customerInvestee"])
            held[key] = (billions(balance["purchases"]), billions(balance["investment"]))

    assert held == {
        ("AMZN", "OPENAI"): (138, 50),
        ("COINV", "OPENAI"): (0, 0),
        ("CRWV", "OPENAI"): (22.4, 0),
        ("MSFT", "ANTH"): (30, 0),
        ("MSFT", "OPENAI"): (250, 13),
        ("NVDA", "CRWV"): (0, 2),
        ("NVDA", "OPENAI"): (0, 30),
        ("NVDA", "ORCL"): (40, 0),
        ("ORCL", "OPENAI"): (300, 0),
        ("SBG", "OPENAI"): (0, 71),
    }


def test_every_fact_names_its_source(network: Shell) -> None:
    lines = network("events", "--book", BOOK, "--json").out.splitlines()
    facts = [json.loads(line)["event"] for line in lines[1:]]

    assert len(facts) == 56
    assert all(one["uri"].startswith("http") for fact in facts for one in fact["evidence"])
    assert all(fact["evidence"] for fact in facts)
