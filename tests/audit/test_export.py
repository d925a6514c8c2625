"""Exports: what other tools read is what the book holds."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from gigaledger.audit.export.columns import EVENTS
from gigaledger.audit.export.csv_tables import CsvWriter, text_of
from gigaledger.audit.export.journal import BEANCOUNT, HLEDGER, JournalWriter, account_name, hledger
from gigaledger.audit.export.manifest import ExportError, Writer, write_export
from gigaledger.audit.export.parquet_tables import ParquetWriter
from gigaledger.audit.export.postings import transactions
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, settings
from pyarrow import parquet

from tests.audit.histories import histories
from tests.audit.test_figures import added
from tests.facts import START, parties, placed, received, reversed_entry
from tests.hypothesis_profiles import examples
from tests.projections.log import example, log_of

SCENARIOS = pytest.mark.parametrize("name", ["nvidia-openai-plan", "corrections"])
POSTING = re.compile(
    r" {4}(?P<account>[A-Z][A-Za-z0-9:-]*)  (?P<amount>-?[0-9.]+) (?P<currency>\w+)"
)


def exported(
    events: Sequence[RecordedEvent], folder: Path, writer: Callable[[Path], Writer]
) -> Path:
    count = write_export(
        events, folder, writer, export_format="f", book="books/main", version="0.0.0"
    )
    assert count == len(events)
    return folder


def balances(lines: Sequence[str]) -> dict[tuple[str, str], Decimal]:
    """What accounts hold by a journal, each of whose transactions is seen to balance."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    open_: dict[str, Decimal] = defaultdict(Decimal)
    for line in [*lines, ""]:
        match = POSTING.fullmatch(line)
        if match:
            amount = Decimal(match["amount"])
            found[match["account"], match["currency"]] += amount
            open_[match["currency"]] += amount
        elif not line:
            assert not any(open_.values()), line
            open_.clear()
        else:
            assert not line.startswith("    ") or line.lstrip().startswith(";"), line
    return dict(found)


def by_figures(events: Sequence[RecordedEvent]) -> dict[tuple[str, str], Decimal]:
    """What accounts must hold by the figures of legal entities: not 0."""
    found: dict[tuple[str, str], Decimal] = {}
    for key, figure in added(events).at().items():
        if key.section != "round-trip.entity" or not isinstance(figure.value, int):
            continue
        about = dict(key.of)
        one, other = about["supplier_investor"], about["customer_investee"]
        accounts = {
            "ordered": (("Equity", "Memo", "Ordered", other, one), 1),
            "received": (("Assets", other, "Inventory", one), 1),
            "invoiced": (("Income", one, "Sales", other), -1),
            "recoverable_tax": (("Assets", other, "Tax", one), 1),
            "paid": (("Assets", other, "Cash", "Purchases", one), -1),
            "cash.investment": (("Assets", other, "Cash", "Capital", one), 1),
            "invested_non_cash": (("Assets", other, "In-Kind", one), 1),
            "accrual.investment": (("Equity", "Memo", "Called", one, other), 1),
            "commitment.investment": (("Equity", "Memo", "Committed", one, other), 1),
        }
        if key.name in accounts and figure.value:
            account, sign = accounts[key.name]
            amount = Decimal(sign * figure.value).scaleb(-2)
            found[account_name(account), about["currency_code"]] = amount
    return found


def check_journal(events: Sequence[RecordedEvent]) -> None:
    lines = list(hledger(transactions(added(events).history)))
    held = balances(lines)
    expected = by_figures(events)
    compared = re.compile(
        r"Equity:Memo:(Ordered|Called|Committed):|Assets:[^:]+:(Inventory|In-Kind|Tax):"
        r"|Income:|Assets:[^:]+:Cash:(Purchases|Capital):"
    )
    # In kind is on both sides: what the issuer holds is compared, what the investor gave is not.
    assert {
        account: amount
        for account, amount in held.items()
        if amount and compared.match(account[0]) and not (":In-Kind:" in account[0] and amount < 0)
    } == {
        account: amount
        for account, amount in expected.items()
        if not (":In-Kind:" in account[0] and amount < 0)
    }


@SCENARIOS
def test_the_balances_of_the_journal_are_the_figures(name: str) -> None:
    check_journal(example(name))


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_the_journal_of_any_history_balances(events: list[RecordedEvent]) -> None:
    check_journal(events)


def test_a_reversal_is_a_counter_entry_on_the_day_of_its_original() -> None:
    events = log_of([*parties("SUP", "CUS"), placed(), received(5), reversed_entry(5)])

    found = transactions(added(events).history)

    [original, counter] = [one for one in found if one.entry.position == 5]

    assert (original.day, counter.day) == (START, START)
    assert (original.reverses, counter.reverses) == (False, True)
    assert counter.position == 6
    assert [-item.amount_minor for item in counter.postings] == [
        item.amount_minor for item in original.postings
    ]


