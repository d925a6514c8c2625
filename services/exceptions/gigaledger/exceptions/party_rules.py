"""Rules about parties: SX-LEI-01, and SX-RT-03 about pairs of groups."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from gigaledger.common.quantities import money_from_message, ratio_ppm
from gigaledger.exceptions.descriptions import amount_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext, in_cash
from gigaledger.exceptions.rules import Finding, Severity, SubjectRule, Topic


class Party:
    """State of a party: whether it has a Legal Entity Identifier."""

    def __init__(self, subject: str) -> None:
        self.name = subject.rpartition("/")[2]
        self.registered: tuple[int, ...] = ()
        self.lei = ""

    def apply(self, posting: Posting, _context: RuleContext) -> None:
        """Fold a posting."""
        if posting.kind == "party_registered":
            self.registered = (posting.position,)
        self.lei = posting.fact.lei or self.lei


def find_without_lei(state: Party, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find a party without a Legal Entity Identifier (SX-LEI-01)."""
    if policy.exceptions.lei_required and state.registered and not state.lei:
        yield Finding(f"{state.name} has no Legal Entity Identifier", state.registered)


class Pair:
    """State of an investor-supplier and an investee-customer, in cash and by currency."""

    def __init__(self, _subject: str) -> None:
        self.purchased: Counter[str] = Counter()
        self.invested: Counter[str] = Counter()
        self.latest: dict[str, int] = {}

    def apply(self, posting: Posting, _context: RuleContext) -> None:
        """Fold a posting."""
        fact = posting.fact
        if not fact.HasField("amount"):
            return
        money = money_from_message(fact.amount)
        match posting.kind:
            case "capital_contribution_funded" if in_cash(fact):
                self.invested[money.currency] += money.amount_minor
            case "capital_returned":
                self.invested[money.currency] -= money.amount_minor
            case "supplier_payment_settled" | "prepayment_made":
                self.purchased[money.currency] += money.amount_minor
            case "supplier_refund_settled":
                self.purchased[money.currency] -= money.amount_minor
        self.latest[money.currency] = posting.position


def find_recycled(state: Pair, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find a pair whose supplier could have financed much of its sales (SX-RT-03)."""
    limit = policy.threshold("recycled_ratio_ppm")
    if limit is None:
        return
    for currency, purchased in state.purchased.items():
        recycled = min(purchased, state.invested[currency])
        ratio = ratio_ppm(recycled, purchased) if purchased > 0 else None
        if ratio is not None and ratio > limit:
            text = (
                f"{amount_text(recycled, currency)} of {amount_text(purchased, currency)} purchased"
                f" could have come from the supplier: {ratio} ppm. An upper bound, no cause"
            )
            yield Finding(text, (state.latest[currency],), currency)


def _parties(posting: Posting, _context: RuleContext) -> Iterator[str]:
    yield f"parties/{posting.fact.party}"


def _pairs(posting: Posting, context: RuleContext) -> Iterator[str]:
    payer = context.group(posting.fact.payer, posting)
    payee = context.group(posting.fact.payee, posting)
    buys = posting.kind in ("supplier_payment_settled", "prepayment_made", "capital_returned")
    customer, supplier = (payer, payee) if buys else (payee, payer)
    yield f"pairs/{supplier}:{customer}"


TOPICS = (
    Topic(
        kinds=frozenset({"party_registered", "party_amended"}),
        subjects=_parties,
        new_state=Party,
        rules=(
            SubjectRule(
                "SX-LEI-01", Severity.NOTICE, "no Legal Entity Identifier", find_without_lei
            ),
        ),
    ),
    Topic(
        kinds=frozenset(
            {
                *("capital_contribution_funded", "capital_returned", "supplier_payment_settled"),
                *("prepayment_made", "supplier_refund_settled"),
            }
        ),
        subjects=_pairs,
        new_state=Pair,
        rules=(
            SubjectRule(
                "SX-RT-03",
                Severity.WARNING,
                "a large part of the purchases could have come from the supplier",
                find_recycled,
            ),
        ),
    ),
)
