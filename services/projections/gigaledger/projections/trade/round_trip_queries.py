"""Answers about the round trip, from the tables of this projection.

PostgreSQL sums additions by day and by the parties that documents name. Groups of parties are
resolved here.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import sub
from typing import Any, TypeVar

from gigaledger.projections.engine.snapshot import ReadScope, Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.agreement_terms import Agreements, read_agreements
from gigaledger.projections.shared.agreements import Terms
from gigaledger.projections.shared.amounts import Amount
from gigaledger.projections.trade.daily_balances import BY_EVENT, BY_SERIES
from gigaledger.projections.trade.round_trip import (
    Measure,
    Movement,
    Series,
    Source,
    commitments,
    pairs_of,
    series_of,
)
from gigaledger.v1.projections_pb2 import (
    PartyLevel,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
)

CAVEAT = (
    "Recycled amounts are an upper bound: money is fungible, and a balance between two parties does"
    " not show that the same money came back."
)
"""Belongs beside every figure of an answer."""

_GROUPS = statement("""
    SELECT DISTINCT ON (party) party, party_group FROM round_trip_group
    WHERE {known} AND effective_date <= %(as_of_end)s
    ORDER BY party, effective_date DESC, position DESC
""")


_CAPITAL = """
    WITH source AS (
        SELECT DISTINCT ON (agreement, contribution) agreement, contribution, measure AS form
        FROM round_trip_capital WHERE measure LIKE 'FUNDED%%' AND {recorded}
        ORDER BY agreement, contribution, {known} DESC, position DESC
    )
    SELECT measure, form, agreement, investor, issuer, currency, effective_date AS day,
           assertion_status, {place} AS position, {time} AS recorded_time, {document} AS document,
           coalesce(sum(amount_minor), 0) AS amount,
           count(*) FILTER (WHERE amount_minor IS NULL) AS undisclosed
    FROM round_trip_capital LEFT JOIN source USING (agreement, contribution)
    WHERE {counted} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
