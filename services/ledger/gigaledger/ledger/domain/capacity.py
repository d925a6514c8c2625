"""Capacity under an agreement: milestones planned, claimed, certified, withdrawn, retired.

Milestone: PLANNED -> CLAIMED -> certified in parts or whole -> withdrawn -> certified again;
a claim can be rejected in part or whole. Quantities are kilowatts and increments.
"""

from __future__ import annotations

from gigaledger.ledger.domain.agreement_state import (
    Agreement,
    Certificate,
    CertificateKey,
    Milestone,
)
from gigaledger.ledger.domain.book_view import BookView, Violations, at_most, unknown, wrong_state
from gigaledger.ledger.domain.dated_balance import not_before
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis


def decide_planned(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityMilestonePlanned."""
    milestone = state.capacity.milestones.get(entry.fact.milestone)
    if milestone is not None and milestone.planned:
        yield wrong_state("milestone", f"milestone {entry.fact.milestone} is planned already")
    yield from _require_standing(state)


def apply_planned(state: Agreement, entry: Entry) -> None:
    """Fold CapacityMilestonePlanned."""
    _milestone(state, entry).planned = True


def decide_claimed(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityMilestoneClaimed."""
    fact = entry.fact
    milestone = state.capacity.milestones.get(fact.milestone)
    if milestone is not None and milestone.claimed_kw:
        yield from _same_basis(milestone, entry)
        if milestone.capacity_layer != _layer(fact.capacity_layer):
            message = f"milestone {fact.milestone} is claimed in another layer"
            yield Violation(Rule.TYPE_03, "capacity_layer", message)
    if fact.sku_quantity and not fact.sku:
        yield Violation(Rule.FIELD_REQUIRED, "sku", "is required with sku_quantity")


def apply_claimed(state: Agreement, entry: Entry) -> None:
    """Fold CapacityMilestoneClaimed."""
    milestone = _milestone(state, entry)
    milestone.claimed_kw += entry.fact.power_kw
    milestone.pending.change(entry, entry.fact.power_kw)
    milestone.power_basis = entry.fact.power_basis
    milestone.capacity_layer = _layer(entry.fact.capacity_layer)
    if entry.fact.claimant:
        milestone.claimants.add(entry.fact.claimant)


def decide_certified(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityMilestoneCertified."""
    fact = entry.fact
    yield from _require_standing(state)
    milestone = state.capacity.milestones.get(fact.milestone)
    if milestone is None or not milestone.claimed_kw:
        yield unknown("milestone", "a claim of milestone", fact.milestone)
        return
    yield from _same_basis(milestone, entry)
    if fact.certifier and fact.certifier in milestone.claimants:
        message = f"{fact.certifier} claims the milestone and cannot certify it"
        yield Violation(Rule.AUTH_01, "certifier", message, {"party": fact.certifier})
    yield from at_most(
        Rule.CAP_01,
        "power_kw",
        milestone.certified_kw + fact.power_kw,
        milestone.claimed_kw - milestone.rejected_kw,
        f"what milestone {fact.milestone} claims, counting what is certified already",
        "kW",
    )
    what = f"what is claimed of milestone {fact.milestone} and not certified"
    yield from milestone.pending.too_early(entry, fact.power_kw, what, "kW")


def apply_certified(state: Agreement, entry: Entry) -> None:
    """Fold CapacityMilestoneCertified."""
    fact = entry.fact
    milestone = _milestone(state, entry)
    milestone.certified_kw += fact.power_kw
    milestone.pending.change(entry, -fact.power_kw)
    state.capacity.certificates[certificate_key(fact)] = Certificate(
        fact.milestone, entry.effective_date, fact.power_kw
    )
    state.capacity.change(entry, fact.power_basis, fact.power_kw, fact.certificate)


def certificate_key(fact: object) -> CertificateKey:
    """Return what names a certificate."""
    return (fact.certifier, fact.certificate)  # type: ignore[attr-defined]


def decide_rejected(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityClaimRejected."""
    fact = entry.fact
    milestone = state.capacity.milestones.get(fact.milestone)
    if milestone is None or not milestone.claimed_kw:
        yield unknown("milestone", "a claim of milestone", fact.milestone)
        return
    yield from _same_basis(milestone, entry)
    yield from at_most(
        Rule.STATE_01,
        "power_kw",
        fact.power_kw,
        milestone.claimed_kw - milestone.rejected_kw - milestone.certified_kw,
        f"what is pending of milestone {fact.milestone}",
        "kW",
    )
    what = f"what is pending of milestone {fact.milestone}"
    yield from milestone.pending.too_early(entry, fact.power_kw, what, "kW")


def apply_rejected(state: Agreement, entry: Entry) -> None:
    """Fold CapacityClaimRejected."""
    milestone = _milestone(state, entry)
    milestone.rejected_kw += entry.fact.power_kw
    milestone.pending.change(entry, -entry.fact.power_kw)


def decide_certification_reversed(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityCertificationReversed."""
    fact = entry.fact
    certificate = state.capacity.certificates.get(certificate_key(fact))
    if certificate is None:
        yield unknown("certificate", "certificate", fact.certificate)
        return
    milestone = state.capacity.milestones[certificate.milestone]
    yield from _same_basis(milestone, entry)
    what = f"certificate {fact.certificate}"
    yield from not_before(entry, certificate.effective_date, what)
    yield from at_most(
        Rule.STATE_01,
        "power_kw",
        fact.power_kw,
        min(certificate.remaining_kw, milestone.certified_kw - milestone.retired_kw),
        f"what remains of certificate {fact.certificate}",
        "kW",
    )


def apply_certification_reversed(state: Agreement, entry: Entry) -> None:
    """Fold CapacityCertificationReversed."""
    fact = entry.fact
    certificate = state.capacity.certificates.get(certificate_key(fact))
    if certificate is None:
        certificate = Certificate("", entry.effective_date, 0)
        state.capacity.certificates[certificate_key(fact)] = certificate
    certificate.remaining_kw -= fact.power_kw
    if certificate.milestone:
        milestone = state.capacity.milestones[certificate.milestone]
        milestone.certified_kw -= fact.power_kw
        milestone.pending.change(entry, fact.power_kw)
    state.capacity.change(entry, fact.power_basis, -fact.power_kw, fact.certificate)


def decide_retired(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityRetired."""
    fact = entry.fact
    milestone = state.capacity.milestones.get(fact.milestone)
    if milestone is None:
        yield unknown("milestone", "milestone", fact.milestone)
        return
    yield from _same_basis(milestone, entry)
    yield from at_most(
        Rule.STATE_01,
        "power_kw",
        fact.power_kw,
        milestone.certified_kw - milestone.retired_kw,
        f"the certified capacity of milestone {fact.milestone}",
        "kW",
    )


def apply_retired(state: Agreement, entry: Entry) -> None:
    """Fold CapacityRetired."""
    _milestone(state, entry).retired_kw += entry.fact.power_kw
    fact = entry.fact
    state.capacity.change(entry, fact.power_basis, -fact.power_kw, fact.milestone)


def _milestone(state: Agreement, entry: Entry) -> Milestone:
    return state.capacity.milestones.setdefault(entry.fact.milestone, Milestone())


def _layer(given: CapacityLayer.ValueType) -> CapacityLayer.ValueType:
    return given or CapacityLayer.CAPACITY_LAYER_CHIP_SUPPLY


def _same_basis(milestone: Milestone, entry: Entry) -> Violations:
    if milestone.power_basis and entry.fact.power_basis != milestone.power_basis:
        claimed = PowerBasis.Name(milestone.power_basis)
        message = f"is {PowerBasis.Name(entry.fact.power_basis)}, but the claim is on {claimed}"
        yield Violation(Rule.TYPE_03, "power_basis", message, {"claimed_basis": claimed})


def _require_standing(state: Agreement) -> Violations:
    if state.exists and not state.in_force:
        message = f"the agreement is {state.status.value}"
        yield wrong_state("agreement", message, status=state.status.name)
