"""Reports as CSV and as workbooks: every figure, exactly, with its type."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.report.csv_rows import CsvRows, Tables
from gigaledger.cli.report.workbooks import sheet_name, write_workbook
from gigaledger.client.records import record_columns
from gigaledger.v1 import projections_pb2
from openpyxl import load_workbook

from tests.cli.conftest import Shell
from tests.cli.test_asking import EXAMPLES, head

REPORTS = (
    ["capacity"],
    ["circular-flows"],
    ["exceptions"],
    ["investment"],
    ["round-trip", "--lots"],
    ["warrants"],
    ["what-if"],
    ["drill-down", "investment.funded"],
    ["roll-forward", "investment.funded", "--from", "2026-01-01", "--to", "2028-12-31"],
    ["series", "capacity", "--from", "2026-01-01", "--to", "2027-12-31", "--every", "quarter"],
    ["changes", "investment", "--since", "20", "--as-known", "50"],
)


@pytest.fixture(scope="module")
def plan(services: Shell) -> str:
    """A book that holds the example plan, followed by the projections."""
    services("book", "create", "sheets", "--imported", "--opened-at", "2025-09-22T00:00:00Z")
    done = services("append", EXAMPLES / "nvidia-openai-plan.jsonl", "--book", "sheets")
    assert done.code == 0, done.err
    for report in ("capacity", "circular-flows", "exceptions", "investment", "warrants"):
        services("report", report, "--book", "sheets", "--min-position", head(services, "sheets"))
    return "sheets"


def rows_of(out: str) -> list[dict[str, str]]:
    """The rows of CSV, by column."""
    return list(csv.DictReader(io.StringIO(out, newline=""), strict=True))


def counted(value: Any, name: str) -> int:
    """How many items the lists of a name hold, at any depth of JSON."""
    if isinstance(value, list):
        return sum(counted(item, name) for item in value)
    if not isinstance(value, dict):
        return 0
    own = len(value[name]) if isinstance(value.get(name), list) else 0
    return own + sum(counted(item, name) for item in value.values())


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report[0])
def test_a_workbook_holds_what_csv_holds(
    services: Shell, plan: str, tmp_path: Path, report: list[str]
) -> None:
    asked = ("report", *report, "--book", plan)
    file = tmp_path / "report.xlsx"

    printed = services(*asked, "--csv", "--xlsx", file)

    assert printed.code == 0, printed.err
    rows = rows_of(printed.out)
    assert len(rows) > (0 if report != ["warrants"] else -1)
    assert all(None not in row and None not in row.values() for row in rows)
    held = {
        sheet.title: [
            {
                str(heading.value): cell.value
                for heading, cell in zip(sheet[1], cells, strict=True)
                if cell.value not in (None, "")
            }
            for cells in sheet.iter_rows(min_row=2)
        ]
        for sheet in load_workbook(file)
    }
    written: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        cells = {name: text for name, text in row.items() if text and name != "table"}
        written.setdefault(sheet_name(row["table"]), []).append(cells)
    assert held.keys() == (written.keys() or {"empty"})
    for name, lines in written.items():
        for line, cells in zip(lines, held[name], strict=True):
            assert {n: as_text(cells[n], text) for n, text in line.items()} == line
            assert line.keys() == cells.keys()


def as_text(value: object, like: str) -> str:
    """A cell as CSV writes it, at the scale of a text."""
    match value:
        case bool():
            return "true" if value else "false"
        case dt.datetime() if len(like) == len("2026-01-01"):
            return value.date().isoformat()
        case dt.datetime():
            return like if value.isoformat()[:16] == like[:16] else value.isoformat()
        case int() | float():
            return f"{Decimal(repr(value)).quantize(Decimal(like)):f}"
    return str(value)


def test_rows_are_those_of_the_answer_with_exact_figures(services: Shell, plan: str) -> None:
    asked = ("report", "round-trip", "--book", plan, "--as-of", "2027-12-31", "--lots")

    rows = rows_of(services(*asked, "--csv").out)
    answer = json.loads(services(*asked, "--json").out)

    for table in ("pairs", "balances", "lots"):
        found = [row for row in rows if row["table"].rpartition(".")[2] == table]
        assert len(found) == counted(answer, table) > 0
    (cash,) = [r for r in rows if r["table"] == "pairs.balances" and r["basis"] == "CASH"]
    (pair,) = answer["pairs"]
    (balance,) = [b for b in pair["balances"] if b["basis"] == "ROUND_TRIP_BASIS_CASH"]
    assert cash["supplier_investor"] == pair["supplierInvestor"]
    assert cash["currency_code"] == "USD"
    assert cash["purchases"] == balance["purchases"]["amount"]["units"]
    assert cash["ratio_investment_ppm"] == balance["ratioInvestment"]["ppm"]
    assert cash["buy_then_invest_weighted_lag_days"] == "216.5275"
    assert {row["context_as_of"] for row in rows} == {"2027-12-31"}
    assert {row["context_hypothetical"] for row in rows} == {"true"}


def test_a_header_does_not_depend_on_what_is_found(services: Shell, plan: str) -> None:
    asked = ("report", "investment", "--book", plan, "--csv", "--as-of")

    none, some = services(*asked, "2020-01-01"), services(*asked, "2027-12-31")

    assert len(none.out.splitlines()) == 1
    assert none.out.splitlines()[0] == some.out.splitlines()[0]


def test_a_day_of_a_series_is_the_report_of_that_day(services: Shell, plan: str) -> None:
    series = rows_of(
        services(
            "report", "series", "investment", "--book", plan, "--csv",
            "--from", "2027-12-31", "--to", "2027-12-31",
        ).out
    )  # fmt: skip
    single = rows_of(
        services("report", "investment", "--book", plan, "--csv", "--as-of", "2027-12-31").out
    )

    assert series == single


def test_texts_stay_texts_and_long_numbers_stay_exact(tmp_path: Path) -> None:
    largest = Decimal("92233720368547758.07")
    text = '=HYPERLINK("http://x"), "a"\r\nb'
    columns = {"t": ["text", "number"]}
    rows: Tables = {
        "t": [{"text": text, "number": largest}, {"text": "1e5", "number": Decimal("0.10")}]
    }

    write_workbook(tmp_path / "a.xlsx", rows, columns)
    write_workbook(tmp_path / "b.xlsx", rows, columns)
    lines = "".join(CsvRows(columns).lines(rows))

    sheet = load_workbook(tmp_path / "a.xlsx")["t"]
    assert [cell.data_type for cell in sheet[2]] == ["s", "s"]
    assert sheet["B2"].value == str(largest)
    assert (sheet["A3"].value, sheet["B3"].value) == ("1e5", 0.1)
    assert sheet["B3"].number_format == "#,##0.00"
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    assert next(csv.reader(io.StringIO(lines, newline="")))[1:] == [text, str(largest)]


def test_what_a_workbook_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't hold"):
        write_workbook(tmp_path / "a.xlsx", {"t": [{"x": "y" * 40_000}]}, {"t": ["x"]})
    with pytest.raises(CommandError, match="can't write to"):
        write_workbook(tmp_path / "none" / "a.xlsx", {"t": [{"x": 1}]}, {"t": ["x"]})


def test_sheets_have_names_of_their_own() -> None:
    answers = [
        getattr(projections_pb2, name)()
        for name in dir(projections_pb2)
        if name.endswith("Response")
    ]

    for answer in answers:
        names = [sheet_name(table) for table in record_columns(answer)]
        assert len(names) == len(set(names))
        assert all(0 < len(name) <= 31 for name in names)
        assert all(len(set(found)) == len(found) for found in record_columns(answer).values())


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--csv", "--json"], "not both"), (["--xlsx", "report.xls"], "does not end in .xlsx")],
)
def test_forms_that_cannot_be_given(alone: Shell, options: list[str], words: str) -> None:
    done = alone("report", "capacity", *options)

    assert done.code == ExitCode.USAGE
    assert words in done.err
