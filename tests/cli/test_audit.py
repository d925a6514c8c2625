"""The commands for auditors, as people run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gigaledger.cli.errors import ExitCode

from tests.cli.conftest import Shell
from tests.cli.test_asking import EXAMPLES


@pytest.fixture(scope="module")
def audited(services: Shell) -> str:
    """A book that holds the example plan."""
    opened = services(
        "book", "create", "audited", "--imported", "--opened-at", "2025-09-22T00:00:00Z"
    )
    assert opened.code == 0, opened.err
    done = services("append", EXAMPLES / "nvidia-openai-plan.jsonl", "--book", "audited")
    assert done.code == 0, done.err
    return "audited"


def test_a_replay_shows_balances_as_they_grow(services: Shell, audited: str) -> None:
    table = services("audit", "replay", "--book", audited)
    lines = services(
        "audit", "replay", "--book", audited, "--to-position", 40, "--every", "event", "--json"
    )

    assert table.code == 0, table.err
    assert "HYPOTHETICAL" in table.out
    assert "349.80" in table.out
    steps = [json.loads(line) for line in lines.out.splitlines()]
    assert [step["position"] for step in steps] == [str(at) for at in range(1, 41)]
    wrong = services("audit", "replay", "--book", audited, "--every", "week")
    assert wrong.code == ExitCode.USAGE
    assert "'week' is neither month nor event" in wrong.err


def test_an_explanation_adds_up(services: Shell, audited: str) -> None:
    query = ("audit", "explain", "round-trip.funded", "--book", audited, "--as-of", "2027-12-31")

    table, machine = services(*query), services(*query, "--pair", "NVDA:OPENAI", "--json")

    assert table.code == 0, table.err
    assert "HYPOTHETICAL" in table.out
    assert "40,000,000,000.00" in table.out
    found = json.loads(machine.out)
    assert found["value"] == "4000000000000"
    assert sum(int(event["amount"]) for event in found["events"]) == 4_000_000_000_000
    assert all(len(event["eventId"]) == 36 for event in found["events"])


def test_an_explanation_of_what_is_not_there(services: Shell, audited: str) -> None:
    unknown = services("audit", "explain", "profit", "--book", audited)
    beyond = services(
        "audit", "explain", "round-trip.paid", "--book", audited, "--as-known", 1_000_000
    )

    assert unknown.code == ExitCode.NOT_FOUND
    assert "round-trip.cash.net_balance" in unknown.err
    assert beyond.code == ExitCode.USAGE
    assert "there is no position 1000000" in beyond.err


@pytest.mark.parametrize("format_name", ["csv", "journal", "parquet"])
def test_an_export_has_a_manifest(
    services: Shell, audited: str, tmp_path: Path, format_name: str
) -> None:
    folder = tmp_path / "out"
    query = ("audit", "export", "--format", format_name, "-o", folder, "--book", audited)

    done, again = services(*query), services(*query)

    assert done.code == 0, done.err
    assert "95 events are in" in done.err
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["book"], manifest["last_position"]) == ("books/audited", 95)
    assert again.code == ExitCode.USAGE
    assert "is not empty" in again.err


def test_shares_as_open_cap_format(services: Shell, audited: str, tmp_path: Path) -> None:
    supplement = tmp_path / "more.json"
    supplement.write_text(
        json.dumps(
            {
                "formationDate": "2015-12-08",
                "countryOfFormation": "US",
                "stockClasses": {"NON_VOTING": {"classType": "PREFERRED", "seniority": "1"}},
            }
        )
    )
    query = ("audit", "export", "--format", "ocf", "--book", audited, "-o", tmp_path / "out")

    lacking = services(*query)
    done = services(*query, "--issuer", "OPENAI_GROUP", "--supplement", supplement)

    assert (lacking.code, "needs --issuer and --supplement" in lacking.err) == (
        ExitCode.USAGE,
        True,
    )
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "out" / "Manifest.ocf.json").read_text("utf-8"))
    assert manifest["issuer"]["id"] == "OPENAI_GROUP"
    other = services("audit", "export", "--format", "csv", "--issuer", "X", "-o", tmp_path / "x")
    assert other.code == ExitCode.USAGE
