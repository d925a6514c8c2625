"""Parties: the legal entities of a book."""

from __future__ import annotations

from gigaledger.ledger.domain.book_view import BookView, Violations, wrong_state
from gigaledger.ledger.domain.entries import Entry


class Party:
    """State of the stream parties/{party}."""

    def __init__(self) -> None:
        self.exists = False
        self.followed = False

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        if self.followed and not self.exists:
            yield wrong_state("position", "facts recorded about the party depend on it")


def decide_registered(state: Party, entry: Entry, _given: BookView) -> Violations:
    """Decide on PartyRegistered."""
    if state.exists:
        yield wrong_state("party", f"party {entry.fact.party} is registered already")


def apply_registered(state: Party, _entry: Entry) -> None:
    """Fold PartyRegistered."""
    state.exists = True


def apply_followed(state: Party, _entry: Entry) -> None:
    """Fold the facts that say more of a registered party."""
    state.followed = True
