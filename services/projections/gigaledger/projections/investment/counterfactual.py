"""The same log under other readings of the terms (domain rules, section 4, item 8). Pure.

A reading changes the terms, and the formulas of investment do the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gigaledger.projections.investment.figures import (
    Evidence,
    Figures,
    Recorded,
    figures_of,
    pro_rata,
    reached,
)
from gigaledger.projections.shared.agreements import AgreementStatus, Condition, Terms
from gigaledger.projections.shared.amounts import Amount

_EXECUTED = (Condition("AGREEMENT_EXECUTED"),)


@dataclass(frozen=True, slots=True)
class Reading:
    """Another reading of the terms.

    Attributes:
        in_proportion: whether capacity entitles in proportion, and not by whole tranches.
        latching: whether an entitlement outlives a decertification; None for as agreed.
        on_signature: whether the definitive agreement opens the first tranche.
    """

    in_proportion: bool = False
    latching: bool | None = None
    on_signature: bool = False

    def of(self, terms: Terms) -> Terms:
        """Return terms as they are read."""
        if self.latching is not None:
            terms = replace(terms, latching=self.latching)
        if self.on_signature and terms.tranches:
            first = min(tranche.number for tranche in terms.tranches)
            terms = replace(
                terms,
                tranches=tuple(
                    replace(tranche, conditions=_EXECUTED) if tranche.number == first else tranche
                    for tranche in terms.tranches
                ),
            )
        return terms


def figures_under(
    reading: Reading,
    status: AgreementStatus | None,
    evidence: Evidence,
    recorded: Recorded,
) -> Figures | None:
    """Return the figures of an agreement under a reading.

    Args:
        reading: the reading.
        status: terms and status of the agreement; None if its terms are in another currency, or
            if it has none.
        evidence: facts on which the conditions of its tranches depend.
        recorded: amounts recorded under it.

    Returns:
        The figures; None if capacity is read in proportion and none is agreed.
    """
    if status is None:
        return figures_of(None, evidence, recorded)
    read = replace(status, terms=reading.of(status.terms))
    if not reading.in_proportion:
        return figures_of(read, evidence, recorded)
    if not read.terms.power_kw:
        return None
    return figures_of(read, evidence, recorded, _in_proportion(reading, read, evidence))


def _in_proportion(reading: Reading, status: AgreementStatus, evidence: Evidence) -> Amount:
    """Return the proportional entitlement; with the signature, at least the first tranche."""
    terms = status.terms
    if not status.binds:
        return Amount()
    measure = evidence.highest_certified_kw if terms.latching else evidence.certified_kw
    committed = Amount(terms.commitment_minor or 0, int(terms.undisclosed))
    share = pro_rata(committed, terms, measure(terms.power_basis))
    if not (reading.on_signature and terms.tranches):
        return share
    first = min(terms.tranches, key=lambda tranche: tranche.number)
    if first.number not in reached(status, evidence):
        return share
    opened = first.amount_minor if terms.undisclosed else min(first.amount_minor, committed.minor)
    return Amount(max(share.minor, opened), share.undisclosed)
