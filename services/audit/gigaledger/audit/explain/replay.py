"""Replay: the main balances as they grow, by position or by month."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gigaledger.audit.recompute.comparison import Figures
from gigaledger.audit.recompute.figure_sheet import Figure, FigureKey
from gigaledger.audit.recompute.history import View

_COLUMNS = {
    ("investment.total", "entitled"): "entitled",
    ("investment.total", "called"): "called",
    ("investment.total", "funded"): "funded",
    ("round-trip", "ordered"): "ordered",
    ("round-trip", "invoiced"): "invoiced",
    ("round-trip", "paid"): "paid",
    ("round-trip", "cash.net_balance"): "net",
}
AMOUNTS = tuple(_COLUMNS.values())
"""Balances of each currency, in minor units; `net` is paid less funded in cash, by pair."""
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Step:
    """The balances at one point of the replay.

    Attributes:
        position: the last position that is known.
        date: the last effective date that counts, or else the day on which the position was
            recorded.
        certified_kw: net certified capacity by layer and basis ("CHIP_SUPPLY, IT_CRITICAL_LOAD").
        amounts: by currency, each of `AMOUNTS` in minor units.
        hypothetical: whether they rest on a plan or an assumption.
    """

    position: int
    date: dt.date
    certified_kw: dict[str, int]
    amounts: dict[str, dict[str, int]]
    hypothetical: bool


def by_position(figures: Figures, every: int, as_of: dt.date | None) -> Iterator[Step]:
    """Yield the balances as known at every n-th position, and at the last one."""
    last = figures.position
    for position in (*range(every, last, every), last):
        yield _step(figures, position, as_of)


def by_month(figures: Figures, as_of: dt.date | None) -> Iterator[Step]:
    """Yield the balances at the end of each month in which something took effect.

    As known at the last position.
    """
    view = View(figures.history, figures.position, as_of)
    months = {(entry.day.year, entry.day.month) for entry in view.every_counted()}
    for year, month in sorted(months):
        following = dt.date(year + month // _DECEMBER, month % _DECEMBER + 1, 1)
        end = following - dt.timedelta(days=1)
        yield _step(figures, figures.position, min(end, as_of) if as_of else end)


def _step(figures: Figures, position: int, as_of: dt.date | None) -> Step:
    view = View(figures.history, position, as_of)
    certified: dict[str, int] = {}
    amounts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(AMOUNTS, 0))
    for key, figure in figures.at(position, as_of=as_of).items():
        value = _number(figure)
        if (key.section, key.name) == ("capacity", "certified_kw"):
            certified[_place(key)] = value
        column = _COLUMNS.get((key.section, key.name))
        if column is not None:
            amounts[dict(key.of)["currency_code"]][column] += value
    return Step(
        position,
        view.evaluation_date,
        certified,
        dict(sorted(amounts.items())),
        view.hypothetical(),
    )


def _place(key: FigureKey) -> str:
    return ", ".join(value for _, value in key.of)


def _number(figure: Figure) -> int:
    return figure.value if isinstance(figure.value, int) else 0
