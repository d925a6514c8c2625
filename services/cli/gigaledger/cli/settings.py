"""Settings as the command uses them: from the environment, with options over them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.common.settings import Settings
from pydantic import ValidationError

CONNECTION_PANEL = "Connection"

LedgerAddress = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="HOST:PORT",
        help="The ledger service. Default: GIGALEDGER_LEDGER_ADDRESS, else 127.0.0.1:50051.",
        rich_help_panel=CONNECTION_PANEL,
        show_default=False,
    ),
]
ProjectionsAddress = Annotated[
    str | None,
    typer.Option(
        "--projections",
        metavar="HOST:PORT",
        help="The projection service. Default: GIGALEDGER_PROJECTIONS_ADDRESS, else "
        "127.0.0.1:50052.",
        rich_help_panel=CONNECTION_PANEL,
        show_default=False,
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="PostgreSQL 15 or newer, e.g. postgresql://user:password@host/gigaledger. Default: "
        "GIGALEDGER_DATABASE_URL.",
        rich_help_panel=CONNECTION_PANEL,
        show_default=False,
    ),
]
Book = Annotated[str, typer.Option("--book", "-b", metavar="ID", help="The book.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with exact figures, a row a line.")]
Xlsx = Annotated[
    Path | None,
    typer.Option(
        "--xlsx",
        metavar="FILE",
        help="Write a workbook with exact figures, a sheet for each table.",
        dir_okay=False,
        show_default=False,
    ),
]


def read_settings(**options: str | None) -> Settings:
    """Read the settings from the environment, with options over them.

    Args:
        options: by the name of their setting; None if an option is not given.

    Raises:
        CommandError: a variable holds what it can't mean.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings().model_copy(update=given)
    except ValidationError as error:
        wrong = [
            f"  GIGALEDGER_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors()
        ]
        raise CommandError(
            "\n".join(["a setting in the environment is wrong:", *wrong]), ExitCode.USAGE
        ) from None


def ledger_address(option: str | None) -> str:
    """Return the address of the ledger: the option, else the setting."""
    return option or read_settings().ledger_address


def projections_address(option: str | None) -> str:
    """Return the address of the projections: the option, else the setting."""
    return option or read_settings().projections_address


def book_name(book: str) -> str:
    """Return the resource name of a book, given by its id or its name."""
    return book if book.startswith("books/") else f"books/{book}"
