"""Answers to QueryCounterfactual, from the tables of this projection."""

from __future__ import annotations

from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.investment.counterfactual import Reading, figures_under
from gigaledger.projections.investment.figures import Figures
from gigaledger.projections.investment.queries import read_accounts, recorded_of
from gigaledger.projections.shared.agreement_terms import read_agreements
from gigaledger.projections.shared.amounts import Amount
from gigaledger.v1.projections_pb2 import (
    CounterfactualAgreement,
    CounterfactualFigures,
    CounterfactualOutcome,
    CounterfactualReading,
    EntitlementReading,
    FirstTrancheReading,
    LatchingReading,
    QueryCounterfactualRequest,
    QueryCounterfactualResponse,
)

MAX_READINGS = 20
"""More than twice the number of combinations."""
_LATCHING = {
    LatchingReading.LATCHING_READING_UNSPECIFIED: None,
    LatchingReading.LATCHING_READING_ON: True,
    LatchingReading.LATCHING_READING_OFF: False,
}
_RECORDED = ("called", "funded")
_READ = ("entitled", "available_to_call", "unfunded_entitlement", "overfunded")
"""Figures that depend on the reading."""


async def query_counterfactual(
    snapshot: Snapshot, request: QueryCounterfactualRequest
) -> QueryCounterfactualResponse:
    """Answer QueryCounterfactual.

    Args:
        snapshot: a snapshot of the projection.
        request: the readings.

    Raises:
        InvalidArgumentError: there are none or too many, or one is unknown.
    """
    if not 1 <= len(request.readings) <= MAX_READINGS:
        message = f"holds {len(request.readings)} readings; 1 to {MAX_READINGS} are taken"
        raise InvalidArgumentError("readings", message)
    readings = [_reading(index, message) for index, message in enumerate(request.readings)]
    agreements = await read_agreements(snapshot, "investment_terms")
    found = []
    for account, figures in await read_accounts(snapshot, agreements, request.agreement):
        for currency, own in figures.items():
            status = account.status if currency == account.currency else None
            recorded = recorded_of(account, currency)
            line = CounterfactualAgreement(
                agreement=account.name,
                currency_code=currency,
                as_recorded=_figures(own, own, currency),
            )
            for asked, reading in zip(request.readings, readings, strict=True):
                other = figures_under(reading, status, account.evidence, recorded)
                line.outcomes.append(_outcome(asked, own, other, currency))
            found.append(line)
    return QueryCounterfactualResponse(context=snapshot.context(), agreements=found)


def _reading(index: int, message: CounterfactualReading) -> Reading:
    for name, values in (
        ("entitlement", EntitlementReading.values()),
        ("latching", LatchingReading.values()),
        ("first_tranche", FirstTrancheReading.values()),
    ):
        value = getattr(message, name)
        if value not in values:
            field = f"readings[{index}].{name}"
            raise InvalidArgumentError(field, f"{value} is not a reading")
    return Reading(
        in_proportion=message.entitlement == EntitlementReading.ENTITLEMENT_READING_PRO_RATA,
        latching=_LATCHING[message.latching],
        on_signature=message.first_tranche == FirstTrancheReading.FIRST_TRANCHE_READING_SIGNATURE,
    )


def _outcome(
    reading: CounterfactualReading, own: Figures, other: Figures | None, currency: str
) -> CounterfactualOutcome:
    outcome = CounterfactualOutcome(reading=reading, figures=_figures(other, own, currency))
    outcome.difference.SetInParent()
    if other is not None:
        for name in (*_RECORDED, *_READ):
            before, after = getattr(own, name), getattr(other, name)
            # The facts that are not disclosed are the same on both sides.
            missing = max(before.undisclosed, after.undisclosed)
            difference = Amount(after.minor - before.minor, missing if name in _READ else 0)
            getattr(outcome.difference, name).CopyFrom(difference.figure(currency))
    return outcome


def _figures(figures: Figures | None, own: Figures, currency: str) -> CounterfactualFigures:
    """Return figures of the contract; those as recorded if there are none."""
    message = CounterfactualFigures()
    for name in _RECORDED:
        amount: Amount = getattr(own, name)
        getattr(message, name).CopyFrom(amount.figure(currency))
    if figures is not None:
        for name in _READ:
            amount = getattr(figures, name)
            getattr(message, name).CopyFrom(amount.figure(currency))
    return message
