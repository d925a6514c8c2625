"""State of an agreement: its terms, the capacity and the equity under it.

They are parts of one stream, because calls of capital depend on all three. The facts that change
them are decided in `agreement`, `capacity` and `equity`.

Life: LETTER_OF_INTENT -> DEFINITIVE -> TERMINATED | EXPIRED | SUPERSEDED. A letter of intent can be
terminated, expire or be superseded as well.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from gigaledger.ledger.domain.book_view import Violations, at_most, unknown, wrong_state
from gigaledger.ledger.domain.dated_balance import DatedBalance
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.agreement_facts_pb2 import AgreementTerms, Tranche
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis, Role
from google.type.decimal_pb2 import Decimal as DecimalMessage


class Status(Enum):
    """Life-cycle status of an agreement."""

    NONE = "not recorded"
    LETTER_OF_INTENT = "a letter of intent"
    DEFINITIVE = "definitive"
    SUPERSEDED = "superseded"
    TERMINATED = "terminated"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Record:
    """Position and effective date of a fact."""

    effective_date: dt.date
    position: int


CertificateKey = tuple[str, str]
"""Certifier, empty if none is named, and number of the certificate."""


@dataclass(slots=True)
class Milestone:
    """State of a milestone, in kilowatts.

    Attributes:
        planned: whether the milestone is in the plan.
        claimed_kw: claimed by the obligor.
        rejected_kw: rejected claims.
        certified_kw: accepted claims that are not withdrawn.
        retired_kw: certified capacity taken out of service.
        power_basis: power basis of the claims.
        capacity_layer: layer of the claims.
        claimants: parties that made claims.
        pending: claimed and neither rejected nor certified, by day.
    """

    planned: bool = False
    claimed_kw: int = 0
    rejected_kw: int = 0
    certified_kw: int = 0
    retired_kw: int = 0
    power_basis: PowerBasis.ValueType = PowerBasis.POWER_BASIS_UNSPECIFIED
    capacity_layer: CapacityLayer.ValueType = CapacityLayer.CAPACITY_LAYER_UNSPECIFIED
    claimants: set[str] = field(default_factory=set)
    pending: DatedBalance = field(default_factory=DatedBalance)


@dataclass(frozen=True, slots=True)
class CapacityChange:
    """A change of net certified capacity.

    Attributes:
        effective_date: the day from which on it counts.
        power_basis: its power basis.
        power_kw: kilowatts; negative if a certificate is withdrawn or capacity retired.
        position: position of the fact.
        document: number of the certificate; the milestone if capacity is retired.
    """

    effective_date: dt.date
    power_basis: PowerBasis.ValueType
    power_kw: int
    position: int
    document: str


@dataclass(slots=True)
class Certificate:
    """A certificate, the day on which it takes effect, and what remains of it."""

    milestone: str
    effective_date: dt.date
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

        The day itself if nothing was certified by then.
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
            if milestone.pending.lowest() < 0:
                message = f"more of milestone {name} is certified on a day than was claimed by then"
                yield Violation(Rule.TIME_02, "position", message)
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


@dataclass(slots=True)
class Contribution:
    """A capital contribution: what remains of it, None if it is not disclosed, and its currency."""

    remaining_minor: int | None
    currency: str


@dataclass(slots=True)
class Issuance:
    """Shares issued under one security, and what of them can still be taken back.

    Attributes:
        class_stream: stream of the class of the shares.
        price_per_share: price of a share, in units of the currency.
        currency: currency of the issuance.
        outstanding: shares neither rescinded nor repurchased.
        held: the same, by day.
        remaining_minor: amount that is not rescinded, in minor units.
    """

    class_stream: str
    price_per_share: DecimalMessage
    currency: str
    outstanding: Decimal
    held: DatedBalance
    remaining_minor: int


class Equity:
    """The equity part of an agreement's state."""

    def __init__(self) -> None:
        self.called_minor = 0
        self.calls: dict[str, str] = {}
        self.contributions: dict[str, Contribution] = {}
        self.issuances: dict[str, Issuance] = {}
        self._missing: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing was called, funded or issued."""
        return not (self.calls or self.contributions or self.issuances)

    def missing(self, what: str) -> None:
        """Note that a fact refers to something that does not stand any more."""
        self._missing.append(what)

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        for what in self._missing:
            yield wrong_state("position", f"facts recorded later depend on {what}")
        for number, contribution in self.contributions.items():
            if contribution.remaining_minor is not None and contribution.remaining_minor < 0:
                message = f"more of contribution {number} is returned than was funded"
                yield Violation(Rule.INV_03, "amount", message)
        for security, issuance in self.issuances.items():
            if issuance.outstanding < 0:
                message = f"more shares of {security} are taken back than were issued"
                yield Violation(Rule.INV_05, "shares", message)
            if issuance.remaining_minor < 0:
                message = f"a larger amount of {security} is rescinded than was issued"
                yield Violation(Rule.INV_05, "amount", message)


class Agreement:
    """State of the stream agreements/{agreement}."""

    def __init__(self) -> None:
        self.status = Status.NONE
        self.terms = AgreementTerms()
        self.amendments = 0
        self.has_baseline = False
        self.executed: Record | None = None
        self.satisfied: dict[tuple[int, int], Record] = {}
        self.capacity = Capacity()
        self.equity = Equity()

    @property
    def exists(self) -> bool:
        """Whether terms are recorded."""
        return self.status is not Status.NONE

    @property
    def in_force(self) -> bool:
        """Whether the agreement stands: neither ended nor superseded."""
        return self.status in (Status.LETTER_OF_INTENT, Status.DEFINITIVE)

    @property
    def definitive(self) -> bool:
        """Whether a definitive agreement is in force."""
        return self.status is Status.DEFINITIVE

    @property
    def binding(self) -> bool:
        """Whether the agreement stands and binds. A letter of intent never does."""
        return self.definitive and self.terms.binding

    @property
    def currency(self) -> str:
        """Currency of the investment; empty if none is agreed."""
        return self.terms.investment_commitment.currency_code or (
            self.terms.tranches[0].amount.currency_code if self.terms.tranches else ""
        )

    def party(self, role: Role.ValueType) -> str:
        """Return the party in a role; empty if there is none."""
        return next((entry.party for entry in self.terms.parties if entry.role == role), "")

    def tranche(self, number: int) -> Tranche | None:
        """Return a tranche by its number."""
        return next((entry for entry in self.terms.tranches if entry.number == number), None)

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if not self.exists and (self.capacity.milestones or not self.equity.empty):
            yield wrong_state("position", "facts recorded under the agreement depend on it")
        yield from self.capacity.invariants()
        yield from self.equity.invariants()
        for number, index in self.satisfied:
            tranche = self.tranche(number)
            if tranche is None or index > len(tranche.conditions):
                yield unknown("position", "the condition of tranche", f"{number}/{index}")
