"""What the command prints: answers on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from gigaledger.cli.errors import OutputClosed
from gigaledger.cli.formats import day, instant, printable
from gigaledger.cli.tables import FigureTable
from gigaledger.v1.projections_pb2 import ReadContext
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.panel import Panel

PLAIN_WIDTH = 120
"""Columns if the output is no terminal: the size of a window must not decide about a file."""


class _AnswerConsole(Console):
    def on_broken_pipe(self) -> None:
        raise OutputClosed


def console() -> Console:
    """Return the console for answers."""
    return _AnswerConsole(
        file=sys.stdout,
        markup=False,
        emoji=False,
        highlight=False,
        width=None if sys.stdout.isatty() else PLAIN_WIDTH,
    )


def error_console() -> Console:
    """Return the console for progress, notices and errors."""
    return Console(
        file=sys.stderr,
        markup=False,
        emoji=False,
        highlight=False,
        width=None if sys.stderr.isatty() else PLAIN_WIDTH,
        soft_wrap=True,
    )


def notice(text: str) -> None:
    """Report progress to people."""
    typer.echo(printable_lines(text), err=True)


def print_json(message: Message) -> None:
    """Print a message in protobuf's JSON mapping, with the fields that are zero or empty."""
    _print(json_format.MessageToJson(message, always_print_fields_with_no_presence=True))


def print_json_line(message: Message) -> None:
    """Print a message in protobuf's JSON mapping on one line."""
    _print(json_format.MessageToJson(message, indent=None))


def print_json_text(text: str) -> None:
    """Print JSON that is no message of the contract."""
    _print(text)


def print_text(text: str) -> None:
    """Print a text as it is, which ends with a line end."""
    _print(text.removesuffix("\n"))


def _print(text: str) -> None:
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise OutputClosed from None


def table(title: str, *columns: str, numbers_from: int = 1) -> FigureTable:
    """Return a table whose columns, from `numbers_from` on, hold figures."""
    made = FigureTable(
        title, columns, whole=[index >= numbers_from for index in range(len(columns))]
    )
    made.align_right(numbers_from)
    return made


def add_row(made: FigureTable, cells: Sequence[str]) -> None:
    """Add a row of texts that may come from anywhere."""
    made.add_cells(cells)


def hypothetical_banner() -> Panel:
    """Return the banner over every answer that rests on plans or assumptions."""
    return Panel(
        "HYPOTHETICAL: what follows rests on facts marked PLAN or ASSUMPTION. It is no statement "
        "about what the companies named have done.",
        style="bold yellow",
        expand=False,
    )


def reflects(context: ReadContext) -> str:
    """Return the line that says what an answer reflects."""
    when = f" (recorded {instant(context.recorded_time)})" if context.position else ""
    as_of = f", as of {day(context.as_of)}" if context.HasField("as_of") else ""
    later = ""
    if context.latest_position:
        later = f" The projection has gone on to position {context.latest_position:,}."
    return f"Reflects the log up to position {context.position:,}{when}{as_of}.{later}"


def printable_lines(text: str) -> str:
    """Return text of several lines that is safe on a terminal."""
    return "\n".join(printable(line) for line in text.split("\n"))
