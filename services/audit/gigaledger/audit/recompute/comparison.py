"""Every published figure, recomputed from the facts alone, and held against what is published.

This is a second fold, written from the domain rules (section 2) and not from the projections: it
shares no code with them and reads no table of theirs. An error would have to be made twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gigaledger.audit.recompute.capacity import capacity
from gigaledger.audit.recompute.circular_flows import circular_flows
from gigaledger.audit.recompute.figure_sheet import Figure, Key, Value
from gigaledger.audit.recompute.history import History, HistoryError, View
from gigaledger.audit.recompute.investment import investment
from gigaledger.audit.recompute.round_trip import round_trip
from gigaledger.v1.events_pb2 import RecordedEvent

__all__ = ["Difference", "Figures", "HistoryError", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A published figure that is not what the facts give.

    Attributes:
        key: the figure.
        own: its value by the facts; None where it has none.
        published: the value that was published.
        position: the position up to which both are.
        missing: "" where both give the figure; "own" or "published", where that side has none.
    """

    key: Key
    own: Value
    published: Value
    position: int
    missing: str = ""

    def __str__(self) -> str:
        own = "no such figure" if self.missing == "own" else repr(self.own)
        published = "no such figure" if self.missing == "published" else repr(self.published)
        return (
            f"{self.key}: the facts up to position {self.position} give {own}, "
            f"published is {published}"
        )


class Figures:
    """Recomputes every figure from recorded events, added one after another."""

    def __init__(self) -> None:
        self.history = History()

    @property
    def position(self) -> int:
        """Position of the last event that was added; 0 before the first."""
        return self.history.position

    def add(self, recorded: RecordedEvent) -> None:
        """Add the next event of the log.

        Raises:
            HistoryError: its position is not the next one, or its fact is unknown.
        """
        self.history.add(recorded)

    def at(
        self,
        position: int | None = None,
        *,
        as_of: dt.date | None = None,
        statuses: Collection[str] = (),
        traced: bool = False,
    ) -> dict[Key, Figure]:
        """Return every figure that is a sum of facts: all but those of circular flows.

        Args:
            position: as known at this position; at the last one where None.
            as_of: only facts effective by this day; all where None.
            statuses: only facts of these statuses ("FACT", "PLAN"); all where empty.
            traced: whether figures name the events that they are made of.

        Raises:
            HistoryError: there is no such position.
        """
        view = self._view(position, as_of, statuses, traced=traced)
        return (
            capacity(view).figures
            | investment(view).figures
            | round_trip(view, by_entity=False).figures
            | round_trip(view, by_entity=True).figures
        )

    def flows_at(
        self,
        position: int | None = None,
        *,
        as_of: dt.date | None = None,
        statuses: Collection[str] = (),
    ) -> dict[Key, Figure]:
        """Return every figure of circular flows; for arguments and errors see `at`."""
        view = self._view(position, as_of, statuses)
        return (
            circular_flows(view, by_entity=False).figures
            | circular_flows(view, by_entity=True).figures
        )

    def _view(
        self,
        position: int | None,
        as_of: dt.date | None,
        statuses: Collection[str],
        *,
        traced: bool = False,
    ) -> View:
        known = self.position if position is None else position
        return View(self.history, known, as_of, frozenset(statuses) or None, traced=traced)

    def compare(
        self,
        published: Mapping[Key, Value],
        position: int,
        *,
        as_of: dt.date | None = None,
        statuses: Collection[str] = (),
    ) -> list[Difference]:
        """Return where published figures differ from those of the facts, in order of name.

        Args:
            published: what was published (see `gigaledger.audit.verify.published.ask`).
            position: the position that it reflects.
            as_of: the effective date that was asked for; None where none was.
            statuses: the statuses that were asked for; empty where none were.

        Raises:
            HistoryError: the events up to that position were not added.
        """
        own = self.at(position, as_of=as_of, statuses=statuses)
        own |= self.flows_at(position, as_of=as_of, statuses=statuses)
        return differences({key: figure.value for key, figure in own.items()}, published, position)


def differences(
    own: Mapping[Key, Value], published: Mapping[Key, Value], position: int
) -> list[Difference]:
    """Return where two sets of figures differ, in order of name.

    Args:
        own: figures by the facts.
        published: published figures.
        position: the position up to which both are.
    """
    found = []
    for key in sorted(own.keys() | published.keys()):
        missing = "own" if key not in own else "published" if key not in published else ""
        if missing or own[key] != published[key]:
            found.append(Difference(key, own.get(key), published.get(key), position, missing))
    return found
