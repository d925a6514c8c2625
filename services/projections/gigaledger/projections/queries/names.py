"""Resource names, and the schema in which a book is kept."""

from __future__ import annotations

import re

_BOOK = re.compile(r"books/([a-z][a-z0-9-]{0,39})")
_PROJECTION = re.compile(r"(books/[a-z][a-z0-9-]{0,39})/projections/([a-z][a-z-]{0,39})")


def schema_of(book: str) -> str:
    """Return the PostgreSQL schema of a book, by its resource name.

    Raises:
        ValueError: not the name of a book.
    """
    match = _BOOK.fullmatch(book)
    if match is None:
        raise ValueError(f"{book!r} must be books/ and the id of a book")
    return "book_" + match[1].replace("-", "_")


def projection_of(name: str) -> tuple[str, str]:
    """Return the book and the projection that a resource name names.

    Raises:
        ValueError: not the name of a projection.
    """
    match = _PROJECTION.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} must be books/BOOK/projections/PROJECTION")
    return match[1], match[2]
