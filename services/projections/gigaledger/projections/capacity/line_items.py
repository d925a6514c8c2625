"""What events add to the figures of capacity that are sums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gigaledger.projections.capacity.hardware import RACKS, RACKS_BY_PERIOD
from gigaledger.projections.capacity.queries import PLACED
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.figure_diff import FigureKey
from gigaledger.projections.shared.line_items import (
    Batch,
    Contribution,
    Contributions,
    FigureFilter,
    Sum,
)

_ENTRIES = statement(
    """
    WITH {placed}
    SELECT position, recorded_time, effective_date, assertion_status, measure, agreement,
           capacity_layer, power_basis, power_kw,
           coalesce(nullif(certificate, ''), nullif(milestone, ''), site) AS document
    FROM placed ORDER BY position, measure
""",
    placed=PLACED,
)

# Each of these rows is of an event of its own.
_FIRST_RACKS = """
    WITH hardware AS (
        SELECT * FROM capacity_hardware AS moved
        WHERE position >= %(first_position)s AND {counted} AND {may_be_of_sku}
        ORDER BY position LIMIT %(most_rows)s
    ), order_line AS (
        SELECT DISTINCT ON (purchase_order, line)
               purchase_order, line, sku, contract_kind
        FROM capacity_order_line
        WHERE purchase_order = ANY(ARRAY(SELECT purchase_order FROM hardware)) AND {recorded}
        ORDER BY purchase_order, line, {known} DESC, position DESC
    )
    SELECT position, recorded_time, effective_date, assertion_status,
           coalesce(sku, '') AS sku, quantity, purchase_order AS document,
           contract_kind IS DISTINCT FROM 'CLOUD_CAPACITY' AS racks
    FROM hardware LEFT JOIN order_line USING (purchase_order, line)
    ORDER BY position, item
"""
_RACKS = statement(_FIRST_RACKS, may_be_of_sku="true")
_RACKS_OF_SKU = statement(
    _FIRST_RACKS,
    may_be_of_sku="""EXISTS (
        SELECT FROM capacity_order_line AS named
        WHERE named.purchase_order = moved.purchase_order AND named.line = moved.line
            AND named.sku = %(sku)s
    )""",
)

_SIGNS = {
    "CLAIMED": {"claimed_kw": 1},
    "CERTIFIED": {"certified_gross_kw": 1, "certified_kw": 1},
    "DECERTIFIED": {"decertified_kw": 1, "certified_kw": -1},
    "RETIRED": {"retired_kw": 1, "certified_kw": -1},
    "REJECTED": {"rejected_kw": 1},
    "ENERGISED": {"energised_kw": 1},
}
"""By measure, the figures that it goes into."""

_RACK_QUANTITY = "capacity.hardware.rack_quantity"
SUMS = frozenset(
    {_RACK_QUANTITY, *(f"capacity.{name}" for signs in _SIGNS.values() for name in signs)}
)
"""Figures that are sums of contributions of events."""

_CERTIFIED = ("capacity.certified_kw",)
INPUTS = {
    "capacity.claimed_pending_kw": (
        "capacity.claimed_kw",
        "capacity.certified_gross_kw",
        "capacity.decertified_kw",
        "capacity.rejected_kw",
    ),
    "capacity.schedule_variance_kw": _CERTIFIED,
    "capacity.schedule_performance_ppm": _CERTIFIED,
    "capacity.required_pace_kw_per_quarter": _CERTIFIED,
    "capacity.achieved_pace_kw_per_quarter": _CERTIFIED,
    "capacity.delivered_implied_kw": (_RACK_QUANTITY,),
    "capacity.hardware.gpu_quantity": (_RACK_QUANTITY,),
    "capacity.hardware.implied_kw": (_RACK_QUANTITY,),
}
"""Figures that a rule makes, and the sums that go into them."""


async def contributions(snapshot: Snapshot, wanted: FigureFilter) -> Contributions:
    """Return what each event adds to some of the sums."""
    few: list[Contribution] = []
    if wanted.figures - {_RACK_QUANTITY}:
        for row in await snapshot.rows(_ENTRIES, agreements=None):
            few += _of_entry(row)
    return Contributions(
        wanted.of(few), _Racks(snapshot, wanted) if _RACK_QUANTITY in wanted.figures else None
    )


@dataclass(frozen=True, slots=True)
class _Racks:
    """Racks received and returned."""

    snapshot: Snapshot
    wanted: FigureFilter

    async def sums(self, first_days: Sequence[dt.date]) -> list[Sum]:
        """Return what they add up to, in periods that begin on some days."""
        rows = await self.snapshot.sums(
            RACKS_BY_PERIOD if first_days else RACKS,
            first_days=[day.toordinal() for day in first_days],
        )
        found = (
            Sum(
                key=_rack_quantity(row["sku"]),
                unit="racks",
                period=row["period"],
                amount=Decimal(row["received"]),
                reductions=Decimal(row["returned"]),
                undisclosed=0,
                count=row["movements"],
                assertion_statuses=frozenset({row["assertion_status"]}),
            )
            for row in rows
        )
        return [item for item in found if self.wanted.covers(item.key)]

    async def batch(self, first_position: int, most_rows: int) -> Batch:
        """Return those of so many rows from a position on."""
        # Without a SKU are those whose order states none.
        sku = dict(self.wanted.about).get("sku", "")
        rows = await self.snapshot.planned_rows(
            _RACKS_OF_SKU if sku else _RACKS,
            first_position=first_position,
            most_rows=most_rows,
            sku=sku,
        )
        found = (
            Contribution.of(row, _rack_quantity(row["sku"]), Decimal(row["quantity"]), "racks")
            for row in rows
            if row["racks"]
        )
        return Batch(
            self.wanted.of(found), rows[-1]["position"] if len(rows) >= most_rows else None
        )


def _rack_quantity(sku: str) -> FigureKey:
    return FigureKey(_RACK_QUANTITY, (("sku", sku),))


def _of_entry(row: dict[str, Any]) -> Iterator[Contribution]:
    about = tuple((name, row[name]) for name in ("capacity_layer", "power_basis", "agreement"))
    for name, sign in _SIGNS[row["measure"]].items():
        key = FigureKey(f"capacity.{name}", about)
        yield Contribution.of(row, key, Decimal(sign * row["power_kw"]), "kW")
