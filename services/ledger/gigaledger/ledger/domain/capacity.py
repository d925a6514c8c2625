"""Capacity under an agreement: milestones planned, claimed, certified, withdrawn, retired.

Milestone: PLANNED -> CLAIMED -> certified in parts or whole -> withdrawn -> certified again;
a claim can be rejected in part or whole. Quantities are kilowatts and increments.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gigaledger.ledger.domain.book_view import BookView, Violations, at_most, unknown, wrong_state
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis

if TYPE_CHECKING:
    from gigaledger.ledger.domain.agreement import Agreement

CertificateKey = tuple[str, str]
"""Certifier, empty where none is named, and number of the certificate."""


@dataclass(slots=True)
class Milestone:
    """What has been said of one milestone, in kilowatts.

    Attributes:
        planned: whether the milestone is in the plan.
        claimed_kw: claimed by the obligor.
        rejected_kw: of that, turned down.
        certified_kw: of that, accepted and not withdrawn.
        retired_kw: of that, taken out of service.
        power_basis: what the claims are measured at.
        capacity_layer: where they are counted.
        claimants: who made claims.
    """

    planned: bool = False
    claimed_kw: int = 0
    rejected_kw: int = 0
    certified_kw: int = 0
    retired_kw: int = 0
    power_basis: PowerBasis.ValueType = PowerBasis.POWER_BASIS_UNSPECIFIED
    capacity_layer: CapacityLayer.ValueType = CapacityLayer.CAPACITY_LAYER_UNSPECIFIED
    claimants: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class CapacityChange:
    """A change of net certified capacity.

    Attributes:
        effective_date: since when it holds.
        power_basis: what it is measured at.
        power_kw: kilowatts; negative where certification is withdrawn or capacity retired.
        position: where it is recorded.
        document: number of the certificate; the milestone where capacity is retired.
    """

    effective_date: dt.date
    power_basis: PowerBasis.ValueType
    power_kw: int
    position: int
    document: str


@dataclass(slots=True)
class Certificate:
    """A certificate and what remains of it."""

    milestone: str
    remaining_kw: int


class Capacity:
    """The capacity part of an agreement's state."""

    def __init__(self) -> None:
        self.milestones: dict[str, Milestone] = {}
        self.certificates: dict[CertificateKey, Certificate] = {}
        self._changes: list[CapacityChange] = []

    def changes(self, basis: PowerBasis.ValueType, day: dt.date) -> list[CapacityChange]:
        """Return the changes of net certified capacity on a basis up to the end of a day."""
        return [
            change
            for change in self._changes
            if change.power_basis == basis and change.effective_date <= day
        ]

    def day_of_highest(self, basis: PowerBasis.ValueType, day: dt.date) -> dt.date:
        """Return the first day up to a day at whose end net certified capacity was highest.

        The day itself where nothing was ever certified by it.
        """
        changes = self.changes(basis, day)
        highest, highest_on, total_kw = 0, day, 0
        for date in sorted({change.effective_date for change in changes}):
            total_kw += sum(c.power_kw for c in changes if c.effective_date == date)
            if total_kw > highest:
                highest, highest_on = total_kw, date
        return highest_on

    def change(
        self, entry: Entry, basis: PowerBasis.ValueType, power_kw: int, document: str
    ) -> None:
        """Keep a change of net certified capacity by its effective date."""
        self._changes.append(
            CapacityChange(entry.effective_date, basis, power_kw, entry.position, document)
        )

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        for name, milestone in self.milestones.items():
            yield from at_most(
                Rule.CAP_01,
                "power_kw",
                milestone.certified_kw,
                milestone.claimed_kw - milestone.rejected_kw,
                f"what milestone {name} claims",
                "kW",
            )
            yield from at_most(
                Rule.STATE_01,
                "power_kw",
                milestone.retired_kw,
                milestone.certified_kw,
                f"the certified capacity of milestone {name}",
                "kW",
            )
        for (_, number), certificate in self.certificates.items():
            if certificate.remaining_kw < 0:
                yield wrong_state(
                    "certificate", f"more of {number} is withdrawn than was certified"
                )


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


def apply_certified(state: Agreement, entry: Entry) -> None:
    """Fold CapacityMilestoneCertified."""
    fact = entry.fact
    _milestone(state, entry).certified_kw += fact.power_kw
    state.capacity.certificates[certificate_key(fact)] = Certificate(fact.milestone, fact.power_kw)
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


def apply_rejected(state: Agreement, entry: Entry) -> None:
    """Fold CapacityClaimRejected."""
    _milestone(state, entry).rejected_kw += entry.fact.power_kw


def decide_certification_reversed(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapacityCertificationReversed."""
    fact = entry.fact
    certificate = state.capacity.certificates.get(certificate_key(fact))
    if certificate is None:
        yield unknown("certificate", "certificate", fact.certificate)
        return
    milestone = state.capacity.milestones[certificate.milestone]
    yield from _same_basis(milestone, entry)
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
        certificate = Certificate("", 0)
        state.capacity.certificates[certificate_key(fact)] = certificate
    certificate.remaining_kw -= fact.power_kw
    if certificate.milestone:
        state.capacity.milestones[certificate.milestone].certified_kw -= fact.power_kw
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
