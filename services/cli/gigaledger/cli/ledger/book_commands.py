"""`gigaledger book`: open books and look at them."""

from __future__ import annotations

from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.ledger.books import book_table
from gigaledger.cli.options import parse_instant
from gigaledger.cli.output import console, notice, print_json, print_json_line
from gigaledger.cli.settings import Json, LedgerAddress, book_name, ledger_address

app = typer.Typer(help="Open books and look at them.", no_args_is_help=True)


@app.command("create")
def book_create(
    book_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="1 to 40 lower-case letters, digits and hyphens, the first a letter.",
            show_default=False,
        ),
    ],
    *,
    display_name: Annotated[str, typer.Option(help="Name for people.", show_default=False)] = "",
    imported: Annotated[
        bool,
        typer.Option(
            "--imported",
            help="Recorded times come with the facts instead of from the server's clock. The "
            "book is marked as imported for ever.",
        ),
    ] = False,
    opened_at: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT",
            help="With --imported: start of the book's clock, e.g. 2025-09-22T00:00:00Z.",
            show_default=False,
        ),
    ] = None,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """Open a book: a ledger of its own, with a log that nothing is ever removed from."""
    if imported != (opened_at is not None):
        raise CommandError("--imported and --opened-at go together", ExitCode.USAGE)
    start = parse_instant(opened_at, "--opened-at") if opened_at is not None else None
    with client.ledger(ledger_address(ledger)) as connected:
        opened = connected.create_book(book_id, display_name=display_name, opened_time=start)
        book = opened.info()
    if as_json:
        print_json(book)
    else:
        notice(f"The book {book_id} is open.")


@app.command("list")
def book_list(*, ledger: LedgerAddress = None, as_json: Json = False) -> None:
    """List the books. With --json: one a line."""
    with client.ledger(ledger_address(ledger)) as connected:
        books = list(connected.books())
    if as_json:
        for book in books:
            print_json_line(book)
    elif books:
        console().print(book_table(books))
    else:
        notice("There are no books. Open one with `gigaledger book create ID`.")


@app.command("show")
def book_show(
    book_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    *,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """Show a book and how far its log goes."""
    with client.ledger(ledger_address(ledger)) as connected:
        book = connected.book(book_name(book_id)).info()
    if as_json:
        print_json(book)
    else:
        console().print(book_table([book]))
