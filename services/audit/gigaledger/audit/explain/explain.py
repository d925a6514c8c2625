"""The events behind a figure: the amount of each, and the effect of a rule on their sum."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from gigaledger.audit.recompute.figure_sheet import Figure, FigureKey, Number, Value
from gigaledger.audit.recompute.history import Entry, History

SHORT_NAMES = {
    "round-trip.funded": "round-trip.cash.investment",
    "round-trip.called": "round-trip.accrual.investment",
    "round-trip.committed": "round-trip.commitment.investment",
    "round-trip.net": "round-trip.cash.net_balance",
    "round-trip.recycled": "round-trip.cash.recycled",
}
"""Common names of figures, and their names in the contract."""


class UnknownFigureError(LookupError):
    """There is no figure of that name: the text lists those that are."""


@dataclass(frozen=True, slots=True)
class Line:
    """The contribution of one event to a figure.

    Attributes:
        entry: the event.
        amount: signed, in the unit of the figure; None if undisclosed.
    """

    entry: Entry
    amount: Number | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A figure and its events.

    Attributes:
        key: the figure.
        value: its value.
        unit: unit of the value and of each line; empty if it has none.
        lines: one per event, in order of position; None if the figure is no sum of events, such as
            a ratio, a date or a name.
    """

    key: FigureKey
    value: Value
    unit: str
    lines: tuple[Line, ...] | None

    @property
    def events_total(self) -> Number:
        """The sum of the events."""
        return sum((line.amount or 0 for line in self.lines or ()), 0)

    @property
    def by_rule(self) -> Number:
        """The difference between the figure and the sum of its events.

        It comes from a rule such as a cap, a floor of zero, or rounding; 0 if the figure is the
        sum.
        """
        return self.value - self.events_total if isinstance(self.value, int) else 0


def names(figures: Mapping[FigureKey, Figure]) -> list[str]:
    """Return the names of all figures, in order."""
    return sorted({f"{key.section}.{key.name}" for key in figures})


def explain(
    history: History, figures: Mapping[FigureKey, Figure], name: str, about: Mapping[str, str]
) -> list[Explanation]:
    """Return the figures of a name, each with its events.

    Args:
        history: the history that they were made from.
        figures: traced figures.
        name: e.g. "round-trip.paid"; a figure of capacity may leave out "_kw".
        about: only figures about this, e.g. {"agreement": "AGR-DA"}.

    Raises:
        UnknownFigureError: there is no figure of that name, or none about this.
    """
    known = names(figures)
    full = SHORT_NAMES.get(name, name)
    full = full if full in known or f"{full}_kw" not in known else f"{full}_kw"
    if full not in known:
        listed = "\n".join(f"  {one}" for one in known)
        raise UnknownFigureError(f"there is no figure {name!r}. There are:\n{listed}")
    attributes = set(about.items())
    found = [
        _explanation(history, key, figure)
        for key, figure in sorted(figures.items(), key=lambda item: item[0])
        if f"{key.section}.{key.name}" == full and attributes <= set(key.of)
    ]
    if not found:
        there = sorted(str(key) for key in figures if f"{key.section}.{key.name}" == full)
        listed = "\n".join(f"  {one}" for one in there)
        raise UnknownFigureError(f"no figure {full!r} is about this. There are:\n{listed}")
    return found


def _explanation(history: History, key: FigureKey, figure: Figure) -> Explanation:
    if figure.parts is None:
        return Explanation(key, figure.value, figure.unit, None)
    amounts: dict[int, Number | None] = {}
    for part in figure.parts:
        before = amounts.get(part.position)
        known = [amount for amount in (before, part.amount) if amount is not None]
        amounts[part.position] = sum(known, 0) if known else None
    # Undisclosed amounts are shown; amounts that cancel out within one event are not.
    lines = tuple(
        Line(history.entry(position), amounts[position])
        for position in sorted(amounts)
        if amounts[position] != 0
    )
    return Explanation(key, figure.value, figure.unit, lines)


def position_known_on(history: History, day: dt.date) -> int:
    """Return the last position recorded on or before a day (UTC); 0 if there is none."""
    low, high = 0, history.position
    while low < high:
        middle = (low + high + 1) // 2
        if history.recorded_on(middle) <= day:
            low = middle
        else:
            high = middle - 1
    return low
