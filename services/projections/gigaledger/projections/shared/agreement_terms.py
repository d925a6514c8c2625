"""The read model of agreements' terms: its folds and its query, for every projection that has one.

A projection that needs terms has a table made like `template_agreement_terms`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.projections.engine.folding import Fold, Row, enum_text
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.agreements import (
    CHIP_SUPPLY,
    Change,
    Condition,
    History,
    Terms,
    Tranche,
    covered,
    histories,
)
from gigaledger.v1.agreement_facts_pb2 import (
    AgreementAmended,
    AgreementExpired,
    AgreementNovated,
    AgreementSuperseded,
    AgreementTerminated,
    AgreementTerms,
    ConditionType,
    DefinitiveAgreementExecuted,
    LetterOfIntentSigned,
)
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis, Role
from google.type.date_pb2 import Date
from psycopg.types.json import Jsonb

_PARTS = {
    Role.ROLE_INVESTOR: "investor",
    Role.ROLE_ISSUER: "issuer",
    Role.ROLE_SUPPLIER: "supplier",
    Role.ROLE_BUYER: "buyer",
}
"""The parts that figures depend on."""


def layer_text(layer: int) -> str:
    """Return the name of a layer: chip supply if none is stated."""
    return enum_text(CapacityLayer, layer) if layer else CHIP_SUPPLY


def terms_folds(table: str) -> dict[str, Fold]:
    """Return the folds that keep the changes of agreements in a table."""

    def row(agreement: str, change: str, **columns: object) -> Row:
        return Row(table, {"agreement": agreement, "change": change, **columns})

    def letter_of_intent(fact: LetterOfIntentSigned) -> Iterator[Row]:
        yield row(fact.agreement, "LETTER_OF_INTENT", **_terms_columns(fact.terms))

    def definitive(fact: DefinitiveAgreementExecuted) -> Iterator[Row]:
        columns = _terms_columns(fact.terms)
        yield row(fact.agreement, "DEFINITIVE", supersedes=list(fact.supersedes), **columns)

    def amended(fact: AgreementAmended) -> Iterator[Row]:
        yield row(fact.agreement, "AMENDED", **_terms_columns(fact.terms))

    def novated(fact: AgreementNovated) -> Iterator[Row]:
        if fact.role in _PARTS:
            part = _PARTS[fact.role]
            yield row(fact.agreement, "NOVATED", part=part, to_party=fact.to_party)

    def superseded(fact: AgreementSuperseded) -> Iterator[Row]:
        yield row(fact.agreement, "SUPERSEDED")

    def terminated(fact: AgreementTerminated) -> Iterator[Row]:
        yield row(fact.agreement, "TERMINATED")

    def expired(fact: AgreementExpired) -> Iterator[Row]:
        yield row(fact.agreement, "EXPIRED")

    return {
        "letter_of_intent_signed": letter_of_intent,
        "definitive_agreement_executed": definitive,
        "agreement_amended": amended,
        "agreement_novated": novated,
        "agreement_superseded": superseded,
        "agreement_terminated": terminated,
        "agreement_expired": expired,
    }


def _terms_columns(terms: AgreementTerms) -> dict[str, object]:
    parties = {entry.role: entry.party for entry in terms.parties}
    columns: dict[str, object] = {part: parties.get(role, "") for role, part in _PARTS.items()}
    currencies = []
    for name in ("investment_commitment", "contingent_commitment"):
        if terms.HasField(name):
            money = money_from_message(getattr(terms, name))
            currencies.append(money.currency)
            columns[name.replace("investment_", "").replace("_commitment", "") + "_minor"] = (
                money.amount_minor
            )
    currencies += [tranche.amount.currency_code for tranche in terms.tranches]
    return columns | {
        "binding": terms.binding,
        "undisclosed": terms.investment_undisclosed,
        "currency": currencies[0] if currencies else "",
        "power_kw": terms.power_kw,
        "power_basis": enum_text(PowerBasis, terms.power_basis),
        "capacity_layer": layer_text(terms.capacity_layer),
        "latching": terms.latching,
        "expiry_date": _day(terms.expiry_date) if terms.HasField("expiry_date") else None,
        "tranches": Jsonb(
            [
                {
                    "number": tranche.number,
                    "amount_minor": money_from_message(tranche.amount).amount_minor,
                    "conditions": [
                        {
                            "type": enum_text(ConditionType, condition.type),
                            "power_kw": condition.power_kw,
                            "date": (
                                _day(condition.date).isoformat()
                                if condition.HasField("date")
                                else None
                            ),
                        }
                        for condition in tranche.conditions
                    ],
                }
                for tranche in terms.tranches
            ]
        ),
    }


def _day(message: Date) -> dt.date:
    return date_from_message(message)


_CHANGES = """
    SELECT position, recorded_time, effective_date, assertion_status, agreement, change, supersedes,
           part, to_party, investor, issuer, supplier, buyer, binding, commitment_minor,
           undisclosed, contingent_minor, currency, power_kw, power_basis, capacity_layer, latching,
           expiry_date, tranches
    FROM {table} WHERE {known}
    ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreements of a book.

    Attributes:
        counted: their histories by the changes that count.
        known: their histories by all changes that are known. References between documents are
            resolved by them, whatever day and statuses are requested.
    """

    counted: dict[str, History]
    known: dict[str, History]

    def only(self, agreement: str) -> frozenset[str] | None:
        """Return the agreements that a query for one of them covers; None if it names none."""
        return covered(self.known, agreement) if agreement else None

    def statuses(self, agreement: str) -> Iterator[str]:
        """Return the statuses of an agreement's changes and of those by which it is replaced."""
        for name, history in self.counted.items():
            for change in history.changes:
                if name == agreement or agreement in change.supersedes:
                    yield change.assertion_status


async def read_agreements(snapshot: Snapshot, table: str) -> Agreements:
    """Read the agreements from a projection's table of terms."""
    rows = await snapshot.rows(statement(_CHANGES, table=table))
    changes = [_change(row) for row in rows]
    return Agreements(
        counted=histories(
            change
            for change in changes
            if snapshot.scope.counts(change.effective_date, change.assertion_status)
        ),
        known=histories(changes),
    )


def _change(row: dict[str, Any]) -> Change:
    values = {entry.name: row[entry.name] for entry in fields(Terms)}
    return Change(
        position=row["position"],
        recorded_time=row["recorded_time"],
        effective_date=row["effective_date"],
        assertion_status=row["assertion_status"],
        agreement=row["agreement"],
        change=row["change"],
        terms=Terms(**values | {"tranches": tuple(_tranche(entry) for entry in row["tranches"])}),
        supersedes=tuple(row["supersedes"]),
        part=row["part"],
        to_party=row["to_party"],
    )


def _tranche(stored: dict[str, Any]) -> Tranche:
    return Tranche(
        number=stored["number"],
        amount_minor=stored["amount_minor"],
        conditions=tuple(
            Condition(
                type=condition["type"],
                power_kw=condition["power_kw"],
                date=dt.date.fromisoformat(condition["date"]) if condition["date"] else None,
            )
            for condition in stored["conditions"]
        ),
    )
