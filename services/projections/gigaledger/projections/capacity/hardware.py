"""Hardware ordered and received, by site and platform."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from gigaledger.projections.engine.folding import enum_number
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.engine.subtotals import subtotals
from gigaledger.v1.common_pb2 import CapacityLayer, GpuBasis, PowerBasis
from gigaledger.v1.projections_pb2 import CapacityBreakdown, GpuQuantity, HardwarePlace

# The order states the SKU of its lines. An order recorded in error still does, if no other does, so
# that nothing received on it drops out. Receipts are many and lines are few: receipts are summed
# before their lines are looked up.
_BY_DAY = """
    WITH order_line AS (
        SELECT DISTINCT ON (purchase_order, line)
               purchase_order, line, sku, agreement, contract_kind
        FROM {lines} AS order_line WHERE {recorded}
        ORDER BY purchase_order, line, {known} DESC, position DESC
    ), movement AS (
        SELECT purchase_order, line, '' AS site, effective_date AS day, assertion_status,
               sum(quantity) AS ordered, 0 AS received, 0 AS returned, 0 AS movements,
               count(*) AS entries
        FROM (
            SELECT purchase_order, line, effective_date, assertion_status, quantity
            FROM {lines} AS placed WHERE {counts}
            UNION ALL
            SELECT purchase_order, line, effective_date, assertion_status, quantity
            FROM {changes} AS changed WHERE {counts}
        ) AS ordered GROUP BY 1, 2, 4, 5
        UNION ALL
        SELECT purchase_order, line, site, effective_date, assertion_status,
               0, sum(quantity), sum(least(quantity, 0)), count(*), count(*)
        FROM {hardware} AS hardware WHERE {counts} GROUP BY 1, 2, 3, 4, 5
    )
    SELECT coalesce(sku, '') AS sku, coalesce(agreement, '') AS agreement,
           coalesce(contract_kind, '') AS contract_kind, site, day, assertion_status,
           sum(ordered) AS ordered, sum(received) AS received, sum(returned) AS returned,
           sum(movements) AS movements, sum(entries) AS entries
    FROM movement LEFT JOIN order_line USING (purchase_order, line)
    GROUP BY 1, 2, 3, 4, 5, 6
"""

# If the lines of an order have changed, all rows of the order belong to other sums.
_AFFECTED = statement("""
    WITH placed AS (
        SELECT DISTINCT purchase_order FROM capacity_order_line WHERE {affected}
    ), moved AS (
        SELECT position, purchase_order FROM capacity_order_change WHERE {affected}
        UNION
        SELECT position, purchase_order FROM capacity_hardware WHERE {affected}
    )
    SELECT ARRAY(SELECT purchase_order FROM placed) AS orders,
           ARRAY(
               SELECT purchase_order FROM placed UNION SELECT purchase_order FROM moved
           ) AS lines_of,
           ARRAY(SELECT position FROM moved) AS positions
