"""What is watched of milestones, sites and hardware: SX-CAP-02 to SX-CAP-04."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from gigaledger.audit.exceptions.postings import Posting, Standing, Thresholds
from gigaledger.audit.exceptions.rule_types import Broken, Family
from gigaledger.v1.common_pb2 import CapacityLayer

_PLANNED, _CLAIMED = "capacity_milestone_planned", "capacity_milestone_claimed"
_REJECTED, _CERTIFIED = "capacity_claim_rejected", "capacity_milestone_certified"
_WITHDRAWN, _RETIRED = "capacity_certification_reversed", "capacity_retired"
_GOODS = {"goods_received": 1, "goods_returned": -1}
_PPM = 1_000_000


class _Lasting:
    """A subject that time alone does not change."""

    def turning_days(self) -> Collection[dt.date]:
        """Return no days."""
        return ()


@dataclass
class Milestone(_Lasting):
    """A milestone, in kilowatts.

    `answered_kw` is what certificates have answered of its claims: one that is withdrawn leaves a
    claim answered, and the next certificate takes its place first.
    """

    planned_kw: int = 0
    claimed_kw: int = 0
    withdrawn_kw: int = 0
    answered_kw: int = 0
    claims: list[int] = field(default_factory=list)
    certificates: list[int] = field(default_factory=list)

    def add(self, posting: Posting, _standing: Standing) -> None:
        """Add the next posting."""
        power_kw = posting.fact.power_kw
        match posting.kind:
            case "capacity_milestone_planned":
                self.planned_kw += power_kw
            case "capacity_milestone_claimed":
                self.claimed_kw += power_kw
                self.claims.append(posting.position)
            case "capacity_claim_rejected":
                self.claimed_kw -= power_kw
            case "capacity_milestone_certified":
                again = min(self.withdrawn_kw, power_kw)
                self.withdrawn_kw -= again
                self.answered_kw += power_kw - again
                self.certificates.append(posting.position)
            case "capacity_certification_reversed":
                self.withdrawn_kw += power_kw

    def broken(self, _thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield which rules are broken."""
        if self.certificates and self.answered_kw != self.claimed_kw:
            yield Broken("SX-CAP-02", "", (*self.claims, *self.certificates))
        if 0 < self.planned_kw < self.claimed_kw:
            yield Broken("SX-CAP-04", "", tuple(self.claims))


def _milestones(posting: Posting, standing: Standing) -> Iterator[str]:
    fact = posting.fact
    if posting.kind == _WITHDRAWN:
        name = (fact.agreement, fact.certifier, fact.certificate)
        certificate = standing.latest("certificate", name, posting.position)
        milestone = certificate.fact.milestone if certificate is not None else ""
    else:
        milestone = fact.milestone
    if milestone:
        yield f"agreements/{fact.agreement}/milestones/{milestone}"


@dataclass
class Site(_Lasting):
    """A site in one layer and basis: claims by agreement."""

    claims: dict[str, list[int]] = field(default_factory=dict)

    def add(self, posting: Posting, standing: Standing) -> None:
        """Add a claim; those under agreements whose place its own took are the same capacity."""
        agreement = posting.fact.agreement
        executed = standing.latest("executed", agreement, posting.position)
        for name in executed.fact.supersedes if executed is not None else ():
            self.claims.pop(name, None)
        self.claims.setdefault(agreement, []).append(posting.position)

    def broken(self, _thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield capacity that is claimed under several agreements (SX-CAP-04)."""
        if len(self.claims) > 1:
            behind = tuple(one for claims in self.claims.values() for one in claims)
            yield Broken("SX-CAP-04", "", behind)


def _sites(posting: Posting, _standing: Standing) -> Iterator[str]:
    fact = posting.fact
    if fact.site:
        layer = CapacityLayer.Name(fact.capacity_layer).removeprefix("CAPACITY_LAYER_")
        layer = "CHIP_SUPPLY" if layer == "UNSPECIFIED" else layer
        yield f"sites/{fact.site}/layers/{layer}:{fact.power_basis}"


@dataclass
class Hardware(_Lasting):
    """An agreement: what is certified, and what the racks received can carry, by basis."""

    certified_kw: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    carried_kw: dict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    unrated: bool = False
    certificate: int = 0

    def add(self, posting: Posting, standing: Standing) -> None:
        """Add the next posting; racks are rated as they were when they were received."""
        fact = posting.fact
        if posting.kind == _CERTIFIED:
            self.certified_kw[fact.power_basis] += fact.power_kw
            self.certificate = posting.position
        elif posting.kind in (_WITHDRAWN, _RETIRED):
            self.certified_kw[fact.power_basis] -= fact.power_kw
        elif posting.kind in _GOODS:
            order = standing.order(posting)
            lines = order.fact.lines if order is not None else ()
            sku = next((line.sku for line in lines if line.line == fact.line), "")
            rated = standing.latest("rating", sku, posting.position)
            if rated is None:
                self.unrated = True
                return
            of = rated.fact
            each = Fraction(of.rated_power_kw_numerator, of.rated_power_kw_denominator)
            self.carried_kw[of.power_basis] += _GOODS[posting.kind] * fact.quantity * each

    def broken(self, thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield certified capacity that the racks do not bear out (SX-CAP-03)."""
        limit = thresholds.of("hardware_tolerance_ppm")
        if limit is None or self.unrated:
            return
        for basis, carried_kw in self.carried_kw.items():
            certified_kw = self.certified_kw.get(basis, 0)
            if certified_kw > 0 and abs(certified_kw - carried_kw) * _PPM > limit * carried_kw:
                yield Broken("SX-CAP-03", str(basis), (self.certificate,))


def _of_agreements(posting: Posting, standing: Standing) -> Iterator[str]:
    if posting.kind in _GOODS:
        order = standing.order(posting)
        agreement = order.fact.agreement if order is not None else ""
    else:
        agreement = posting.fact.agreement
    if agreement:
        yield f"agreements/{agreement}"


MILESTONES = Family(
    rules=frozenset({"SX-CAP-02", "SX-CAP-04"}),
    kinds=frozenset({_PLANNED, _CLAIMED, _REJECTED, _CERTIFIED, _WITHDRAWN}),
    subjects=_milestones,
    new=lambda _name: Milestone(),
)
SITES = Family(
    rules=frozenset({"SX-CAP-04"}),
    kinds=frozenset({_CLAIMED}),
    subjects=_sites,
    new=lambda _name: Site(),
)
HARDWARE = Family(
    rules=frozenset({"SX-CAP-03"}),
    kinds=frozenset({_CERTIFIED, _WITHDRAWN, _RETIRED, *_GOODS}),
    subjects=_of_agreements,
    new=lambda _name: Hardware(),
)
