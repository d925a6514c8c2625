"""Rules about capacity: claims, certificates and the hardware behind them.

SX-CAP-01 to SX-CAP-04, and SX-CUT-04 for capacity that is taken out of service.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from gigaledger.exceptions.cut_off import (
    TAKEN_BACK_EARLY,
    TAKEN_BACK_EARLY_STATEMENT,
    BalanceByDay,
)
from gigaledger.exceptions.descriptions import kilowatts_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import (
    Finding,
    PostingRule,
    Severity,
    SubjectRule,
    Topic,
)
from gigaledger.v1.common_pb2 import CapacityLayer

PPM = 1_000_000
_LAYER = CapacityLayer.CAPACITY_LAYER_CHIP_SUPPLY


def find_late_claim(posting: Posting, context: RuleContext, _policy: Policy) -> Finding | None:
    """Find a claim made after its capacity was due (SX-CAP-01).

    The due date is the planned date of the milestone. Without one it is the day by which the latest
    schedule of the agreement, or of one that it supersedes, has planned the capacity claimed to
    date.
    """
    fact = posting.fact
    planned = context.planned_dates.get((fact.agreement, fact.milestone), posting.position)
    due = planned or _scheduled(posting, context)
    if due is None or posting.effective_date <= due:
        return None
    text = f"{fact.milestone} is claimed on {posting.effective_date}, and was due on {due}"
    return Finding(text, (posting.position,))


def later_claims(reversed_posting: Posting, context: RuleContext) -> Iterator[int]:
    """Yield the claims whose due date changes because an earlier claim is reversed."""
    if reversed_posting.kind == "capacity_milestone_claimed":
        claims = context.claims.positions(reversed_posting.fact.agreement)
        yield from (claim for claim in claims if claim > reversed_posting.position)


def _scheduled(posting: Posting, context: RuleContext) -> dt.date | None:
    agreement = posting.fact.agreement
    known = posting.position
    claimed_kw = sum(context.claims.all(agreement, known))
    waiting = [agreement]
    for name in waiting:
        points = context.schedules.get(name, known)
        if points:
            return next((day for day, power_kw in points if power_kw >= claimed_kw), None)
        before = context.predecessors.get(name, known) or ()
        waiting += [other for other in before if other not in waiting]
    return None


class Milestone:
    """State of a milestone, in kilowatts.

    Certified and withdrawn capacity are kept apart: a claim that was certified in full is not open
    again because a certificate was withdrawn. Overfunding that results is SX-INV-01.
    """

    def __init__(self, subject: str) -> None:
        self.name = subject.rpartition("/")[2]
        self.planned_kw = 0
        self.claimed_kw = 0
        self.rejected_kw = 0
        self.certified_kw = 0
        self.withdrawn_kw = 0
        self.claims: list[int] = []
        self.certificates: list[int] = []
        self.in_service = BalanceByDay()

    def apply(self, posting: Posting, _context: RuleContext) -> None:
        """Fold a posting."""
        power_kw = posting.fact.power_kw
        match posting.kind:
            case "capacity_milestone_planned":
                self.planned_kw += power_kw
            case "capacity_milestone_claimed":
                self.claimed_kw += power_kw
                self.claims.append(posting.position)
            case "capacity_claim_rejected":
                self.rejected_kw += power_kw
            case "capacity_milestone_certified":
                self.withdrawn_kw -= min(self.withdrawn_kw, power_kw)
                self.certified_kw += power_kw
                self.certificates.append(posting.position)
                self.in_service.change(posting, power_kw)
            case "capacity_certification_reversed":
                self.certified_kw -= power_kw
                self.withdrawn_kw += power_kw
                self.in_service.change(posting, -power_kw)
            case "capacity_retired":
                self.in_service.change(posting, -power_kw)


def find_partly_certified(state: Milestone, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find a milestone whose certified capacity differs from its claims (SX-CAP-02)."""
    claimed_kw = state.claimed_kw - state.rejected_kw
    answered_kw = state.certified_kw + state.withdrawn_kw
    if state.certificates and answered_kw != claimed_kw:
        text = (
            f"{kilowatts_text(answered_kw)} of {state.name} are certified,"
            f" and {kilowatts_text(claimed_kw)} are claimed"
        )
        yield Finding(text, (*state.claims, *state.certificates))


