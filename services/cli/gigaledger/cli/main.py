"""The `gigaledger` command: its parts, their options, and how it ends."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from gigaledger.cli.errors import CommandError, ExitCode, Interrupted, OutputClosed
from gigaledger.cli.lazy import LazyCommand
from typer.core import TyperGroup
from typer.main import get_group

_RUN_PANEL = "Run"
_FACTS_PANEL = "Write and read facts"
_ANSWERS_PANEL = "Ask"
_AUDIT_PANEL = "Audit"
_EXIT_CODES = "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)
_HELP = f"""Book of record for deals that tie money to compute: facts in, exact answers out.

Every fact is appended to a book whose history nobody can change. Reports of capacity, investment \
and the round trip of money are derived from it, and say up to which position they reflect it.

\b
[bold]A first look[/bold]
  gigaledger demo

\b
[bold]A ledger of your own[/bold]
  gigaledger up                  # keeps running; the rest in another terminal
  gigaledger append facts.jsonl
  gigaledger events --follow
  gigaledger report round-trip --as-of 2026-12-31

\b
[bold]Exit codes[/bold]
{_EXIT_CODES}
"""
_EPILOG = """Settings come from the environment: GIGALEDGER_DATABASE_URL, GIGALEDGER_DATA_DIR, \
GIGALEDGER_LEDGER_ADDRESS, GIGALEDGER_PROJECTIONS_ADDRESS, GIGALEDGER_EXCEPTIONS_ADDRESS, \
GIGALEDGER_LEDGER_METRICS_ADDRESS, GIGALEDGER_PROJECTIONS_METRICS_ADDRESS, \
GIGALEDGER_EXCEPTIONS_METRICS_ADDRESS, GIGALEDGER_SIGNING_KEY, \
GIGALEDGER_REUSE_PORT, GIGALEDGER_DRAIN_SECONDS, GIGALEDGER_LOG_LEVEL, GIGALEDGER_LOG_FORMAT."""

app = typer.Typer(
    name="gigaledger",
    help=_HELP,
    epilog=_EPILOG,
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"gigaledger {importlib.metadata.version('gigaledger')}")
        raise typer.Exit


@app.callback()
def _gigaledger(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Print the version.",
            is_eager=True,
            callback=lambda value: _print_version(wanted=value),
        ),
    ] = False,
) -> None:
    pass


COMMANDS = (
    LazyCommand(
        "demo",
        _RUN_PANEL,
        "See the example deal go through a real ledger into real answers, in seconds.",
        "run.run_commands",
    ),
    LazyCommand(
        "up",
        _RUN_PANEL,
        "Run the ledger, the projections and, unless you name one, a PostgreSQL.",
        "run.run_commands",
    ),
    LazyCommand(
        "health",
        _RUN_PANEL,
        "Ask a service whether it serves: exit code 0 if it does, 3 if it does not.",
        "run.health",
    ),
    LazyCommand(
        "serve",
        _RUN_PANEL,
        "Run one service as this process, as production does.",
        "run.serve_commands",
        group=True,
    ),
    LazyCommand(
        "database",
        _RUN_PANEL,
        "Set up the database.",
        "run.database_commands",
        group=True,
    ),
    LazyCommand(
        "key",
        _RUN_PANEL,
        "Make, show and rotate the ledger's signing key.",
        "ledger.key_commands",
        group=True,
    ),
    LazyCommand(
        "book",
        _FACTS_PANEL,
        "Open books and look at them.",
        "ledger.book_commands",
        group=True,
    ),
    LazyCommand(
        "append",
        _FACTS_PANEL,
        "Append the facts of a file to a book, in the order of the file.",
        "ledger.ledger_commands",
    ),
    LazyCommand(
        "template",
        _FACTS_PANEL,
        "Print a file of facts to start from, or list the files.",
        "ledger.template_commands",
    ),
    LazyCommand(
        "columns",
        _FACTS_PANEL,
        "List the facts that CSV files can hold, or the columns of one of them.",
        "ledger.ledger_commands",
    ),
    LazyCommand(
        "events",
        _FACTS_PANEL,
        "Print the events of a book in the order in which they were recorded.",
        "ledger.ledger_commands",
    ),
    LazyCommand(
        "attempts",
        _FACTS_PANEL,
        "List the requests that were refused, the newest first: who, when, by which rule.",
        "ledger.ledger_commands",
    ),
    LazyCommand(
        "report",
        _ANSWERS_PANEL,
        "Ask how many GW, how much invested, and what came back.",
        "report.report_commands",
        "report.history_commands",
        "report.what_if_commands",
        group=True,
    ),
    LazyCommand(
        "ask",
        _ANSWERS_PANEL,
        "Ask before you act: what the ledger would say, and why.",
        "report.ask_commands",
        group=True,
    ),
    LazyCommand(
        "projection",
        _ANSWERS_PANEL,
        "See how far the projections are; rebuild one, or resume it.",
        "report.projection_commands",
        group=True,
    ),
    LazyCommand(
        "audit",
        _AUDIT_PANEL,
        "Verify, replay, explain and export the whole history of a book.",
        "audit.audit_commands",
        "audit.verify_commands",
        group=True,
    ),
)
"""The commands, in the order of the help."""


def program() -> TyperGroup:
    """Return the program with all its commands."""
    group = get_group(app)
    for command in COMMANDS:
        group.add_command(command)
    return group


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: of the command line; those of the process if None.
    """
    try:
        program()(list(arguments) if arguments is not None else None, prog_name="gigaledger")
    except SystemExit as request:
        return request.code if isinstance(request.code, int) else ExitCode.OK
    except CommandError as error:
        _report(f"Error: {error.message}", error.hint)
        return error.exit_code
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Interrupted:
        _report("Stopped before it was done.")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _report(*lines: str) -> None:
    from gigaledger.cli.output import notice  # noqa: PLC0415 - most calls report nothing

    for line in filter(None, lines):
        notice(line)


def main() -> NoReturn:
    """Entry point of the program."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(int(run()))


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
