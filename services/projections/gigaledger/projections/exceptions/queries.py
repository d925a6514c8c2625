"""Queries of exceptions: stored findings of documents and hardware, and the rest evaluated now.

A query that names statuses, or a rule that looks across documents, evaluates all events; any other
evaluates only events outside of documents, of which a book has few.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gigaledger.common.grpc.paging import make_page_token, page_size_of, read_page_token
from gigaledger.common.quantities import date_to_message, instant_to_message
from gigaledger.exceptions.catalogue import RULES
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.register import ExceptionRecord, register_of
from gigaledger.projections.engine.snapshot import (
    ALL_STATUSES,
    MOST_EVENTS,
    Snapshot,
    TooManyEventsError,
)
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.exceptions.documents import ACROSS, HARDWARE, REVERSAL, WITHIN
from gigaledger.projections.exceptions.evaluation_store import posting_of
from gigaledger.projections.exceptions.exception_records import (
    described,
    read_records,
    read_statuses,
    read_sums,
)
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import (
    ExceptionFinding,
    ExceptionSeverity,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
)

# Closing a period, adopting a policy and reviewing an exception concern the whole book, regardless
# of the day and statuses of a query. A reversed entry counts too, because it was in the books, and
# so does its reversal, whatever its status.
_EVENTS = """
    SELECT position, recorded_time, effective_date, assertion_status, fact_type, event
    FROM exceptions_event
    WHERE {recorded} AND (
        effective_date <= %(as_of_end)s
        AND (assertion_status = ANY(%(statuses)s) OR fact_type = 'entry_reversed')
        OR fact_type = ANY(%(control)s)
    ) {which}
    ORDER BY position
    LIMIT %(most)s + 1
"""
_ALL_EVENTS = statement(_EVENTS, which="")
_EVENTS_OF_BOOK = statement(_EVENTS, which="AND document = ''")
_POLICIES = statement("""
    SELECT event FROM exceptions_event
    WHERE {known} AND document = '' AND fact_type = 'policy_adopted'
    ORDER BY position
