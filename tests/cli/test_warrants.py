"""`gigaledger report warrants`: what became of a grant, and what the next tranche waits for."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from gigaledger.cli.errors import ExitCode
from gigaledger.client import Book, connect, facts, money
from gigaledger.v1.agreement_facts_pb2 import TrancheCondition

from tests.cli.conftest import Shell

GRANTED = dt.date(2026, 1, 10)
VESTED = dt.date(2026, 3, 2)
EXERCISED = dt.date(2026, 4, 1)


@pytest.fixture(scope="module")
def book(services: Shell) -> str:
    """A book with a warrant of two tranches: one vested and exercised in part, one waiting."""
    name = services.new_book()
    with connect(services.environment["GIGALEDGER_LEDGER_ADDRESS"], actor="treasury") as client:
        grant(client.book(name))
    return name


def documented(description: str) -> TrancheCondition:
    """A condition that a document shows."""
    return facts.tranche_condition(type="OTHER_DOCUMENTED", description=description)


def grant(book: Book) -> None:
    """Record the warrant and what became of it."""
    for party in ("CHIPS", "LAB"):
        book.append(facts.party_registered(party=party, legal_name=party), effective_date=GRANTED)
    book.append(
        facts.warrant_issued(
            warrant="W-1",
            issuer="CHIPS",
            holder="LAB",
            shares=160_000_000,
            exercise_price="0.01",
            exercise_cost=money(1_600_000, "USD"),
            expiry_date=dt.date(2030, 10, 5),
            tranches=[
                facts.warrant_tranche(
                    number=1,
                    shares=40_000_000,
                    vesting_conditions=[
                        facts.tranche_condition(
                            type="OTHER_DOCUMENTED", description="first shipment"
                        )
                    ],
                ),
                facts.warrant_tranche(
                    number=2,
                    shares=120_000_000,
                    vesting_conditions=[
                        facts.tranche_condition(
                            type="OTHER_DOCUMENTED", description="six gigawatts"
                        ),
                        facts.tranche_condition(type="DATE_REACHED", date=dt.date(2026, 2, 1)),
                    ],
                ),
            ],
        ),
        effective_date=GRANTED,
    )
    book.append(
        facts.warrant_condition_satisfied(warrant="W-1", tranche=1, gate="VESTING", condition=1),
        facts.warrant_tranche_vested(warrant="W-1", tranche=1, shares=40_000_000),
        effective_date=VESTED,
    )
    book.append(
        facts.warrant_exercised(
            warrant="W-1", exercise="X-1", shares=10_000_000, amount=money(100_000, "USD")
        ),
        effective_date=EXERCISED,
    )


def cells(out: str, label: str) -> list[str]:
    """The cells beside a label, of the first row that has it."""
    row = next(line for line in out.splitlines() if f"│ {label} " in line)
    return [cell.strip() for cell in row.strip("│").split("│")][1:]


def test_what_became_of_a_warrant(services: Shell, book: str) -> None:
    asked = ("report", "warrants", "--book", book, "--min-position", 7)

    people = services(*asked, "--share-price", "250")
    programs = json.loads(services(*asked, "--share-price", "250", "--json").out)

    assert people.code == ExitCode.OK, people.err
    shown = {label: cells(people.out, label) for label in ("granted", "vested", "exercised")}
    assert shown == {
        "granted": ["160,000,000"],
        "vested": ["40,000,000"],
        "exercised": ["10,000,000"],
    }
    assert cells(people.out, "2") == ["120,000,000", "0", "0", "0", "no"]
    assert "USD 0.01 a share, USD 1,600,000.00 in all" in people.out
    assert "Paid on exercise, in USD: 100,000.00." in people.out
    assert "USD 7,499,700,000.00 of what is exercisable" in people.out
    (figures,) = programs["warrants"]
    assert figures["exercisable"]["value"] == "30000000"
    assert figures["nextTranche"] == 2


def test_what_the_next_tranche_waits_for(services: Shell, book: str) -> None:
    out = services("report", "warrants", "--book", book, "--min-position", 7).out

    assert "Tranche 2 vests next. Missing:\n  - other documented: six gigawatts\n" in out
    assert "first shipment" not in out
    assert "date reached" not in out


def test_a_warrant_as_of_an_earlier_day_and_as_known_earlier(services: Shell, book: str) -> None:
    asked = ("report", "warrants", "--book", book, "--min-position", 7)

    as_of = services(*asked, "--as-of", GRANTED).out
    as_known = services(*asked, "--as-known", 6).out

    assert "Tranche 1 vests next. Missing:\n  - other documented: first shipment\n" in as_of
    assert cells(as_of, "vested") == ["0"]
    assert cells(as_known, "vested") == ["40,000,000"]
    assert "Paid on exercise, in USD: 0.00." in as_known


def test_a_price_that_is_none(alone: Shell) -> None:
    done = alone("report", "warrants", "--share-price", "much")

    assert done.code == ExitCode.USAGE
    assert "'much' is not a price" in done.err


def test_no_warrant(services: Shell, book: str) -> None:
    done = services("report", "warrants", "--book", book, "--warrant", "W-2")

    assert "No warrant is recorded" in done.out
