"""Answers about warrants, from the tables of this projection."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gigaledger.common.quantities import currency_exponent, date_to_message, decimal_to_text
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.amounts import Amount, money, total
from gigaledger.projections.warrants.figures import Condition, Tranche, Warrant
from gigaledger.v1.agreement_facts_pb2 import TrancheCondition
from gigaledger.v1.projections_pb2 import (
    QueryWarrantsResponse,
    WarrantConditionFigures,
    WarrantFigures,
    WarrantTrancheFigures,
)
from google.type.decimal_pb2 import Decimal as DecimalMessage

_ROWS = """
    SELECT * FROM {table}
    WHERE {counted} AND (%(warrant)s = '' OR warrant = %(warrant)s)
    ORDER BY warrant COLLATE "C", position, item
"""
_GRANTS, _TRANCHES, _CONDITIONS, _CHANGES = (
    statement(_ROWS, table=f"warrants_{name}")
    for name in ("grant", "tranche", "condition", "change")
)
_Rows = dict[str, list[dict[str, Any]]]


async def query_warrants(
    snapshot: Snapshot, warrant: str, share_price: Decimal | None
) -> QueryWarrantsResponse:
    """Answer QueryWarrants.

    Args:
        snapshot: a snapshot of the projection.
        warrant: the only one to include; empty for all.
        share_price: price of one share in units of each warrant's currency; None for no values.
    """
    grants = await snapshot.rows(_GRANTS, warrant=warrant)
    tranches, conditions, changes = [
        _by_warrant(await snapshot.rows(query, warrant=warrant))
        for query in (_TRANCHES, _CONDITIONS, _CHANGES)
    ]
    found = []
    for grant in grants:
        name = grant["warrant"]
        snapshot.add_provenance(row["assertion_status"] for row in (grant, *changes[name]))
        state = _warrant(grant, tranches[name], conditions[name], changes[name])
        day = snapshot.scope.evaluation_date
        state.allocate_exercises(day)
        message = _figures(grant, state, day)
        message.exercise_paid.CopyFrom(_paid(changes[name]).figure(grant["currency"]))
        if share_price is not None:
            _add_values(message, state, share_price, grant["currency"])
        found.append(message)
    return QueryWarrantsResponse(context=snapshot.context(), warrants=found)


def _by_warrant(rows: list[dict[str, Any]]) -> _Rows:
    found: _Rows = defaultdict(list)
    for row in rows:
        found[row["warrant"]].append(row)
    return found


def _warrant(
    grant: Mapping[str, Any],
    tranches: list[dict[str, Any]],
    conditions: list[dict[str, Any]],
    changes: list[dict[str, Any]],
) -> Warrant:
    by_number = {row["tranche"]: Tranche(row["tranche"], row["shares"]) for row in tranches}
    by_key: dict[tuple[int, str, int], Condition] = {}
    for row in conditions:
        tranche = by_number[row["tranche"]]
        condition = Condition(TrancheCondition.FromString(row["terms"]))
        (tranche.vesting if row["gate"] == "VESTING" else tranche.exercise).append(condition)
        by_key[row["tranche"], row["gate"], row["condition"]] = condition
    warrant = Warrant(
        grant["shares"], grant["exercise_price"], grant["expiry_date"], list(by_number.values())
    )
    for row in changes:
        match row["measure"]:
            case "SATISFIED":
                condition = by_key[row["tranche"], row["gate"], row["condition"]]
                first = condition.documented or row["effective_date"]
                condition.documented = min(first, row["effective_date"])
            case "VESTED":
                by_number[row["tranche"]].vested += row["shares"]
            case "EXERCISED":
                warrant.exercised += row["shares"]
            case "LAPSED":
                for tranche in by_number.values():
                    tranche.lapsed |= row["tranche"] in (0, tranche.number)
    return warrant


def _paid(changes: list[dict[str, Any]]) -> Amount:
    return total(
        Amount(int(row["amount_minor"])) for row in changes if row["amount_minor"] is not None
    )


def _figures(grant: Mapping[str, Any], warrant: Warrant, day: dt.date) -> WarrantFigures:
    lapsed = warrant.lapsed(day)
    exercisable = sum((warrant.exercisable(one, day) for one in warrant.tranches), Decimal(0))
    return WarrantFigures(
        **{
            name: grant[name]
            for name in ("warrant", "agreement", "issuer", "holder", "share_class")
        },
        grant_date=date_to_message(grant["effective_date"]),
        expiry_date=date_to_message(warrant.expiry_date) if warrant.expiry_date else None,
        exercise_price=_decimal(warrant.exercise_price),
        exercise_cost=money(int(grant["exercise_cost_minor"]), grant["currency"]),
        granted=_decimal(warrant.granted),
        vested=_decimal(warrant.vested),
        exercisable=_decimal(exercisable),
        exercised=_decimal(warrant.exercised),
        lapsed=_decimal(lapsed),
        outstanding=_decimal(warrant.granted - warrant.exercised - lapsed),
        tranches=[_tranche(warrant, tranche, day) for tranche in warrant.tranches],
        next_tranche=warrant.next_tranche(day),
    )


def _tranche(warrant: Warrant, tranche: Tranche, day: dt.date) -> WarrantTrancheFigures:
    return WarrantTrancheFigures(
        tranche=tranche.number,
        shares=None if tranche.shares is None else _decimal(tranche.shares),
        vested=_decimal(tranche.vested),
        exercisable=_decimal(warrant.exercisable(tranche, day)),
        exercised=_decimal(tranche.exercised),
        lapsed=tranche.lapsed or warrant.has_expired(day),
        vesting_conditions=[_condition(one, day) for one in tranche.vesting],
        exercise_conditions=[_condition(one, day) for one in tranche.exercise],
    )


def _condition(condition: Condition, day: dt.date) -> WarrantConditionFigures:
    since = condition.since
    return WarrantConditionFigures(
        condition=condition.terms,
        holds=condition.holds(day),
        since=date_to_message(since) if since else None,
    )


def _add_values(
    message: WarrantFigures, warrant: Warrant, share_price: Decimal, currency: str
) -> None:
    exponent = currency_exponent(currency)
    for name in ("exercisable", "outstanding"):
        shares = Decimal(getattr(message, name).value)
        value_minor = warrant.value_minor(shares, share_price, exponent)
        getattr(message, f"{name}_value").CopyFrom(money(value_minor, currency))


def _decimal(number: Decimal) -> DecimalMessage:
    return DecimalMessage(value=decimal_to_text(number))
