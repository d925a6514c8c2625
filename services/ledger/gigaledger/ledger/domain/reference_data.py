"""Reference data: ratings of racks, sites, valuations. Observations without rules of their own."""

from __future__ import annotations

from gigaledger.ledger.domain.book_view import BookView, Violations
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation


class ReferenceData:
    """State of the streams rackSkus/{sku}, sites/{site} and issuers/{issuer}."""

    def __init__(self) -> None:
        self.exists = False

    def invariants(self) -> Violations:
        """Yield nothing: such facts do not depend on each other."""
        yield from ()


def apply_recorded(state: ReferenceData, _entry: Entry) -> None:
    """Fold RackSkuRated, SiteEnergised and ValuationDetermined."""
    state.exists = True


def decide_rated(_state: ReferenceData, entry: Entry, _given: BookView) -> Violations:
    """Decide on RackSkuRated."""
    if entry.fact.gpu_count and not entry.fact.gpu_basis:
        yield Violation(Rule.TYPE_03, "gpu_basis", "is required with gpu_count")