@SCENARIOS
def test_hledger_accepts_the_journal(name: str, tmp_path: Path) -> None:
    tool = shutil.which("hledger")
    if tool is None:
        pytest.skip("hledger is not installed")
    journal = exported(example(name), tmp_path / "out", JournalWriter) / HLEDGER

    subprocess.run([tool, "-f", journal, "check", "--strict"], check=True)
    shown = subprocess.run(
        [tool, "-f", journal, "balance", "--flat", "--empty", "-O", "csv"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip

    rows = list(csv.reader(shown.stdout.splitlines()))[1:-1]
    by_tool = {account: amount.removesuffix(" USD") for account, amount in rows}
    for (account, _), amount in by_figures(example(name)).items():
        assert Decimal(by_tool[account]) == amount, account


@SCENARIOS
def test_beancount_accepts_the_journal(name: str, tmp_path: Path) -> None:
    tool = shutil.which("bean-check")
    if tool is None:
        pytest.skip("bean-check is not installed")
    journal = exported(example(name), tmp_path / "out", JournalWriter) / BEANCOUNT

    done = subprocess.run([tool, journal], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@SCENARIOS
def test_tables_hold_every_event_whole(name: str, tmp_path: Path) -> None:
    csv.field_size_limit(sys.maxsize)
    events = example(name)
    folder = exported(events, tmp_path / "out", CsvWriter)

    with (folder / "events.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [int(row["position"]) for row in rows] == [event.position for event in events]
    assert list(rows[0]) == [column.name for column in EVENTS]
    for row, recorded in zip(rows, events, strict=True):
        kind = row["fact_type"]
        parsed = ParseDict({kind: json.loads(row["fact"])}, Event())
        assert getattr(parsed, kind) == getattr(recorded.event, kind)
    kinds = {row["fact_type"] for row in rows}
    assert {path.stem for path in (folder / "facts").iterdir()} == kinds
    for kind in kinds:
        with (folder / "facts" / f"{kind}.csv").open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        assert [row["position"] for row in table] == [
            row["position"] for row in rows if row["fact_type"] == kind
        ]
        if "amount" in table[0]:
            amounts = [row["amount"] for row in rows if row["fact_type"] == kind]
            assert [row["amount"] for row in table] == amounts


@pytest.mark.parametrize("writer", [CsvWriter, JournalWriter])
def test_the_same_history_gives_the_same_bytes(
    tmp_path: Path, writer: Callable[[Path], Writer]
) -> None:
    one, other = (
        exported(example("corrections"), tmp_path / name, writer) for name in ("one", "other")
    )

    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_the_manifest_tells_a_changed_file(tmp_path: Path) -> None:
    events = example("corrections")
    folder = exported(events, tmp_path / "out", CsvWriter)

    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))

    for file in manifest["files"]:
        content = (folder / file["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    listed = {file["name"] for file in manifest["files"]} | {"manifest.json"}
    assert listed == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    totals = manifest["control_totals"]
    assert (manifest["first_position"], manifest["last_position"]) == (1, len(events))
    assert sum(totals["events_by_fact"].values()) == totals["events"] == len(events)
    amounts = totals["amount_minor_by_fact_and_currency"]
    assert amounts["capital_contribution_funded USD"] == "100000000000"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    with pytest.raises(ExportError, match="is not empty"):
        exported(example("corrections"), tmp_path, CsvWriter)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_no_two_accounts_have_one_name() -> None:
    names = ["A_B", "A-B", "A--B", "A.B", "A B", "a_b", "Ä", "Ö", "X-", "_"]

    assert len({account_name(("Assets", name)) for name in names}) == len(names)


@SCENARIOS
def test_parquet_holds_the_tables_of_csv_with_exact_types(name: str, tmp_path: Path) -> None:
    events = example(name)
    plain = exported(events, tmp_path / "csv", CsvWriter)
    typed = exported(events, tmp_path / "parquet", ParquetWriter)

    names = sorted(path.relative_to(plain).with_suffix("") for path in plain.rglob("*.csv"))
    assert names == sorted(
        path.relative_to(typed).with_suffix("") for path in typed.rglob("*.parquet")
    )
    for table in names:
        with (plain / table).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        found = parquet.read_table((typed / table).with_suffix(".parquet"))
        assert found.column_names == header
        for row, values in zip(rows, found.to_pylist(), strict=True):
            for text, value in zip(row, values.values(), strict=True):
                if isinstance(value, Decimal):
                    assert Decimal(text) == value
                else:
                    assert text == text_of(value)


def test_parquet_keeps_money_power_dates_and_instants_exact(tmp_path: Path) -> None:
    folder = exported(example("corrections"), tmp_path / "p", ParquetWriter)

    types = {
        field.name: str(field.type) for field in parquet.read_schema(folder / "events.parquet")
    }

    assert types["amount"] == types["shares"] == "decimal128(38, 10)"
    assert types["power_kw"] == types["position"] == "int64"
    assert (types["effective_date"], types["recorded_time"]) == (
        "date32[day]",
        "timestamp[us, tz=UTC]",
    )


def test_parquet_in_row_groups_holds_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = example("corrections")
    monkeypatch.setattr("gigaledger.audit.export.parquet_tables.ROW_GROUP", 7)
    folder = exported(events, tmp_path / "p", ParquetWriter)
    again = exported(events, tmp_path / "q", ParquetWriter)

    file = parquet.ParquetFile(folder / "events.parquet")
    assert file.num_row_groups == -(-len(events) // 7)
    assert file.read().column("position").to_pylist() == [event.position for event in events]
    assert (folder / "manifest.json").read_bytes() == (again / "manifest.json").read_bytes()
