"""Looking through vehicles: the stated use of their capital for payees who contributed to it.

A vehicle is looked through only if a fact states what its money is spent on: the contribution or
the drawing, or else the fact that formed the vehicle (domain rules, section 2.5).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.amounts import Amount, ratio
from gigaledger.v1.projections_pb2 import VehicleCapital

WHOLE_PPM = 1_000_000

# A vehicle recorded in error still defines its name, if no other does.
_CAPITAL = statement("""
    WITH vehicle AS (
        SELECT DISTINCT ON (instrument) payee AS vehicle, currency, spent_on, share_ppm
        FROM round_trip_instrument WHERE instrument LIKE 'vehicles/%%' AND {recorded}
        ORDER BY instrument, {known} DESC, position DESC
    ), capital AS (
        SELECT vehicle, payer AS financier, kind = 'DEBT' AS lent, assertion_status, amount_minor,
               effective_date AS day,
               coalesce(nullif(paid.currency, ''), vehicle.currency) AS currency,
               CASE WHEN cardinality(paid.spent_on) > 0 THEN paid.spent_on
                    ELSE vehicle.spent_on END AS spent_on,
               CASE WHEN cardinality(paid.spent_on) > 0 THEN paid.share_ppm
                    ELSE vehicle.share_ppm END AS share_ppm
        FROM round_trip_financing AS paid JOIN vehicle ON paid.payee = vehicle
        WHERE {counted}
            AND (kind = 'DEBT' OR (kind = 'INVESTMENT' AND instrument = 'vehicles/' || vehicle))
    )
    SELECT vehicle, financier, lent, currency, use.payee, use.ppm, day, assertion_status,
           coalesce(sum(amount_minor), 0) AS amount_minor,
           count(*) FILTER (WHERE amount_minor IS NULL) AS undisclosed
    FROM capital, unnest(spent_on, share_ppm) AS use (payee, ppm)
    WHERE currency <> '' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
""")


@dataclass(slots=True)
class _Sum:
    """An amount that is rounded once, half to even."""

    minor: Fraction = Fraction(0)
    undisclosed: int = 0

    def amount(self) -> Amount:
        return Amount(round(self.minor), self.undisclosed)


async def read_vehicles(
    snapshot: Snapshot, groups: Mapping[str, str], from_day: dt.date
) -> list[VehicleCapital]:
    """Return the stated use of the capital of vehicles, in order of vehicle, payee and currency.

    Args:
        snapshot: a snapshot of the projection of the round trip.
        groups: the groups of parties that belong to one.
        from_day: the first day that counts.
    """
    sums: dict[tuple[str, str, str], dict[tuple[bool, bool], _Sum]] = defaultdict(
        lambda: defaultdict(_Sum)
    )
    for row in await snapshot.rows(_CAPITAL):
        if row["day"] < from_day:
            continue
        snapshot.add_provenance([row["assertion_status"]])
        vehicle, payee, financier = (
            groups.get(row[name], row[name]) for name in ("vehicle", "payee", "financier")
        )
        found = sums[vehicle, payee, row["currency"]][row["lent"], financier == payee]
        found.minor += Fraction(int(row["amount_minor"]) * row["ppm"], WHOLE_PPM)
        found.undisclosed += row["undisclosed"]
    return [_message(*key, sums[key]) for key in sorted(sums)]


def _message(
    vehicle: str, payee: str, currency: str, sums: Mapping[tuple[bool, bool], _Sum]
) -> VehicleCapital:
    parts = {key: part.amount() for key, part in sums.items()}

    def part(*, lent: bool, own: bool) -> Amount:
        return parts.get((lent, own), Amount())

    own_equity, own_debt = part(lent=False, own=True), part(lent=True, own=True)
    equity = own_equity + part(lent=False, own=False)
    debt = own_debt + part(lent=True, own=False)
    return VehicleCapital(
        vehicle=vehicle,
        payee=payee,
        currency_code=currency,
        equity=equity.figure(currency),
        debt=debt.figure(currency),
        own_equity=own_equity.figure(currency),
        own_debt=own_debt.figure(currency),
        own_of_capital=ratio(
            own_equity.minor + own_debt.minor, equity.minor + debt.minor, currency
        ),
        own_of_equity=ratio(own_equity.minor, equity.minor, currency),
    )