""")
_REVIEWS = ("exception_opened", "exception_closed")
_CONTROL = ["period_closed", "period_reopened", *_REVIEWS]
_PLACE = re.compile(r"([1-9][0-9]{0,17})-([0-9]{1,18})-([A-Z0-9-]+\.([0-9]{1,18})\.[0-9a-f]+)")


class UnknownRuleError(ValueError):
    """A query names a rule that does not exist."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The start of a page.

    Attributes:
        position: the known position of all pages of the query; 0 for the first page.
        passed: number of stored exceptions on the pages before.
        arose_position: where the last exception before it arose.
        exception: id of that exception.
    """

    position: int = 0
    passed: int = 0
    arose_position: int = 0
    exception: str = ""


def page_cursor(request: QueryExceptionsRequest) -> Cursor:
    """Return the start of the page that a request asks for.

    Raises:
        InvalidArgumentError: the token is not of this method, or belongs to another request.
    """
    if not request.page_token:
        return Cursor()
    match = read_page_token(_PLACE, request.page_token, request)
    return Cursor(int(match[1]), int(match[2]), int(match[4]), match[3])


async def query_exceptions(
    snapshot: Snapshot,
    request: QueryExceptionsRequest,
    cursor: Cursor = Cursor(),
    most_events: int = MOST_EVENTS,
) -> QueryExceptionsResponse:
    """Return exceptions, open and cleared.

    Args:
        snapshot: a snapshot of the projection, as known at the cursor's position.
        request: rules and page.
        cursor: start of the page.
        most_events: number of events to evaluate for the answer, at most.

    Raises:
        TooManyEventsError: more events would have to be evaluated.
        UnknownRuleError: the request names a rule that does not exist.
    """
    for code in request.rules:
        if code not in RULES:
            raise UnknownRuleError(f"{code!r} is none of {', '.join(RULES)}")
    rules = frozenset(request.rules or RULES)
    policy = await _policy(snapshot)
    evaluated = snapshot.scope.statuses == ALL_STATUSES and not rules & ACROSS & policy.across
    rows = await snapshot.rows(
        _EVENTS_OF_BOOK if evaluated else _ALL_EVENTS, control=_CONTROL, most=most_events
    )
    if len(rows) > most_events:
        raise TooManyEventsError(most_events)
    # In a thread, so that a large book does not delay other queries.
    postings, found = await asyncio.to_thread(
        _evaluated, rows, policy, snapshot.scope.evaluation_date, frozenset(request.rules)
    )
    listed = [item for item in found if item.cleared_date is None or not request.open_only]
    size = page_size_of(request.page_size)
    stored = (
        await _read_stored(snapshot, request, cursor, size + 1, postings)
        if evaluated
        else _Stored()
    )
    after = [item for item in listed if _sort_key(item) > (cursor.arose_position, cursor.exception)]
    after = sorted([*after, *stored.exceptions], key=_sort_key)
    page = after[:size]
    passed = cursor.passed + len(set(page) & set(stored.exceptions))
    reviews = _reviews(postings)
    snapshot.add_provenance({row["assertion_status"] for row in rows})
    return QueryExceptionsResponse(
        context=snapshot.context(),
        exceptions=[_message(item, reviews) for item in page],
        policy=policy.number,
        total_count=stored.total + len(listed),
        open_count=stored.open_count + sum(item.cleared_date is None for item in listed),
        next_page_token=(
            make_page_token(f"{snapshot.scope.position}-{passed}-{page[-1].id}", request)
            if len(after) > size
            else ""
        ),
    )


@dataclass(frozen=True, slots=True)
class _Stored:
    """Some stored exceptions, and how many there are."""

    exceptions: Sequence[ExceptionRecord] = ()
    total: int = 0
    open_count: int = 0


async def _read_stored(
    snapshot: Snapshot,
    request: QueryExceptionsRequest,
    cursor: Cursor,
    most: int,
    postings: Sequence[Posting],
) -> _Stored:
    """Return the first stored exceptions from a cursor on."""
    rules = frozenset(request.rules or RULES) & (WITHIN | {HARDWARE})
    sums = await read_sums(snapshot)
    open_count = sum(sums.open[rule] for rule in rules)
    total = open_count if request.open_only else sum(sums.total[rule] for rule in rules)
    found = await read_records(
        snapshot,
        sums,
        rules,
        (cursor.arose_position, cursor.exception),
        min(most, total - cursor.passed),
        open_only=request.open_only,
    )
    snapshot.add_provenance(await read_statuses(snapshot))
    known = _not_reversed(postings)
    return _Stored([described(item, sums, known) for item in found], total, open_count)


def _evaluated(
    rows: list[dict[str, Any]], policy: Policy, evaluation_date: dt.date, rules: frozenset[str]
) -> tuple[list[Posting], list[ExceptionRecord]]:
    """Return events as postings, and their exceptions."""
    postings = [posting_of(row) for row in rows]
    return postings, register_of(postings, policy, evaluation_date, rules).exceptions


def _sort_key(item: ExceptionRecord) -> tuple[int, str]:
    return item.arose_position, item.id


async def _policy(snapshot: Snapshot) -> Policy:
    policy = Policy()
    for row in await snapshot.rows(_POLICIES):
        policy = policy.followed_by(Event.FromString(row["event"]).policy_adopted)
    return policy


def _not_reversed(postings: Sequence[Posting]) -> list[Posting]:
    """Return postings that are not reversed."""
    wrong = {posting.fact.position for posting in postings if posting.kind == REVERSAL}
    return [posting for posting in postings if posting.position not in wrong]


def _reviews(postings: list[Posting]) -> dict[str, dict[str, str]]:
    """Return owner and resolution that people recorded, by id of the exception."""
    found: dict[str, dict[str, str]] = {}
    for posting in _not_reversed(postings):
        if posting.kind in _REVIEWS:
            held = found.setdefault(posting.fact.exception, {})
            if posting.kind == "exception_opened":
                held["owner"] = posting.fact.owner
            else:
                held["resolution"] = posting.fact.resolution
    return found


def _message(item: ExceptionRecord, reviews: dict[str, dict[str, str]]) -> ExceptionFinding:
    severity, _ = RULES[item.rule]
    return ExceptionFinding(
        exception=item.id,
        rule=item.rule,
        severity=ExceptionSeverity.ValueType(severity),
        description=item.description,
        subject=item.subject,
        positions=item.positions,
        arose_date=date_to_message(item.arose_date),
        arose_position=item.arose_position,
        arose_time=instant_to_message(item.arose_time) if item.arose_time else None,
        cleared_date=date_to_message(item.cleared_date) if item.cleared_date else None,
        cleared_position=item.cleared_position or 0,
        cleared_time=instant_to_message(item.cleared_time) if item.cleared_time else None,
        **reviews.get(item.id, {}),
    )
