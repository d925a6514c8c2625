"""Answers about exceptions, from the events that this projection keeps."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import (
    ExceptionFinding,
    ExceptionSeverity,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
)

from services.projections.exceptions.catalogue import RULES
from services.projections.exceptions.policy import Policy
from services.projections.exceptions.posting import Posting
from services.projections.exceptions.register import Raised, register_of
from services.projections.reading import MOST_EVENTS, Reader, TooManyEventsError
from services.projections.statements import statement
from services.quantities import date_to_message, instant_to_message

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

# Who closed a period, adopted a policy or reviewed an exception did so for the whole book, whatever
# day and statuses a question is about. A reversed entry is read as well, for it was in the books,
# and its reversal, whatever status that was given.
_EVENTS = statement("""
    SELECT position, recorded_time, effective_date, assertion_status, fact_type, event
    FROM exceptions_event
    WHERE {recorded} AND (
        effective_date <= %(until)s
        AND (assertion_status = ANY(%(statuses)s) OR fact_type = 'entry_reversed')
        OR fact_type = ANY(%(control)s)
    )
    ORDER BY position
    LIMIT %(most)s + 1
""")
_POLICIES = statement("""
    SELECT event FROM exceptions_event
    WHERE {known} AND fact_type = 'policy_adopted'
    ORDER BY position
""")
_REVIEWS = ("exception_opened", "exception_closed")
_CONTROL = ["period_closed", "period_reopened", *_REVIEWS]


class UnknownRuleError(ValueError):
    """There is no rule of that code."""


class PageTokenError(ValueError):
    """Not a token of this service."""


async def query_exceptions(
    reader: Reader, request: QueryExceptionsRequest, most_events: int = MOST_EVENTS
) -> QueryExceptionsResponse:
    """Answer which rules are broken, and which were.

    Args:
        reader: a snapshot of the projection.
        request: rules and page.
        most_events: how many events are judged, at the most.

    Raises:
        TooManyEventsError: more events count.
        UnknownRuleError: a rule that is asked for does not exist.
        PageTokenError: the token is not one of this service.
    """
    start = _read_token(request.page_token)
    for code in request.rules:
        if code not in RULES:
            raise UnknownRuleError(f"{code!r} is none of {', '.join(RULES)}")
    policy = await _policy(reader)
    rows = await reader.rows(_EVENTS, control=_CONTROL, most=most_events)
    if len(rows) > most_events:
        raise TooManyEventsError(most_events)
    # Beside the loop: a book of many events must not hold up other questions.
    found, reviews = await asyncio.to_thread(
        _judged, rows, policy, reader.scope.today, frozenset(request.rules)
    )
    reader.rests_on({row["assertion_status"] for row in rows})
    listed = [item for item in found if item.cleared_date is None or not request.open_only]
    after = [item for item in listed if _place(item) > start]
    size = request.page_size or DEFAULT_PAGE_SIZE
    page = after[:size]
    return QueryExceptionsResponse(
        context=reader.context(),
        exceptions=[_message(item, reviews) for item in page],
        policy=policy.number,
        total_count=len(listed),
        open_count=sum(item.cleared_date is None for item in listed),
        next_page_token=page[-1].id if len(after) > size else "",
    )


def _judged(
    rows: list[dict[str, Any]], policy: Policy, today: dt.date, rules: frozenset[str]
) -> tuple[list[Raised], dict[str, dict[str, str]]]:
    """Return the exceptions of events, and what people recorded of them."""
    postings = [_posting(row) for row in rows]
    return register_of(postings, policy, today, rules).exceptions, _reviews(postings)


def _place(item: Raised) -> tuple[int, str]:
    return item.arose_position, item.id


def _read_token(token: str) -> tuple[int, str]:
    """Return where a page ended: a token is the id of its last exception.

    Raises:
        PageTokenError: not a token of this service.
    """
    if not token:
        return 0, ""
    parts = token.split(".")
    if len(parts) != 3 or not parts[1].isdecimal():  # noqa: PLR2004 - rule, position, digest
        raise PageTokenError("is not a token of this service")
    return int(parts[1]), token


async def _policy(reader: Reader) -> Policy:
    policy = Policy()
    for row in await reader.rows(_POLICIES):
        policy = policy.followed_by(Event.FromString(row["event"]).policy_adopted)
    return policy


def _posting(row: dict[str, Any]) -> Posting:
    event = Event.FromString(row["event"])
    return Posting(
        position=row["position"],
        recorded_time=row["recorded_time"],
        effective_date=row["effective_date"],
        status=row["assertion_status"],
        kind=row["fact_type"],
        event=event,
        fact=getattr(event, row["fact_type"]),
    )


def _reviews(postings: list[Posting]) -> dict[str, dict[str, str]]:
    """Return what people recorded of exceptions: owner and resolution, by id."""
    reversed_positions = {p.fact.position for p in postings if p.kind == "entry_reversed"}
    found: dict[str, dict[str, str]] = {}
    for posting in postings:
        if posting.kind in _REVIEWS and posting.position not in reversed_positions:
            held = found.setdefault(posting.fact.exception, {})
            if posting.kind == "exception_opened":
                held["owner"] = posting.fact.owner
            else:
                held["resolution"] = posting.fact.resolution
    return found


def _message(item: Raised, reviews: dict[str, dict[str, str]]) -> ExceptionFinding:
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
