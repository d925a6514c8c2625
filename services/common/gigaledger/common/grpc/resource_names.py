"""Names of resources (AIP-122): `books/BOOK`, and what belongs to a book."""

from __future__ import annotations

import re

from gigaledger.common.grpc.errors import InvalidArgumentError

_BOOK_ID = r"[a-z][a-z0-9-]{0,39}"
_NUMBER = r"[1-9][0-9]{0,17}"
MAX_NUMBER = 10**18 - 1
"""Largest position or tree size in a name: any number of 18 digits fits 64 bits."""
_EVENT = re.compile(rf"books/({_BOOK_ID})/events/({_NUMBER})")
_CHECKPOINT = re.compile(rf"books/({_BOOK_ID})/checkpoints/({_NUMBER})")
_PROJECTION = re.compile(rf"(books/{_BOOK_ID})/projections/([a-z][a-z-]{{0,39}})")


def check_book_id(text: str, field: str) -> str:
    """Return the id of a book.

    Raises:
        InvalidArgumentError: it is not well formed.
    """
    if not re.fullmatch(_BOOK_ID, text):
        raise InvalidArgumentError(
            field,
            f"{text!r} must be 1 to 40 lower-case letters, digits and hyphens, the first a letter",
        )
    return text


def book_id_of(name: str, field: str) -> str:
    """Return the id in the name of a book.

    Raises:
        InvalidArgumentError: not the name of a book.
    """
    if not name.startswith("books/"):
        raise InvalidArgumentError(field, f"{name!r} must be books/ and the id of a book")
    return check_book_id(name.removeprefix("books/"), field)


def schema_of(book: str, field: str = "book") -> str:
    """Return the PostgreSQL schema of a book, by the book's name.

    Raises:
        InvalidArgumentError: not the name of a book.
    """
    return "book_" + book_id_of(book, field).replace("-", "_")


def event_of(name: str) -> tuple[str, int]:
    """Return the book's id and the position in the name of an event.

    Raises:
        InvalidArgumentError: not the name of an event.
    """
    book, position = _parts(_EVENT, name, "books/BOOK/events/POSITION")
    return book, int(position)


def checkpoint_of(name: str) -> tuple[str, int]:
    """Return the book's id and the tree size in the name of a checkpoint.

    Raises:
        InvalidArgumentError: not the name of a checkpoint.
    """
    book, size = _parts(_CHECKPOINT, name, "books/BOOK/checkpoints/SIZE")
    return book, int(size)


def projection_of(name: str) -> tuple[str, str]:
    """Return the book's name and the projection's id in the name of a projection.

    Raises:
        InvalidArgumentError: not the name of a projection.
    """
    book, projection = _parts(_PROJECTION, name, "books/BOOK/projections/PROJECTION")
    return book, projection


def _parts(pattern: re.Pattern[str], name: str, form: str) -> tuple[str, ...]:
    match = pattern.fullmatch(name)
    if match is None:
        raise InvalidArgumentError("name", f"{name!r} must be {form}")
    return match.groups()
