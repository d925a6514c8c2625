"""Every rule that refuses, with a book in which it does: the table that tests go through.

`given` is recorded first, from position 2 on (position 1 opens the book); then `refused` is refused
with `code`, and the refusal names `field`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event

from tests.facts import (
    START,
    authorised,
    called,
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
    reversed_entry,
    tax,
    terms,
)

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
"""The server's clock in these cases."""


@dataclass(frozen=True)
class Case:
    """A fact that a rule refuses."""

    name: str
    code: str
    refused: Event
    named: str
    given: list[Event] = field(default_factory=list)


EARLIER, LATER = START - dt.timedelta(days=1), START + dt.timedelta(days=1)
PARTIES = parties("SUP", "CUS", "THIRD")
AGREED = [*PARTIES, definitive()]
CERTIFIED = [*AGREED, claimed(), certified()]
ISSUABLE = [*AGREED, authorised("1000")]
ORDERED = [*PARTIES, placed()]
INVOICED = [*ORDERED, invoiced()]
IT_LOAD = "POWER_BASIS_IT_CRITICAL_LOAD"


def _amended(delta: int) -> Event:
    return fact("purchase_order_amended", purchase_order="PO-1", line=1, quantity_delta=delta)


def _returned(amount_minor: int) -> Event:
    return fact(
        "capital_returned",
        agreement="AGR",
        contribution="FUND-1",
        payer="CUS",
        payee="SUP",
        amount=money(amount_minor),
    )


def _rescinded(shares: str, amount_minor: int | None = None, on: dt.date = START) -> Event:
    return fact(
        "equity_issuance_rescinded",
        on=on,
        agreement="AGR",
        security="SEC-1",
        shares=number(shares),
        amount=money(int(shares) * 500 if amount_minor is None else amount_minor),
    )


def _turned_down(power_kw: int, on: dt.date) -> Event:
    return fact(
        "capacity_claim_rejected",
        on=on,
        agreement="AGR",
        milestone="M1",
        power_kw=power_kw,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
    )


def _executed(on: dt.date) -> Event:
    return fact("definitive_agreement_executed", on=on, agreement="AGR", terms=terms())


def _ended(kind: str) -> Event:
    return fact(kind, agreement="AGR")


def _schedule(kind: str, *points: tuple[dt.date, int]) -> Event:
    return fact(
        kind,
        agreement="AGR",
        points=[{"by_date": day(by), "cumulative_power_kw": power} for by, power in points],
    )


IN_ANOTHER_CURRENCY: dict[str, dict[str, Any]] = {
    "lines[0].amount": {"lines": [{"line": 1, "amount": money(100, "EUR")}]},
    "lines[0].allowance_charges[0].amount": {
        "lines": [
            {
                "line": 1,
                "amount": money(100),
                "allowance_charges": [{"amount": money(1, "EUR")}],
            }
        ]
    },
    "allowance_charges[0].amount": {"allowance_charges": [{"amount": money(1, "EUR")}]},
    "taxes[0].taxable_amount": {
        "taxes": [{"taxable_amount": money(1, "EUR"), "tax_amount": money(0)}]
    },
    "totals.tax_exclusive_amount": {"totals": {"tax_exclusive_amount": money(1, "EUR")}},
}
"""Parts of an invoice in US dollars, by the field that is in euros."""

