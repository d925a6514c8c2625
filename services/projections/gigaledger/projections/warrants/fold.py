"""From facts to the read model of warrants."""

from __future__ import annotations

from collections.abc import Iterator

from gigaledger.common.quantities import date_from_message, decimal_from_message
from gigaledger.projections.engine.folding import Row, enum_text, money_columns
from gigaledger.projections.engine.projection import Projection
from gigaledger.v1.agreement_facts_pb2 import ConditionType
from gigaledger.v1.warrant_facts_pb2 import (
    WarrantConditionSatisfied,
    WarrantExercised,
    WarrantGate,
    WarrantIssued,
    WarrantLapsed,
    WarrantTrancheVested,
)


def _issued(fact: WarrantIssued) -> Iterator[Row]:
    expiry = date_from_message(fact.expiry_date) if fact.HasField("expiry_date") else None
    yield Row(
        "warrants_grant",
        {
            "warrant": fact.warrant,
            "agreement": fact.agreement,
            "issuer": fact.issuer,
            "holder": fact.holder,
            "share_class": fact.share_class,
            "shares": decimal_from_message(fact.shares),
            "exercise_price": decimal_from_message(fact.exercise_price),
            "exercise_cost_minor": money_columns(fact.exercise_cost)["amount_minor"],
            "currency": fact.exercise_cost.currency_code,
            "expiry_date": expiry,
        },
    )
    for tranche in fact.tranches:
        shares = decimal_from_message(tranche.shares) if tranche.HasField("shares") else None
        row = {"warrant": fact.warrant, "tranche": tranche.number}
        yield Row("warrants_tranche", {**row, "shares": shares})
        gates = (("VESTING", tranche.vesting_conditions), ("EXERCISE", tranche.exercise_conditions))
        for gate, conditions in gates:
            for number, condition in enumerate(conditions, start=1):
                columns = {
                    "gate": gate,
                    "condition": number,
                    "condition_type": enum_text(ConditionType, condition.type),
                    "terms": condition.SerializeToString(deterministic=True),
                }
                yield Row("warrants_condition", row | columns)


def _change(measure: str, warrant: str, **columns: object) -> Row:
    return Row("warrants_change", {"measure": measure, "warrant": warrant, **columns})


def _satisfied(fact: WarrantConditionSatisfied) -> Iterator[Row]:
    yield _change(
        "SATISFIED",
        fact.warrant,
        tranche=fact.tranche,
        gate=enum_text(WarrantGate, fact.gate),
        condition=fact.condition,
    )


def _vested(fact: WarrantTrancheVested) -> Iterator[Row]:
    shares = decimal_from_message(fact.shares)
    yield _change("VESTED", fact.warrant, tranche=fact.tranche, shares=shares)


def _exercised(fact: WarrantExercised) -> Iterator[Row]:
    paid = money_columns(fact.amount) if fact.HasField("amount") else {}
    yield _change("EXERCISED", fact.warrant, shares=decimal_from_message(fact.shares), **paid)


def _lapsed(fact: WarrantLapsed) -> Iterator[Row]:
    yield _change("LAPSED", fact.warrant, tranche=fact.tranche)


WARRANTS = Projection(
    name="warrants",
    package="gigaledger.projections.warrants",
    folds={
        "warrant_issued": _issued,
        "warrant_condition_satisfied": _satisfied,
        "warrant_tranche_vested": _vested,
        "warrant_exercised": _exercised,
        "warrant_lapsed": _lapsed,
    },
    tables=("warrants_grant", "warrants_tranche", "warrants_condition", "warrants_change"),
)
