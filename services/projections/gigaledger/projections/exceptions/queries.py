"""Answers about exceptions: from what is judged behind the fold, and from events.

Where statuses are asked for, or a rule that looks across documents is tested, all events are judged
for the answer; otherwise those that are no trade, of which a book has few.
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
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.exceptions.documents import ACROSS, HARDWARE, REVERSAL, WITHIN
from gigaledger.projections.exceptions.evaluation_store import posting_of
from gigaledger.projections.exceptions.exception_records import (
    described,
    read_records,
    read_statuses,
    read_sums,
)
from gigaledger.projections.queries.snapshot import (
    ALL_STATUSES,
    MOST_EVENTS,
    Snapshot,
    TooManyEventsError,
)
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import (
    ExceptionFinding,
    ExceptionSeverity,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
)

# Who closed a period, adopted a policy or reviewed an exception did so for the whole book, whatever
# day and statuses a question is about. A reversed entry is read as well, for it was in the books,
# and its reversal, whatever status that was given.
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
    """There is no rule of that code."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page starts.

    Attributes:
        position: the state of knowledge that the pages are of; 0 for the first page.
        passed: how many exceptions of what is judged behind the fold came before.
        arose_position: where the last one before arose.
        exception: its id.
    """

    position: int = 0
    passed: int = 0
    arose_position: int = 0
    exception: str = ""


def page_place(request: QueryExceptionsRequest) -> Place:
    """Return where the page starts that a request asks for.

    Raises:
        InvalidArgumentError: not a token of this method, or one of another request.
    """
    if not request.page_token:
        return Place()
    match = read_page_token(_PLACE, request.page_token, request)
    return Place(int(match[1]), int(match[2]), int(match[4]), match[3])


async def query_exceptions(
    snapshot: Snapshot,
    request: QueryExceptionsRequest,
    place: Place = Place(),
    most_events: int = MOST_EVENTS,
) -> QueryExceptionsResponse:
    """Answer which rules are broken, and which were.

    Args:
        snapshot: a snapshot of the projection, by what is known at the place's position.
        request: rules and page.
        place: where the page starts.
        most_events: how many events are judged for the answer, at the most.

    Raises:
        TooManyEventsError: more events have to be judged.
        UnknownRuleError: a rule that is asked for does not exist.
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
    # Beside the loop: a book of many events must not hold up other questions.
    postings, found = await asyncio.to_thread(
        _by_posting, rows, policy, snapshot.scope.evaluation_date, frozenset(request.rules)
    )
    listed = [item for item in found if item.cleared_date is None or not request.open_only]
    size = page_size_of(request.page_size)
    kept = await _read_kept(snapshot, request, place, size + 1, postings) if evaluated else _Kept()
    after = [item for item in listed if _place(item) > (place.arose_position, place.exception)]
    after = sorted([*after, *kept.exceptions], key=_place)
    page = after[:size]
    passed = place.passed + len(set(page) & set(kept.exceptions))
    reviews = _reviews(postings)
    snapshot.add_provenance({row["assertion_status"] for row in rows})
    return QueryExceptionsResponse(
        context=snapshot.context(),
        exceptions=[_message(item, reviews) for item in page],
        policy=policy.number,
        total_count=kept.total + len(listed),
        open_count=kept.standing + sum(item.cleared_date is None for item in listed),
        next_page_token=(
            make_page_token(f"{snapshot.scope.position}-{passed}-{page[-1].id}", request)
            if len(after) > size
            else ""
        ),
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """Exceptions of what is judged behind the fold: some of them, and how many there are."""

    exceptions: Sequence[ExceptionRecord] = ()
    total: int = 0
    standing: int = 0


async def _read_kept(
    snapshot: Snapshot,
    request: QueryExceptionsRequest,
    place: Place,
    most: int,
    postings: Sequence[Posting],
) -> _Kept:
    """Return what is judged behind the fold: the first exceptions from a place on."""
    rules = frozenset(request.rules or RULES) & (WITHIN | {HARDWARE})
    sums = await read_sums(snapshot)
    standing = sum(sums.standing[rule] for rule in rules)
    total = standing if request.open_only else sum(sums.total[rule] for rule in rules)
    found = await read_records(
        snapshot,
        sums,
        rules,
        (place.arose_position, place.exception),
        min(most, total - place.passed),
        open_only=request.open_only,
    )
    snapshot.add_provenance(await read_statuses(snapshot))
    known = _standing(postings)
    return _Kept([described(item, sums, known) for item in found], total, standing)


def _by_posting(
    rows: list[dict[str, Any]], policy: Policy, today: dt.date, rules: frozenset[str]
) -> tuple[list[Posting], list[ExceptionRecord]]:
    """Return events as postings, and their exceptions."""
    postings = [posting_of(row) for row in rows]
    return postings, register_of(postings, policy, today, rules).exceptions


def _place(item: ExceptionRecord) -> tuple[int, str]:
    return item.arose_position, item.id


async def _policy(snapshot: Snapshot) -> Policy:
    policy = Policy()
    for row in await snapshot.rows(_POLICIES):
        policy = policy.followed_by(Event.FromString(row["event"]).policy_adopted)
    return policy


def _standing(postings: Sequence[Posting]) -> list[Posting]:
    """Return postings that are not reversed."""
    wrong = {posting.fact.position for posting in postings if posting.kind == REVERSAL}
    return [posting for posting in postings if posting.position not in wrong]


def _reviews(postings: list[Posting]) -> dict[str, dict[str, str]]:
    """Return what people recorded of exceptions: owner and resolution, by id."""
    found: dict[str, dict[str, str]] = {}
    for posting in _standing(postings):
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
