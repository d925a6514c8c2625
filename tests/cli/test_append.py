"""`gigaledger append`: files go in line by line, and again without doubling anything."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from gigaledger.cli.errors import ExitCode

from tests.cli.conftest import Shell
from tests.log.books import until


def line(fact: str, request_id: str = "", **fields: Any) -> str:
    """A line of a JSON Lines file."""
    event = {
        "effectiveDate": {"year": 2026, "month": 1, "day": 5},
        "assertionStatus": "ASSERTION_STATUS_FACT",
        "actor": "treasury",
        fact: fields,
    }
    request: dict[str, Any] = {"events": [{"event": event}]}
    if request_id:
        request["requestId"] = request_id
    return json.dumps(request)


def party(name: str) -> str:
    """A line that registers a party."""
    return line("partyRegistered", party=name, legalName=f"{name} Inc.")


@pytest.fixture
def book(services: Shell) -> str:
    """A fresh book."""
    return services.new_book()


def written(path: Path, *lines: str) -> Path:
    """A file of lines."""
    path.write_text("".join(f"{text}\n" for text in lines), "utf-8")
    return path


def positions(services: Shell, book: str) -> list[int]:
    """Positions of the facts of a book."""
    out = services("events", "--book", book, "--json").out
    return [int(json.loads(text)["position"]) for text in out.splitlines()]


def head(services: Shell, book: str) -> int:
    """Head of a book."""
    return int(json.loads(services("book", "show", book, "--json").out)["headPosition"])


def test_a_file_and_the_same_file_again(services: Shell, book: str, tmp_path: Path) -> None:
    file = written(tmp_path / "facts.jsonl", party("A"), "", party("B"))

    first = services("append", file, "--book", book)
    again = services("append", file, "--book", book)

    assert (first.code, again.code) == (0, 0)
    assert "2 events appended in 2 requests" in first.err
    assert "last position 3" in first.err
    assert "0 events appended in 0 requests, 2 requests were recorded before" in again.err
    assert positions(services, book) == [1, 2, 3]


def test_standard_input(services: Shell, book: str) -> None:
    done = services("append", "-", "--book", book, stdin=party("A"))

    assert done.code == 0
    assert positions(services, book) == [1, 2]


def test_the_line_that_is_refused_is_named_and_those_before_it_stay(
    services: Shell, book: str, tmp_path: Path
) -> None:
    goods = line("goodsReceived", purchaseOrder="PO-1", line=1, quantity=5)
    file = written(tmp_path / "facts.jsonl", party("A"), goods, party("B"))

    done = services("append", file, "--book", book)

    assert done.code == 1
    assert "facts.jsonl:2: refused" in done.err
    assert "HR-ID-03" in done.err
    assert "purchase order PO-1 is not recorded" in done.err
    assert positions(services, book) == [1, 2]


def test_going_on_after_a_refusal(services: Shell, book: str, tmp_path: Path) -> None:
    goods = line("goodsReceived", purchaseOrder="PO-1", line=1, quantity=5)
    file = written(tmp_path / "facts.jsonl", party("A"), goods, party("B"))

    done = services("append", file, "--book", book, "--keep-going")

    assert done.code == 1
    assert "1 requests refused" in done.err
    assert positions(services, book) == [1, 2, 3]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "not JSON"),
        ("[]", "facts.jsonl:2"),
        ("{}", "the line has no events"),
        (party("B").replace("legalName", "legalNme"), "Did you mean legalName?"),
        (party("B").replace('"year": 2026', '"year": "x"'), "facts.jsonl:2"),
        ('{"validateOnly": true, "events": [{}]}', "--check"),
    ],
)
def test_the_line_that_can_not_be_read_is_named(
    services: Shell, book: str, tmp_path: Path, bad: str, message: str
) -> None:
    file = written(tmp_path / "facts.jsonl", party("A"), bad, party("C"))

    done = services("append", file, "--book", book)

    assert done.code == 5
    assert "facts.jsonl:2" in done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert positions(services, book) == [1, 2]


def short(fact: str, **fields: Any) -> str:
    """A line in short forms."""
    event = {"effectiveDate": "2026-01-05", "assertionStatus": "FACT", "actor": "ops", fact: fields}
    return json.dumps({"events": [{"event": event}]})


def test_short_forms_of_dates_amounts_numbers_and_names(
    services: Shell, book: str, tmp_path: Path
) -> None:
    order = {
        "purchaseOrder": "PO-1",
        "buyer": "B",
        "supplier": "A",
        "contractKind": "chip_po",
        "lines": [{"line": 1, "sku": "R", "quantity": 2, "unitPrice": "USD 1250.50"}],
    }
    file = written(
        tmp_path / "facts.jsonl", party("A"), party("B"), short("purchaseOrderPlaced", **order)
    )

    done = services("append", file, "--book", book)

    assert done.code == 0, done.err
    event = json.loads(services("events", "--book", book, "--json").out.splitlines()[-1])["event"]
    assert event["effectiveDate"] == {"year": 2026, "month": 1, "day": 5}
    assert event["assertionStatus"] == "ASSERTION_STATUS_FACT"
    placed = event["purchaseOrderPlaced"]
    assert placed["contractKind"] == "CONTRACT_KIND_CHIP_PO"
    assert placed["lines"][0]["unitPrice"] == {
        "currencyCode": "USD",
        "units": "1250",
        "nanos": 500000000,
    }


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (
            "2026-01-05",
            "05.01.2026",
            "effectiveDate: '05.01.2026' is not a date such as 2026-12-31",
        ),
        ('"FACT"', '"TRUE"', "assertionStatus: 'TRUE' is none of FACT, REPORTED, PLAN, ASSUMPTION"),
        ('"USD 5"', '"5"', "is not an amount such as"),
        ('"USD 5"', '"USD 5.001"', "USD has 2 decimal places"),
    ],
)
def test_a_short_form_that_can_not_be_read_is_named_with_the_form_expected(
    services: Shell, book: str, tmp_path: Path, good: str, bad: str, message: str
) -> None:
    fact = short("capitalReturned", agreement="A", contribution="F", amount="USD 5")
    file = written(tmp_path / "facts.jsonl", fact.replace(good, bad))

    done = services("append", file, "--book", book)

    assert done.code == 5
    assert "facts.jsonl:1: events[0].event." in done.err
    assert message in done.err


def test_a_file_that_is_not_text(services: Shell, book: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_bytes(party("A").encode() + b"\n\xff\xfe\n")

    done = services("append", file, "--book", book)

    assert done.code == 5
    assert "facts.jsonl:2: not UTF-8 at byte 1" in done.err


def test_a_file_that_is_not_there(services: Shell, book: str) -> None:
    done = services("append", "nowhere.jsonl", "--book", book)

    assert done.code == 4
    assert "cannot read nowhere.jsonl" in done.err


def test_a_book_that_is_not_there(services: Shell, tmp_path: Path) -> None:
    file = written(tmp_path / "facts.jsonl", party("A"))

    done = services("append", file, "--book", "nowhere")

    assert done.code == 4
    assert "there is no book nowhere" in done.err


def test_a_ledger_that_is_not_there(alone: Shell, tmp_path: Path) -> None:
    file = written(tmp_path / "facts.jsonl", party("A"))

    done = alone("append", file)

    assert done.code == 3
    assert "127.0.0.1:1" in done.err
    assert "Traceback" not in done.err


def test_a_check_shows_every_bad_line_and_records_nothing(
    services: Shell, book: str, tmp_path: Path
) -> None:
    goods = line("goodsReceived", purchaseOrder="PO-1", line=1, quantity=5)
    good = written(tmp_path / "good.jsonl", "# the parties", party("A"), "", party("B"))
    bad = written(
        tmp_path / "bad.jsonl",
        party("A"),
        "{",
        goods,
        "  # PO-2 was never placed",
        party("A"),
        party("B").replace("legalName", "legalNme"),
        party("C"),
        "{}",
    )

    fine = services("append", good, "--book", book, "--check")
    wrong = services("append", bad, "--book", book, "--check")

    assert fine.code == 0, fine.err
    assert "2 events in 2 requests would be appended. Nothing was recorded." in fine.err
    places = [text.split(": ")[0] for text in wrong.err.splitlines() if text.startswith("bad.")]
    assert places == [f"bad.jsonl:{number}" for number in (2, 3, 5, 6, 8)]
    assert "HR-ID-03" in wrong.err
    assert "HR-STATE-01" in wrong.err
    assert "2 events in 2 requests would be appended, 2 would be refused, 3 lines" in wrong.err
    assert wrong.code == ExitCode.INVALID_INPUT
    assert positions(services, book) == [1]
    assert "No request was refused" in services("attempts", "--book", book).err


def test_a_check_of_a_file_that_is_recorded_in_part(
    services: Shell, book: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "facts.jsonl", party("A"))
    services("append", file, "--book", book)
    written(file, party("A"), party("B"), party("B"))

    done = services("append", file, "--book", book, "--check")

    assert done.code == ExitCode.REFUSED
    assert "facts.jsonl:3: would be refused" in done.err
    assert "1 requests are recorded already" in done.err


def test_a_check_of_many_lines_that_build_on_each_other(
    services: Shell, book: str, tmp_path: Path
) -> None:
    rows = [f"party_registered,2026-01-05,FACT,ops,P-{n},P {n}" for n in range(3000)]
    rows += [f"party_amended,2026-01-06,FACT,ops,P-{n},Q {n}" for n in range(0, 2000, 2)]
    rows[1500] += ",one cell too many"
    rows.append("party_registered,05.01.2026,FACT,ops,Q,Q")
    header = "fact,effective_date,assertion_status,actor,party,legal_name"
    file = written(tmp_path / "facts.csv", header, *rows)

    done = services("append", file, "--book", book, "--check")

    lines = [text for text in done.err.splitlines() if text.startswith("facts.csv")]
    assert [text.split(": ")[0] for text in lines] == [
        "facts.csv:1502",
        "facts.csv:3752",
        "facts.csv:4002",
    ]
    assert "party P-1500 is not recorded" in done.err
    assert positions(services, book) == [1]


def test_csv(services: Shell, book: str, tmp_path: Path) -> None:
    """Milestones, orders and issuances as a spreadsheet holds them."""
    file = written(
        tmp_path / "facts.csv",
        "fact,effective_date,assertion_status,actor,party,legal_name,purchase_order,buyer,supplier,"
        "contract_kind,line,sku,quantity,unit_price,currency",
        "party_registered,2026-01-05,FACT,ops,SUP,Sup Inc.,,,,,,,,,",
        "party_registered,2026-01-05,FACT,ops,CUS,Cus Inc.,,,,,,,,,",
        "purchase_order_placed,2026-01-06,FACT,ops,,,PO-1,CUS,SUP,CHIP_PO,1,R,10,1250.50,USD",
        "goods_received,2026-01-07,FACT,ops,,,PO-1,,,,1,,4,,",
    )

    first = services("append", file, "--book", book)
    again = services("append", file, "--book", book)
    events = services("events", "--book", book, "--json").out.splitlines()

    assert (first.code, first.err.splitlines()[-1][:36]) == (
        0,
        "4 events appended in 4 requests, 0 r",
    )
    assert "4 requests were recorded before" in again.err
    order = json.loads(events[3])["event"]["purchaseOrderPlaced"]
    assert order["lines"] == [
        {
            "line": 1,
            "sku": "R",
            "quantity": "10",
            "unitPrice": {"currencyCode": "USD", "units": "1250", "nanos": 500000000},
        }
    ]
    assert json.loads(events[4])["event"]["goodsReceived"]["quantity"] == "4"


def test_csv_of_an_invoice_with_lines(services: Shell, book: str, tmp_path: Path) -> None:
    """Rows of one invoice are its lines; a row without a line is an invoice of its own."""
    file = written(
        tmp_path / "facts.csv",
        "fact,effective_date,assertion_status,actor,party,legal_name,buyer,supplier,invoice,amount,"
        "line,order_line,quantity,unit_price,line_amount,description,currency",
        "party_registered,2026-01-05,FACT,ops,SUP,Sup Inc.,,,,,,,,,,,",
        "party_registered,2026-01-05,FACT,ops,CUS,Cus Inc.,,,,,,,,,,,",
        "invoice_issued,2026-01-06,FACT,ops,,,CUS,SUP,I-1,30.02,1,1,10,0.0025,0.02,,USD",
        "invoice_issued,2026-01-06,FACT,ops,,,CUS,SUP,I-1,30.02,2,,,,30.00,freight,USD",
        "invoice_issued,2026-01-06,FACT,ops,,,CUS,SUP,I-2,5.00,,,,,,,USD",
    )
    torn = written(
        tmp_path / "torn.csv",
        "fact,effective_date,assertion_status,actor,buyer,supplier,invoice,amount,line,line_amount,"
        "currency",
        "invoice_issued,2026-01-06,FACT,ops,CUS,SUP,I-3,30.00,1,10.00,USD",
        "invoice_issued,2026-01-06,FACT,ops,CUS,SUP,I-3,31.00,2,20.00,USD",
    )

    done = services("append", file, "--book", book)
    refused = services("append", torn, "--book", book)
    events = [
        json.loads(line) for line in services("events", "--book", book, "--json").out.splitlines()
    ]

    assert done.code == 0, done.err
    first, second = (event["event"]["invoiceIssued"] for event in events[3:])
    assert [line["amount"] for line in first["lines"]] == [
        {"currencyCode": "USD", "nanos": 20_000_000},
        {"currencyCode": "USD", "units": "30"},
    ]
    assert first["lines"][0]["unitPrice"] == {"value": "0.0025"}
    assert "lines" not in second
    assert refused.code == 5
    assert (
        "torn.csv:3: column amount: '31.00' differs from the document's first line" in refused.err
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("goods_received,2026-01-07,FACT,ops,PO-1,1,four", "four"),
        ("goods_received,07.01.2026,FACT,ops,PO-1,1,4", "07.01.2026"),
        ("goods_received,2026-01-07,MAYBE,ops,PO-1,1,4", "MAYBE"),
        ("goods_recieved,2026-01-07,FACT,ops,PO-1,1,4", "goods_recieved"),
        ("goods_received,2026-01-07,FACT,ops,PO-1,1,4,more", "facts.csv:2"),
    ],
)
def test_a_row_that_can_not_be_read(
    services: Shell, book: str, tmp_path: Path, row: str, message: str
) -> None:
    header = "fact,effective_date,assertion_status,actor,purchase_order,line,quantity"
    file = written(tmp_path / "facts.csv", header, row)

    done = services("append", file, "--book", book)

    assert done.code == 5
    assert "facts.csv:2" in done.err
    assert message in done.err
    assert positions(services, book) == [1]


def test_a_column_that_there_is_not(services: Shell, book: str, tmp_path: Path) -> None:
    file = written(tmp_path / "facts.csv", "fact,efective_date", "goods_received,2026-01-07")

    done = services("append", file, "--book", book)

    assert done.code == 5
    assert "efective_date" in done.err


def test_ctrl_c_says_what_was_recorded_and_the_file_can_be_appended_again(
    services: Shell, book: str, tmp_path: Path
) -> None:
    total = 30_000
    file = written(tmp_path / "facts.jsonl", *(party(f"P-{n}") for n in range(total)))

    appending = services.start("append", file, "--book", book)
    until(lambda: head(services, book) > 1 or None)
    appending.send_signal(signal.SIGINT)
    _, err = appending.communicate(timeout=60)

    assert appending.returncode == ExitCode.INTERRUPTED
    assert "Append the file again to continue" in err
    said = int(err.partition("At least ")[2].partition(" events")[0].replace(",", ""))
    assert 0 < said < head(services, book) < total
