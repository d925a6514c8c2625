"""The commands that write and read facts: book, append, columns, events, attempts."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.ledger.append import FileFormat, append_file, dry_run, opened
from gigaledger.cli.ledger.books import book_table, create_book, list_books
from gigaledger.cli.ledger.csv_columns import columns_of, fact_types
from gigaledger.cli.ledger.events import follow_events, list_attempts, print_events, read_events
from gigaledger.cli.options import parse_date, parse_instant
from gigaledger.cli.output import add_row, console, notice, print_json, print_json_line, table
from gigaledger.cli.report.formats import instant
from gigaledger.cli.run.settings import Book, Json, LedgerAddress, book_name, ledger_address
from gigaledger.common.quantities import date_to_message
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import (
    EventFilter,
    GetBookRequest,
    ReadEventsRequest,
)

book_app = typer.Typer(help="Open books and look at them.", no_args_is_help=True)

_APPEND_HELP = """Append the facts of a file to a book, in the order of the file.

[bold]JSON Lines[/bold]: each line is an AppendEventsRequest in protobuf's JSON mapping, without \
the book:

\b
  {"requestId": "po-1", "events": [{"event": {
     "effectiveDate": {"year": 2026, "month": 1, "day": 15},
     "assertionStatus": "ASSERTION_STATUS_FACT", "actor": "treasury",
     "goodsReceived": {"purchaseOrder": "PO-1", "line": 1, "quantity": "2650"}}}]}
  (on one line)

[bold]CSV[/bold]: a header row, and a column `fact` that says what each row is: a milestone, an \
order, an issuance or any other fact that `gigaledger columns` lists, with its columns.

