"""Filters, page tokens and resume tokens of requests that read events."""

from __future__ import annotations

import base64
import datetime as dt
import re
from typing import Literal
from uuid import UUID

from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.grpc.paging import read_page_token
from gigaledger.common.quantities import QuantityError, date_from_message
from gigaledger.ledger.log.reader import Filter, Page
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import EventFilter, ListAttemptsRequest, ListEventsRequest

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_FACT_TYPES = frozenset(field.name for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields)


def filter_of(message: EventFilter) -> Filter:
    """Return the filter of a request.

    Raises:
        InvalidArgumentError: a field of it is malformed.
    """
    for index, name in enumerate(message.fact_types):
        if name not in _FACT_TYPES:
            raise InvalidArgumentError(
                f"filter.fact_types[{index}]", f"{name!r} is not a fact of Event"
            )
    for name in ("stream", "agreement", "party"):
        if not getattr(message, name).isprintable():
            raise InvalidArgumentError(f"filter.{name}", "must consist of printable characters")
    return Filter(
        stream=message.stream,
        fact_types=tuple(message.fact_types),
        agreement=message.agreement,
        party=message.party,
        effective_from=_day(message, "effective_from"),
        effective_to=_day(message, "effective_to"),
    )


def _day(message: EventFilter, name: Literal["effective_from", "effective_to"]) -> dt.date | None:
    if not message.HasField(name):
        return None
    try:
        return date_from_message(getattr(message, name))
    except QuantityError as error:
        raise InvalidArgumentError(f"filter.{name}", str(error)) from error


def page_start(request: ListEventsRequest | ListAttemptsRequest) -> int | None:
    """Return the number after which a page starts; None for the first page.

    Raises:
        InvalidArgumentError: not a page token of this request.
    """
    if not request.page_token:
        return None
    return int(read_page_token(_NUMBER, request.page_token, request)[0])


def resume_token(page: Page) -> str:
    """Return the token that resumes after a page, bound to its last event.

    Event ids are random: a book that was restored to an earlier state and written to since holds
    another event at the position.
    """
    if page.through_event_id is None:
        return ""
    content = page.through_event_id.bytes + str(page.through_position).encode()
    return base64.urlsafe_b64encode(content).decode()


def parse_resume_token(token: str) -> tuple[int, UUID]:
    """Return the position and the id of the event after which a token resumes.

    Raises:
        InvalidArgumentError: not a resume token.
    """
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True)
        event_id, position = UUID(bytes=decoded[:16]), decoded[16:].decode()
    except ValueError:
        position = ""
    if not _NUMBER.fullmatch(position):
        raise InvalidArgumentError("resume_token", "is not a token of this method")
    return int(position), event_id
