"""Rules that flag a posting by itself: its evidence, its sides, its order, its day."""

from __future__ import annotations

import datetime as dt
from functools import cache

from gigaledger.audit.exceptions.postings import HYPOTHETICAL, Posting, Standing, Thresholds
from gigaledger.audit.exceptions.rule_types import EVERY, EVIDENCE, Check
from gigaledger.common.quantities import date_from_message, money_from_message
from google.protobuf.descriptor import Descriptor

_EVIDENCED = frozenset(
    {
        *("capacity_milestone_certified", "goods_received", "invoice_issued"),
        *("supplier_payment_settled", "prepayment_made", "supplier_refund_settled"),
        *("capital_contribution_funded", "capital_returned", "shares_repurchased"),
        *("spv_equity_contributed", "distribution_paid", "debt_drawn", "debt_repaid"),
        *("lease_payment_settled", "backstop_purchase_settled"),
    }
)
"""Facts about money, goods and capacity: somebody else can confirm them."""
_CLAIM = "capacity_milestone_claimed"
_BETWEEN = (
    *(("payer", "payee"), ("buyer", "supplier"), ("lender", "borrower"), ("lessor", "lessee")),
    *(("grantor", "beneficiary"), ("guarantor", "debtor"), ("issuer", "holder")),
    *(("vehicle", "payer"), ("vehicle", "payee")),
)
"""Fields that name two sides."""
_Found = tuple[int, ...] | None


def _event(posting: Posting) -> str:
    return f"events/{posting.position}"


def _order_of(posting: Posting) -> str:
    return f"purchaseOrders/{posting.fact.purchase_order}"


def _without_evidence(posting: Posting, standing: Standing, thresholds: Thresholds) -> _Found:
    """SX-EVD-01: a FACT without evidence of a third party, which nobody confirmed either."""
    if not thresholds.stated.third_party_evidence_required or posting.status != "FACT":
        return None
    seen = any(evidence.third_party for evidence in posting.event.evidence)
    return None if seen or standing.is_confirmed(posting) else (posting.position,)


def _unusual(posting: Posting, _standing: Standing, thresholds: Thresholds) -> _Found:
    """SX-JE-01: a round amount, an unusual preparer, an unusual hour."""
    stated = thresholds.stated
    round_ = False
    if posting.has("amount") and posting.fact.HasField("amount"):
        money = money_from_message(posting.fact.amount)
        unit = thresholds.round_amounts.get(money.currency, 0)
        round_ = unit > 0 and money.amount_minor != 0 and money.amount_minor % unit == 0
    preparer = bool(stated.usual_actors) and posting.event.actor not in stated.usual_actors
    first, end = thresholds.of("working_hours_from"), thresholds.of("working_hours_to")
    hour = posting.recorded.hour
    odd = (first is not None and hour < first) or (end is not None and hour >= end)
    return (posting.position,) if round_ or preparer or odd else None


@cache
def _sides(fact: Descriptor) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in _BETWEEN if set(fact.fields_by_name).issuperset(pair))


def _related(posting: Posting, standing: Standing, _thresholds: Thresholds) -> _Found:
    """SX-REL-01: both sides are of one group."""
    for pair in _sides(posting.fact.DESCRIPTOR):
        names = [getattr(posting.fact, side) for side in pair]
        if all(names) and len({standing.group(name, posting) for name in names}) == 1:
            return (posting.position,)
    return None


def _on_hypothesis(posting: Posting, standing: Standing, _thresholds: Thresholds) -> _Found:
    """SX-ASSERT-01: a fact under an agreement or an order that is a plan or an assumption."""
    if posting.status in HYPOTHETICAL:
        return None
    for what, field in (("terms", "agreement"), ("order", "purchase_order")):
        name = getattr(posting.fact, field) if posting.has(field) else ""
        opened = standing.latest(what, name, posting.position) if name else None
        if opened is not None and opened.status in HYPOTHETICAL:
            return opened.position, posting.position
    return None


def _before_its_order(posting: Posting, standing: Standing, _thresholds: Thresholds) -> _Found:
    """SX-PO-02: received or invoiced on a day before the order."""
    order = standing.order(posting)
    if order is None or posting.day >= order.day:
        return None
    return order.position, posting.position


def _third_party(posting: Posting, standing: Standing, _thresholds: Thresholds) -> _Found:
    """SX-PAY-03: a payment on an order between others than its buyer and supplier."""
    order = standing.order(posting)
    if order is None:
        return None
    sides = (order.fact.buyer, order.fact.supplier)
    if posting.kind == "supplier_refund_settled":
        sides = sides[::-1]
    if (posting.fact.payer, posting.fact.payee) == sides:
        return None
    return order.position, posting.position


def _late_claim(posting: Posting, standing: Standing, _thresholds: Thresholds) -> _Found:
    """SX-CAP-01: a claim after the milestone's planned date, or else after its schedule's."""
    fact = posting.fact
    planned = standing.latest("planned", (fact.agreement, fact.milestone), posting.position)
    if planned is not None:
        due: dt.date | None = date_from_message(planned.fact.planned_date)
    else:
        due = _scheduled(posting, standing)
    return (posting.position,) if due is not None and posting.day > due else None


def _scheduled(claim: Posting, standing: Standing) -> dt.date | None:
    """Return the first day by which the schedule has all that is claimed with this claim.

    The latest schedule of the agreement, or of the nearest one whose place it took.
    """
    known, agreement = claim.position, claim.fact.agreement
    claimed_kw = sum(one.fact.power_kw for one in standing.told("claim", agreement, known))
    names = [agreement]
    for name in names:
        schedule = standing.latest("schedule", name, known)
        if schedule is not None and schedule.fact.points:
            for point in schedule.fact.points:
                if point.cumulative_power_kw >= claimed_kw:
                    return date_from_message(point.by_date)
            return None
        executed = standing.latest("executed", name, known)
        supersedes = executed.fact.supersedes if executed is not None else ()
        names += [other for other in supersedes if other not in names]
    return None


CHECKS = (
    Check(EVIDENCE, _EVIDENCED, _without_evidence, _event),
    Check("SX-JE-01", EVERY, _unusual, _event),
    Check("SX-REL-01", EVERY, _related, _event),
    Check("SX-ASSERT-01", EVERY, _on_hypothesis, _event),
    Check(
        "SX-PO-02", frozenset({"goods_received", "invoice_issued"}), _before_its_order, _order_of
    ),
    Check(
        "SX-PAY-03",
        frozenset({"supplier_payment_settled", "prepayment_made", "supplier_refund_settled"}),
        _third_party,
        _order_of,
    ),
    Check(
        "SX-CAP-01",
        frozenset({_CLAIM}),
        _late_claim,
        lambda posting: f"agreements/{posting.fact.agreement}/milestones/{posting.fact.milestone}",
        grows=frozenset({_CLAIM}),
    ),
)
RECORDING = ("SX-CUT-01", "SX-CUT-02", "SX-CUT-03")
"""Rules about the recording itself, which the judge applies."""
