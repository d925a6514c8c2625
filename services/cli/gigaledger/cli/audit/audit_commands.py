"""The commands for auditors: audit replay, audit explain, audit export."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from gigaledger.audit.explain.explain import UnknownFigureError, explain, position_known_on
from gigaledger.audit.explain.replay import by_month, by_position
from gigaledger.audit.export.columns import UnknownFactError
from gigaledger.audit.export.csv_tables import CsvWriter
from gigaledger.audit.export.journal import JournalWriter
from gigaledger.audit.export.manifest import ExportError, Writer, write_export
from gigaledger.audit.export.ocf import OcfWriter
from gigaledger.audit.export.ocf_supplement import read_supplement
from gigaledger.audit.recompute.comparison import Figures, HistoryError
from gigaledger.audit.recompute.history import HYPOTHETICAL
from gigaledger.cli import client
from gigaledger.cli.audit import verify, verify_commands, verify_live
from gigaledger.cli.audit.audit_reports import (
    explanation_json,
    explanations,
    replay_table,
    step_json,
)
from gigaledger.cli.audit.proofs import prove
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.options import parse_date
from gigaledger.cli.output import console, hypothetical_banner, notice, print_json_text
from gigaledger.cli.settings import Book, Json, LedgerAddress, book_name, ledger_address
from gigaledger.common.transparency.merkle import leaf_hash
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsRequest

app = typer.Typer(
    help="Verify, replay, explain and export the whole history of a book.", no_args_is_help=True
)

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DATE", help="Only facts effective by this day.", show_default=False
    ),
]
ToPosition = Annotated[
    int | None,
    typer.Option(
        "--to-position", min=1, metavar="N", help="Stop at this position.", show_default=False
    ),
]


@app.command("replay")
def audit_replay(
    *,
    book: Book = "main",
    to_position: ToPosition = None,
    as_of: AsOf = None,
    every: Annotated[
        str, typer.Option(metavar="N|month|event", help="How often balances are shown.")
    ] = "month",
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """Show how the balances grow, recomputed from the facts only.

    By month: at the end of each month in which something took effect, as known at the last
    position. By position: as known at that position.
    """
    day = parse_date(as_of, "--as-of") if as_of is not None else None
    step = _every(every)
    figures = _recorded(book, ledger, to_position)
    steps = by_position(figures, step, day) if step else by_month(figures, day)
    if as_json:
        for one in steps:
            print_json_text(json.dumps(step_json(one)))
        return
    shown = list(steps)
    out = console()
    if any(one.hypothetical for one in shown):
        out.print(hypothetical_banner())
    out.print(replay_table(shown))
    out.print(f"Recomputed from the log up to position {figures.position:,}.")


@app.command("explain")
def audit_explain(  # noqa: PLR0913 - options of the command line
    figure: Annotated[
        str,
        typer.Argument(
            metavar="FIGURE",
            help="E.g. round-trip.funded, capacity.certified. An unknown one lists all.",
            show_default=False,
        ),
    ],
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: Annotated[
        str | None,
        typer.Option(
            "--as-known",
            metavar="N|DATE",
            help="As known at this position, or at the end of this day (UTC).",
            show_default=False,
        ),
    ] = None,
    agreement: Annotated[
        str, typer.Option(metavar="A", help="Only of this agreement.", show_default=False)
    ] = "",
    pair: Annotated[
        str,
        typer.Option(metavar="SUPPLIER:CUSTOMER", help="Only of this pair.", show_default=False),
    ] = "",
    currency: Annotated[
        str, typer.Option(metavar="CODE", help="Only in this currency.", show_default=False)
    ] = "",
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY|FILE",
            help="Prove each event against the latest checkpoint, with this public key.",
            show_default=False,
        ),
    ] = None,
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """List the events behind a figure, each with its contribution.

    The effect of a rule on their sum (a cap, a floor of zero, rounding) is a line of its own, so
    that the lines add up to the figure exactly. With --key, each event comes with a proof that it
    is in the signed history.
    """
    trusted = verify.read_keys(key) if key is not None else None
    day = parse_date(as_of, "--as-of") if as_of is not None else None
    about = {"agreement": agreement, "currency_code": currency} | _pair(pair)
    hashes: dict[int, bytes] = {}
    figures = _recorded(book, ledger, None, hashes)
    position = _position(figures, as_known)
    with _errors_of_histories():
        traced = figures.at(position, as_of=day, traced=True)
        attributes = {name: value for name, value in about.items() if value}
        found = explain(figures.history, traced, figure, attributes)
    lines = [line for one in found for line in one.lines or ()]
    proofs = None
    if trusted is not None:
        positions = [line.entry.position for line in lines]
        proofs = prove(positions, hashes, book_name(book), trusted, ledger_address(ledger))
    if as_json:
        for one in found:
            print_json_text(json.dumps(explanation_json(one, position, proofs)))
        return
    out = console()
    if any(line.entry.status in HYPOTHETICAL for line in lines):
        out.print(hypothetical_banner())
    for part in explanations(found, proofs):
        out.print(part)
    if proofs is not None:
        out.print(f"Proven against the checkpoint of {proofs.size:,} events.")
    suffix = f", as of {day}" if day else ""
    out.print(f"Recomputed from the log up to position {position:,}{suffix}.")


class ExportFormat(StrEnum):
    """Formats of exports."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    JOURNAL = "journal"
    OCF = "ocf"


