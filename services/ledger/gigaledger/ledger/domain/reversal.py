"""Reversals: an entry was recorded in error and no longer counts.

A reversal is in the stream of its target, takes the target's effective date, and undoes all of it.
It is refused if later facts depend on the target: those are reversed first.
"""

from __future__ import annotations

from gigaledger.ledger.domain.book_view import Violations, minor, wrong_state
from gigaledger.ledger.domain.catalogue import REVERSAL
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.folding import fold
from gigaledger.ledger.domain.pending import Pending
from gigaledger.ledger.domain.refusals import Rule, Violation

_IRREVERSIBLE = {
    "book_opened": "the opening of the book is not reversed",
    "policy_adopted": "a policy is not reversed: adopt another",
}


def unknown_target(position: int, head: int) -> Violation:
    """Return the refusal of a reversal of something that is not there."""
    message = f"there is no earlier entry at position {position}"
    values = {"position": str(position), "head": str(head)}
    return Violation(Rule.REV_01, "position", message, values)


def decide(entry: Entry, target: Entry, recorded: Pending) -> Violations:
    """Decide on EntryReversed.

    Args:
        entry: the reversal.
        target: the entry that it names.
        recorded: everything before it.
    """
    position = target.position
    if target.kind == REVERSAL:
        message = f"position {position} is itself a reversal: record the fact again"
        yield Violation(Rule.REV_03, "position", message, {"position": str(position)})
        return
    reversal = recorded.reversal_of(position)
    if reversal is not None:
        message = f"position {position} is reversed already, by position {reversal}"
        values = {"position": str(position), "reversed_by": str(reversal)}
        yield Violation(Rule.REV_02, "position", message, values)
        return
    if target.kind in _IRREVERSIBLE:
        yield wrong_state("position", _IRREVERSIBLE[target.kind], position=str(position))
        return
    yield from _full_original(entry, target)
    without = [other for other in recorded.entries(target.stream) if other.position != position]
    yield from fold(target.stream, without).invariants()
    dependant = recorded.dependant(target)
    if dependant is not None:
        message = f"position {dependant}, in another stream, refers to it"
        yield wrong_state("position", message, dependant=str(dependant))


def _full_original(entry: Entry, target: Entry) -> Violations:
    """Yield what HR-REV-04 has against a reversal."""
    if entry.effective_date != target.effective_date:
        message = (
            f"is {entry.effective_date}; a reversal takes the date of the original: "
            f"{target.effective_date}"
        )
        values = {"effective_date": str(target.effective_date)}
        yield Violation(Rule.REV_04, "effective_date", message, values)
    if entry.fact.HasField("amount"):
        original = getattr(target.fact, "amount", None)
        if original != entry.fact.amount:
            shown = "none" if original is None else f"{minor(original)} minor units"
            message = f"is not the amount of the original, which is {shown}: reverse it in full"
            yield Violation(Rule.REV_04, "amount", message, {"original": shown})
