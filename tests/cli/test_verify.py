"""`gigaledger audit verify`, `export` and `checkpoint`, as an auditor types them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from gigaledger.audit.export.book_file import footer_line
from gigaledger.cli.errors import ExitCode
from gigaledger.common.transparency.checkpoints import Checkpoint, open_checkpoint
from gigaledger.common.transparency.keys import new_key, write_keys
from gigaledger.common.transparency.merkle import check_inclusion
from gigaledger.common.transparency.notes import Verifier
from gigaledger.exceptions.catalogue import RULES

from tests.cli.conftest import Shell, clean_environment
from tests.log.books import until
from tests.postgres import PostgresServer
from tests.processes import ServiceProcess

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "corrections.jsonl"
KEY = new_key("ledger.test")
OPENED = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Office(Shell):
    """A shell of an auditor, beside services that seal."""

    url: str

    def sealed_book(self, book: str, *, sealed_when_opened: bool = False) -> str:
        """Open a book with the example; return its key once the book is sealed and projected.

        Args:
            book: id of the book.
            sealed_when_opened: wait for a checkpoint of the first event before the others.
        """
        made = self("book", "create", book, "--imported", "--opened-at", OPENED)
        assert made.code == ExitCode.OK, made.err
        if sealed_when_opened:
            until(lambda: "\n1\n" in self("audit", "checkpoint", "--book", book).out or None)
        appended = self("append", EXAMPLE, "--book", book)
        assert appended.code == ExitCode.OK, appended.err
        size = appended.err.rpartition("last position ")[2].strip(" .\n")
        until(lambda: f"\n{size}\n" in self("audit", "checkpoint", "--book", book).out or None)
        for projection in ("round-trip", "exceptions"):
            report = self("report", projection, "--min-position", size, "--book", book)
            assert report.code == ExitCode.OK, report.err
        return str(KEY.named(f"ledger.test/books/{book}").verifier)


@pytest.fixture(scope="module")
def office(
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Office]:
    """Services with a key, and a shell that finds them."""
    folder = tmp_path_factory.mktemp("office")
    write_keys(folder / "key", [KEY])
    with ExitStack() as stack:
        url = stack.enter_context(postgres_server.database())
        database = {"GIGALEDGER_DATABASE_URL": url}
        ledger = ServiceProcess(
            "ledger", database | {"GIGALEDGER_SIGNING_KEY": str(folder / "key")}
        )
        ledger.start()
        stack.callback(ledger.kill)
        projections = ServiceProcess(
            "projections", database | {"GIGALEDGER_LEDGER_ADDRESS": ledger.address}
        )
        projections.start()
        stack.callback(projections.kill)
        exceptions = ServiceProcess("exceptions", database)
        exceptions.start()
        stack.callback(exceptions.kill)
        addresses = {
            "GIGALEDGER_LEDGER_ADDRESS": ledger.address,
            "GIGALEDGER_PROJECTIONS_ADDRESS": projections.address,
        }
        yield Office(clean_environment(folder) | addresses, url)


def as_the_owner(office: Office, *statements: str) -> None:
    """Change stored data, as the owner of the database can."""
    with psycopg.connect(office.url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)


def test_a_live_book_and_its_figures_hold(office: Office, tmp_path: Path) -> None:
    key = office.sealed_book("live")
    file = tmp_path / "key.pub"
    file.write_text(f"{key}\n")

    verified = office("audit", "verify", "--book", "live", "--key", file)
    answer = json.loads(office("audit", "verify", "--book", "live", "--key", key, "--json").out)

    assert verified.code == ExitCode.OK, verified.err
    assert "Everything holds." in verified.out
    assert answer["verified"] is True
    assert answer["figures"] > 50
    assert answer["filters"] > 20
    assert answer["exceptions"] == 5
    assert answer["rulesEvaluated"] == list(RULES)
    assert answer["rulesNotEvaluated"] == []
    assert int(answer["size"]) == int(answer["events"]) > 30


def test_a_file_is_verified_offline(office: Office, alone: Shell, tmp_path: Path) -> None:
    key = office.sealed_book("taken")
    file, kept = tmp_path / "taken.jsonl", tmp_path / "kept.txt"
    kept.write_text(office("audit", "checkpoint", "--book", "taken").out)
    taken = office("audit", "export", "-o", file, "--book", "taken")
    assert taken.code == ExitCode.OK, taken.err

    verified = alone("audit", "verify", file, "--key", key, "--since", kept)

    assert verified.code == ExitCode.OK, verified.err
    assert office("audit", "export", "-o", file, "--book", "taken").code == ExitCode.USAGE
    again = tmp_path / "again.jsonl"
    office("audit", "export", "-o", again, "--book", "taken")
    assert again.read_bytes() == file.read_bytes()


ALTERATIONS: dict[str, tuple[int, Callable[[str], str], str]] = {
    "shown": (7, lambda line: line.replace('"actor":"', '"actor":"x'), "readable"),
    "garbled": (7, lambda line: line.replace('"leaf":"C', '"leaf":"!'), "unreadable"),
    "dropped": (7, lambda _: "", "position"),
    "doubled": (7, lambda line: line + line, "position"),
    "counted": (0, lambda line: line.replace('"size":', '"size":1'), "truncated"),
    "checkpoint": (-1, lambda line: line.replace("\\n3", "\\n4"), "signature"),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_file(office: Office, alone: Shell, tmp_path: Path, alteration: str) -> None:
    line, change, kind = ALTERATIONS[alteration]
    key = office.sealed_book(alteration)
    file = tmp_path / "book.jsonl"
    office("audit", "export", "-o", file, "--book", alteration)
    lines = file.read_text().splitlines(keepends=True)
    lines[line] = change(lines[line])
    file.write_text("".join(lines))

    verified = alone("audit", "verify", file, "--key", key, "--json")

    assert verified.code == ExitCode.NOT_VERIFIED
    assert kind in {finding["kind"] for finding in json.loads(verified.out)["findings"]}


def exported(office: Office, book: str, tmp_path: Path) -> tuple[str, list[str]]:
    """The key of a book with several checkpoints, and the lines of its export."""
    key, file = office.sealed_book(book, sealed_when_opened=True), tmp_path / "book.jsonl"
    assert office("audit", "export", "-o", file, "--book", book).code == ExitCode.OK
    return key, file.read_text().splitlines(keepends=True)


def test_events_beyond_the_last_checkpoint(office: Office, alone: Shell, tmp_path: Path) -> None:
    """Whoever strips checkpoints could alter everything behind them."""
    key, lines = exported(office, "stripped", tmp_path)
    notes = json.loads(lines[-1])["checkpoints"]
    lines[0] = lines[0].replace(f'"checkpoints":{len(notes)}', '"checkpoints":1')
    lines[-1] = footer_line(notes[:1])
    sealed, size = int(notes[0].split("\n")[1]), len(lines) - 2
    file = tmp_path / "stripped.jsonl"
    file.write_text("".join(lines))

    refused = alone("audit", "verify", file, "--key", key, "--json")
    allowed = alone("audit", "verify", file, "--key", key, "--allow-unsealed")

    assert refused.code == ExitCode.NOT_VERIFIED
    (finding,) = json.loads(refused.out)["findings"]
    assert (finding["kind"], finding["position"]) == ("unsealed", str(size))
    assert f"events {sealed + 1} to {size}" in finding["message"]
    assert allowed.code == ExitCode.OK
    assert f"The last {size - sealed} are beyond the last checkpoint" in allowed.out


def test_checkpoints_left_out_or_out_of_order(office: Office, alone: Shell, tmp_path: Path) -> None:
    key, lines = exported(office, "reordered", tmp_path)
    notes = json.loads(lines[-1])["checkpoints"]
    head = json.loads(lines[0])
    file = tmp_path / "altered.jsonl"

    def findings(notes: list[str], count: int) -> set[str]:
        first = json.dumps(head | {"checkpoints": count}, separators=(",", ":")) + "\n"
        file.write_text("".join([first, *lines[1:-1], footer_line(notes)]))
        verified = alone("audit", "verify", file, "--key", key, "--json")
        return {finding["message"] for finding in json.loads(verified.out)["findings"]}

    assert head["checkpoints"] == len(notes) > 1
    assert any("but holds 1" in one for one in findings(notes[-1:], len(notes)))
    assert any("is not larger" in one for one in findings(notes[::-1], len(notes)))
    assert any("is not larger" in one for one in findings([*notes, notes[-1]], len(notes) + 1))


KEEP = "CREATE TABLE kept AS SELECT * FROM {}"
RESTORE = ("DELETE FROM {}", "INSERT INTO {} SELECT * FROM kept", "DROP TABLE kept")


def test_checkpoints_and_keys_that_were_altered_in_the_database(office: Office) -> None:
    key = office.sealed_book("resealed", sealed_when_opened=True)
    alterations = {
        "DELETE FROM {} WHERE size = (SELECT min(size) FROM {})": "checkpoint",
        "UPDATE {} SET size = size - 1 WHERE size = (SELECT max(size) FROM {})": "checkpoint",
        "UPDATE {} SET succession = 'x'": "signing_key",
        "UPDATE {} SET prefix = decode('ff', 'hex') || prefix WHERE position = 9": "event",
    }
    messages = (
        *("the one listed before it is of 0", "is listed as one of"),
        *("is said to follow another key", "what the ledger sends is not events"),
    )
    for (statement, table), message in zip(alterations.items(), messages, strict=True):
        as_the_owner(
            office, *(one.replace("{}", f"book_resealed.{table}") for one in (KEEP, statement))
        )

        verified = office(
            "audit", "verify", "--book", "resealed", "--key", key, "--json", "--log-only"
        )

        as_the_owner(office, *(one.replace("{}", f"book_resealed.{table}") for one in RESTORE))
        assert verified.code == ExitCode.NOT_VERIFIED, statement
        findings = json.loads(verified.out)["findings"]
        assert any(message in finding["message"] for finding in findings), findings


HEADS: dict[str, Callable[[dict[str, Any]], object]] = {
    "book": lambda head: head.update(book="books/other"),
    "first size of the key": lambda head: head["keys"][0].update(fromSize="99"),
    "another key": lambda head: head["keys"].insert(
        0, {"verifierKey": str(new_key("ledger.test").verifier), "fromSize": "1"}
    ),
    "size as text": lambda head: head.update(size=str(head["size"])),
    "number of checkpoints": lambda head: head.update(checkpoints=head["checkpoints"] + 1),
    "a member more": lambda head: head.update(note="sealed by nobody"),
    "a member of a key more": lambda head: head["keys"][0].update(note="trusted"),
}


def _first_member(line: str, member: str) -> str:
    return "{" + member + "," + line[1:]


LINES: dict[str, tuple[int, Callable[[str], str]]] = {
    "a member of an event more": (7, lambda line: _first_member(line, '"note":"x"')),
    "a false leaf before the true one": (7, lambda line: _first_member(line, '"leaf":"AAAA"')),
    "a false event before the true one": (7, lambda line: _first_member(line, '"event":{}')),
    "a space before an event": (7, lambda line: " " + line),
    "a member of the last line more": (-1, lambda line: _first_member(line, '"note":"x"')),
}


def test_an_altered_line_is_noticed(office: Office, alone: Shell, tmp_path: Path) -> None:
    key, lines = exported(office, "lines", tmp_path)
    file = tmp_path / "altered.jsonl"
    for name, (index, change) in LINES.items():
        altered = list(lines)
        altered[index] = change(altered[index])
        file.write_text("".join(altered))

        verified = alone("audit", "verify", file, "--key", key)

        assert verified.code in {ExitCode.NOT_VERIFIED, ExitCode.INVALID_INPUT}, name


def test_an_altered_head_is_noticed(office: Office, alone: Shell, tmp_path: Path) -> None:
    key, lines = exported(office, "head", tmp_path)
    file = tmp_path / "altered.jsonl"
    for name, change in HEADS.items():
        head = json.loads(lines[0])
        change(head)
        first = json.dumps(head, separators=(",", ":")) + "\n"
        file.write_text("".join([first, *lines[1:]]))

        verified = alone("audit", "verify", file, "--key", key)

        assert verified.code in {ExitCode.NOT_VERIFIED, ExitCode.INVALID_INPUT}, name


def test_a_live_book_that_does_not_go_on_from_a_kept_checkpoint(
    office: Office, tmp_path: Path
) -> None:
    key = office.sealed_book("diverged")
    size = int(office("audit", "checkpoint", "--book", "diverged").out.split("\n")[1])
    origin = "ledger.test/books/diverged"
    kept = tmp_path / "kept.txt"
    kept.write_text(Checkpoint(origin, size - 1, bytes(32)).signed(KEY.named(origin)))

    verified = office(
        "audit", "verify", "--book", "diverged", "--key", key, "--since", kept, "--json"
    )

    assert verified.code == ExitCode.NOT_VERIFIED, verified.err
    findings = json.loads(verified.out)["findings"]
    assert {(f["kind"], f["position"]) for f in findings} >= {("root", str(size - 1))}


def test_an_event_that_was_altered_in_the_database_is_named(office: Office) -> None:
    key = office.sealed_book("tampered")
    as_the_owner(
        office,
        "UPDATE book_tampered.event SET event = set_byte(event, octet_length(event) - 1, 1)"
        " WHERE position = 9",
    )

    verified = office("audit", "verify", "--book", "tampered", "--key", key, "--json", "--log-only")

    assert verified.code == ExitCode.NOT_VERIFIED
    findings = json.loads(verified.out)["findings"]
    assert {f["position"] for f in findings if f["kind"] == "altered"} == {"9"}


def test_columns_that_were_altered_beside_the_bytes_are_named(office: Office) -> None:
    key = office.sealed_book("columns")
    as_the_owner(
        office,
        "UPDATE book_columns.event SET fact_type = 'goods_returned'"
        " WHERE fact_type = 'goods_received'",
        "UPDATE book_columns.event SET effective_date = effective_date + 1"
        " WHERE fact_type = 'purchase_order_placed'",
        "UPDATE book_columns.event SET agreement = '' WHERE fact_type = 'capital_call_issued'",
        "UPDATE book_columns.event SET parties = parties[2:]"
        " WHERE fact_type = 'supplier_payment_settled'",
        "UPDATE book_columns.event SET stream = stream || 'x' WHERE fact_type = 'invoice_issued'",
    )

    verified = office("audit", "verify", "--book", "columns", "--key", key, "--json", "--log-only")

    assert verified.code == ExitCode.NOT_VERIFIED
    findings = json.loads(verified.out)["findings"]
    assert {finding["kind"] for finding in findings} == {"filter"}
    for name in ("fact type", "effective date", "agreement", "party", "stream"):
        assert any(f"asks for {name} " in finding["message"] for finding in findings), name


def test_a_figure_that_was_altered_is_named(office: Office) -> None:
    key = office.sealed_book("figures")
    as_the_owner(
        office,
        "UPDATE book_figures.round_trip_payment SET amount_minor = amount_minor + 1"
        " WHERE position = (SELECT min(position) FROM book_figures.round_trip_payment)",
    )

    verified = office("audit", "verify", "--book", "figures", "--key", key)

    assert verified.code == ExitCode.NOT_VERIFIED
    assert "round-trip.paid" in verified.out


def test_an_exception_that_was_hidden_is_named(office: Office) -> None:
    key = office.sealed_book("hidden")
    as_the_owner(
        office,
        "DELETE FROM book_hidden.exceptions_finding_1 WHERE rule = 'SX-CUT-01'",
    )

    verified = office("audit", "verify", "--book", "hidden", "--key", key, "--json")

    assert verified.code == ExitCode.NOT_VERIFIED
    findings = json.loads(verified.out)["findings"]
    assert any("exceptions.SX-CUT-01" in f["message"] for f in findings if f["kind"] == "figure")


def test_another_key_and_no_key(office: Office, alone: Shell) -> None:
    office.sealed_book("keyed")
    other = str(new_key("ledger.test").named("ledger.test/books/keyed").verifier)

    wrong = office("audit", "verify", "--book", "keyed", "--key", other, "--log-only")
    assert wrong.code == ExitCode.NOT_VERIFIED
    assert "nothing is proven" in wrong.out
    assert alone("audit", "verify", "--key", "no key").code == ExitCode.USAGE
    assert alone("audit", "verify", "/nowhere", "--key", other).code == ExitCode.NOT_FOUND


def test_what_is_not_an_exported_book(alone: Shell, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    key = str(KEY.verifier)
    for content in ("", "x\n", '{"format":"other"}\n', base64.b64encode(b"x").decode()):
        file.write_text(content)
        ended = alone("audit", "verify", file, "--key", key)
        assert ended.code == ExitCode.INVALID_INPUT, content
        assert str(file) in ended.err


def test_a_ledger_that_does_not_seal_says_so(services: Shell) -> None:
    book = services.new_book()

    ended = services("audit", "verify", "--book", book, "--key", str(KEY.verifier))

    assert ended.code == ExitCode.REFUSED
    assert "GIGALEDGER_SIGNING_KEY" in ended.err


def test_the_events_behind_a_figure_are_proven(office: Office) -> None:
    key = office.sealed_book("explained")
    query = ("audit", "explain", "round-trip.paid", "--book", "explained", "--key", key)

    people, programs = office(*query), office(*query, "--json")

    assert people.code == 0, people.err
    assert "Proven against the checkpoint of" in people.out
    assert "not sealed yet" not in people.out
    found = json.loads(programs.out)
    checkpoint = open_checkpoint(found["checkpoint"], [Verifier.parse(key)])
    assert found["events"]
    for event in found["events"]:
        proof = event["proof"]
        check_inclusion(
            base64.b64decode(proof["leafHash"]),
            int(proof["leafIndex"]),
            checkpoint.size,
            [base64.b64decode(one) for one in proof["path"]],
            checkpoint.root,
        )
        assert int(proof["leafIndex"]) == int(event["position"]) - 1


def test_an_event_behind_a_figure_that_was_altered_is_named(office: Office) -> None:
    key = office.sealed_book("retold")
    as_the_owner(
        office,
        "UPDATE book_retold.event SET event = decode("
        "replace(encode(event, 'hex'), encode('PAY-A1', 'hex'), encode('PAY-B1', 'hex')), 'hex')"
        " WHERE position = 11",
    )

    explained = office("audit", "explain", "round-trip.paid", "--book", "retold", "--key", key)

    assert explained.code == ExitCode.NOT_VERIFIED
    assert "position 11: the event is not the one that was sealed" in explained.err


def test_a_figure_is_not_proven_with_another_key(office: Office) -> None:
    office.sealed_book("unproven")
    other = str(new_key("ledger.test").named("ledger.test/books/unproven").verifier)

    explained = office("audit", "explain", "round-trip.paid", "--book", "unproven", "--key", other)

    assert explained.code == ExitCode.NOT_VERIFIED, explained.err
