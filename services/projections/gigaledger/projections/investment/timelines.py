"""How tranches went from entitlement to cash: since when, by which event, how many days."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gigaledger.common.quantities import date_to_message
from gigaledger.projections.engine.snapshot import ReadScope, Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.investment.figures import Evidence, reached
from gigaledger.projections.shared.agreement_terms import Agreements
from gigaledger.projections.shared.agreements import History, Terms, Tranche
from gigaledger.v1.projections_pb2 import EntitlementCause, TrancheTimeline

_CERTIFIED = statement("""
    SELECT position, agreement, power_basis, effective_date, power_kw, certificate
    FROM investment_certified
    WHERE {counted} AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ORDER BY position
""")

_CONDITIONS = statement("""
    SELECT position, agreement, tranche, condition, effective_date
    FROM investment_condition
    WHERE {counted} AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ORDER BY position
""")

# A contribution that names no tranche is for those of the call that it answers.
_FIRST = statement("""
    WITH call AS (
        SELECT DISTINCT ON (agreement, call_notice) agreement, call_notice, tranches
        FROM investment_capital WHERE measure = 'CALLED' AND {recorded}
        ORDER BY agreement, call_notice, {known} DESC, position DESC
    ), entry AS (
        SELECT * FROM investment_capital
        WHERE measure <> 'RETURNED' AND {counted}
            AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ), described AS (
        SELECT agreement, entry.measure = 'CALLED' AS called, entry.effective_date,
               CASE WHEN entry.measure = 'CALLED' OR cardinality(entry.tranches) > 0
                    THEN entry.tranches ELSE coalesce(call.tranches, '{}') END AS tranches
        FROM entry LEFT JOIN call USING (agreement, call_notice)
    )
    SELECT agreement, called, tranche, min(effective_date) AS day
    FROM described, unnest(tranches) AS tranche
    GROUP BY 1, 2, 3