A line is appended whole or not at all. The first line that is refused stops the file: what was \
appended before it stays. [bold]It is safe to append a file again[/bold], after a crash for \
instance: a line without requestId gets the id "<file name>:<line number>:<first 16 hex digits of \
the SHA-256 of the line>", and the ledger answers an id that it knows as the first time. Lines \
that moved or were changed are new facts, though: give ids of your own where files are edited.
"""


@book_app.command("create")
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
            help="With --imported: where the book's clock starts, e.g. 2025-09-22T00:00:00Z.",
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
    with client.ledger(ledger_address(ledger)) as stub:
        book = create_book(stub, book_id, display_name, start)
    if as_json:
        print_json(book)
    else:
        notice(f"The book {book_id} is open.")


@book_app.command("list")
def book_list(*, ledger: LedgerAddress = None, as_json: Json = False) -> None:
    """List the books. With --json: one a line."""
    with client.ledger(ledger_address(ledger)) as stub:
        books = list_books(stub)
    if as_json:
        for book in books:
            print_json_line(book)
    elif books:
        console().print(book_table(books))
    else:
        notice("There are no books. Open one with `gigaledger book create ID`.")


@book_app.command("show")
def book_show(
    book_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    *,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """Show a book and how far its log goes."""
    with client.ledger(ledger_address(ledger)) as stub:
        request = GetBookRequest(name=book_name(book_id))
        book = stub.GetBook(request, timeout=client.CALL_SECONDS).book
    if as_json:
        print_json(book)
    else:
        console().print(book_table([book]))


def append(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="JSON Lines or CSV; - reads standard input.", show_default=False
        ),
    ],
    *,
    book: Book = "main",
    file_format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format", help="Default: csv where the name ends so, else jsonl.", show_default=False
        ),
    ] = None,
    only_try: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Ask whether the file would be accepted, record nothing. At most 1,000 events.",
        ),
    ] = False,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going", help="Go on after a refused line; the exit code is 1 all the same."
        ),
    ] = False,
    ledger: LedgerAddress = None,
) -> None:
    """See _APPEND_HELP."""
    name = book_name(book)
    with client.ledger(ledger_address(ledger)) as stub:
        if only_try:
            stub.GetBook(GetBookRequest(name=name), timeout=client.CALL_SECONDS)
            with opened(file, file_format) as (requests, _):
                notice(dry_run(stub, name, requests))
            return
        tally = append_file(stub, name, file, file_format, keep_going=keep_going)
    notice(tally.summary())
    if tally.refused_requests:
        raise typer.Exit(ExitCode.REFUSED)


def columns(
    fact: Annotated[
        str | None, typer.Argument(metavar="FACT", help="E.g. goods_received.", show_default=False)
    ] = None,
) -> None:
    """List the facts that CSV files can hold, or the columns of one of them."""
    if fact is None:
        typer.echo("\n".join(fact_types()))
        return
    try:
        found = columns_of(fact)
    except KeyError:
        raise CommandError(
            f"CSV has no fact {fact!r}", ExitCode.NOT_FOUND, "`gigaledger columns` lists them."
        ) from None
    made = table(f"Columns of {fact}", "column", "required", "what to write", numbers_from=3)
    for column in found:
        add_row(made, [column.name, "yes" if column.required else "", column.form])
    console().print(made)


def events(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    first: Annotated[
        int, typer.Option("--from", min=1, metavar="N", help="First position.", show_default=False)
    ] = 1,
    last: Annotated[
        int | None,
        typer.Option("--to", min=1, metavar="N", help="Last position.", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new events until Ctrl-C.")
    ] = False,
    stream: Annotated[
        str, typer.Option(metavar="S", help="E.g. agreements/AGR-1.", show_default=False)
    ] = "",
    fact: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="FACT",
            help="Only facts of this type, e.g. goods_received. Repeat for more.",
            show_default=False,
        ),
    ] = None,
    agreement: Annotated[
        str, typer.Option(metavar="A", help="Only what concerns it.", show_default=False)
    ] = "",
    party: Annotated[
        str, typer.Option(metavar="P", help="Only what concerns it.", show_default=False)
    ] = "",
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Effective on this day or later.", show_default=False),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Effective on this day or earlier.", show_default=False),
    ] = None,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """Print the events of a book in the order in which they were recorded.

    With --json each line is a RecordedEvent in protobuf's JSON mapping.
    """
    if follow and last is not None:
        raise CommandError("--follow has no end: leave --to out", ExitCode.USAGE)
    wanted = EventFilter(
        stream=stream, fact_types=_fact_types(fact or []), agreement=agreement, party=party
    )
    if since is not None:
        wanted.effective_from.CopyFrom(date_to_message(parse_date(since, "--since")))
    if until is not None:
        wanted.effective_to.CopyFrom(date_to_message(parse_date(until, "--until")))
    name = book_name(book)
    with client.ledger(ledger_address(ledger)) as stub:
        if follow:
            try:
                print_events(follow_events(stub, name, first - 1, wanted), as_json=as_json)
            except KeyboardInterrupt:
                return
        request = ReadEventsRequest(
            book=name, from_position=first, to_position=last or 0, filter=wanted
        )
        printed = print_events(read_events(stub, request), as_json=as_json)
    if not printed and not as_json:
        notice("No event is like that.")


def attempts(
    *,
    book: Book = "main",
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """List the requests that were refused, the newest first: who, when, by which rule."""
    with client.ledger(ledger_address(ledger)) as stub:
        found = list_attempts(stub, book_name(book), limit)
    if as_json:
        for attempt in found:
            print_json_line(attempt)
        return
    if not found:
        notice("No request was refused.")
        return
    made = table(
        "Refused requests", "no.", "at", "request", "actor", "rules", "why", numbers_from=6
    )
    for attempt in found:
        cells = [str(attempt.number), instant(attempt.attempted_time), attempt.request_id]
        add_row(made, [*cells, attempt.actor, ", ".join(attempt.rules), attempt.message])
    console().print(made)


def register(app: typer.Typer, panel: str) -> None:
    """Add the commands to the program, under a heading of its help."""
    app.add_typer(book_app, name="book", rich_help_panel=panel)
    app.command(rich_help_panel=panel, help=_APPEND_HELP)(append)
    app.command(rich_help_panel=panel)(columns)
    app.command(rich_help_panel=panel)(events)
    app.command(rich_help_panel=panel)(attempts)


def _fact_types(names: list[str]) -> list[str]:
    known = [field.name for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
            raise CommandError(
                f"--type: there is no fact {name!r}",
                ExitCode.USAGE,
                f"Did you mean {' or '.join(near)}?" if near else "One such is goods_received.",
            )
    return names
