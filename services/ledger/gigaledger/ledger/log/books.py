"""Creates, finds and lists the books of a database."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import psycopg
from gigaledger.common.quantities import date_to_message
from gigaledger.ledger.domain.book import Book, Request
from gigaledger.ledger.domain.pending import EmptySource
from gigaledger.ledger.log.log_source import row_of
from gigaledger.ledger.log.tables import Head, LogTables, Recording
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.control_facts_pb2 import BookClock, BookOpened
from gigaledger.v1.events_pb2 import Event
from psycopg import sql
from psycopg.rows import class_row

_ACTOR = "gigaledger"
_COLUMNS = "book, schema_name, display_name, imported, opened_at"


class BookExistsError(ValueError):
    """A book of this id exists."""


@dataclass(frozen=True, slots=True)
class BookRow:
    """A book. `imported`: its facts carry their recorded times."""

    book: str
    schema_name: str
    display_name: str
    imported: bool
    opened_at: dt.datetime


def create_book(
    connection: psycopg.Connection,
    book: str,
    display_name: str,
    opened_at: dt.datetime,
    *,
    imported: bool,
) -> BookRow:
    """Create a book. Its first event, BookOpened, states which clock it uses.

    Raises:
        BookExistsError: a book of this id exists.
    """
    event = Event(
        effective_date=date_to_message(opened_at.date()),
        assertion_status=AssertionStatus.ASSERTION_STATUS_FACT,
        actor=_ACTOR,
        book_opened=BookOpened(
            book=book,
            clock=BookClock.BOOK_CLOCK_IMPORTED if imported else BookClock.BOOK_CLOCK_SERVER,
        ),
    )
    request = Request(f"{_ACTOR}-open-{book}", [event], [opened_at if imported else None])
    (opening,) = Book(EmptySource(), imported=imported).accept(request, opened_at)
    try:
        with connection.transaction():
            row = connection.execute(
                "SELECT gigaledger.create_book(%s, %s, %s, %s)",
                (book, display_name, imported, opened_at),
            ).fetchone()
            if row is None:
                raise AssertionError("the function returns the schema")
            tables = LogTables(row[0])
            tables.lock_head(connection)
            tables.record(connection, Head(1, opened_at), Recording([row_of(opening)]))
    except psycopg.errors.UniqueViolation as error:
        raise BookExistsError(f"book {book} exists already") from error
    return BookRow(book, str(row[0]), display_name, imported, opened_at)


async def find_book(connection: psycopg.AsyncConnection, book: str) -> BookRow | None:
    """Return a book by its id; None if there is none."""
    async with connection.cursor(row_factory=class_row(BookRow)) as cursor:
        statement = f"SELECT {_COLUMNS} FROM gigaledger.book WHERE book = %s"  # noqa: S608 - literals
        await cursor.execute(statement, (book,))
        return await cursor.fetchone()


async def list_books(connection: psycopg.AsyncConnection, after: str, limit: int) -> list[BookRow]:
    """Return the books after an id, in order of id."""
    async with connection.cursor(row_factory=class_row(BookRow)) as cursor:
        statement = (
            f"SELECT {_COLUMNS} FROM gigaledger.book"  # noqa: S608 - literals
            ' WHERE book COLLATE "C" > %s ORDER BY book COLLATE "C" LIMIT %s'
        )
        await cursor.execute(statement, (after, limit))
        return await cursor.fetchall()


async def head_of(connection: psycopg.AsyncConnection, schema: str) -> Head:
    """Return the head of a book's log."""
    statement = sql.SQL("SELECT position, recorded_at FROM {}.head").format(sql.Identifier(schema))
    row = await (await connection.execute(statement)).fetchone()
    if row is None:
        raise AssertionError("a book has a head")
    return Head(*row)