CASES = [
    # Identity
    Case("certificate twice", "HR-ID-02", certified(1), "certificate", CERTIFIED),
    Case("call notice twice", "HR-ID-02", called(1), "call", [*CERTIFIED, called(1_000)]),
    Case("contribution twice", "HR-ID-02", funded(1), "contribution", [*AGREED, funded()]),
    Case("security twice", "HR-ID-02", issued("1"), "security", [*ISSUABLE, issued()]),
    Case("invoice twice", "HR-ID-02", invoiced(1), "invoice", INVOICED),
    Case(
        "invoice twice, once without the order",
        "HR-ID-02",
        invoiced(1, purchase_order="", supplier="SUP", buyer="CUS"),
        "invoice",
        INVOICED,
    ),
    Case("credit note twice", "HR-ID-02", credited(1), "credit_note", [*INVOICED, credited(1)]),
    Case("payment twice", "HR-ID-02", paid(1), "payment", [*INVOICED, paid(1)]),
    Case(
        "refund twice",
        "HR-ID-02",
        refunded(1),
        "refund",
        [*INVOICED, paid(), refunded(1)],
    ),
    Case(
        "bank reference twice",
        "HR-ID-02",
        funded(1, bank_reference="UETR-1"),
        "bank_reference",
        [*AGREED, *INVOICED[3:], paid(1, bank_reference="UETR-1")],
    ),
    Case("unknown buyer", "HR-ID-03", placed(buyer="NOBODY"), "buyer", PARTIES),
    Case("unknown agreement", "HR-ID-03", claimed(), "agreement", PARTIES),
    Case("unknown order", "HR-ID-03", received(1), "purchase_order", PARTIES),
    Case("unknown line", "HR-ID-03", received(1, line=2), "line", ORDERED),
    Case("unknown invoice", "HR-ID-03", paid(), "invoice", ORDERED),
    Case("unknown payment", "HR-ID-03", refunded(1), "payment", ORDERED),
    Case("unknown security", "HR-ID-03", _rescinded("1"), "security", AGREED),
    Case("unknown contribution", "HR-ID-03", _returned(1), "contribution", AGREED),
    Case("unknown tranche", "HR-ID-03", called(1, tranches=[9]), "tranches[0]", CERTIFIED),
    Case("unknown call", "HR-ID-03", funded(call="CALL-9"), "call", AGREED),
    Case("unclaimed milestone", "HR-ID-03", certified(), "milestone", AGREED),
    Case(
        "unknown certificate",
        "HR-ID-03",
        fact(
            "capacity_certification_reversed",
            agreement="AGR",
            certificate="CERT-9",
            power_kw=1,
            power_basis=IT_LOAD,
        ),
        "certificate",
        AGREED,
    ),
    Case(
        "superseding an unknown agreement",
        "HR-ID-03",
        fact(
            "definitive_agreement_executed",
            agreement="NEW",
            terms=terms(),
            supersedes=["OLD"],
        ),
        "supersedes[0]",
        PARTIES,
    ),
    Case(
        "invoice of another supplier",
        "HR-ID-03",
        invoiced(supplier="THIRD"),
        "supplier",
        ORDERED,
    ),
    Case(
        "check digits",
        "HR-ID-04",
        fact("party_registered", party="P", legal_name="P", lei="549300S4KLFTLO7GSQ81"),
        "lei",
    ),
    Case(
        "length",
        "HR-ID-04",
        fact("party_registered", party="P", legal_name="P", lei="549300"),
        "lei",
    ),
    Case("buyer is supplier", "HR-ID-05", placed(buyer="SUP"), "supplier", PARTIES),
    Case("payer is payee", "HR-ID-05", paid(payee="CUS"), "payee", INVOICED),
    Case("funded by itself", "HR-ID-05", funded(payee="SUP"), "payee", AGREED),
    Case(
        "investor is issuer",
        "HR-ID-05",
        definitive(
            parties=[
                {"role": "ROLE_INVESTOR", "party": "SUP"},
                {"role": "ROLE_ISSUER", "party": "SUP"},
            ]
        ),
        "terms.parties",
        PARTIES,
    ),
    # Types
    Case("no amount", "HR-TYPE-01", invoiced(0), "amount", ORDERED),
    Case("negative amount", "HR-TYPE-01", invoiced(-1), "amount", ORDERED),
    Case(
        "more places than the currency has",
        "HR-TYPE-01",
        invoiced(amount={"currency_code": "JPY", "units": "1", "nanos": 500_000_000}),
        "amount",
        ORDERED,
    ),
    Case(
        "more than 64 bits",
        "HR-TYPE-01",
        invoiced(amount={"currency_code": "USD", "units": str(2**62)}),
        "amount",
        ORDERED,
    ),
    Case(
        "no such currency",
        "HR-TYPE-01",
        invoiced(amount={"currency_code": "XXY", "units": "1"}),
        "amount",
        ORDERED,
    ),
    Case("amount missing", "HR-TYPE-01", funded(amount=None), "amount", AGREED),
    Case(
        "invoice in another currency",
        "HR-TYPE-02",
        invoiced(amount=money(100, "EUR")),
        "amount",
        ORDERED,
    ),
    Case(
        "payment in another currency",
        "HR-TYPE-02",
        paid(amount=money(100, "EUR")),
        "amount",
        INVOICED,
    ),
    Case(
        "call in another currency",
        "HR-TYPE-02",
        called(amount=money(100, "EUR")),
        "amount",
        CERTIFIED,
    ),
    Case("power without basis", "HR-TYPE-03", claimed(power_basis=0), "power_basis", AGREED),
    Case(
        "GPUs without basis",
        "HR-TYPE-03",
        fact(
            "rack_sku_rated",
            sku="R",
            rated_power_kw_numerator=190,
            rated_power_kw_denominator=1,
            power_basis=IT_LOAD,
            gpu_count=72,
        ),
        "gpu_basis",
    ),
    Case(
        "certified on another basis",
        "HR-TYPE-03",
        certified(power_basis="POWER_BASIS_FACILITY_GROSS"),
        "power_basis",
        [*AGREED, claimed()],
    ),
    # Time, sequence, state
    Case(
        "fact of the day after tomorrow",
        "HR-TIME-01",
        fact("party_registered", party="P", legal_name="P", on=dt.date(2026, 6, 3)),
        "effective_date",
    ),
    Case(
        "assumption of the day after tomorrow",
        "HR-TIME-01",
        fact(
            "party_registered",
            party="P",
            legal_name="P",
            on=dt.date(2026, 6, 3),
            status=AssertionStatus.ASSERTION_STATUS_ASSUMPTION,
        ),
        "effective_date",
    ),
    Case("party registered twice", "HR-STATE-01", PARTIES[0], "party", PARTIES),
    Case("order placed twice", "HR-STATE-01", placed(), "purchase_order", ORDERED),
    Case("definitive twice", "HR-STATE-01", definitive(), "agreement", AGREED),
    Case(
        "amended after its end",
        "HR-STATE-01",
        fact("agreement_amended", agreement="AGR", amendment=1, terms=terms()),
        "agreement",
        [*AGREED, _ended("agreement_terminated")],
    ),
    Case(
        "amendment left out",
        "HR-STATE-01",
        fact("agreement_amended", agreement="AGR", amendment=2, terms=terms()),
        "amendment",
        AGREED,
    ),
    Case(
        "handed over by who does not have it",
        "HR-STATE-01",
        fact(
            "agreement_novated",
            agreement="AGR",
            role="ROLE_INVESTOR",
            from_party="CUS",
            to_party="THIRD",
        ),
        "from_party",
        AGREED,
    ),
    Case(
        "ended twice",
        "HR-STATE-01",
        _ended("agreement_expired"),
        "agreement",
        [*AGREED, _ended("agreement_terminated")],
    ),
    Case(
        "superseding what has ended",
        "HR-STATE-01",
        fact(
            "definitive_agreement_executed",
            agreement="NEW",
            terms=terms(),
            supersedes=["AGR"],
        ),
        "supersedes[0]",
        [*AGREED, _ended("agreement_terminated")],
    ),
    Case(
        "baseline twice",
        "HR-STATE-01",
        _schedule("deployment_schedule_baselined", (START, 1)),
        "agreement",
        [*AGREED, _schedule("deployment_schedule_baselined", (START, 1))],
    ),
    Case(
        "revised without baseline",
        "HR-STATE-01",
        _schedule("deployment_schedule_revised", (START, 1)),
        "agreement",
        AGREED,
    ),
    Case(
        "condition that the ledger evaluates",
        "HR-STATE-01",
        fact("tranche_condition_satisfied", agreement="AGR", tranche=1, condition=1),
        "condition",
        AGREED,
    ),
    Case(
        "more withdrawn than certified",
        "HR-STATE-01",
        fact(
            "capacity_certification_reversed",
            agreement="AGR",
            certificate="CERT-1",
            power_kw=1_000_001,
            power_basis=IT_LOAD,
        ),
        "power_kw",
        CERTIFIED,
    ),
    Case(
        "more retired than certified",
        "HR-STATE-01",
        fact(
            "capacity_retired",
            agreement="AGR",
            milestone="M1",
            power_kw=1_000_001,
            power_basis=IT_LOAD,
        ),
        "power_kw",
        CERTIFIED,
    ),
    Case(
        "more rejected than pending",
        "HR-STATE-01",
        fact(
            "capacity_claim_rejected",
            agreement="AGR",
            milestone="M1",
            power_kw=1,
            power_basis=IT_LOAD,
        ),
        "power_kw",
        CERTIFIED,
    ),
    Case(
        "more returned than received",
        "HR-STATE-01",
        fact("goods_returned", purchase_order="PO-1", line=1, quantity=2),
        "quantity",
        [*ORDERED, received(1)],
    ),
    Case(
        "closed twice",
        "HR-STATE-01",
        fact("period_closed", period="2026-01"),
        "period",
        [fact("period_closed", period="2026-01")],
    ),
    Case(
        "reopened while open",
        "HR-STATE-01",
        fact("period_reopened", period="2026-01"),
        "period",
    ),
    Case("policy left out", "HR-STATE-01", fact("policy_adopted", policy=3), "policy"),
    Case(
        "exception closed before it is opened",
        "HR-STATE-01",
        fact("exception_closed", exception="E1", resolution="none"),
        "exception",
    ),
    # Authority
    Case(
        "approved by the actor",
        "HR-AUTH-01",
        fact("period_closed", period="2026-01", approver="alice"),
        "approver",
    ),
    Case(
        "not approved above the threshold",
        "HR-AUTH-01",
        called(1_001),
        "approver",
        [*CERTIFIED, fact("policy_adopted", policy=2, approval_thresholds=[money(1_000)])],
    ),
    Case(
        "certified by the claimant",
        "HR-AUTH-01",
        certified(certifier="CUS"),
        "certifier",
        [*AGREED, claimed(claimant="CUS")],
    ),
    # Reversals
    Case("of what is not there", "HR-REV-01", reversed_entry(9_999), "position"),
    Case(
        "reversed twice",
        "HR-REV-02",
        reversed_entry(2),
        "position",
        [PARTIES[0], reversed_entry(2)],
    ),
    Case(
        "of a reversal",
        "HR-REV-03",
        reversed_entry(3),
        "position",
        [PARTIES[0], reversed_entry(2)],
    ),
    Case(
        "on another day",
        "HR-REV-04",
        reversed_entry(2, on=START + dt.timedelta(days=1)),
        "effective_date",
        PARTIES,
    ),
    Case(
        "of a part",
        "HR-REV-04",
        reversed_entry(6, amount=money(1)),
        "amount",
        INVOICED,
    ),
    Case(
        "of what others depend on",
        "HR-STATE-01",
        reversed_entry(6),
        "position",
        [*INVOICED, paid()],
    ),
    Case("of a party that is referred to", "HR-STATE-01", reversed_entry(2), "position", ORDERED),
    Case("of the opening of the book", "HR-STATE-01", reversed_entry(1), "position"),
    # Investment
    Case(
        "call under a letter of intent",
        "HR-INV-01",
        called(1),
        "agreement",
        [*PARTIES, letter_of_intent()],
    ),
    Case(
        "call after the end",
        "HR-INV-01",
        called(1),
        "agreement",
        [*CERTIFIED, _ended("agreement_terminated")],
    ),
    Case("call above entitlement", "HR-INV-02", called(100_001), "amount", CERTIFIED),
    Case(
        "calls above entitlement",
        "HR-INV-02",
        called(40_001, "CALL-2"),
        "amount",
        [*CERTIFIED, called(60_000)],
    ),
    Case(
        "call of a tranche not reached",
        "HR-INV-02",
        called(1, tranches=[2]),
        "tranches[0]",
        CERTIFIED,
    ),
    Case(
        "call above commitment",
        "HR-INV-02",
        called(100_001, tranches=[1, 2]),
        "amount",
        [
            *PARTIES,
            definitive(investment_commitment=money(100_000)),
            claimed(2_000_000),
            certified(2_000_000),
        ],
    ),
    Case(
        "more returned than funded", "HR-INV-03", _returned(100_001), "amount", [*AGREED, funded()]
    ),
    Case(
        "more issued than authorised",
        "HR-INV-04",
        issued("101"),
        "shares",
        [*AGREED, authorised("100")],
    ),
    Case(
        "0.0000000001 more than 10^18 authorised shares",
        "HR-INV-04",
        issued("0.0000000001", "SEC-2", amount=money(1)),
        "shares",
        [
            *AGREED,
            authorised("1000000000000000000"),
            issued(
                "1e18",
                price_per_share=number("0.000000001"),
                amount=money(100_000_000_000),
            ),
        ],
    ),
    Case(
        "more issued than authorised, in two agreements",
        "HR-INV-04",
        issued("41"),
        "shares",
        [
            *AGREED,
            fact("definitive_agreement_executed", agreement="OTHER", terms=terms()),
            authorised("100"),
            issued("60", agreement="OTHER"),
        ],
    ),
    Case(
        "more rescinded than issued",
        "HR-INV-05",
        _rescinded("201"),
        "shares",
        [*ISSUABLE, issued()],
    ),
    Case(
        "one of 200 shares rescinded for a million",
        "HR-INV-06",
        _rescinded("1", 100_000_000),
        "amount",
        [*ISSUABLE, issued()],
    ),
    Case(
        "a residual rescinded twice",
        "HR-INV-05",
        _rescinded("100", 50_400),
        "amount",
        [*ISSUABLE, issued(amount=money(100_400)), _rescinded("100", 50_400)],
    ),
    Case("residual of a share", "HR-INV-06", issued(amount=money(100_500)), "amount", ISSUABLE),
    Case("less than the shares", "HR-INV-06", issued(amount=money(99_999)), "amount", ISSUABLE),
    Case(
        "less than the shares by 10^-20 dollars",
        "HR-INV-06",
        issued(
            "9999999999.0000000001",
            price_per_share=number("1.0000000001"),
            amount=money(1_000_000_000_000),
        ),
        "amount",
        [*AGREED, authorised("1e11")],
    ),
    Case("a class that was never authorised", "HR-ID-03", issued(), "share_class", AGREED),
    Case(
        "certified before it was claimed",
        "HR-TIME-02",
        certified(on=EARLIER),
        "effective_date",
        [*AGREED, claimed()],
    ),
    Case(
        "certified in part before the rest was claimed",
        "HR-TIME-02",
        certified(2, "CERT-2"),
        "effective_date",
        [*AGREED, claimed(2), claimed(2, on=LATER), certified(1)],
    ),
    Case(
        "turned down before it was claimed",
        "HR-TIME-02",
        _turned_down(1, on=EARLIER),
        "effective_date",
        [*AGREED, claimed(1)],
    ),
    Case(
        "a certificate withdrawn before its day",
        "HR-TIME-02",
        fact(
            "capacity_certification_reversed",
            on=EARLIER,
            agreement="AGR",
            certificate="CERT-1",
            power_kw=1,
            power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        ),
        "effective_date",
        CERTIFIED,
    ),
    Case(
        "issued before the class was authorised",
        "HR-TIME-02",
        issued(on=EARLIER),
        "effective_date",
        [*PARTIES, _executed(EARLIER), authorised("1000")],
    ),
    Case(
        "issued before the agreement was executed",
        "HR-TIME-02",
        issued(on=EARLIER),
        "effective_date",
        [*AGREED, authorised("1000", on=EARLIER)],
    ),
    Case(
        "rescinded before the issuance",
        "HR-TIME-02",
        _rescinded("1", on=EARLIER),
        "effective_date",
        [*ISSUABLE, issued()],
    ),
    Case(
        "a class of another issuer",
        "HR-ID-03",
        issued(),
        "share_class",
        [*AGREED, authorised("1000", issuer="SUP")],
    ),
    Case(
        "votes of a class without",
        "HR-INV-07",
        authorised("100", non_voting=True, votes_per_share=number("1")),
        "votes_per_share",
        PARTIES,
    ),
    Case(
        "votes of shares without",
        "HR-INV-07",
        issued(votes_per_share=number("1")),
        "votes_per_share",
        [*AGREED, authorised("1000", non_voting=True)],
    ),
    # Capacity
    Case(
        "more certified than claimed",
        "HR-CAP-01",
        certified(1_000_001),
        "power_kw",
        [*AGREED, claimed()],
    ),
    Case(
        "more certified in parts",
        "HR-CAP-01",
        certified(100_001, "CERT-2"),
        "power_kw",
        [*AGREED, claimed(), certified(900_000)],
    ),
    # Orders and payments
    Case(
        "amended below received",
        "HR-PO-02",
        _amended(-41),
        "quantity_delta",
        [*ORDERED, received(60)],
    ),
    Case(
        "cancelled what was received",
        "HR-PO-04",
        cancelled(41),
        "quantity",
        [*ORDERED, received(60)],
    ),
    Case(
        "cancelled what was received and returned",
        "HR-PO-04",
        cancelled(41),
        "quantity",
        [
            *ORDERED,
            received(60),
            fact("goods_returned", purchase_order="PO-1", line=1, quantity=10),
        ],
    ),
    Case(
        "more recoverable tax than the amount",
        "HR-INVC-04",
        invoiced(100, taxes=[tax(1_000, 60), tax(500, 41)]),
        "taxes",
        INVOICED,
    ),
    Case(
        "tax taken back beyond the credit",
        "HR-INVC-04",
        credited(100, taxes=[tax(1_000, 101)]),
        "taxes",
        INVOICED,
    ),
    Case(
        "a line of an invoice twice",
        "FIELD_INVALID",
        invoiced(100, "INV-2", lines=[invoice_line(1, 1, "1", 100)] * 2),
        "lines",
        INVOICED,
    ),
    *(
        Case(
            f"{field} in another currency than the amount",
            "HR-TYPE-02",
            invoiced(100, "INV-2", **part),
            field,
            INVOICED,
        )
        for field, part in IN_ANOTHER_CURRENCY.items()
    ),
    Case("credited above the invoice", "HR-INVC-03", credited(50_001), "amount", INVOICED),
    Case(
        "credited above what remains",
        "HR-INVC-03",
        credited(20_001, "CN-2"),
        "amount",
        [*INVOICED, credited(30_000)],
    ),
    Case(
        "refunded above the payment", "HR-PAY-03", refunded(50_001), "amount", [*INVOICED, paid()]
    ),
    Case(
        "refunded above what remains",
        "HR-PAY-03",
        refunded(20_001, "REF-2"),
        "amount",
        [*INVOICED, paid(), refunded(30_000)],
    ),
]
