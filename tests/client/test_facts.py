"""The builders of facts: one for each fact, and the ledger takes what they build."""

from __future__ import annotations

import datetime as dt
import inspect
from decimal import Decimal
from typing import Any

import pytest
from gigaledger.client import Book, InvalidArgumentError, facts, money
from gigaledger.v1.events_pb2 import Event
from google.protobuf.message import Message

DAY = dt.date(2026, 1, 5)
LATER = dt.date(2026, 6, 30)
KW = 1_000_000
FACTS = {
    field.name: field.message_type
    for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type is not None
}


def usd(amount: int | str) -> Any:
    return money(amount, "USD")


BASIS: Any = "IT_CRITICAL_LOAD"
TERMS = facts.agreement_terms(
    type="EQUITY_PURCHASE",
    parties=[
        facts.agreement_party(role="INVESTOR", party="SUP"),
        facts.agreement_party(role="ISSUER", party="CUS"),
    ],
    binding=True,
    investment_commitment=usd(3_000),
    power_kw=2 * KW,
    power_basis=BASIS,
    tranches=[
        facts.tranche(number=1, amount=usd(1_000)),
        facts.tranche(
            number=2,
            amount=usd(2_000),
            price_basis="FIXED",
            conditions=[facts.tranche_condition(type="IPO_FILED", description="prospectus")],
            expiry_date=dt.date(2030, 1, 1),
        ),
    ],
)
POINTS = [facts.schedule_point(by_date=LATER, cumulative_power_kw=KW, cumulative_amount=usd(1))]
ON_MILESTONE: dict[str, Any] = {
    "agreement": "AGR",
    "milestone": "M1",
    "power_kw": KW,
    "power_basis": BASIS,
}
GATES = facts.tranche_condition(type="CAPACITY_DELIVERED", power_kw=KW)

