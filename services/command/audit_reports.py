"""Replays and explanations as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from services.audit.explain import Explanation, Line
from services.audit.replay import AMOUNTS, Step
from services.audit.sums import Number, ten_places
from services.command.formats import amount, billions, gigawatts, kilowatts
from services.command.output import add_row, table
from services.quantities import money_to_message

_CURRENCY_LETTERS = 3


def replay_table(steps: Iterable[Step]) -> Table:
    """Return a line for each step and currency: GW, and amounts in billions."""
    made = table(
        "Balances as they grow: GW, and billions of the currency",
        "position",
        "date",
        "certified GW",
        "currency",
        *AMOUNTS,
        numbers_from=2,
    )
    for step in steps:
        certified = [
            gigawatts(kw) + ("" if len(step.certified_kw) == 1 else f" {place.lower()}")
            for place, kw in step.certified_kw.items()
            if kw or len(step.certified_kw) == 1
        ]
        for currency, amounts in step.amounts.items() or [("", {})]:
            cells = [
                billions(money_to_message(amounts[name], currency)) if currency else ""
                for name in AMOUNTS
            ]
            first = [f"{step.position:,}", step.date.isoformat(), "; ".join(certified) or "0.00"]
            add_row(made, [*first, currency, *cells])
    return made


def step_json(step: Step) -> dict[str, Any]:
    """Return a step for programs: whole kilowatts, and minor units as strings."""
    return {
        "position": str(step.position),
        "date": step.date.isoformat(),
        "certifiedKw": {place: str(kw) for place, kw in step.certified_kw.items()},
        "amountsMinor": {
            currency: {name: str(value) for name, value in amounts.items()}
            for currency, amounts in step.amounts.items()
        },
        "hypothetical": step.hypothetical,
    }


def explanations(found: Iterable[Explanation]) -> Iterator[RenderableType]:
    """Yield a table for each figure, whose lines add up to it."""
    for one in found:
        if one.lines is None:
            yield (
                f"{one.key} is {'not given' if one.value in (None, '') else one.value}"
                f"{f' {one.unit}' if one.unit else ''}: it is made of other figures, not of events."
                " docs/figures.md says how."
            )
            continue
        made = table(
            str(one.key), "position", "effective", "fact", "event", one.unit, numbers_from=4
        )
        for line in one.lines:
            entry = line.entry
            cells = [f"{entry.position:,}", entry.day.isoformat(), entry.kind, entry.event_id]
            add_row(made, [*cells, _shown(line.amount, one.unit)])
        if one.by_rule:
            add_row(
                made, ["", "", "(rule: cap, floor, rounding)", "", _shown(one.by_rule, one.unit)]
            )
        made.add_section()
        value = one.value if isinstance(one.value, int) else None
        add_row(made, ["", "", "the figure", "", _shown(value, one.unit)])
        yield made


def explanation_json(one: Explanation, position: int) -> dict[str, Any]:
    """Return a figure and its events for programs. Fractions are written as such, e.g. "10/53"."""
    return {
        "figure": f"{one.key.section}.{one.key.name}",
        "of": dict(one.key.of),
        "unit": one.unit,
        "value": None if one.value is None else str(one.value),
        "position": str(position),
        "events": None if one.lines is None else [_line_json(line) for line in one.lines],
        "byRule": str(one.by_rule),
    }


def _line_json(line: Line) -> dict[str, Any]:
    entry = line.entry
    return {
        "position": str(entry.position),
        "eventId": entry.event_id,
        "effectiveDate": entry.day.isoformat(),
        "fact": entry.kind,
        "status": entry.status,
        "amount": None if line.amount is None else str(line.amount),
    }


def _shown(number: Number | None, unit: str) -> str:
    if number is None:
        return "not disclosed"
    if isinstance(number, Fraction) and number.denominator != 1:
        return f"{Decimal(ten_places(number)):,f}"
    if len(unit) == _CURRENCY_LETTERS and unit.isupper():
        return amount(money_to_message(int(number), unit))
    return kilowatts(int(number)) if unit == "kW" else f"{int(number):,}"