""")

_OF_AFFECTED = "position = ANY(%(positions)s::bigint[]) OR purchase_order = ANY(%(orders)s::text[])"

SUBTOTALS = subtotals(
    "capacity_subtotal",
    ("sku", "agreement", "contract_kind", "site", "assertion_status"),
    dict.fromkeys(("ordered", "received", "returned", "movements", "entries"), "bigint"),
    affected=_AFFECTED,
    of_rows=statement(
        _BY_DAY,
        lines="capacity_order_line",
        changes="capacity_order_change",
        hardware="capacity_hardware",
        counts="{counted}",
    ),
    of_affected=statement(
        _BY_DAY,
        lines=(
            "(SELECT * FROM capacity_order_line WHERE purchase_order = ANY(%(lines_of)s::text[]))"
        ),
        changes="(SELECT * FROM capacity_order_change WHERE {of_affected})",
        hardware="(SELECT * FROM capacity_hardware WHERE {of_affected})",
        counts="{known}",
        of_affected=_OF_AFFECTED,
    ),
)
"""Racks ordered and received on each day."""

_MOVED = SUBTOTALS.question("""
    WITH rating AS (
        SELECT DISTINCT ON (sku) sku, platform, rated_power_kw_numerator,
               rated_power_kw_denominator, power_basis, gpu_count, gpu_basis,
               assertion_status AS rating_status
        FROM capacity_rating WHERE {counted}
        ORDER BY sku, effective_date DESC, position DESC
    ), moved AS (
        SELECT sku, site, sum(ordered)::bigint AS ordered, sum(received)::bigint AS received,
               sum(movements) > 0 AS delivered, array_agg(DISTINCT assertion_status) AS statuses
        FROM {sums} AS moved
        WHERE (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
            AND contract_kind <> 'CLOUD_CAPACITY'
        GROUP BY 1, 2
    )
    SELECT * FROM moved LEFT JOIN rating USING (sku) ORDER BY sku, site
""")

RACKS = SUBTOTALS.question("""
    SELECT sku, assertion_status, 0 AS period, sum(received)::bigint AS received,
           sum(returned)::bigint AS returned, sum(movements)::bigint AS movements
    FROM {sums} AS moved WHERE contract_kind <> 'CLOUD_CAPACITY' AND movements > 0
    GROUP BY 1, 2, 3
""")
"""Racks received and returned."""

RACKS_BY_PERIOD = SUBTOTALS.question("""
    SELECT sku, assertion_status, period, sum(moved.received)::bigint AS received,
           sum(moved.returned)::bigint AS returned, sum(moved.movements)::bigint AS movements
    FROM {series} AS series, LATERAL (
        SELECT width_bucket(day, %(first_days)s::integer[]) AS period,
               at.received - lag(at.received, 1, 0) OVER (ORDER BY day) AS received,
               at.returned - lag(at.returned, 1, 0) OVER (ORDER BY day) AS returned,
               at.movements - lag(at.movements, 1, 0) OVER (ORDER BY day) AS movements
        FROM unnest(days[:held], received[:held], returned[:held], movements[:held])
            AS at (day, received, returned, movements)
    ) AS moved
    WHERE contract_kind <> 'CLOUD_CAPACITY'
    GROUP BY 1, 2, 3 HAVING sum(moved.movements) > 0
""")
"""The same in each period: 0 is everything before the first day. Days are numbered."""

_UNRATED = "UNSPECIFIED"
Rows = Sequence[Mapping[str, Any]]
_Key = tuple[int, str, str]
"""Basis, site and platform."""


@dataclass(slots=True)
class _Place:
    """Sums of one site and platform on one basis."""

    ordered: int = 0
    received: int = 0
    ordered_kw: Fraction = Fraction(0)
    received_kw: Fraction = Fraction(0)
    certified_kw: int = 0
    gpus: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))


async def read_hardware(snapshot: Snapshot, agreements: list[str] | None) -> Rows:
    """Return the units ordered and received by SKU and site, with the rating of the SKU.

    Args:
        snapshot: a snapshot of the projection.
        agreements: only orders under these; all if None.
    """
    rows = await snapshot.sums(_MOVED, agreements=agreements)
    for row in rows:
        snapshot.add_provenance(row["statuses"])
        if row["power_basis"] is not None:
            snapshot.add_provenance([row["rating_status"]])
    return rows


def hardware_places(rows: Rows, breakdown: Iterable[CapacityBreakdown]) -> list[HardwarePlace]:
    """Return hardware by basis, site and platform, beside the capacity certified there.

    Args:
        rows: units ordered and received.
        breakdown: net certified capacity by place.
    """
    places: dict[_Key, _Place] = defaultdict(_Place)
    for row in rows:
        _add(places, row)
    for part in breakdown:
        if part.capacity_layer == CapacityLayer.CAPACITY_LAYER_CHIP_SUPPLY and part.certified_kw:
            place = places[part.power_basis, part.site, part.platform]
            place.certified_kw += part.certified_kw
    ordered_kw = _whole({key: place.ordered_kw for key, place in places.items()})
    received_kw = _whole({key: place.received_kw for key, place in places.items()})
    return [
        HardwarePlace(
            power_basis=PowerBasis.ValueType(key[0]),
            site=key[1],
            platform=key[2],
            ordered_rack_quantity=places[key].ordered,
            received_rack_quantity=places[key].received,
            gpus=[
                GpuQuantity(
                    gpu_basis=GpuBasis.ValueType(basis),
                    ordered_quantity=ordered,
                    received_quantity=received,
                )
                for basis, (ordered, received) in sorted(places[key].gpus.items())
            ],
            ordered_implied_kw=ordered_kw[key],
            received_implied_kw=received_kw[key],
            certified_kw=places[key].certified_kw,
            received_less_certified_kw=received_kw[key] - places[key].certified_kw,
        )
        for key in sorted(places)
    ]


def _add(places: dict[_Key, _Place], row: Mapping[str, Any]) -> None:
    basis = enum_number(PowerBasis, row["power_basis"] or _UNRATED)
    place = places[basis, row["site"], row["platform"] or ""]
    place.ordered += row["ordered"]
    place.received += row["received"]
    if row["power_basis"] is None:
        return
    rated_kw = Fraction(row["rated_power_kw_numerator"], row["rated_power_kw_denominator"])
    place.ordered_kw += row["ordered"] * rated_kw
    place.received_kw += row["received"] * rated_kw
    if row["gpu_count"]:
        gpus = place.gpus[enum_number(GpuBasis, row["gpu_basis"])]
        gpus[0] += row["ordered"] * row["gpu_count"]
        gpus[1] += row["received"] * row["gpu_count"]


def _whole(exact: Mapping[_Key, Fraction]) -> dict[_Key, int]:
    """Return whole kilowatts that add up, by basis, to the exact total rounded down.

    By largest remainder; ties go to the earlier line.
    """
    found = {key: kw.__floor__() for key, kw in exact.items()}
    for basis in {key[0] for key in exact}:
        lines = sorted(key for key in exact if key[0] == basis)
        total = sum((exact[key] for key in lines), Fraction(0)).__floor__()
        rest = total - sum(found[key] for key in lines)
        by_remainder = sorted(lines, key=lambda key: (found[key] - exact[key], key))
        for key in by_remainder[:rest]:
            found[key] += 1
    return found
