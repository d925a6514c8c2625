"""Resource names and page tokens."""

from __future__ import annotations

import base64
import hashlib
import re

from gigaledger.ledger.api.errors import InvalidArgumentError

_BOOK_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")
_EVENT_NAME = re.compile(r"books/([a-z][a-z0-9-]{0,39})/events/([1-9][0-9]{0,17})")
_CHECKPOINT_NAME = re.compile(r"books/([a-z][a-z0-9-]{0,39})/checkpoints/([1-9][0-9]{0,17})")
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


def book_id(text: str, field: str) -> str:
    """Return a book's id, well formed.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not _BOOK_ID.fullmatch(text):
        raise InvalidArgumentError(
            field,
            f"{text!r} must be 1 to 40 lower-case letters, digits and hyphens, the first a letter",
        )
    return text


def book_of(name: str, field: str) -> str:
    """Return the id of the book that a resource name names.

    Raises:
        InvalidArgumentError: not the name of a book.
    """
    if not name.startswith("books/"):
        raise InvalidArgumentError(field, f"{name!r} must be books/ and the id of a book")
    return book_id(name.removeprefix("books/"), field)


def event_of(name: str) -> tuple[str, int]:
    """Return the book and the position that the resource name of an event names.

    Raises:
        InvalidArgumentError: not the name of an event.
    """
    match = _EVENT_NAME.fullmatch(name)
    if match is None:
        raise InvalidArgumentError("name", f"{name!r} must be books/BOOK/events/POSITION")
    return match[1], int(match[2])


def checkpoint_of(name: str) -> tuple[str, int]:
    """Return the book and the size that the resource name of a checkpoint names.

    Raises:
        InvalidArgumentError: not the name of a checkpoint.
    """
    match = _CHECKPOINT_NAME.fullmatch(name)
    if match is None:
        raise InvalidArgumentError("name", f"{name!r} must be books/BOOK/checkpoints/SIZE")
    return match[1], int(match[2])


def page_size(given: int) -> int:
    """Return how many items a page holds (AIP-158).

    Raises:
        InvalidArgumentError: negative.
    """
    if given < 0:
        raise InvalidArgumentError("page_size", f"must not be negative, is {given}")
    return min(given or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def page_token(place: str, query: bytes) -> str:
    """Return the token that leads on from a place, for this query alone."""
    return base64.urlsafe_b64encode(_digest(query) + place.encode()).decode()


def page_place(token: str, query: bytes) -> str:
    """Return the place that a token leads on from.

    Raises:
        InvalidArgumentError: not a token, or one of another query (AIP-158).
    """
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True)
        place = decoded[8:].decode()
    except ValueError:
        raise InvalidArgumentError("page_token", "is not a token of this service") from None
    if decoded[:8] != _digest(query):
        raise InvalidArgumentError("page_token", "belongs to another query")
    return place


def _digest(query: bytes) -> bytes:
    return hashlib.sha256(query).digest()[:8]
