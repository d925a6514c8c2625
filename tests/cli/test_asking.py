"""The commands that ask: books, events, reports; and how the command ends."""

from __future__ import annotations

import json
import signal
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from gigaledger.cli.errors import ExitCode

from tests.cli.conftest import Shell
from tests.cli.test_append import party, written

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
    """Head of a book."""
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


def test_exceptions_by_rule_and_of_some_severity(services: Shell, plan: str) -> None:
    asked = ("report", "exceptions", "--book", plan)

    people = services(*asked)
    every = json.loads(services(*asked, "--json").out)
    warnings = json.loads(services(*asked, "--severity", "warning", "--json").out)
    critical = json.loads(services(*asked, "--severity", "critical", "--json").out)

    assert warnings == every
    assert (critical["exceptions"], critical["totalCount"], critical["openCount"]) == ([], "0", "0")
    titles = [text for text in people.out.splitlines() if text.startswith("SX-")]
    assert [text.partition(",")[0] for text in titles] == ["SX-CAP-03"]
    assert f"SX-CAP-03, warning: {every['totalCount']}, {every['openCount']} open" in titles


def test_amounts_of_zero_are_shown_only_if_they_are_an_answer(services: Shell, plan: str) -> None:
    asked = ("report", "investment", "--book", plan, "--as-of", "2025-12-31")

    people, programs = services(*asked), json.loads(services(*asked, "--json").out)

    assert {item["secondary"]["amount"]["units"] for item in programs["agreements"]} == {"0"}
    assert "paid between holders" not in people.out
    assert people.out.count("│ called ") >= len(programs["agreements"])


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


@pytest.fixture(scope="module")
def fixes(services: Shell) -> str:
    """A book that holds the example of corrections."""
    services("book", "create", "fixes", "--imported", "--opened-at", "2025-12-01T00:00:00Z")
    done = services("append", EXAMPLES / "corrections.jsonl", "--book", "fixes")
    assert done.code == 0, done.err
    services("report", "round-trip", "--book", "fixes", "--min-position", head(services, "fixes"))
    return "fixes"


@pytest.mark.parametrize(
    ("known", "paid"),
    [
        ("2026-08-31T23:59:59Z", "2400000000"),
        ("2026-09-06T23:59:59Z", "2500000000"),
        ("2026-09-11T23:59:59Z", "2400000000"),
        ("30", "2500000000"),
    ],
)
def test_what_was_known_when(services: Shell, fixes: str, known: str, paid: str) -> None:
    asked = ("report", "round-trip", "--book", fixes, "--as-of", "2026-08-31", "--as-known", known)

    people, programs = services(*asked), services(*asked, "--json")

    assert json.loads(programs.out)["pairs"][0]["paid"]["amount"]["units"] == paid
    gone_on = "The projection has gone on to position 31." in " ".join(people.out.split())
    assert gone_on == (known != "2026-09-11T23:59:59Z")


def test_which_events_moved_figures(services: Shell, fixes: str) -> None:
    asked = (
        "report", "changes", "round-trip", "--book", fixes, "--as-of", "2026-08-31",
        "--since", "2026-08-31T23:59:59Z",
    )  # fmt: skip

    people, programs = services(*asked), services(*asked, "--json")

    assert "Position 30: supplier payment settled, effective 2026-08-20" in people.out
    assert "no figure is other than at position 28" in people.out
    parts = [json.loads(line) for line in programs.out.splitlines()]
    assert [part["event"]["position"] for part in parts[:-1]] == ["30", "31"]
    assert "changes" not in parts[-1]["total"]


def test_a_series_is_what_each_day_answers(services: Shell, plan: str) -> None:
    asked = ("report", "series", "investment", "--book", plan, "--every", "quarter",
             "--from", "2027-01-01", "--to", "2028-06-30")  # fmt: skip

    people, programs = services(*asked), services(*asked, "--json")

    answers = [json.loads(line)["investment"] for line in programs.out.splitlines()]
    assert len(answers) == 6
    for answer in answers:
        day = answer["context"]["asOf"]
        date = f"{day['year']}-{day['month']:02}-{day['day']:02}"
        single = services("report", "investment", "--book", plan, "--as-of", date, "--json")
        assert answer["totals"] == json.loads(single.out, object_hook=_without_zeros)["totals"]
        assert f"│ {date} │" in people.out


def _without_zeros(fields: dict[str, object]) -> dict[str, object]:
    """JSON as it is printed on one line: without fields that are zero or empty."""
    return {
        name: value
        for name, value in fields.items()
        if value not in ("", "0", 0, False) and value != []
    }