"""

_CAPITAL_BY_DAY = statement(_CAPITAL, place="0::bigint", time="NULL::timestamptz", document="''")
_CAPITAL_BY_EVENT = statement(
    _CAPITAL, place="position", time="recorded_time", document="contribution"
)


async def query_round_trip(
    snapshot: Snapshot, request: QueryRoundTripRequest
) -> QueryRoundTripResponse:
    """Answer QueryRoundTrip.

    Args:
        snapshot: a snapshot of the projection.
        request: the level of pairs, and which pairs.
    """
    groups = await read_groups(snapshot, request.level)
    series = [one for one in await read_series(snapshot, groups) if _is_asked_for(one, request)]
    for one in series:
        snapshot.add_provenance(one.statuses)
    return QueryRoundTripResponse(
        context=snapshot.context(),
        pairs=[pair.message(include_lots=request.include_lots) for pair in pairs_of(series)],
        caveat=CAVEAT,
    )


async def read_series(
    snapshot: Snapshot, groups: Mapping[str, str], from_day: dt.date = dt.date.min
) -> list[Series]:
    """Return what moved between parties, or the groups that they stand for, from a day on.

    What moves within a group is neither bought nor invested. There may be several series of a
    measure between the same two.
    """
    agreements = await read_agreements(snapshot, "round_trip_terms")
    rows = await snapshot.sums(BY_SERIES, from_day=from_day.toordinal())
    found = _series_of(rows, from_day.toordinal())
    movements = _commitments(snapshot.scope, agreements)
    for row in await snapshot.rows(_CAPITAL_BY_DAY):
        movements += _capital(row, agreements)
    found += series_of(movement for movement in movements if movement.day >= from_day)
    return _between(groups, found)


async def read_investments(snapshot: Snapshot, groups: Mapping[str, str]) -> list[Movement]:
    """Return investments between parties, or their groups, by event."""
    agreements = await read_agreements(snapshot, "round_trip_terms")
    found = _commitments(snapshot.scope, agreements)
    for row in await snapshot.rows(_CAPITAL_BY_EVENT):
        found += _capital(row, agreements)
    return _between(groups, found)


async def read_purchases(
    snapshot: Snapshot,
    groups: Mapping[str, str],
    measures: Collection[Measure],
    affected: Mapping[str, object],
) -> list[Movement]:
    """Return the contributions of some events to some measures of purchases.

    Open items are left out: no single event contributes to them.

    Args:
        snapshot: a snapshot of the projection.
        groups: groups of the parties.
        measures: the requested measures.
        affected: arrays of the positions of these events and of all documents that they concern.
    """
    names = [measure.name for measure in measures]
    rows = await snapshot.planned_rows(BY_EVENT, measures=names, **affected)
    return _between(groups, map(_movement, rows))


_Moved = TypeVar("_Moved", Movement, Series)


def _between(groups: Mapping[str, str], moved: Iterable[_Moved]) -> list[_Moved]:
    found = [
        replace(
            one,
            supplier=groups.get(one.supplier, one.supplier),
            customer=groups.get(one.customer, one.customer),
        )
        for one in moved
    ]
    return [one for one in found if one.supplier != one.customer]


def _is_asked_for(series: Series, request: QueryRoundTripRequest) -> bool:
    return request.supplier_investor in ("", series.supplier) and request.customer_investee in (
        "",
        series.customer,
    )


async def read_groups(snapshot: Snapshot, level: PartyLevel.ValueType) -> dict[str, str]:
    """Return the group that each party belongs to on the as-of date; none at the level of entities.

    Parties that belong to no group on that date, or not yet, are left out.
    """
    if level == PartyLevel.PARTY_LEVEL_ENTITY:
        return {}
    return {
        row["party"]: row["party_group"]
        for row in await snapshot.rows(_GROUPS)
        if row["party_group"]
    }


def _commitments(scope: ReadScope, agreements: Agreements) -> list[Movement]:
    found: list[Movement] = []
    for name, history in agreements.counted.items():
        statuses = frozenset(agreements.statuses(name))
        found += commitments(history, statuses, scope.as_of_end, scope.evaluation_date)
    return found


def _series_of(rows: Iterable[dict[str, Any]], from_day: int) -> list[Series]:
    """Return series from the rows of BY_SERIES, several of which may belong to one series."""
    by_series: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        key = (row["measure"], row["supplier"], row["customer"], row["currency"])
        by_series[key].append(row)
    found = []
    for (measure, supplier, customer, currency), parts in by_series.items():
        days: dict[int, int] = {}
        # One block may take back what another added, so that nothing of a status remains.
        by_status: dict[str, Counter[str]] = defaultdict(Counter)
        for row in parts:
            added = _added(row, from_day)
            of_row = {name: row[name] for name in ("undisclosed", "entries")}
            by_status[row["assertion_status"]].update(of_row, minor=sum(added.values()))
            for day in days.keys() & added.keys():
                added[day] += days[day]
            days |= added
        statuses = {status for status, sums in by_status.items() if any(sums.values())}
        if statuses:
            undisclosed = sum(sums["undisclosed"] for sums in by_status.values())
            series = Series(
                measure=Measure[measure],
                supplier=supplier,
                customer=customer,
                currency=currency,
                days=days,
                undisclosed=undisclosed,
                statuses=frozenset(statuses) - {""},
            )
            found.append(series)
    return found


def _added(row: Mapping[str, Any], from_day: int) -> dict[int, int]:
    """Return the daily additions from a day on, from a row of totals."""
    days = row["days"]
    sums_minor = list(map(int, row["amounts"][1:-1].split(",")))
    sums_before = [0, *sums_minor]
    start = bisect_left(days, from_day)
    added = map(sub, sums_minor[start:], sums_before[start:])
    return dict(zip(days[start:], added, strict=True))


def _movement(row: dict[str, Any]) -> Movement:
    return Movement(
        measure=Measure[row["measure"]],
        supplier=row["supplier"],
        customer=row["customer"],
        currency=row["currency"],
        day=row["day"],
        amount=Amount(int(row["amount"]), int(row["undisclosed"])),
        statuses=frozenset({row["assertion_status"]}),
        source=_source(row),
    )


def _source(row: dict[str, Any]) -> Source | None:
    if not row.get("position"):
        return None
    return Source(row["position"], row["recorded_time"], row["document"])


def _capital(row: dict[str, Any], agreements: Agreements) -> Iterator[Movement]:
    """Yield what a change of capital means for a pair: whoever the agreement names, for a call."""
    # An agreement that was recorded in error names nobody, and capital is recorded all the same.
    history = agreements.known.get(row["agreement"])
    terms = history.terms_on(row["day"]) if history else Terms()
    movement = Movement(
        measure=Measure.CALLED,
        supplier=row["investor"] or terms.investor,
        customer=row["issuer"] or terms.issuer,
        currency=row["currency"] or terms.currency,
        day=row["day"],
        amount=Amount(int(row["amount"]), int(row["undisclosed"])),
        statuses=frozenset({row["assertion_status"]}),
        source=_source(row),
    )
    if row["measure"] in ("CALLED", "RETURNED"):
        yield movement
    if row["measure"] != "CALLED":
        yield replace(movement, measure=Measure[row["form"]])
