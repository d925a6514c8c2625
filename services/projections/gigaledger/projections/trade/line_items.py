"""What events add to the figures of the round trip that are sums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.shared.amounts import units
from gigaledger.projections.shared.figure_diff import FigureKey
from gigaledger.projections.shared.line_items import (
    Batch,
    Contribution,
    Contributions,
    FigureFilter,
    Sum,
)
from gigaledger.projections.trade.daily_balances import CONTRIBUTED, CONTRIBUTED_BY_PERIOD
from gigaledger.projections.trade.page_rows import MEASURES, first_rows
from gigaledger.projections.trade.round_trip import Measure, Movement
from gigaledger.projections.trade.round_trip_queries import (
    read_groups,
    read_investments,
    read_purchases,
)
from gigaledger.v1.projections_pb2 import PartyLevel

_NAMES = {
    Measure.ORDERED: ("ordered", "commitment.purchases", "ordered_against_funded.purchases"),
    Measure.RECEIVED: ("received",),
    Measure.INVOICED: ("invoiced", "accrual.purchases", "invoiced_against_funded.purchases"),
    Measure.RECOVERABLE_TAX: ("recoverable_tax",),
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
"""Figures that are sums of contributions of events."""

_DERIVED = ("net_balance", "recycled", "ratio_investment.ppm", "ratio_purchases.ppm")
_BASES = ("commitment", "accrual", "cash", "ordered_against_funded", "invoiced_against_funded")
_OWED = ("round-trip.invoiced", "round-trip.recoverable_tax", "round-trip.paid")
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
    "round-trip.open_payable": _OWED,
    "round-trip.refund_due": _OWED,
}
"""Figures that a rule makes, and the sums that go into them."""


async def contributions(
    snapshot: Snapshot, level: PartyLevel.ValueType, wanted: FigureFilter
) -> Contributions:
    """Return what each event adds to some of the sums."""
    groups = await read_groups(snapshot, level)
    measures = {
        measure
        for measure, names in _NAMES.items()
        if not {f"round-trip.{name}" for name in names}.isdisjoint(wanted.figures)
    }
    few: list[Contribution] = []
    if not measures <= set(MEASURES):
        for movement in await read_investments(snapshot, groups):
            few += _of(movement)
    bought = tuple(measure for measure in MEASURES if measure in measures)
    return Contributions(
        wanted.of(few), _Purchases(snapshot, groups, bought, wanted) if bought else None
    )


@dataclass(frozen=True, slots=True)
class _Purchases:
    """Line items of goods ordered and received, invoices and payments."""

    snapshot: Snapshot
    groups: Mapping[str, str]
    measures: tuple[Measure, ...]
    wanted: FigureFilter

    async def sums(self, first_days: Sequence[dt.date]) -> list[Sum]:
        """Return what they add up to, in periods that begin on some days."""
        names = [measure.name for measure in self.measures]
        rows = await self.snapshot.sums(
            CONTRIBUTED_BY_PERIOD if first_days else CONTRIBUTED,
            measures=names,
            first_days=[day.toordinal() for day in first_days],
        )
        return [item for row in rows for item in self._sums_of(row) if self.wanted.covers(item.key)]

    def _sums_of(self, row: Mapping[str, Any]) -> Iterator[Sum]:
        supplier = self.groups.get(row["supplier"], row["supplier"])
        customer = self.groups.get(row["customer"], row["customer"])
        if supplier == customer:
            return
        currency = row["currency"]
        for key in _keys(Measure[row["measure"]], supplier, customer, currency):
            yield Sum(
                key=key,
                unit=currency,
                period=row["period"],
                amount=units(int(row["amount"]), currency),
                reductions=units(int(row["reductions"]), currency),
                undisclosed=int(row["undisclosed"]),
                count=int(row["contributions"]),
                assertion_statuses=frozenset({row["assertion_status"]}),
            )

    async def batch(self, first_position: int, most_rows: int) -> Batch:
        """Return those of so many rows from a position on."""
        suppliers = self._standing_for("supplier_investor")
        customers = self._standing_for("customer_investee")
        (affected,) = await self.snapshot.planned_rows(
            first_rows(
                self.measures,
                of_supplier=suppliers is not None,
                of_customer=customers is not None,
            ),
            first_position=first_position,
            most_rows=most_rows,
            suppliers=suppliers,
            customers=customers,
        )
        last_position, row_count = affected.pop("last_position"), affected.pop("row_count")
        movements = await read_purchases(self.snapshot, self.groups, self.measures, affected)
        return Batch(
            self.wanted.of(item for movement in movements for item in _of(movement)),
            last_position if row_count >= most_rows else None,
        )

    def _standing_for(self, field: str) -> list[str] | None:
        """Return the parties that belong to the requested one; None if none is requested."""
        asked = dict(self.wanted.about).get(field)
        if asked is None:
            return None
        members = [party for party, group in self.groups.items() if group == asked]
        return members if asked in self.groups else [*members, asked]


def _keys(measure: Measure, supplier: str, customer: str, currency: str) -> Iterator[FigureKey]:
    about = (
        ("supplier_investor", supplier),
        ("customer_investee", customer),
        ("currency_code", currency),
    )
    for name in _NAMES[measure]:
        yield FigureKey(f"round-trip.{name}", about)


def _of(movement: Movement) -> Iterator[Contribution]:
    source = movement.source
    if source is None:
        raise AssertionError("a movement of one event has a source")
    amount, currency = movement.amount, movement.currency
    for key in _keys(movement.measure, movement.supplier, movement.customer, currency):
        yield Contribution(
            position=source.position,
            recorded_time=source.recorded_time,
            effective_date=movement.day,
            assertion_statuses=movement.statuses,
            key=key,
            document=source.document,
            amount=units(amount.minor, currency),
            unit=currency,
            undisclosed=amount.undisclosed,
        )
