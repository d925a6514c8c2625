"""Entitlement: the tranches of an agreement that may be called on a day, and why. Pure.

This is the one rule for capital calls (HR-INV-02): decisions use it, and questions beforehand get
its findings with the events behind them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gigaledger.common.quantities import date_from_message
from gigaledger.ledger.domain.book_view import minor
from gigaledger.v1.agreement_facts_pb2 import ConditionType, Tranche, TrancheCondition

if TYPE_CHECKING:
    from gigaledger.ledger.domain.agreement_state import Agreement, CapacityChange


@dataclass(frozen=True, slots=True)
class Cause:
    """An event that counts for a condition.

    Attributes:
        position: position of the event.
        effective_date: the day from which on it counts.
        document: number of the certificate; empty if the fact has none.
        power_kw: kilowatts that it adds to net certified capacity, negative if it takes away; 0 for
            a condition that is not about capacity.
    """

    position: int
    effective_date: dt.date
    document: str = ""
    power_kw: int = 0


@dataclass(frozen=True, slots=True)
class ConditionFinding:
    """Whether one condition of a tranche holds.

    Attributes:
        number: number of the condition in the tranche, from 1.
        condition: its terms.
        held: whether it holds.
        certified_kw: capacity compared with a threshold of certified capacity; None for other
            types.
        causes: the events that count, in order of position.
    """

    number: int
    condition: TrancheCondition
    held: bool
    certified_kw: int | None = None
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class TrancheFinding:
    """Whether a tranche is entitled on a day.

    Attributes:
        tranche: its terms.
        conditions: findings about each of its conditions, in their order.
        expired: whether its last day has passed.
    """

    tranche: Tranche
    conditions: tuple[ConditionFinding, ...]
    expired: bool

    @property
    def entitled(self) -> bool:
        """Whether all conditions hold. A tranche without conditions is entitled from the start."""
        return all(finding.held for finding in self.conditions)


def find_tranche(state: Agreement, tranche: Tranche, day: dt.date) -> TrancheFinding:
    """Return the findings about a tranche on a day."""
    conditions = tuple(
        _find_condition(state, tranche.number, number, condition, day)
        for number, condition in enumerate(tranche.conditions, start=1)
    )
    expired = tranche.HasField("expiry_date") and date_from_message(tranche.expiry_date) < day
    return TrancheFinding(tranche, conditions, expired)


def find_tranches(state: Agreement, day: dt.date) -> tuple[TrancheFinding, ...]:
    """Return the findings about each tranche of the ladder, in the order of the terms."""
    return tuple(find_tranche(state, tranche, day) for tranche in state.terms.tranches)


def entitlement(state: Agreement, findings: tuple[TrancheFinding, ...]) -> int:
    """Return the entitlement, in minor units.

    The sum of the tranches whose conditions hold, at most the commitment: whole tranches, not in
    proportion (domain rules, section 2.2). If the agreement latches, a tranche once reached stays.
    """
    return at_most_committed(
        state, sum(minor(finding.tranche.amount) for finding in findings if finding.entitled)
    )


def at_most_committed(state: Agreement, amount_minor: int) -> int:
    """Return the lesser of an amount and the commitment, if that is disclosed."""
    if state.terms.investment_undisclosed:
        return amount_minor
    return min(amount_minor, minor(state.terms.investment_commitment))


def _find_condition(
    state: Agreement, tranche: int, number: int, condition: TrancheCondition, day: dt.date
) -> ConditionFinding:
    match condition.type:
        case ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED:
            basis = state.terms.power_basis
            reached_on = state.capacity.day_of_highest(basis, day) if state.terms.latching else day
            changes = state.capacity.changes(basis, reached_on)
            certified_kw = sum(change.power_kw for change in changes)
            held = certified_kw >= condition.power_kw
            causes = tuple(_causes(changes))
            return ConditionFinding(number, condition, held, certified_kw, causes)
        case ConditionType.CONDITION_TYPE_AGREEMENT_EXECUTED:
            executed = state.executed if state.definitive else None
            causes = (Cause(executed.position, executed.effective_date),) if executed else ()
            return ConditionFinding(number, condition, executed is not None, causes=causes)
        case ConditionType.CONDITION_TYPE_DATE_REACHED:
            return ConditionFinding(number, condition, day >= date_from_message(condition.date))
        case _:
            shown = state.satisfied.get((tranche, number))
            if shown is None or shown.effective_date > day:
                return ConditionFinding(number, condition, held=False)
            causes = (Cause(shown.position, shown.effective_date),)
            return ConditionFinding(number, condition, held=True, causes=causes)


def _causes(changes: list[CapacityChange]) -> Iterator[Cause]:
    for change in sorted(changes, key=lambda change: change.position):
        yield Cause(change.position, change.effective_date, change.document, change.power_kw)
