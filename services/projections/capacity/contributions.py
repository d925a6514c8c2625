"""What events add to the figures of capacity that are sums."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from services.projections.capacity.queries import PLACED
from services.projections.contributions import Contribution
from services.projections.measures import FigureKey
from services.projections.reading import Reader
from services.projections.statements import statement

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

_RACKS = statement("""
    WITH order_line AS (
        SELECT DISTINCT ON (purchase_order, line)
               purchase_order, line, sku, contract_kind
        FROM capacity_order_line WHERE {recorded}
        ORDER BY purchase_order, line, {known} DESC, position DESC
    ), hardware AS (
        SELECT * FROM capacity_hardware WHERE {counted}
    )
    SELECT position, recorded_time, effective_date, assertion_status,
           coalesce(sku, '') AS sku, quantity, purchase_order AS document
    FROM hardware LEFT JOIN order_line USING (purchase_order, line)
    WHERE contract_kind IS DISTINCT FROM 'CLOUD_CAPACITY'
    ORDER BY position, item
""")

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
"""Figures that are sums of what events add."""

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


async def contributions(reader: Reader) -> list[Contribution]:
    """Return what each event adds to each sum, in order of position."""
    found: list[Contribution] = []
    for row in await reader.rows(_ENTRIES, agreements=None):
        found += _of_entry(row)
    for row in await reader.rows(_RACKS):
        key = FigureKey(_RACK_QUANTITY, (("sku", row["sku"]),))
        found.append(Contribution.of(row, key, Decimal(row["quantity"]), "racks"))
    return found


def _of_entry(row: dict[str, Any]) -> Iterator[Contribution]:
    about = tuple((name, row[name]) for name in ("capacity_layer", "power_basis", "agreement"))
    for name, sign in _SIGNS[row["measure"]].items():
        key = FigureKey(f"capacity.{name}", about)
        yield Contribution.of(row, key, Decimal(sign * row["power_kw"]), "kW")
