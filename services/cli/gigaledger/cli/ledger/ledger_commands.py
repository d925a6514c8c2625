"""The commands that write and read facts: append, columns, events, attempts."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.formats import instant
from gigaledger.cli.ledger.append import FileFormat, append_file, check_file
from gigaledger.cli.ledger.csv_columns import columns_of, fact_types
from gigaledger.cli.ledger.events import follow_events, list_attempts, print_events
from gigaledger.cli.options import parse_date
from gigaledger.cli.output import add_row, console, notice, print_json_line, table
from gigaledger.cli.settings import Book, Json, LedgerAddress, book_name, ledger_address
from gigaledger.common.quantities import date_to_message
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import EventFilter

app = typer.Typer()

_APPEND_HELP = """Append the facts of a file to a book, in the order of the file.

[bold]JSON Lines[/bold]: each line is an AppendEventsRequest in protobuf's JSON mapping, without \
the book:

\b
  {"requestId": "po-1", "events": [{"event": {
     "effectiveDate": {"year": 2026, "month": 1, "day": 15},
     "assertionStatus": "ASSERTION_STATUS_FACT", "actor": "treasury",
     "goodsReceived": {"purchaseOrder": "PO-1", "line": 1, "quantity": "2650"}}}]}
  (on one line)

Dates may be written "2026-01-15", amounts "USD 1600000.00", decimal numbers "0.25", and names \
without their prefix: "FACT". Empty lines are skipped, and so are lines that begin with #.

[bold]CSV[/bold]: a header row, and a column `fact` that says what each row is: a milestone, an \
order, an issuance or any other fact that `gigaledger columns` lists, with its columns.

A line is appended whole or not at all. The first line that is refused stops the file: what was \
appended before it stays. [bold]It is safe to append a file again[/bold], after a crash for \
instance: a line without requestId gets the id "<file name>:<line number>:<first 16 hex digits of \
the SHA-256 of the line>", and the ledger answers an id that it knows as the first time. Lines \
that moved or were changed are new facts, though: give ids of your own if you edit files.

[bold]--check[/bold] tries each line on top of those before it. The exit code is 0 if the whole \
file would be appended.
"""


@app.command(help=_APPEND_HELP)
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
            "--format",
            help="Default: csv if the name ends in .csv, else jsonl.",
            show_default=False,
        ),
    ] = None,
    only_try: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Try the whole file, show every line that can't be read or would be refused, and "
            "record nothing.",
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
    address = ledger_address(ledger)
    with client.ledger(address) as connected:
        connected.book(name).info()
    if only_try:
        with client.ledger(address) as connected:
            checked = check_file(connected.book(name), file, file_format)
        notice(checked.summary())
        raise typer.Exit(checked.exit_code())
    with client.ledger(address, client.PATIENT) as connected:
        tally = append_file(connected.book(name), file, file_format, keep_going=keep_going)
    notice(tally.summary())
    if tally.refused_requests:
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
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


@app.command()
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
        bool, typer.Option("--follow", "-f", help="Continue with new events until Ctrl-C.")
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
    address = ledger_address(ledger)
    with client.ledger(address) as connected:
        opened_book = connected.book(name)
        if not follow:
            found = opened_book.read(first, last or 0, matching=wanted)
            printed = print_events(found, as_json=as_json)
        else:
            opened_book.info()
    if follow:
        with client.ledger(address, client.PATIENT) as connected:
            try:
                followed = follow_events(connected.book(name), first - 1, wanted)
                print_events(followed, as_json=as_json)
            except KeyboardInterrupt:
                return
    if not printed and not as_json:
        notice("No event matches.")


@app.command()
def attempts(
    *,
    book: Book = "main",
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """List the requests that were refused, the newest first: who, when, by which rule."""
    with client.ledger(ledger_address(ledger)) as connected:
        found = list_attempts(connected.book(book_name(book)), limit)
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
