"""Folding entries into the state of their stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gigaledger.ledger.domain.catalogue import FACT_TYPES, REVERSAL, new_state
from gigaledger.ledger.domain.entries import Entry


def fold(stream: str, entries: Iterable[Entry]) -> Any:
    """Return the state of a stream: the fold of its entries that are not reversed.

    Args:
        stream: name of the stream.
        entries: its entries and those linked to it, in order of position.

    Raises:
        ValueError: no fact is recorded in streams of this name.
    """
    held = list(entries)
    reversed_positions = {entry.fact.position for entry in held if entry.kind == REVERSAL}
    state = new_state(stream)
    for entry in held:
        if entry.kind != REVERSAL and entry.position not in reversed_positions:
            apply(state, entry, stream)
    return state


def apply(state: Any, entry: Entry, stream: str) -> None:
    """Fold an entry into the state of its own stream, or of one that it is linked to."""
    fact_type = FACT_TYPES[entry.kind]
    if entry.stream == stream:
        fact_type.apply(state, entry)
    elif fact_type.apply_link is not None:
        fact_type.apply_link(state, entry)
    else:
        raise ValueError(f"{entry.kind} of {entry.stream} is not linked to {stream}")