def find_retired_early(state: Milestone, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find capacity taken out of service before it was certified (SX-CUT-04)."""
    yield from state.in_service.find_negative(f"certified capacity of {state.name}")


def find_claimed_beyond_plan(state: Milestone, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find claims of a milestone beyond its plan (SX-CAP-04)."""
    claimed_kw = state.claimed_kw - state.rejected_kw
    if state.planned_kw and claimed_kw > state.planned_kw:
        text = (
            f"{kilowatts_text(claimed_kw)} of {state.name} are claimed,"
            f" and {kilowatts_text(state.planned_kw)} are planned"
        )
        yield Finding(text, tuple(state.claims))


def _milestones(posting: Posting, context: RuleContext) -> Iterator[str]:
    fact = posting.fact
    if posting.kind == "capacity_certification_reversed":
        key = (fact.agreement, fact.certifier, fact.certificate)
        name = context.certified_milestones.get(key, posting.position)
    else:
        name = fact.milestone
    if name:
        yield f"agreements/{fact.agreement}/milestones/{name}"


class Site:
    """State of a site in one layer and basis: claims by agreement, in kilowatts."""

    def __init__(self, _subject: str) -> None:
        self.claims: dict[str, list[int]] = {}

    def apply(self, posting: Posting, context: RuleContext) -> None:
        """Fold a claim; a superseding agreement counts as the agreements that it supersedes."""
        agreement = posting.fact.agreement
        for name in context.predecessors.get(agreement, posting.position) or ():
            self.claims.pop(name, None)
        self.claims.setdefault(agreement, []).append(posting.position)


def find_claimed_twice(state: Site, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find capacity of one site claimed under several agreements in one layer (SX-CAP-04)."""
    if len(state.claims) > 1:
        names = ", ".join(sorted(state.claims))
        positions = sorted(position for held in state.claims.values() for position in held)
        yield Finding(f"claimed under {names} in the same layer", tuple(positions))


def _sites(posting: Posting, _context: RuleContext) -> Iterator[str]:
    fact = posting.fact
    if fact.site:
        layer = CapacityLayer.Name(fact.capacity_layer or _LAYER).removeprefix("CAPACITY_LAYER_")
        yield f"sites/{fact.site}/layers/{layer}:{fact.power_basis}"


class Hardware:
    """State of an agreement: certified capacity, and the capacity of the racks received."""

    def __init__(self, _subject: str) -> None:
        self.certified_kw: Counter[int] = Counter()
        self.carried_kw: dict[int, Fraction] = {}
        self.rated = True
        self.certificates: list[int] = []

    def apply(self, posting: Posting, context: RuleContext) -> None:
        """Fold a posting, with racks rated as of their receipt."""
        fact = posting.fact
        match posting.kind:
            case "capacity_milestone_certified":
                self.certified_kw[fact.power_basis] += fact.power_kw
                self.certificates.append(posting.position)
            case "capacity_certification_reversed" | "capacity_retired":
                self.certified_kw[fact.power_basis] -= fact.power_kw
            case "goods_received" | "goods_returned":
                self._receive(posting, context)

    def _receive(self, posting: Posting, context: RuleContext) -> None:
        order = context.orders.get(posting.fact.purchase_order, posting.position)
        rating = context.ratings.get(sku_received(posting, order), posting.position)
        if rating is None:
            # Without a rating for every rack the comparison would be incomplete.
            self.rated = False
            return
        power_kw, basis = rating
        carried_kw = units_received(posting) * power_kw
        self.carried_kw[basis] = self.carried_kw.get(basis, Fraction(0)) + carried_kw


def sku_received(posting: Posting, order: Posting | None) -> str:
    """Return the SKU of a receipt or a return, from its order."""
    lines = order.fact.lines if order else ()
    return next((line.sku for line in lines if line.line == posting.fact.line), "")


def units_received(posting: Posting) -> int:
    """Return the units of a receipt; negative for a return."""
    quantity: int = posting.fact.quantity
    return quantity if posting.kind == "goods_received" else -quantity


def is_mismatched(certified_kw: int, carried_kw: Fraction, limit_ppm: int) -> bool:
    """Return whether certified capacity and that of the racks differ beyond the tolerance."""
    return certified_kw > 0 and abs(certified_kw - carried_kw) * PPM > limit_ppm * carried_kw


def mismatch_text(certified_kw: int, carried_kw: Fraction) -> str:
    """Return a description of certified capacity beside that of the racks."""
    return (
        f"{kilowatts_text(certified_kw)} are certified, and the racks received carry"
        f" {kilowatts_text(int(carried_kw))}"
    )


def find_mismatched(state: Hardware, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find certified capacity that the racks received do not support (SX-CAP-03)."""
    limit = policy.threshold("hardware_tolerance_ppm")
    if limit is None or not state.rated:
        return
    for basis, carried_kw in state.carried_kw.items():
        certified_kw = state.certified_kw[basis]
        if is_mismatched(certified_kw, carried_kw, limit):
            text = mismatch_text(certified_kw, carried_kw)
            yield Finding(text, (state.certificates[-1],), str(basis))


def _agreements(posting: Posting, context: RuleContext) -> Iterator[str]:
    if posting.kind in ("goods_received", "goods_returned"):
        order = context.orders.get(posting.fact.purchase_order, posting.position)
        agreement = order.fact.agreement if order else ""
    else:
        agreement = posting.fact.agreement
    if agreement:
        yield f"agreements/{agreement}"


_CERTIFICATES = frozenset({"capacity_milestone_certified", "capacity_certification_reversed"})
RULES = (
    PostingRule(
        "SX-CAP-01",
        Severity.NOTICE,
        "claimed after the day on which it was due",
        frozenset({"capacity_milestone_claimed"}),
        find_late_claim,
        lambda posting: f"agreements/{posting.fact.agreement}/milestones/{posting.fact.milestone}",
        reevaluate=later_claims,
    ),
)
TOPICS = (
    Topic(
        kinds=_CERTIFICATES
        | {
            *("capacity_milestone_planned", "capacity_milestone_claimed"),
            *("capacity_claim_rejected", "capacity_retired"),
        },
        subjects=_milestones,
        new_state=Milestone,
        rules=(
            SubjectRule(
                TAKEN_BACK_EARLY,
                Severity.WARNING,
                TAKEN_BACK_EARLY_STATEMENT,
                find_retired_early,
            ),
            SubjectRule(
                "SX-CAP-02",
                Severity.WARNING,
                "another capacity is certified than claimed",
                find_partly_certified,
            ),
            SubjectRule(
                "SX-CAP-04",
                Severity.WARNING,
                "the same capacity is claimed twice",
                find_claimed_beyond_plan,
            ),
        ),
    ),
    Topic(
        kinds=frozenset({"capacity_milestone_claimed"}),
        subjects=_sites,
        new_state=Site,
        rules=(
            SubjectRule(
                "SX-CAP-04",
                Severity.WARNING,
                "the same capacity is claimed twice",
                find_claimed_twice,
            ),
        ),
    ),
    Topic(
        kinds=_CERTIFICATES | {"capacity_retired", "goods_received", "goods_returned"},
        subjects=_agreements,
        new_state=Hardware,
        rules=(
            SubjectRule(
                "SX-CAP-03",
                Severity.WARNING,
                "certified capacity is not that of the racks received",
                find_mismatched,
            ),
        ),
    ),
)
