"""No fact that is accepted makes an answer fail: a book of facts at the bounds of their fields."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gigaledger.client import Book, Client, InvalidArgumentError, connect, queries
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, NewEvent

from tests.facts import (
    authorised,
    called,
    certified,
    claimed,
    credited,
    day,
    definitive,
    fact,
    funded,
    invoiced,
    issued,
    money,
    number,
    paid,
    parties,
    placed,
    received,
    refunded,
)
from tests.instruments import granted, vested
from tests.processes import RunningServices

FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2199, 12, 31)
PLAN = AssertionStatus.ASSERTION_STATUS_PLAN
MOST_MINOR, MOST_KW, MOST_UNITS = 10**17, 10**9, 10**9
OFTEN = 200
"""Often enough for the sum of the largest amounts to exceed 64 bits of minor units."""


def _extreme_facts() -> Iterator[Event]:
    yield from parties("SUP", "CUS")
    for agreement, on in (("AGR", FIRST_DAY), ("LATE", LAST_DAY)):
        terms = definitive(
            power_kw=MOST_KW,
            investment_commitment=money(MOST_MINOR),
            tranches=[{"number": 10**6, "amount": money(MOST_MINOR)}],
            expiry_date=day(LAST_DAY),
        ).definitive_agreement_executed.terms
        event = fact("definitive_agreement_executed", agreement=agreement, on=on, status=PLAN)
        event.definitive_agreement_executed.terms.CopyFrom(terms)
        yield event
        points = [
            {"by_date": day(FIRST_DAY), "cumulative_power_kw": 0},
            {"by_date": day(LAST_DAY), "cumulative_power_kw": MOST_KW},
        ]
        yield fact(
            "deployment_schedule_baselined", agreement=agreement, points=points, on=on, status=PLAN
        )
    yield fact(
        "rack_sku_rated",
        sku="R",
        rated_power_kw_numerator=10**6,
        rated_power_kw_denominator=1,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
    )
    yield authorised("1000000000000000000")
    yield granted(
        shares=number("1000000000000000000"),
        exercise_price=number("0.0000000001"),
        exercise_cost=money(10**10),
        tranches=[{"number": 1, "shares": number("1000000000000000000")}],
        expiry_date=day(LAST_DAY),
    )
    yield vested("1000000000000000000")
    for index in range(OFTEN):
        one = f"{index}"
        order: dict[str, Any] = {"purchase_order": f"PO-{one}"}
        line = {"line": 10**6, "sku": "R", "quantity": MOST_UNITS, "unit_price": money(10**8)}
        yield claimed(MOST_KW, milestone=f"M{one}")
        yield certified(MOST_KW, f"CERT-{one}", milestone=f"M{one}")
        yield placed(**order, agreement="AGR", lines=[line])
        yield received(MOST_UNITS, **order, line=10**6)
        yield invoiced(MOST_MINOR, f"INV-{one}", **order)
        yield credited(1, f"CN-{one}", invoice=f"INV-{one}", **order)
        yield paid(MOST_MINOR, f"PAY-{one}", invoice=f"INV-{one}", **order)
        yield refunded(1, f"REF-{one}", payment=f"PAY-{one}", **order)
        yield funded(MOST_MINOR, f"FUND-{one}")
        yield fact(
            "debt_drawn",
            debt=f"D-{one}",
            drawing=f"DRAW-{one}",
            lender="SUP",
            borrower="CUS",
            amount=money(MOST_MINOR),
            due_date=day(LAST_DAY),
        )
    yield called(MOST_MINOR, "CALL-1", tranches=[10**6])
    yield issued("1000000000000000000", price_per_share=number("0.001"), amount=money(MOST_MINOR))


@pytest.fixture(scope="module")
def client(shared_services: RunningServices) -> Iterator[Client]:
    """A client of both services."""
    with connect(
        shared_services.ledger.address, projections=shared_services.projections.address
    ) as client:
        yield client


@pytest.fixture(scope="module")
def book(client: Client) -> Book:
    """A book of facts at the bounds of their fields."""
    book = client.create_book("extremes")
    requests = (
        AppendEventsRequest(request_id=f"{index}", events=[NewEvent(event=event)])
        for index, event in enumerate(_extreme_facts())
    )
    for outcome in book.append_stream(requests):
        outcome.result()
    return book


DAYS = (None, FIRST_DAY, dt.date(2026, 1, 5), LAST_DAY)
NO_DAYS = (dt.date(1, 1, 1), dt.date(1899, 12, 31), dt.date(2200, 1, 1), dt.date(9999, 12, 31))
QUESTIONS: dict[str, Callable[..., Any]] = {
    "capacity": lambda book, **read: book.capacity(**read),
    "investment": lambda book, **read: book.investment(**read),
    "round trip": lambda book, **read: book.round_trip(include_lots=True, **read),
    "circular flows": lambda book, **read: book.circular_flows(**read),
    "warrants": lambda book, **read: book.warrants(**read),
    "exceptions": lambda book, **read: list(book.exceptions(**read)),
    "counterfactual": lambda book, **read: book.counterfactual(
        queries.reading(entitlement="PRO_RATA"), **read
    ),
}


@pytest.mark.parametrize("as_of", DAYS, ids=str)
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_answered(book: Book, question: str, as_of: dt.date | None) -> None:
    head = book.info().head_position

    QUESTIONS[question](book, as_of=as_of, min_position=head, max_wait=60)


@pytest.mark.parametrize("as_of", NO_DAYS, ids=str)
@pytest.mark.parametrize("question", QUESTIONS)
def test_days_out_of_bounds_are_refused(book: Book, question: str, as_of: dt.date) -> None:
    with pytest.raises(InvalidArgumentError, match="from 1900-01-01 to 2199-12-31"):
        QUESTIONS[question](book, as_of=as_of)


def test_a_series_over_all_years_is_answered(book: Book) -> None:
    for question in (queries.capacity(), queries.investment(), queries.round_trip()):
        answers = book.series(question, from_date=FIRST_DAY, to_date=LAST_DAY, interval="YEAR")
        assert len(list(answers)) == LAST_DAY.year - FIRST_DAY.year + 1


def test_the_capacity_is_exact(book: Book) -> None:
    found = book.capacity(agreement="AGR", min_position=book.info().head_position, max_wait=60)

    certified_kw = [figures.certified_kw for figures in found.figures if figures.certified_kw]
    assert certified_kw == [OFTEN * MOST_KW]
