"""What events add to the figures of the round trip that are sums."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gigaledger.v1.projections_pb2 import PartyLevel

from services.projections.amounts import units
from services.projections.contributions import Contribution
from services.projections.measures import FigureKey
from services.projections.reading import Reader
from services.projections.round_trip.figures import Measure, Movement
from services.projections.round_trip.queries import read_groups, read_movements

_NAMES = {
    Measure.ORDERED: ("ordered", "commitment.purchases", "ordered_against_funded.purchases"),
    Measure.RECEIVED: ("received",),
    Measure.INVOICED: ("invoiced", "accrual.purchases", "invoiced_against_funded.purchases"),
    Measure.PAID: ("paid", "cash.purchases"),
    Measure.UNAPPLIED: ("unapplied_payments",),
    Measure.COMMITTED: ("commitment.investment",),
    Measure.CALLED: ("accrual.investment",),
    Measure.FUNDED_CASH: (
        "cash.investment",
        "ordered_against_funded.investment",
        "invoiced_against_funded.investment",
    ),
    Measure.FUNDED_NON_CASH: ("invested_non_cash",),
}
"""By measure, the figures that it goes into."""

SUMS = frozenset(f"round-trip.{name}" for names in _NAMES.values() for name in names)
"""Figures that are sums of what events add."""

_DERIVED = ("net_balance", "recycled", "ratio_investment.ppm", "ratio_purchases.ppm")
_BASES = ("commitment", "accrual", "cash", "ordered_against_funded", "invoiced_against_funded")
INPUTS = {
    **{
        f"round-trip.{basis}.{name}": (
            f"round-trip.{basis}.purchases",
            f"round-trip.{basis}.investment",
        )
        for basis in _BASES
        for name in (*_DERIVED, "peak_exposure")
    },
    "round-trip.received_not_invoiced": ("round-trip.received", "round-trip.invoiced"),
    "round-trip.open_payable": ("round-trip.invoiced", "round-trip.paid"),
    "round-trip.refund_due": ("round-trip.invoiced", "round-trip.paid"),
}
"""Figures that a rule makes, and the sums that go into them."""


async def contributions(
    reader: Reader, level: PartyLevel.ValueType, figures: Collection[str]
) -> list[Contribution]:
    """Return what each event adds to some of the sums.

    Raises:
        TooManyEventsError: there are too many.
    """
    groups = await read_groups(reader, level)
    measures = {
        measure
        for measure, names in _NAMES.items()
        if not {f"round-trip.{name}" for name in names}.isdisjoint(figures)
    }
    return [
        contribution
        for movement in await read_movements(reader, groups, measures)
        for contribution in _of(movement)
    ]


def _of(movement: Movement) -> Iterator[Contribution]:
    source = movement.source
    if source is None:
        raise AssertionError("a movement of one event has a source")
    about = (
        ("supplier_investor", movement.supplier),
        ("customer_investee", movement.customer),
        ("currency_code", movement.currency),
    )
    amount = movement.amount
    for name in _NAMES[movement.measure]:
        yield Contribution(
            position=source.position,
            recorded_time=source.recorded_time,
            effective_date=movement.day,
            assertion_statuses=movement.statuses,
            key=FigureKey(f"round-trip.{name}", about),
            document=source.document,
            amount=units(amount.minor, movement.currency),
            unit=movement.currency,
            undisclosed=amount.undisclosed,
        )
