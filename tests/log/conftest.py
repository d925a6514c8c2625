"""A new book, and a writer that has recorded two parties."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gigaledger.ledger.log.writer import BookWriter

from tests.log.books import SIDES, LoggedBook, append, new_book


@pytest.fixture
def book(database_url: str) -> LoggedBook:
    """A book with one event, at position 1: that it was opened."""
    return new_book(database_url)


@pytest.fixture
def writer(book: LoggedBook) -> Iterator[BookWriter]:
    """A writer of the book, which has recorded the parties SUP and CUS at positions 2 and 3."""
    with book.writer() as writer:
        append(writer, "sides", *SIDES)
        yield writer
