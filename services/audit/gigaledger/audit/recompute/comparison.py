"""Every published figure, recomputed from the facts and compared with what is published.

This is a second fold, written from the domain rules (section 2). It shares no code with the
projections and reads none of their tables, so an error would have to be made twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gigaledger.audit.recompute.capacity import capacity
from gigaledger.audit.recompute.circular_flows import circular_flows
from gigaledger.audit.recompute.figure_sheet import Figure, FigureKey, Value
from gigaledger.audit.recompute.history import History, HistoryError, View
from gigaledger.audit.recompute.investment import investment
from gigaledger.audit.recompute.round_trip import round_trip
from gigaledger.v1.events_pb2 import RecordedEvent

__all__ = ["Difference", "Figures", "HistoryError", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A published figure that differs from the facts.

    Attributes:
        key: the figure.
        own: its value by the facts; None if it has none.
        published: the published value.
        position: the position that both reflect.
        missing: empty if both sides have the figure, else "own" or "published".
    """

    key: FigureKey
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
            HistoryError: its position is not the next one, or its fact or status is unknown.
        """
        self.history.add(recorded)

    def at(
        self,
        position: int | None = None,
        *,
        as_of: dt.date | None = None,
        statuses: Collection[str] = (),
        traced: bool = False,
    ) -> dict[FigureKey, Figure]:
        """Return every figure that is a sum of facts, that is all but those of circular flows.

        Args:
            position: as known at this position; None for the last one.
            as_of: only facts effective by this day; None for all.
            statuses: only facts of these statuses ("FACT", "PLAN"); empty for all.
            traced: whether figures list their events.

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
    ) -> dict[FigureKey, Figure]:
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
        published: Mapping[FigureKey, Value],
        position: int,
        *,
        as_of: dt.date | None = None,
        statuses: Collection[str] = (),
    ) -> list[Difference]:
        """Return the differences between published figures and those of the facts, by name.

        Args:
            published: published figures (see `gigaledger.audit.verify.published.ask`).
            position: the position that they reflect.
            as_of: the as-of date of the query; None if it had none.
            statuses: the statuses of the query; empty if it named none.

        Raises:
            HistoryError: events up to that position are missing.
        """
        own = self.at(position, as_of=as_of, statuses=statuses)
        own |= self.flows_at(position, as_of=as_of, statuses=statuses)
        return differences({key: figure.value for key, figure in own.items()}, published, position)


def differences(
    own: Mapping[FigureKey, Value], published: Mapping[FigureKey, Value], position: int
) -> list[Difference]:
    """Return the differences between two sets of figures, by name.

    Args:
        own: figures by the facts.
        published: published figures.
        position: the position that both reflect.
    """
    found = []
    for key in sorted(own.keys() | published.keys()):
        missing = "own" if key not in own else "published" if key not in published else ""
        if missing or own[key] != published[key]:
            found.append(Difference(key, own.get(key), published.get(key), position, missing))
    return found
