"""Every rule that flags: given these facts, this exception; and its cure, if there is one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event

from tests.facts import (
    START,
    allowance,
    authorised,
    cancelled,
    certified,
    claimed,
    credited,
    day,
    definitive,
    fact,
    funded,
    invoice_line,
    invoiced,
    issued,
    letter_of_intent,
    money,
    number,
    paid,
    parties,
    placed,
    received,
    refunded,
    tax,
)
from tests.instruments import contributed, formed

ASSUMPTION = AssertionStatus.ASSERTION_STATUS_ASSUMPTION
IT_LOAD = "POWER_BASIS_IT_CRITICAL_LOAD"
JANUARY_END = dt.date(2026, 1, 31)


def later(days: int) -> dt.date:
    """A day after `START`."""
    return START + dt.timedelta(days=days)


@dataclass(frozen=True)
class Case:
    """Facts that break a rule.

    Attributes:
        code: the rule.
        name: name of the case.
        given: facts that break no rule.
        breaks: the fact that breaks it.
        cure: facts after which it is cleared; empty if only a reversal clears it.
        policy: thresholds that the book adopts first; those of the first policy if empty.
        at: when `breaks` is recorded, if that matters.
        outlives: whether the exception outlives a reversal of `breaks`.
    """

    code: str
    name: str
    breaks: Event
    given: list[Event] = field(default_factory=list)
    cure: list[Event] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)
    at: dt.datetime | None = None
    outlives: bool = False


PARTIES = parties("SUP", "CUS", "THIRD")
AGREED = [*PARTIES, definitive()]
CERTIFIED = [*AGREED, claimed(), certified()]
CALLED = [
    *CERTIFIED,
    fact(
        "capital_call_issued", agreement="AGR", call="CALL-1", tranches=[1], amount=money(100_000)
    ),
]
ORDERED = [*PARTIES, placed()]
RECEIVED = [*ORDERED, received(100)]
INVOICED = [*RECEIVED, invoiced()]
RATED = fact(
    "rack_sku_rated",
    sku="R",
    rated_power_kw_numerator=10_000,
    rated_power_kw_denominator=1,
    power_basis=IT_LOAD,
)


def _called(amount_minor: int = 100_000, **fields: Any) -> Event:
    return funded(amount_minor, **{"call": "CALL-1", "tranches": [1], **fields})


def _returned(amount_minor: int, on: dt.date = START) -> Event:
    return fact(
        "capital_returned",
        on=on,
        agreement="AGR",
        contribution="FUND-1",
        payer="CUS",
        payee="SUP",
        amount=money(amount_minor),
    )


def _withdrawn(power_kw: int) -> Event:
    return fact(
        "capacity_certification_reversed",
        agreement="AGR",
        certificate="CERT-1",
        power_kw=power_kw,
        power_basis=IT_LOAD,
    )


def _valued(on: dt.date, pre_money_minor: int, shares: str) -> Event:
    return fact(
        "valuation_determined",
        on=on,
        issuer="CUS",
        pre_money=money(pre_money_minor),
        fully_diluted_shares=number(shares),
    )


def _planned(**fields: Any) -> Event:
    return fact(
        "capacity_milestone_planned",
        **{
            "agreement": "AGR",
            "milestone": "M1",
            "power_kw": 1_000_000,
            "power_basis": IT_LOAD,
            **fields,
        },
    )


def _second_agreement() -> Event:
    terms = definitive().definitive_agreement_executed.terms
    event = fact("definitive_agreement_executed", agreement="AGR-2")
    event.definitive_agreement_executed.terms.CopyFrom(terms)
    return event


def _line(quantity: int, unit_price_minor: int, amount_minor: int) -> Event:
    line = {
        "line": 1,
        "quantity": quantity,
        "unit_price": money(unit_price_minor),
        "amount": money(amount_minor),
    }
    return placed(lines=[line])


def _amended(quantity: int, amount_minor: int, **fields: Any) -> Event:
    return fact(
        "purchase_order_amended",
        purchase_order="PO-1",
        line=1,
        quantity_delta=quantity,
        amount_delta=money(amount_minor),
        **fields,
    )


def _converted(minor: int, rate: str) -> dict[str, Any]:
    return {"document_amount": money(minor), "rate": rate}


LETTER = [*PARTIES, letter_of_intent()]
ISSUABLE = [*AGREED, authorised("1000")]
BOUGHT = [*INVOICED, definitive()]
VALUATIONS = {"valuation_age_days": 90}
CLOSE = {"contemporaneous_days": 30}

CASES = [
    Case("SX-INV-01", "a certificate falls", _withdrawn(1), [*CALLED, _called()],
         [_returned(100_000)]),
    Case("SX-INV-01", "certified again", _withdrawn(1), [*CALLED, _called()],
         [certified(1, "CERT-2")]),
    Case("SX-INV-01", "one cent too much", _called(1, contribution="FUND-2"), [*CALLED, _called()],
         [_returned(1)]),
    Case("SX-INV-02", "under a letter of intent", funded(), LETTER, [definitive()]),
    Case("SX-INV-02", "after the end", funded(),
         [*AGREED, fact("agreement_terminated", agreement="AGR")], [_returned(100_000)]),
    Case("SX-INV-03", "no call", funded(), CERTIFIED, [_returned(100_000)]),
    Case("SX-INV-04", "31 days", claimed(1, milestone="M2", on=later(31)), [*CALLED, _called()],
         [_returned(100_000, on=later(32))]),
    Case("SX-INV-05", "no valuation", issued(), ISSUABLE, [_valued(START, 100_000, "200")],
         VALUATIONS),
    Case("SX-INV-05", "too old", issued(on=later(91)), [*ISSUABLE, _valued(START, 100_000, "200")],
         [_valued(later(1), 100_000, "200")], VALUATIONS),
    Case("SX-INV-05", "above the value of a share", issued(),
         [*ISSUABLE, _valued(START, 99_999, "200")], [], VALUATIONS),
    Case("SX-CAP-01", "after the planned date", claimed(on=later(1)),
         [*AGREED, _planned(planned_date=day(START))]),
    Case(
        "SX-CAP-01",
        "after the day of the schedule",
        claimed(on=later(1)),
        [*AGREED, fact("deployment_schedule_baselined", agreement="AGR",
                       points=[{"by_date": day(START), "cumulative_power_kw": 1_000_000}])],
    ),
    Case("SX-CAP-02", "a part", certified(900_000), [*AGREED, claimed()],
         [certified(100_000, "CERT-2")]),
    Case(
        "SX-CAP-02",
        "the rest is turned down",
        certified(900_000),
        [*AGREED, claimed()],
        [fact("capacity_claim_rejected", agreement="AGR", milestone="M1", power_kw=100_000,
              power_basis=IT_LOAD)],
    ),
    Case("SX-CAP-03", "hardware for less", certified(),
         [*AGREED, RATED, placed(agreement="AGR"), received(94), claimed()], [received(6)]),
    Case("SX-CAP-03", "hardware for more", received(6),
         [*AGREED, RATED, placed(200, agreement="AGR"), received(100), claimed(), certified()],
         [fact("goods_returned", purchase_order="PO-1", line=1, quantity=6)]),
    Case("SX-CAP-05", "utility power for critical load",
         certified(power_basis="POWER_BASIS_UTILITY_INTERCONNECT"),
         [*AGREED, claimed(power_basis="POWER_BASIS_UTILITY_INTERCONNECT")]),
    Case("SX-CAP-04", "more than is planned", claimed(1), [*AGREED, _planned(), claimed()]),
    Case("SX-CAP-04", "one site under two agreements", claimed(agreement="AGR-2", site="A"),
         [*AGREED, _second_agreement(), claimed(site="A")]),
    Case("SX-PO-01", "over-receipt", received(101), ORDERED,
         [fact("goods_returned", purchase_order="PO-1", line=1, quantity=1)]),
    Case("SX-PO-02", "received before it was ordered", received(1, on=later(-1)), ORDERED),
    Case("SX-PO-02", "invoiced before it was ordered", invoiced(1, on=later(-1)), RECEIVED),
    Case("SX-CUT-04", "returned before receipt",
         fact("goods_returned", on=later(-1), purchase_order="PO-1", line=1, quantity=1),
         [*PARTIES, placed(on=later(-1)), received(100)]),
    Case("SX-CUT-04", "credited before it was invoiced", credited(1, on=later(-1)),
         [*PARTIES, placed(on=later(-1)), received(100, on=later(-1)), invoiced()]),
    Case("SX-CUT-04", "refunded before it was paid", refunded(1, on=later(-1)),
         [*INVOICED, paid()]),
    Case("SX-CUT-04", "capital returned before it was paid", _returned(1, on=later(-1)),
         [*CALLED, _called()]),
    Case("SX-CUT-04", "cancelled before it was ordered", fact("purchase_order_cancelled",
         purchase_order="PO-1", line=1, quantity=101), [*ORDERED, fact("purchase_order_amended",
         on=later(1), purchase_order="PO-1", line=1, quantity_delta=1)]),
    Case("SX-CUT-04", "retired before it was certified", fact("capacity_retired",
         agreement="AGR", milestone="M1", power_kw=1, power_basis=IT_LOAD),
         [*AGREED, claimed(), certified(on=later(1))]),
    Case("SX-PO-02", "amended before it was ordered", fact("purchase_order_amended",
         on=later(-1), purchase_order="PO-1", line=1, quantity_delta=1), ORDERED),
    Case("SX-DOC-01", "10 units at 100 for 999,999", _line(10, 100, 999_999), PARTIES),
    Case("SX-DOC-01", "one unit more for a million less", _amended(1, -1_000_000), ORDERED),
    Case("SX-DOC-01", "two units at another price", _amended(2, 2_001, unit_price=money(1_000)),
         ORDERED),
    Case("SX-DOC-01", "one of a hundred units for the whole line", cancelled(1, money(100_000)),
         ORDERED),
    Case("SX-DOC-02", "one euro settles USD 500", paid(amount=money(100, "EUR"),
         fx=_converted(50_000, "1")), INVOICED),
    Case("SX-DOC-02", "two cents beside the rate", invoiced(amount=money(11_002, "EUR"),
         fx=_converted(10_000, "1.1")), RECEIVED),
    Case("SX-DOC-03", "three tranches of a larger commitment",
         definitive(investment_commitment=money(300_001)), PARTIES),
    Case("SX-INVC-01", "above what was received", invoiced(1_001), [*ORDERED, received(1)],
         [received(1)]),
    Case("SX-INVC-01", "above what was ordered", invoiced(40_001, "INV-2"),
         [*ORDERED, received(60), cancelled(20), invoiced(40_000), received(40)],
         [credited(1)]),
    Case("SX-INVC-01", "recoverable tax hides nothing", invoiced(1_101, taxes=[tax(1_000, 100)]),
         [*ORDERED, received(1)], [received(1)]),
    Case("SX-INVC-03", "more units than received", invoiced(1, lines=[
         invoice_line(1, 2, "10", 2_000)]), [*ORDERED, received(1)], [received(1)]),
    Case("SX-INVC-03", "more units than ordered", invoiced(1, lines=[
         invoice_line(1, 101, "10", 101_000)]), [*ORDERED, received(101)],
         [credited(1, lines=[invoice_line(1, 1, "10", 1_000)])]),
    Case("SX-INVC-03", "a line that the order does not have", invoiced(1, lines=[
         invoice_line(2, 1, "10", 1_000)]), RECEIVED),
    Case("SX-INVC-04", "a cent above the order", invoiced(1_001, lines=[
         invoice_line(1, 1, "10.01", 1_001)]), RECEIVED),
    Case("SX-INVC-04", "below the price of the order, by its amount", invoiced(999, lines=[
         {"line": 1, "order_line": 1, "quantity": 1, "amount": money(999)}]), RECEIVED),
    Case("SX-INVC-04", "at the order's number in another currency", invoiced(
         amount=money(1_000, "EUR"), fx=_converted(1_100, "0.9090909091"), lines=[
         invoice_line(1, 1, "10", 1_000, amount=money(1_000, "EUR"))]), RECEIVED),
    Case("SX-PO-04", "a receipt number twice", received(1, receipt="R-1"),
         [*ORDERED, received(1, receipt="R-1")]),
    Case("SX-DOC-04", "a line that is not its units", invoiced(1_000, lines=[
         invoice_line(1, 1, "10", 1_001)]), RECEIVED),
    Case("SX-DOC-04", "lines that are less than the amount", invoiced(1_001, lines=[
         invoice_line(1, 1, "10", 1_000)]), RECEIVED),
    Case("SX-DOC-04", "a charge of the line left out", invoiced(1_000, lines=[
         invoice_line(1, 1, "10", 1_000, allowance_charges=[allowance(1, charge=True)])]),
         RECEIVED),
    Case("SX-DOC-04", "tax at another rate", invoiced(1_101, taxes=[tax(1_000, 101, "10")]),
         RECEIVED),
    Case("SX-DOC-04", "a total with tax that leaves tax out", invoiced(1_000, taxes=[
         tax(1_000, 100)], totals={"tax_exclusive_amount": money(1_000),
         "tax_inclusive_amount": money(1_000)}), RECEIVED),
    Case("SX-DOC-04", "rounding that is not there", invoiced(1_000, totals={
         "tax_inclusive_amount": money(1_000), "payable_rounding_amount": money(-1)}), RECEIVED),
    Case("SX-DOC-04", "a credit note that takes back more than its lines", credited(2, lines=[
         invoice_line(1, 1, "0.01", 1)]), INVOICED),
    Case("SX-INVC-02", "no order", invoiced(100, purchase_order="", supplier="SUP", buyer="CUS"),
         PARTIES,
         [credited(100, purchase_order="", supplier="SUP", buyer="CUS")]),
    Case("SX-PAY-01", "above the invoice", paid(50_001), INVOICED, [refunded(1)]),
    Case("SX-PAY-01", "twice", paid(1, "PAY-2"), [*INVOICED, paid()],
         [refunded(1, payment="PAY-2")]),
    Case("SX-PAY-02", "to no invoice", paid(invoice=""), INVOICED, [refunded(50_000)]),
    Case("SX-PAY-03", "by a third party", paid(payer="THIRD"), INVOICED),
    Case("SX-CUT-01", "a closed period", received(1),
         [*ORDERED, fact("period_closed", on=JANUARY_END, period="2026-01")], outlives=True),
    Case("SX-CUT-02", "31 days late", received(1), ORDERED,
         at=dt.datetime(2026, 2, 5, 12, tzinfo=dt.UTC), outlives=True),
    Case("SX-RT-01", "a purchase after an investment", paid(on=later(30)), [*BOUGHT, funded()],
         policy=CLOSE),
    Case("SX-RT-01", "an investment after a purchase", funded(on=later(30)), [*BOUGHT, paid()],
         policy=CLOSE),
    Case("SX-RT-02", "one per cent apart", funded(50_505), [*BOUGHT, paid()],
         policy={**CLOSE, "similar_amount_ppm": 10_000}),
    Case("SX-RT-03", "half of the purchases", funded(25_001), [*BOUGHT, paid()], [_returned(1)],
         {"recycled_ratio_ppm": 500_000}),
    Case("SX-RT-04", "bilateral", funded(), [*BOUGHT, paid()], policy={"new_cycles": True}),
    Case("SX-RT-04", "through a third", paid(), [*INVOICED, formed(), contributed(),
         fact("distribution_paid", vehicle="THIRD", distribution="D", payee="CUS",
              amount=money(1))], policy={"new_cycles": True}),
    Case("SX-REL-01", "of one group", placed(),
         [fact("party_registered", party=name, legal_name=name, group="G")
          for name in ("SUP", "CUS")]),
    Case("SX-LEI-01", "without an identifier", parties("SUP")[0], [],
         [fact("party_amended", party="SUP", lei="549300S4KLFTLO7GSQ80")], {"lei_required": True}),
    Case("SX-EVD-01", "no evidence", received(1), ORDERED,
         [fact("external_confirmation_received", party="SUP", positions=[7], agreed=True)],
         {"third_party_evidence_required": True}),
    Case("SX-JE-01", "a round amount", invoiced(10_000), RECEIVED,
         policy={"round_amounts": [money(10_000)]}),
    Case("SX-JE-01", "by somebody else", received(1, actor="mallory"), ORDERED,
         policy={"usual_actors": ["alice"]}),
    Case("SX-JE-01", "at night", received(1), ORDERED,
         policy={"working_hours_from": 8, "working_hours_to": 20},
         at=dt.datetime(2026, 1, 5, 23, tzinfo=dt.UTC)),
    Case("SX-ASSERT-01", "under an assumption", received(1), [*PARTIES, placed(status=ASSUMPTION)]),
    Case(
        "SX-PO-03",
        "two that would need approval together",
        placed(60, purchase_order="PO-2", on=later(5)),
        [*PARTIES, placed(60)],
        policy={"split_order_days": 5, "approval": 100_000},
    ),
]  # fmt: skip
