"""`gigaledger report warrants` as tables for people."""

from __future__ import annotations

from collections.abc import Iterable

from gigaledger.cli.formats import condition, day, figure, money, printable, shares
from gigaledger.cli.output import add_row, printable_lines, table
from gigaledger.v1.projections_pb2 import (
    QueryWarrantsResponse,
    WarrantConditionFigures,
    WarrantFigures,
    WarrantTrancheFigures,
)
from rich.console import RenderableType


def warrant_tables(response: QueryWarrantsResponse) -> list[RenderableType]:
    """Return for each warrant its figures, its tranches, and what the next one needs to vest."""
    if not response.warrants:
        return ["No warrant is recorded that this report would count."]
    return [part for item in response.warrants for part in _warrant(item)]


def _warrant(item: WarrantFigures) -> Iterable[RenderableType]:
    share_class = f", class {item.share_class}" if item.share_class else ""
    agreement = f", under {item.agreement}" if item.agreement else ""
    made = table(
        f"Warrant {item.warrant}: {item.holder} may buy shares of {item.issuer}{share_class}"
        f"{agreement}",
        "",
        "shares",
    )
    for label, count in (
        ("granted", item.granted),
        ("vested", item.vested),
        ("exercisable", item.exercisable),
        ("exercised", item.exercised),
        ("lapsed", item.lapsed),
        ("outstanding", item.outstanding),
    ):
        add_row(made, [label, shares(count)])
    yield made
    yield printable_lines("\n".join(_terms(item)))
    tranches = table(
        f"Tranches of {item.warrant}",
        *("no.", "shares", "vested", "exercisable", "exercised", "lapsed"),
    )
    for step in item.tranches:
        counts = (step.vested, step.exercisable, step.exercised)
        granted = shares(step.shares) if step.HasField("shares") else "undisclosed"
        cells = [str(step.tranche), granted, *(shares(count) for count in counts)]
        add_row(tranches, [*cells, "yes" if step.lapsed else "no"])
    yield tranches
    yield printable_lines("\n".join(_next_step(item)))


def _terms(item: WarrantFigures) -> Iterable[str]:
    until = f", until {day(item.expiry_date)}" if item.HasField("expiry_date") else ""
    currency = item.exercise_cost.currency_code
    yield f"Granted on {day(item.grant_date)}{until}."
    price = f"{currency} {item.exercise_price.value} a share"
    yield f"Exercise price: {price}, {money(item.exercise_cost)} in all."
    yield f"Paid on exercise, in {currency}: {figure(item.exercise_paid)}."
    if item.HasField("exercisable_value"):
        yield (
            f"Value at that price: {money(item.exercisable_value)} of what is exercisable, "
            f"{money(item.outstanding_value)} of what is outstanding."
        )


def _next_step(item: WarrantFigures) -> Iterable[str]:
    """Yield the conditions that are missing: for the next tranche to vest, and for exercise."""
    if not item.next_tranche:
        yield "Nothing is left to vest."
    for step in item.tranches:
        if step.tranche == item.next_tranche:
            yield from _missing(
                f"Tranche {step.tranche} vests next",
                step.vesting_conditions,
                "every condition holds, but not all of its shares are recorded as vested",
            )
        if _is_vested(step) and not step.lapsed and _open(step.exercise_conditions):
            yield from _missing(
                f"Tranche {step.tranche} is vested and can't be exercised yet",
                step.exercise_conditions,
                "",
            )


def _missing(
    what: str, conditions: Iterable[WarrantConditionFigures], otherwise: str
) -> Iterable[str]:
    missing = _open(conditions)
    if not missing:
        yield f"{what}: {otherwise}."
        return
    yield f"{what}. Missing:"
    yield from (f"  - {printable(condition(item.condition))}" for item in missing)


def _open(conditions: Iterable[WarrantConditionFigures]) -> list[WarrantConditionFigures]:
    return [item for item in conditions if not item.holds]


def _is_vested(step: WarrantTrancheFigures) -> bool:
    return shares(step.vested) != "0"
