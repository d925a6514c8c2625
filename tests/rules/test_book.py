"""Requests as wholes: checks of streams (HR-SEQ-01), atomicity, and times of imported books."""

from __future__ import annotations

import datetime as dt

import pytest
from gigaledger.ledger.domain.book import Book, Check, Request
from gigaledger.ledger.domain.pending import EmptySource
from gigaledger.ledger.domain.refusals import Kind, Refused, Rule

from tests.facts import fact, issued, money, number, parties, placed, received
from tests.instruments import granted
from tests.rules.ledger import MemoryLedger
from tests.rules.refusals import ISSUABLE, NOW

ORDER = "purchaseOrders/PO-1"


@pytest.fixture
def ledger() -> MemoryLedger:
    """A ledger with an order of two entries."""
    ledger = MemoryLedger(NOW)
    ledger.append(*parties("SUP", "CUS"), placed(), received(1))
    return ledger


@pytest.mark.parametrize(
    "check",
    [
        Check(ORDER, 2, None),
        Check("purchaseOrders/PO-9", 0, None),
        Check(ORDER, None, exists=True),
        Check("parties/NOBODY", None, exists=False),
        # A stream that the request does not write to.
        Check("parties/SUP", 1, None),
    ],
)
def test_a_check_that_holds(ledger: MemoryLedger, check: Check) -> None:
    assert ledger.append(received(1), checks=[check])[0].version == 3


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Check(ORDER, 1, None), "expected version 1, but purchaseOrders/PO-1 is at version 2"),
        (Check(ORDER, 3, None), "expected version 3, but purchaseOrders/PO-1 is at version 2"),
        (
            Check(ORDER, None, exists=False),
            "expected that it does not exist, but purchaseOrders/PO-1 is at version 2",
        ),
        (
            Check("purchaseOrders/PO-9", None, exists=True),
            "expected that it exists, but purchaseOrders/PO-9 is at version 0",
        ),
    ],
)
def test_a_check_that_does_not_hold(ledger: MemoryLedger, check: Check, message: str) -> None:
    head = ledger.book.position

    (violation,) = ledger.refused(received(1), checks=[Check("parties/SUP", 1, None), check])

    assert (violation.rule, violation.rule.kind) == (Rule.SEQ_01, Kind.CONFLICT)
    assert violation.field == "checks[1]"
    assert violation.message == message
    assert violation.values["stream"] == check.stream
    assert ledger.book.position == head


def test_all_checks_that_fail_are_named(ledger: MemoryLedger) -> None:
    checks = [Check(ORDER, 7, None), Check("parties/SUP", 1, None), Check("parties/CUS", 9, None)]

    violations = ledger.refused(received(1), checks=checks)

    assert [violation.field for violation in violations] == ["checks[0]", "checks[2]"]


def test_a_check_of_no_stream(ledger: MemoryLedger) -> None:
    (violation,) = ledger.refused(received(1), checks=[Check("orders/PO-1", 1, None)])

    assert violation.rule is Rule.FIELD_INVALID
    assert violation.field == "checks[0].stream"


def test_checks_are_made_before_the_request_is(ledger: MemoryLedger) -> None:
    entries = ledger.append(received(1), received(1), checks=[Check(ORDER, 2, None)])

    assert [entry.version for entry in entries] == [3, 4]


def test_nothing_of_a_refused_request_is_left(ledger: MemoryLedger) -> None:
    head, version = ledger.book.position, ledger.book.version(ORDER)

    (violation,) = ledger.refused(received(1), *parties("THIRD"), received(1, line=9))

    assert violation.field == "events[2].event.goods_received.line"
    assert (ledger.book.position, ledger.book.version(ORDER)) == (head, version)
    assert ledger.book.version("parties/THIRD") == 0
    assert ledger.record(fact("party_registered", party="THIRD", legal_name="T")) == head + 1


def test_facts_of_a_request_see_those_before_them() -> None:
    ledger = MemoryLedger(NOW)

    entries = ledger.append(*parties("SUP", "CUS"), placed(), received(1))

    assert [entry.position for entry in entries] == [2, 3, 4, 5]


def imported() -> Book:
    book = Book(EmptySource(), imported=True)
    opened = fact("book_opened", book="test", clock="BOOK_CLOCK_IMPORTED")
    book.accept(Request("open", [opened], [NOW]), NOW)
    return book


def test_zero_is_a_price() -> None:
    """Shares, warrants and goods may be given for nothing, which is not undisclosed."""
    free, nothing = number("0"), money(0)
    ledger = MemoryLedger(NOW)
    for event in [
        *ISSUABLE,
        placed(lines=[{"line": 1, "quantity": 10, "unit_price": nothing}]),
        placed(purchase_order="PO-2", lines=[{"line": 1, "quantity": 10, "amount": nothing}]),
        issued("200", price_per_share=free, amount=nothing),
        granted(warrant="FREE", exercise_price=free, exercise_cost=nothing),
    ]:
        ledger.append(event)

    (violation,) = ledger.refused(issued("1", "SEC-2", price_per_share=free, amount=money(1)))

    assert (violation.rule, violation.field) == (
        Rule.INV_06,
        "events[0].event.equity_shares_issued.amount",
    )


def test_an_imported_book_takes_the_times_it_is_given() -> None:
    later = NOW + dt.timedelta(days=400)

    (accepted,) = imported().accept(Request("r", parties("SUP"), [later]), NOW)

    assert accepted.entry.recorded_at == later


@pytest.mark.parametrize("given", [None, NOW - dt.timedelta(microseconds=1)])
def test_times_that_an_imported_book_refuses(given: dt.datetime | None) -> None:
    with pytest.raises(Refused) as caught:
        imported().accept(Request("r", parties("SUP"), [given]), NOW)

    (violation,) = caught.value.violations
    assert violation.rule is Rule.RECORDED_TIME
    assert violation.field == "events[0].recorded_time"


def test_another_book_takes_no_times(ledger: MemoryLedger) -> None:
    with pytest.raises(Refused, match="RECORDED_TIME"):
        ledger.book.accept(Request("r", parties("THIRD"), [NOW]), NOW)
