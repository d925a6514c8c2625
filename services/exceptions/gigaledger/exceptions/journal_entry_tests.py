"""Journal entry tests: who recorded a fact, how, on what evidence, and between whom.

SX-EVD-01, SX-JE-01, SX-REL-01, SX-ASSERT-01.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gigaledger.common.quantities import money_from_message
from gigaledger.exceptions.cut_off import position_subject
from gigaledger.exceptions.descriptions import amount_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting, fields_of
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, PostingRule, Severity

EVIDENCED = frozenset(
    {
        *("capacity_milestone_certified", "goods_received", "invoice_issued"),
        *("supplier_payment_settled", "prepayment_made", "supplier_refund_settled"),
        *("capital_contribution_funded", "capital_returned", "shares_repurchased"),
        *("spv_equity_contributed", "distribution_paid", "debt_drawn", "debt_repaid"),
        *("lease_payment_settled", "backstop_purchase_settled"),
    }
)
"""Facts about money, goods and capacity, which a counterparty can confirm."""
_HYPOTHETICAL = frozenset({"PLAN", "ASSUMPTION"})
_HOURS = 24


def find_without_evidence(
    posting: Posting, context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find a FACT without third-party evidence or confirmation (SX-EVD-01)."""
    if posting.status != "FACT" or any(item.third_party for item in posting.event.evidence):
        return None
    if any(known > posting.position for known in context.confirmations.positions(posting.position)):
        return None
    return Finding("no evidence of a third party is attached", (posting.position,))


def no_longer_confirmed(reversed_posting: Posting, _context: RuleContext) -> Iterator[int]:
    """Yield the postings that a reversed confirmation had confirmed."""
    if reversed_posting.kind == "external_confirmation_received" and reversed_posting.fact.agreed:
        yield from reversed_posting.fact.positions


def find_unusual(posting: Posting, _context: RuleContext, policy: Policy) -> Finding | None:
    """Find a round amount, an unusual preparer or an unusual hour (SX-JE-01)."""
    found = list(_unusual(posting, policy))
    return Finding("; ".join(found), (posting.position,)) if found else None


def _looks_for_habits(policy: Policy) -> bool:
    return bool(
        policy.round_amounts
        or policy.exceptions.usual_actors
        or policy.threshold("working_hours_from")
        or policy.threshold("working_hours_to")
    )


def _unusual(posting: Posting, policy: Policy) -> Iterator[str]:
    if (
        policy.round_amounts
        and "amount" in fields_of(posting.kind)
        and (posting.fact.HasField("amount"))
    ):
        money = money_from_message(posting.fact.amount)
        unit = policy.round_amounts.get(money.currency)
        if unit and money.amount_minor and money.amount_minor % unit == 0:
            yield f"{amount_text(money.amount_minor, money.currency)} is a round amount"
    usual = policy.exceptions.usual_actors
    if usual and posting.event.actor not in usual:
        yield f"{posting.event.actor} does not usually record"
    first = policy.threshold("working_hours_from") or 0
    last = policy.threshold("working_hours_to")
    hour = posting.recorded_time.hour
    if not first <= hour < (_HOURS if last is None else last):
        yield f"recorded at {posting.recorded_time:%H:%M} UTC"


_SIDES = (
    *(("payer", "payee"), ("buyer", "supplier"), ("lender", "borrower"), ("lessor", "lessee")),
    *(("grantor", "beneficiary"), ("guarantor", "debtor"), ("issuer", "holder")),
    *(("vehicle", "payer"), ("vehicle", "payee")),
)


@cache
def _sides(kind: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of a fact that name its two sides."""
    return tuple(sides for sides in _SIDES if fields_of(kind).issuperset(sides))


def find_related(posting: Posting, context: RuleContext, _policy: Policy) -> Finding | None:
    """Find two sides in one group (SX-REL-01)."""
    for sides in _sides(posting.kind):
        one, other = (getattr(posting.fact, side) for side in sides)
        if not (one and other):
            continue
        group = context.group(one, posting)
        if group == context.group(other, posting):
            return Finding(f"{one} and {other} are both of {group}", (posting.position,))
    return None


def find_resting_on_hypothesis(
    posting: Posting, context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find a FACT recorded under a PLAN or an ASSUMPTION (SX-ASSERT-01)."""
    if posting.status in _HYPOTHETICAL:
        return None
    for registry, name in ((context.agreements, "agreement"), (context.orders, "purchase_order")):
        document = getattr(posting.fact, name) if name in fields_of(posting.kind) else ""
        opened = registry.get(document, posting.position) if document else None
        if opened is not None and opened.status in _HYPOTHETICAL:
            text = f"{posting.status} under {document}, which is {opened.status}"
            return Finding(text, (opened.position, posting.position))
    return None


RULES = (
    PostingRule(
        "SX-EVD-01",
        Severity.NOTICE,
        "no evidence of a third party",
        EVIDENCED,
        find_without_evidence,
        position_subject,
        is_enabled=lambda policy: policy.exceptions.third_party_evidence_required,
        reevaluate=no_longer_confirmed,
    ),
    PostingRule(
        "SX-JE-01",
        Severity.NOTICE,
        "round amount, unusual preparer or hour",
        frozenset(),
        find_unusual,
        position_subject,
        is_enabled=_looks_for_habits,
    ),
    PostingRule(
        "SX-REL-01",
        Severity.WARNING,
        "both sides are of one group",
        frozenset(),
        find_related,
        position_subject,
    ),
    PostingRule(
        "SX-ASSERT-01",
        Severity.WARNING,
        "a fact rests on a plan or an assumption",
        frozenset(),
        find_resting_on_hypothesis,
        position_subject,
    ),
)
