"""The command that asks before money moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gigaledger.cli.errors import ExitCode

from tests.cli.conftest import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def half(services: Shell, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example plan up to the day on which 2 GW are certified, and one tranche is called."""
    lines = (EXAMPLES / "nvidia-openai-plan.jsonl").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if _recorded(line) <= "2027-04-15T23:59:59Z"]
    file = tmp_path_factory.mktemp("half") / "half.jsonl"
    file.write_text("".join(kept), "utf-8")
    services("book", "create", "half", "--imported", "--opened-at", "2025-09-22T00:00:00Z")
    done = services("append", file, "--book", "half")
    assert done.code == 0, done.err
    return "half"


def _recorded(line: str) -> str:
    return str(json.loads(line)["events"][-1]["recordedTime"])


def test_yes_no_and_why(services: Shell, half: str) -> None:
    asked = ("ask", "call", "--book", half, "--agreement", "AGR-DA", "--tranche", "6")

    no, programs = services(*asked), services(*asked, "--json")

    assert no.code == programs.code == ExitCode.REFUSED
    assert "NO: tranche 6 of AGR-DA, USD 10,000,000,000.00" in no.out
    assert "HYPOTHETICAL" in no.out
    assert "HR-INV-02" in no.out
    assert "kW more under agreement AGR-DA" in no.out
    answer = json.loads(programs.out)
    assert (answer["allowed"], answer["hypothetical"]) == (False, True)
    (condition,) = answer["tranches"][0]["conditions"]
    assert condition["certifiedKw"] == "2000000"
    assert condition["terms"]["powerKw"] == "6000000"
    assert [cause["document"] for cause in condition["causes"]] == ["CERT-M1", "CERT-M2"]
    assert answer["remedies"][0]["powerKw"] == "4000000"
    known = [answer[name]["units"] for name in ("committed", "entitled", "called", "available")]
    assert known == ["100000000000", "20000000000", "10000000000", "10000000000"]


def test_yes(services: Shell, half: str) -> None:
    asked = ("ask", "call", "--book", half, "--agreement", "AGR-DA", "--tranche", "2")

    whole = services(*asked)
    more = services(*asked, "--amount", "USD 10,000,000,000.01")

    assert whole.code == ExitCode.OK, whole.err
    assert "YES: tranche 2 of AGR-DA, USD 10,000,000,000.00" in whole.out
    assert more.code == ExitCode.REFUSED
    assert "a call of at most USD 10,000,000,000.00" in more.out


@pytest.mark.parametrize("amount", ["10", "USD", "USD ten", "USD 1.001", "XXX 1"])
def test_an_amount_that_is_none(services: Shell, half: str, amount: str) -> None:
    asked = ("ask", "call", "--book", half, "--agreement", "AGR-DA", "--tranche", "1")

    refused = services(*asked, "--amount", amount)

    assert refused.code == ExitCode.USAGE
    assert "--amount" in refused.err


def test_the_same_log_read_in_other_ways(services: Shell, half: str) -> None:
    position = json.loads(services("book", "show", half, "--json").out)["headPosition"]
    asked = ("report", "what-if", "--book", half, "--as-of", "2026-11-30")

    people = services(*asked, "--min-position", position)
    programs = services(*asked, "--reading", "pro-rata,signature", "--json")
    wrong = [services(*asked, "--reading", word) for word in ("half", "floor,pro-rata")]

    assert people.code == programs.code == ExitCode.OK, people.err + programs.err
    assert "+10,000,000,000.00" in people.out
    assert "HYPOTHETICAL" in people.out
    agreements = {item["agreement"]: item for item in json.loads(programs.out)["agreements"]}
    (outcome,) = agreements["AGR-DA"]["outcomes"]
    assert outcome["difference"]["entitled"]["amount"]["units"] == "10000000000"
    assert [shell.code for shell in wrong] == [ExitCode.USAGE, ExitCode.USAGE]
