"""The commands that ask: books, events, reports; and how the command ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from services.command.errors import ExitCode
from tests.command.conftest import Shell
from tests.command.test_append import party, written

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def plan(services: Shell) -> str:
    """A book that holds the example plan."""
    opened = services(
        "book", "create", "plan", "--imported", "--opened-at", "2025-09-22T00:00:00Z",
        "--display-name", "The plan",
    )  # fmt: skip
    assert opened.code == 0, opened.err
    done = services("append", EXAMPLES / "nvidia-openai-plan.jsonl", "--book", "plan")
    assert done.code == 0, done.err
    return "plan"


def head(services: Shell, book: str) -> int:
    """Where a book ends."""
    return int(json.loads(services("book", "show", book, "--json").out)["headPosition"])


@pytest.mark.parametrize(
    "report", ["capacity", "circular-flows", "exceptions", "investment", "round-trip"]
)
def test_reports_for_people_and_for_programs(services: Shell, plan: str, report: str) -> None:
    position = head(services, plan)
    asked = ("report", report, "--book", plan, "--as-of", "2028-12-31", "--min-position", position)

    table, machine = services(*asked), services(*asked, "--json")

    assert (table.code, machine.code) == (0, 0), table.err + machine.err
    assert "HYPOTHETICAL" in table.out
    assert f"Reflects the log up to position {position:,}" in table.out
    assert "as of 2028-12-31" in table.out
    context = json.loads(machine.out)["context"]
    assert context["hypothetical"] is True
    assert int(context["position"]) >= position


def test_exceptions_of_one_rule_and_of_none(services: Shell, plan: str) -> None:
    some = services("report", "exceptions", "--book", plan, "--rule", "SX-CAP-03", "--json")
    none = services("report", "exceptions", "--book", plan, "--rule", "SX-PAY-01")
    unknown = services("report", "exceptions", "--book", plan, "--rule", "SX-NONE")

    assert {item["rule"] for item in json.loads(some.out)["exceptions"]} == {"SX-CAP-03"}
    assert "No exception is found" in none.out
    assert unknown.code == ExitCode.REFUSED
    assert "SX-PAY-01" in unknown.err


def test_lots_of_the_round_trip(services: Shell, plan: str) -> None:
    asked = ("report", "round-trip", "--book", plan, "--as-of", "2027-12-31")
    position = head(services, plan)

    table = services(*asked, "--min-position", position, "--lots")
    answer = json.loads(services(*asked, "--lots", "--json").out)

    assert "Lots: cash; buy, then invest" in table.out
    cash = next(
        balance
        for balance in answer["pairs"][0]["balances"]
        if balance["basis"] == "ROUND_TRIP_BASIS_CASH"
    )
    assert cash["buyThenInvest"]["weightedLagDays"] == "216.5275"
    assert cash["investThenBuy"]["weightedLagDays"] == "13.84275"
    matched = sum(int(lot["amount"]["units"]) for lot in cash["buyThenInvest"]["lots"])
    assert matched == int(cash["buyThenInvest"]["matched"]["units"]) == 40_000_000_000


def test_a_position_that_does_not_come(services: Shell, plan: str) -> None:
    done = services("report", "capacity", "--book", plan, "--min-position", 10_000_000)

    assert done.code == ExitCode.UNAVAILABLE
    assert "the projection reflects position" in done.err


def test_books(services: Shell, plan: str) -> None:
    listed = [
        json.loads(line)["name"] for line in services("book", "list", "--json").out.splitlines()
    ]

    assert f"books/{plan}" in listed
    assert "The plan" in services("book", "list").out
    taken = services("book", "create", "plan")
    assert (taken.code, "plan exists already" in taken.err) == (ExitCode.REFUSED, True)
    assert services("book", "show", "nowhere").code == ExitCode.NOT_FOUND


def test_events_from_a_position_for_people_and_programs(services: Shell, plan: str) -> None:
    last = head(services, plan)

    people = services("events", "--book", plan, "--from", last - 1)
    programs = services("events", "--book", plan, "--from", last - 1, "--json")

    assert len(people.out.splitlines()) == 3
    assert [json.loads(text)["position"] for text in programs.out.splitlines()] == [
        str(last - 1),
        str(last),
    ]


def test_following_until_ctrl_c(services: Shell, tmp_path: Path) -> None:
    book = services.new_book()
    following = services.start("events", "--book", book, "--follow", "--json")
    assert following.stdout is not None
    first = json.loads(following.stdout.readline())
    services("append", written(tmp_path / "f.jsonl", party("A")), "--book", book)
    second = json.loads(following.stdout.readline())
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=30)

    assert (first["position"], second["position"]) == ("1", "2")
    assert following.returncode == ExitCode.OK
    assert "Traceback" not in err


def test_a_reader_that_has_seen_enough(services: Shell, plan: str) -> None:
    reading = services.start("events", "--book", plan)
    assert reading.stdout is not None
    reading.stdout.readline()
    reading.stdout.close()
    assert reading.stderr is not None
    err = reading.stderr.read()

    assert reading.wait(30) == ExitCode.OK
    assert err == ""


def test_the_state_of_projections(services: Shell, plan: str) -> None:
    done = services("projection", "list", "--book", plan, "--json")

    names = [json.loads(text)["name"] for text in done.out.splitlines()]
    assert names == [
        f"books/{plan}/projections/{name}"
        for name in ("capacity", "exceptions", "investment", "round-trip")
    ]


def test_health(services: Shell, alone: Shell) -> None:
    assert services("health", "ledger").code == ExitCode.OK
    assert services("health", "projections").code == ExitCode.OK
    assert alone("health", "ledger").code == ExitCode.UNAVAILABLE


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["append"],
        ["events", "--from", "x"],
        ["report", "capacity", "--as-of", "2026-02-30"],
        ["book", "create", "a", "--imported"],
        ["database", "prepare"],
        ["serve", "ledger"],
        ["serve", "projections"],
    ],
)
def test_command_lines_that_are_wrong(alone: Shell, arguments: list[str]) -> None:
    done = alone(*arguments)

    assert done.code == ExitCode.USAGE, done.err
    assert done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["DRAIN_SECONDS", "LOG_FORMAT", "LOG_LEVEL"])
def test_settings_that_are_wrong(alone: Shell, name: str) -> None:
    done = Shell(alone.environment | {f"GIGALEDGER_{name}": "nonsense"})("book", "list")

    assert done.code == ExitCode.USAGE, done.err
    assert name in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("part", ["ledger", "projections"])
def test_a_database_that_is_not_there(alone: Shell, part: str) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/db"
    done = Shell(alone.environment | {"GIGALEDGER_DATABASE_URL": url})("serve", part)

    assert done.code == ExitCode.UNAVAILABLE, done.err
    assert "secret" not in done.err
    assert "Traceback" not in done.err


HELP = [
    [], ["demo"], ["up"], ["serve"], ["serve", "ledger"], ["serve", "projections"], ["health"],
    ["database"], ["database", "prepare"], ["book"], ["book", "create"], ["book", "list"],
    ["book", "show"], ["append"], ["columns"], ["events"], ["attempts"], ["report"],
    ["report", "capacity"], ["report", "exceptions"], ["report", "investment"],
    ["report", "round-trip"], ["projection"],
    ["projection", "list"],
]  # fmt: skip


@pytest.mark.parametrize("part", HELP, ids=" ".join)
def test_every_part_has_help(alone: Shell, part: list[str]) -> None:
    done = alone(*part, "--help")

    assert done.code == ExitCode.OK
    assert "Usage: gigaledger" in done.out


def test_exit_codes_are_documented(alone: Shell) -> None:
    out = alone("--help").out

    for code in ExitCode:
        assert f"{code.value:>3}  {code.meaning[:30]}" in out