A_LIFE: list[Message] = [
    facts.policy_adopted(
        policy=2,
        approval_thresholds=[usd(1_000_000)],
        exceptions=facts.exception_policy(unissued_days=30, round_amounts=[usd(1_000_000)]),
    ),
    *(
        facts.party_registered(
            party=name, legal_name=f"{name} Inc.", jurisdiction="US-DE", roles=["SUPPLIER"]
        )
        for name in ("SUP", "CUS", "THIRD", "SPV")
    ),
    facts.party_amended(party="SUP", legal_name="SUP Corp."),
    facts.group_membership_changed(party="SUP", group="G"),
    facts.letter_of_intent_signed(agreement="AGR", terms=TERMS),
    facts.definitive_agreement_executed(agreement="AGR", terms=TERMS),
    facts.agreement_amended(agreement="AGR", amendment=1, terms=TERMS, summary="nothing"),
    facts.tranche_condition_satisfied(agreement="AGR", tranche=2, condition=1),
    facts.deployment_schedule_baselined(agreement="AGR", points=POINTS),
    facts.deployment_schedule_revised(agreement="AGR", points=POINTS),
    facts.rack_sku_rated(
        sku="R",
        rated_power_kw_numerator=10_000,
        rated_power_kw_denominator=53,
        power_basis=BASIS,
        gpu_count=72,
        gpu_basis="PACKAGE",
    ),
    facts.capacity_milestone_planned(**ON_MILESTONE, planned_date=LATER),
    facts.site_energised(site="S", power_kw=KW, power_basis=BASIS),
    facts.capacity_milestone_claimed(**{**ON_MILESTONE, "power_kw": 2 * KW}, site="S"),
    facts.capacity_milestone_certified(
        **ON_MILESTONE, certificate="C-1", commissioning_level="L5_INTEGRATED"
    ),
    facts.capacity_claim_rejected(**ON_MILESTONE, reason="half of it is missing"),
    facts.capacity_certification_reversed(
        agreement="AGR", certificate="C-1", power_kw=10, power_basis=BASIS
    ),
    facts.capacity_retired(**{**ON_MILESTONE, "power_kw": 10}),
    facts.purchase_order_placed(
        purchase_order="PO",
        buyer="CUS",
        supplier="SUP",
        contract_kind="CHIP_PO",
        lines=[facts.order_line(line=1, sku="R", quantity=10, unit_price=usd("10.50"))],
    ),
    facts.purchase_order_acknowledged(purchase_order="PO", response="ACCEPTED"),
    facts.purchase_order_amended(purchase_order="PO", line=1, quantity_delta=1),
    facts.purchase_order_cancelled(purchase_order="PO", line=1, quantity=1),
    facts.shipment_despatched(purchase_order="PO", line=1, quantity=5),
    facts.goods_received(purchase_order="PO", line=1, quantity=5, receipt="GR-1", accepted=True),
    facts.goods_returned(purchase_order="PO", line=1, quantity=1, reason="broken"),
    facts.invoice_issued(purchase_order="PO", invoice="I-1", amount=usd("42.00"), due_date=LATER),
    facts.credit_note_issued(
        purchase_order="PO", invoice="I-1", credit_note="CN-1", amount=usd("2.00")
    ),
    facts.supplier_payment_settled(
        purchase_order="PO",
        payment="P-1",
        invoice="I-1",
        payer="CUS",
        payee="SUP",
        amount=money(36, "EUR"),
        fx=facts.fx_conversion(document_amount=usd("40.00"), rate="0.9"),
    ),
    facts.prepayment_made(
        purchase_order="PO", payment="P-2", payer="CUS", payee="SUP", amount=usd(5)
    ),
    facts.supplier_refund_settled(
        purchase_order="PO", refund="R-1", payment="P-2", payer="SUP", payee="CUS", amount=usd(5)
    ),
    facts.share_class_authorised(
        issuer="CUS", share_class="B", authorised_shares=10_000, non_voting=True
    ),
    facts.valuation_determined(
        issuer="CUS", pre_money=usd(1_000_000), fully_diluted_shares=Decimal("10000.5")
    ),
    facts.capital_call_issued(agreement="AGR", call="CALL", tranches=[1], amount=usd(1_000)),
    facts.capital_contribution_funded(
        agreement="AGR",
        contribution="F-1",
        call="CALL",
        tranches=[1],
        payer="SUP",
        payee="CUS",
        amount=usd(1_000),
        form="CASH",
    ),
    facts.equity_shares_issued(
        agreement="AGR",
        security="SEC",
        share_class="B",
        shares="100",
        price_per_share=Decimal("10.00"),
        amount=usd(1_000),
        tranches=[1],
    ),
    facts.equity_issuance_rescinded(
        agreement="AGR", security="SEC", shares=10, amount=usd(100), balance_security="SEC-2"
    ),
    facts.shares_transferred(
        agreement="AGR", security="SEC", from_party="SUP", to_party="THIRD", shares=1
    ),
    facts.shares_repurchased(agreement="AGR", security="SEC", shares=1, amount=usd(10)),
    facts.capital_returned(
        agreement="AGR", contribution="F-1", payer="CUS", payee="SUP", amount=usd(100)
    ),
    facts.warrant_issued(
        warrant="W",
        issuer="SUP",
        holder="CUS",
        shares=100,
        exercise_price="0.50",
        exercise_cost=usd(50),
        tranches=[
            facts.warrant_tranche(
                number=1, shares=60, vesting_conditions=[GATES], exercise_conditions=[GATES]
            ),
            facts.warrant_tranche(number=2, shares=40),
        ],
        expiry_date=dt.date(2031, 1, 1),
    ),
    facts.warrant_condition_satisfied(warrant="W", tranche=1, gate="VESTING", condition=1),
    facts.warrant_tranche_vested(warrant="W", tranche=2, shares=40),
    facts.warrant_exercised(warrant="W", exercise="X-1", shares=2, amount=usd(1)),
    facts.warrant_lapsed(warrant="W"),
    facts.spv_formed(
        vehicle="SPV",
        planned_equity=usd(100),
        use_of_proceeds=[facts.use_of_proceeds(payee="SUP", share_ppm=500_000, purpose="GPUs")],
    ),
    facts.spv_equity_contributed(
        vehicle="SPV", contribution="E-1", payer="SUP", amount_undisclosed=True
    ),
    facts.distribution_paid(vehicle="SPV", distribution="D-1", payee="SUP", amount=usd(1)),
    facts.debt_drawn(
        debt="D", drawing="D-1", lender="THIRD", borrower="SPV", amount=usd(50), due_date=LATER
    ),
    facts.debt_repaid(debt="D", repayment="R-1", amount=usd(5), interest=usd(1)),
    facts.lease_commenced(
        lease="L", lessor="SPV", lessee="CUS", lease_kind="TRIPLE_NET", amount=usd(60)
    ),
    facts.lease_payment_settled(lease="L", payment="L-1", payer="CUS", payee="SPV", amount=usd(1)),
    facts.backstop_granted(backstop="B", grantor="SUP", beneficiary="CUS", amount=usd(9)),
    facts.backstop_purchase_settled(
        backstop="B", payment="B-1", payer="SUP", payee="CUS", amount=usd(1)
    ),
    facts.guarantee_granted(
        guarantee="G", guarantor="SUP", debtor="CUS", creditor="THIRD", amount=usd(9)
    ),
    facts.guarantee_called(guarantee="G", demand="G-1", amount=usd(1)),
    facts.exception_opened(exception="X", description="odd", positions=[2, 3]),
    facts.exception_reviewed(exception="X", finding="not odd"),
    facts.exception_closed(exception="X", resolution="explained"),
    facts.external_confirmation_received(party="SUP", positions=[2], agreed=True),
    facts.period_closed(period="2025-12"),
    facts.period_reopened(period="2025-12", reason="a late invoice"),
    facts.agreement_novated(agreement="AGR", role="INVESTOR", from_party="SUP", to_party="THIRD"),
    facts.definitive_agreement_executed(agreement="OLD", terms=TERMS),
    facts.agreement_superseded(agreement="OLD", successor="ELSEWHERE"),
    facts.definitive_agreement_executed(agreement="SHORT", terms=TERMS),
    facts.agreement_terminated(agreement="SHORT", reason="by consent"),
    facts.agreement_expired(agreement="AGR"),
]
DEMAND = next(i for i, fact in enumerate(A_LIFE) if fact.DESCRIPTOR.name == "GuaranteeCalled")
A_LIFE.append(facts.entry_reversed(position=DEMAND + 2, reason_code="RECORDED_IN_ERROR"))


def test_the_ledger_takes_what_the_builders_build(book: Book) -> None:
    requests = (book.request(fact, effective_date=DAY) for fact in A_LIFE)
    refused = [
        f"{outcome.request.events[0].event.WhichOneof('fact')}: {outcome.error}"
        for outcome in book.append_stream(requests)
        if outcome.error
    ]
    assert not refused, "\n".join(refused)
    recorded = [str(event.event.WhichOneof("fact")) for event in book.read()]
    assert set(recorded) == set(FACTS)


def test_what_is_the_ledgers_own_is_refused(book: Book) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        book.append(facts.book_opened(book="b", clock="SERVER"), effective_date=DAY)
    assert caught.value.reason == "FACT_RESERVED"


@pytest.mark.parametrize("name", FACTS)
def test_a_builder_has_the_fields_of_its_fact(name: str) -> None:
    fields = [field.name for field in FACTS[name].fields]
    assert list(inspect.signature(getattr(facts, name)).parameters) == fields
