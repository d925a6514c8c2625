"""Financing in cash, from the tables of the round trip: equity of vehicles, debt, leases, support.

Repaid principal reduces the loan, as a refund reduces a payment; interest and distributions are
payments of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.trade.circular_flows import FlowKind
from gigaledger.projections.trade.timed import DatedFlow

# An instrument recorded in error still names its parties, if no other does.
_FINANCING = statement("""
    WITH instrument AS (
        SELECT DISTINCT ON (instrument) instrument, payer AS financier, payee AS financed,
               currency AS its_currency
        FROM round_trip_instrument WHERE {recorded}
        ORDER BY instrument, {known} DESC, position DESC
    ), entry AS (
        SELECT kind, effective_date AS day, assertion_status, amount_minor,
               coalesce(nullif(payer, ''), CASE WHEN backwards THEN financed ELSE financier END)
                   AS payer,
               coalesce(nullif(payee, ''), CASE WHEN backwards THEN financier ELSE financed END)
                   AS payee,
               coalesce(nullif(currency, ''), its_currency, '') AS currency
        FROM round_trip_financing LEFT JOIN instrument USING (instrument) WHERE {counted}
    )
    SELECT kind, payer, payee, currency, day, assertion_status,
           coalesce(sum(amount_minor), 0) AS amount_minor,
           count(*) FILTER (WHERE amount_minor IS NULL) AS undisclosed
    FROM entry WHERE currency <> '' GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
""")


@dataclass(frozen=True, slots=True)
class Financing:
    """A payment by way of financing on a day.

    Attributes:
        flow: payer, payee, kind and amount.
        currency: of the amount.
        undisclosed: number of payments of unknown amounts.
        assertion_status: of the facts.
    """

    flow: DatedFlow
    currency: str
    undisclosed: int
    assertion_status: str


async def read_financing(snapshot: Snapshot, groups: Mapping[str, str]) -> list[Financing]:
    """Return all financing between different parties, or the groups that they stand for.

    A payment of an amount and a currency that nobody disclosed is in no currency's graph.
    """
    found = []
    for row in await snapshot.rows(_FINANCING):
        payer, payee = (groups.get(row[end], row[end]) for end in ("payer", "payee"))
        if payer != payee:
            kind = FlowKind[row["kind"]]
            flow = DatedFlow(payer, payee, kind, row["day"], int(row["amount_minor"]))
            found.append(
                Financing(flow, row["currency"], row["undisclosed"], row["assertion_status"])
            )
    return found