""")


@dataclass(slots=True)
class _Events:
    """What counts for the tranches of one agreement."""

    certified: list[Mapping[str, Any]] = field(default_factory=list)
    documented: list[Mapping[str, Any]] = field(default_factory=list)
    called: dict[int, dt.date] = field(default_factory=dict)
    funded: dict[int, dt.date] = field(default_factory=dict)


async def timelines(
    snapshot: Snapshot, agreements: Agreements, only: frozenset[str] | None
) -> list[TrancheTimeline]:
    """Return when each tranche of the agreements in force was entitled, called and funded.

    Args:
        snapshot: a snapshot of the projection.
        agreements: the agreements of the book.
        only: the requested agreements; all if None.
    """
    names = sorted(only) if only is not None else None
    events: dict[str, _Events] = defaultdict(_Events)
    for row in await snapshot.rows(_CERTIFIED, agreements=names):
        events[row["agreement"]].certified.append(row)
    for row in await snapshot.rows(_CONDITIONS, agreements=names):
        events[row["agreement"]].documented.append(row)
    for row in await snapshot.rows(_FIRST, agreements=names):
        found = events[row["agreement"]]
        (found.called if row["called"] else found.funded)[row["tranche"]] = row["day"]
    scope, lines = snapshot.scope, []
    for name, history in agreements.counted.items():
        status = history.on(scope.as_of_end, scope.evaluation_date)
        if status is None or not status.in_force or (only is not None and name not in only):
            continue
        since = entitled_since(scope, history, events[name])
        for tranche in sorted(status.terms.tranches, key=lambda tranche: tranche.number):
            day = since.get(tranche.number)
            lines.append(_timeline(name, tranche, day, history, events[name], scope))
    return lines


def entitled_since(scope: ReadScope, history: History, events: _Events) -> dict[int, dt.date]:
    """Return since when each entitled tranche has been entitled without a break.

    Entitlement is evaluated on each day on which it may change, by the rule of the figures.

    Args:
        scope: the facts that count.
        history: of the agreement.
        events: facts that count for its tranches.
    """
    changes: dict[dt.date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in (*events.certified, *events.documented):
        changes[row["effective_date"]].append(row)
    days = changes.keys() | history.days() | set(_days_of_conditions(history))
    total_kw: dict[str, int] = defaultdict(int)
    highest_kw: dict[str, int] = defaultdict(int)
    documented: set[tuple[int, int]] = set()
    since: dict[int, dt.date] = {}
    for day in sorted(day for day in days if _counts(scope, history, day, changes)):
        for row in changes.get(day, ()):
            if "power_kw" in row:
                total_kw[row["power_basis"]] += row["power_kw"]
            else:
                documented.add((row["tranche"], row["condition"]))
        for basis, kw in total_kw.items():
            highest_kw[basis] = max(highest_kw[basis], kw)
        evaluation_date = min(day, scope.evaluation_date)
        status = history.on(day, evaluation_date)
        if status is None:
            continue
        measured = highest_kw if status.terms.latching else total_kw
        certified = {basis: {day: kw} for basis, kw in measured.items()}
        open_ = reached(status, Evidence(evaluation_date, certified, frozenset(documented)))
        since = {number: since.get(number, day) for number in open_}
    return since


def _counts(
    scope: ReadScope, history: History, day: dt.date, changes: Mapping[dt.date, object]
) -> bool:
    """Return whether a day counts: by facts of that day, or because time has come so far."""
    if day > scope.as_of_end:
        return False
    by_fact = day in changes or any(change.effective_date == day for change in history.changes)
    return by_fact or day <= scope.evaluation_date or history.superseded_on == day


def _days_of_conditions(history: History) -> Iterator[dt.date]:
    for change in history.changes:
        for tranche in change.terms.tranches:
            for condition in tranche.conditions:
                if condition.type == "DATE_REACHED" and condition.date:
                    yield condition.date


def _timeline(
    agreement: str,
    tranche: Tranche,
    since: dt.date | None,
    history: History,
    events: _Events,
    scope: ReadScope,
) -> TrancheTimeline:
    number = tranche.number
    called, funded = events.called.get(number), events.funded.get(number)
    line = TrancheTimeline(
        agreement=agreement,
        tranche=number,
        called_date=date_to_message(called) if called else None,
        funded_date=date_to_message(funded) if funded else None,
    )
    if since is not None:
        line.entitled_date.CopyFrom(date_to_message(since))
        line.causes.extend(_causes(tranche, since, history, events))
        line.days_to_call = ((called or scope.evaluation_date) - since).days
        line.days_to_fund = ((funded or scope.evaluation_date) - since).days
    return line


def _causes(
    tranche: Tranche, day: dt.date, history: History, events: _Events
) -> Sequence[EntitlementCause]:
    """Return the events of a day that a tranche's entitlement may rest on."""
    types = {condition.type for condition in tranche.conditions}
    terms: Terms = history.terms_on(day)
    found = []
    if "CAPACITY_CERTIFIED" in types:
        found += [
            _cause(row, row["certificate"], row["power_kw"])
            for row in events.certified
            if row["effective_date"] == day
            and row["power_basis"] == terms.power_basis
            and row["power_kw"] > 0
        ]
    found += [
        _cause(row)
        for row in events.documented
        if (row["effective_date"], row["tranche"]) == (day, tranche.number)
    ]
    found += [
        EntitlementCause(position=change.position, effective_date=date_to_message(day))
        for change in history.changes
        if change.effective_date == day
    ]
    return sorted(found, key=lambda cause: cause.position)


def _cause(row: Mapping[str, Any], certificate: str = "", power_kw: int = 0) -> EntitlementCause:
    return EntitlementCause(
        position=row["position"],
        effective_date=date_to_message(row["effective_date"]),
        certificate=certificate,
        power_kw=power_kw,
    )