def test_drill_down_and_roll_forward(services: Shell, fixes: str) -> None:
    drilled = services("report", "drill-down", "round-trip.cash.net_balance", "--book", fixes)
    rolled = services(
        "report", "roll-forward", "round-trip.paid", "--book", fixes,
        "--from", "2026-01-01", "--to", "2026-06-30",
    )  # fmt: skip
    about = services("report", "drill-down", "capacity.certified_kw", "--book", fixes,
                     "--about", "agreement=NONE")  # fmt: skip

    assert "2,400,000,000 USD" in drilled.out
    assert "-300,000,000" in rolled.out
    assert "Nothing is recorded that goes into it." in about.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["drill-down", "investment.nothing"], ExitCode.REFUSED, "is none of"),
        (["drill-down", "investment.funded", "--about", "x"], ExitCode.USAGE, "FIELD=VALUE"),
        (
            ["roll-forward", "investment.entitled", "--from", "2026-01-01", "--to", "2026-12-31"],
            ExitCode.REFUSED,
            "is made of investment.certified_kw",
        ),
        (["changes", "capacity", "--since", "10000000"], ExitCode.REFUSED, "has no event"),
        (["changes", "capacity", "--since", "then"], ExitCode.USAGE, "neither a position"),
        (
            ["changes", "capacity", "--since", "31", "--as-known", "4"],
            ExitCode.REFUSED,
            "since_position: is position 31, after 4",
        ),
        (["capacity", "--as-known", "2020-01-01T00:00:00Z"], ExitCode.REFUSED, "was not open yet"),
        (["capacity", "--as-known", "2020-01-01T00:00:00"], ExitCode.USAGE, "no time zone"),
        (["capacity", "--as-known", "0"], ExitCode.REFUSED, "is not a position"),
        (
            ["series", "capacity", "--from", "2026-02-01", "--to", "2026-01-01"],
            ExitCode.REFUSED,
            "to_date: 2026-01-01 is before 2026-02-01",
        ),
        (
            ["series", "capacity", "--from", "1990-02-01", "--to", "2026-01-01", "--every", "day"],
            ExitCode.REFUSED,
            "more than 4000",
        ),
    ],
)
def test_questions_about_time_that_cannot_be_answered(
    services: Shell, fixes: str, arguments: list[str], code: ExitCode, words: str
) -> None:
    done = services("report", *arguments, "--book", fixes)

    assert done.code == code, done.err
    assert words in " ".join(done.err.split())


def test_an_earlier_knowledge_of_a_book_that_is_not_there(services: Shell) -> None:
    done = services("report", "capacity", "--as-known", "3", "--book", "nowhere")
    assert done.code == ExitCode.NOT_FOUND, done.err


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
        for name in ("capacity", "exceptions", "investment", "round-trip", "warrants")
    ]


def test_projections_are_made_anew_and_listed(services: Shell, plan: str) -> None:
    services("report", "capacity", "--book", plan, "--min-position", head(services, plan))
    before = services("report", "capacity", "--book", plan, "--json").out

    rebuilt = services("projection", "rebuild", "capacity", "--book", plan, "--json")
    listed = services("projection", "list", "--book", plan)

    assert rebuilt.code == 0, rebuilt.err
    assert json.loads(rebuilt.out)["generation"] == 2
    assert "nobody" not in listed.out
    assert services("report", "capacity", "--book", plan, "--json").out == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rebuild"], ExitCode.USAGE, "name projections, or give --all"),
        (["rebuild", "capacity", "--all"], ExitCode.USAGE, "name projections, or give --all"),
        (["rebuild", "nothing"], ExitCode.NOT_FOUND, "there is no projection nothing"),
        (["resume", "capacity"], ExitCode.REFUSED, "capacity has not stopped"),
        (["resume", "--all"], ExitCode.OK, "No projection has stopped."),
    ],
)
def test_what_cannot_be_done_to_a_projection(
    services: Shell, plan: str, arguments: list[str], code: ExitCode, words: str
) -> None:
    done = services("projection", *arguments, "--book", plan)

    assert (done.code, words in done.err) == (code, True), done.err


def test_an_address_of_something_else_is_named_as_what_it_is(services: Shell) -> None:
    ledger, projections = (
        services.environment[f"GIGALEDGER_{name}_ADDRESS"] for name in ("LEDGER", "PROJECTIONS")
    )
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        page = f"127.0.0.1:{web.server_port}"
        done = {
            "the projections, and not the ledger": services(
                "book", "list", "--ledger", projections
            ),
            "the ledger, and not the projections": services(
                "report", "capacity", "--projections", ledger
            ),
            "a web server, and not the ledger": services("book", "list", "--ledger", page),
        }
        web.shutdown()

    for message, ended in done.items():
        assert ended.code == ExitCode.UNAVAILABLE, ended.err
        assert message in ended.err


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
    ["book", "show"], ["append"], ["template"], ["columns"], ["events"], ["attempts"], ["report"],
    ["report", "capacity"], ["report", "exceptions"], ["report", "investment"],
    ["report", "round-trip"], ["report", "warrants"], ["report", "series"], ["report", "changes"],
    ["report", "drill-down"], ["report", "roll-forward"], ["projection"],
    ["projection", "list"], ["projection", "rebuild"], ["projection", "resume"],
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
