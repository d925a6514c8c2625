"""Replays and explanations as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gigaledger.audit.explain.explain import Explanation, Line
from gigaledger.audit.explain.replay import AMOUNTS, Step
from gigaledger.audit.recompute.figure_sheet import Number, ten_places
from gigaledger.cli.audit.proofs import Proofs
from gigaledger.cli.formats import amount, billions, gigawatts, kilowatts
from gigaledger.cli.output import add_row, table
from gigaledger.common.quantities import money_to_message
from rich.console import RenderableType
from rich.table import Table

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


def explanations(
    found: Iterable[Explanation], proofs: Proofs | None = None
) -> Iterator[RenderableType]:
    """Yield a table for each figure, whose lines add up to it; with proofs, they say so."""
    proven = ["proven"] if proofs is not None else []
    blank = [""] * len(proven)
    for one in found:
        if one.lines is None:
            yield (
                f"{one.key} is {'not given' if one.value in (None, '') else one.value}"
                f"{f' {one.unit}' if one.unit else ''}: it is made of other figures, not of events."
                " docs/figures.md says how."
            )
            continue
        made = table(
            str(one.key),
            *("position", "effective", "fact", "event", *proven, one.unit),
            numbers_from=4 + len(proven),
        )
        for line in one.lines:
            entry = line.entry
            cells = [f"{entry.position:,}", entry.day.isoformat(), entry.kind, entry.event_id]
            if proofs is not None:
                cells.append("yes" if entry.position in proofs.by_position else "not sealed yet")
            add_row(made, [*cells, _shown(line.amount, one.unit)])
        if one.by_rule:
            add_row(
                made,
                ["", "", "(rule: cap, floor, rounding)", "", *blank, _shown(one.by_rule, one.unit)],
            )
        made.add_section()
        value = one.value if isinstance(one.value, int) else None
        add_row(made, ["", "", "the figure", "", *blank, _shown(value, one.unit)])
        yield made


def explanation_json(
    one: Explanation, position: int, proofs: Proofs | None = None
) -> dict[str, Any]:
    """Return a figure and its events for programs. Fractions are written as such, e.g. "10/53".

    With proofs, each event has one, or null if it is not sealed yet.
    """
    sealed = {} if proofs is None else {"checkpoint": proofs.note}
    return sealed | {
        "figure": f"{one.key.section}.{one.key.name}",
        "of": dict(one.key.of),
        "unit": one.unit,
        "value": None if one.value is None else str(one.value),
        "position": str(position),
        "events": None if one.lines is None else [_line_json(line, proofs) for line in one.lines],
        "byRule": str(one.by_rule),
    }


def _line_json(line: Line, proofs: Proofs | None) -> dict[str, Any]:
    entry = line.entry
    proven: dict[str, Any] = {}
    if proofs is not None:
        proof = proofs.by_position.get(entry.position)
        proven = {"proof": proof.as_json() if proof else None}
    return proven | {
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