def _writer(
    export_format: ExportFormat, issuer: str, supplement: Path | None
) -> Callable[[Path], Writer]:
    """Return a function that creates the writer of a format.

    Raises:
        CommandError: something that the format needs is not installed or not given.
        ExportError: the supplement can't be read.
    """
    if export_format is ExportFormat.OCF:
        if not issuer or supplement is None:
            raise CommandError("ocf needs --issuer and --supplement", ExitCode.USAGE)
        return partial(OcfWriter, issuer=issuer, supplement=read_supplement(supplement))
    if issuer or supplement is not None:
        raise CommandError("--issuer and --supplement are for ocf alone", ExitCode.USAGE)
    if export_format is ExportFormat.CSV:
        return CsvWriter
    if export_format is ExportFormat.JOURNAL:
        return JournalWriter
    try:
        # Large, and not needed by anything else: it is installed by those who want it.
        from gigaledger.audit.export.parquet_tables import ParquetWriter  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise CommandError(
            "parquet needs pyarrow, which is not installed",
            ExitCode.USAGE,
            hint="Install it with: pip install 'gigaledger[parquet]'",
        ) from None
    return ParquetWriter


@app.command("export")
def audit_export(
    *,
    export_format: Annotated[
        ExportFormat, typer.Option("--format", help="What to write.")
    ] = ExportFormat.JSONL,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|FOLDER",
            help="A new file for jsonl, a new folder for the others.",
            show_default=False,
        ),
    ],
    book: Book = "main",
    to_position: ToPosition = None,
    issuer: Annotated[
        str,
        typer.Option(metavar="PARTY", help="For ocf: whose shares.", show_default=False),
    ] = "",
    supplement: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For ocf: JSON with what the format asks for and the book does not hold.",
            show_default=False,
        ),
    ] = None,
    ledger: LedgerAddress = None,
) -> None:
    """Take the history along: with its proofs, or for other tools.

    jsonl: all events with their proofs, up to the latest checkpoint, for `audit verify FILE`.
    The others come with a manifest of control totals and SHA-256 hashes.
    csv, parquet: a table of all events, and one for each type of fact.
    journal: double entries for hledger and beancount.
    ocf: the shares of one issuer, as Open Cap Format.
    """
    if export_format is ExportFormat.JSONL:
        if to_position is not None:
            raise CommandError("--to-position: jsonl ends at the latest checkpoint", ExitCode.USAGE)
        verify_commands.export(output, book_name(book), ledger_address(ledger))
        return
    try:
        make_writer = _writer(export_format, issuer, supplement)
        with _errors_of_histories(), client.ledger(ledger_address(ledger)) as connected:
            written = write_export(
                connected.book(book_name(book)).read(to_position=to_position or 0),
                output,
                make_writer,
                export_format=export_format.value,
                book=book_name(book),
                version=importlib.metadata.version("gigaledger"),
            )
    except (ExportError, UnknownFactError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    except OSError as error:
        message = f"can't write to {output}: {error.strerror}"
        raise CommandError(message, ExitCode.USAGE) from None
    notice(f"{written:,} events are in {output}. Its manifest.json says what each file holds.")


@contextmanager
def _errors_of_histories() -> Iterator[None]:
    try:
        yield
    except UnknownFigureError as error:
        raise CommandError(str(error), ExitCode.NOT_FOUND) from None
    except HistoryError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None


def _recorded(
    book: str,
    ledger: str | None,
    to_position: int | None,
    leaf_hashes: dict[int, bytes] | None = None,
) -> Figures:
    """Return the figures of a book, and collect the hashes of its events."""
    figures = Figures()
    request = _whole(book, to_position)
    with _errors_of_histories(), client.ledger_channel(ledger_address(ledger)) as channel:
        for leaf in verify_live.read_leaves(channel, request):
            figures.add(RecordedEvent.FromString(leaf))
            if leaf_hashes is not None:
                leaf_hashes[figures.position] = leaf_hash(leaf)
    return figures


def _whole(book: str, to_position: int | None) -> ReadEventsRequest:
    return ReadEventsRequest(book=book_name(book), from_position=1, to_position=to_position or 0)


def _every(text: str) -> int:
    """Return the number of positions between two lines; 0 for months."""
    if text == "month":
        return 0
    if text == "event":
        return 1
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    raise CommandError(
        f"--every: {text!r} is neither month nor event nor a number of positions", ExitCode.USAGE
    )


def _pair(text: str) -> dict[str, str]:
    if not text:
        return {}
    supplier, colon, customer = text.partition(":")
    if not (supplier and colon and customer):
        raise CommandError(f"--pair: {text!r} is not of the form SUPPLIER:CUSTOMER", ExitCode.USAGE)
    return {"supplier_investor": supplier, "customer_investee": customer}


def _position(figures: Figures, as_known: str | None) -> int:
    if as_known is None:
        return figures.position
    if as_known.isascii() and as_known.isdigit():
        return int(as_known)
    day: dt.date = parse_date(as_known, "--as-known")
    position = position_known_on(figures.history, day)
    if not position:
        raise CommandError(f"--as-known: nothing was recorded by {day}", ExitCode.USAGE)
    return position
