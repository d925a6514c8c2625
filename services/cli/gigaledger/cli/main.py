"""The `gigaledger` command: its parts, their options, and how it ends."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from gigaledger.cli.audit import audit_commands
from gigaledger.cli.errors import CommandError, ExitCode, Interrupted, OutputClosed
from gigaledger.cli.ledger import key_commands, ledger_commands
from gigaledger.cli.output import notice
from gigaledger.cli.report import (
    ask_commands,
    history_commands,
    projection_commands,
    report_commands,
    what_if_commands,
)
from gigaledger.cli.run.health import ServicePart, report_health
from gigaledger.cli.run.settings import (
    DatabaseUrl,
    LedgerAddress,
    ProjectionsAddress,
    read_settings,
)

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
GIGALEDGER_LEDGER_ADDRESS, GIGALEDGER_PROJECTIONS_ADDRESS, GIGALEDGER_LEDGER_METRICS_ADDRESS, \
GIGALEDGER_PROJECTIONS_METRICS_ADDRESS, GIGALEDGER_SIGNING_KEY, \
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
serve_app = typer.Typer(
    help="Run one service as this process, as production does.", no_args_is_help=True
)
database_app = typer.Typer(help="Set up the database.", no_args_is_help=True)


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


@app.command(rich_help_panel=_RUN_PANEL)
def demo(*, database_url: DatabaseUrl = None) -> None:
    """See the example deal go through a real ledger into real answers, in seconds.

    Starts a PostgreSQL in a temporary folder, the ledger and the projections, appends the example
    deal, shows GW against plan, cumulative investment and the round trip of cash, and stops
    everything again. Nothing is left behind.

    With a database URL the demo uses that database, in a new book that stays there.
    """
    from gigaledger.cli.run.demo import run_demo  # noqa: PLC0415 - only what runs is loaded

    run_demo(read_settings().model_copy(update=_given(database_url=database_url)))


@app.command(rich_help_panel=_RUN_PANEL)
def up(
    *,
    database_url: DatabaseUrl = None,
    ledger: LedgerAddress = None,
    projections: ProjectionsAddress = None,
) -> None:
    """Run the ledger, the projections and, unless you name one, a PostgreSQL. Ctrl-C stops them.

    Without a database URL the data is kept in GIGALEDGER_DATA_DIR: ~/.gigaledger, for root
    /var/lib/gigaledger. The book "main" is opened the first time.

    If one of the services ends by itself, the others are stopped and the exit code is not 0:
    nothing is restarted behind your back.
    """
    from gigaledger.cli.run.up import run_up  # noqa: PLC0415 - only what runs is loaded

    given = _given(
        database_url=database_url, ledger_address=ledger, projections_address=projections
    )
    run_up(read_settings().model_copy(update=given))


EndWithStdin = Annotated[
    bool,
    typer.Option("--end-with-stdin", hidden=True, help="End when standard input does."),
]


@serve_app.command("ledger")
def serve_ledger(
    *,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes share the address.")
    ] = 1,
    end_with_stdin: EndWithStdin = False,
) -> None:
    """Run the ledger service: takes facts, streams events.

    Needs GIGALEDGER_DATABASE_URL, and a database that `gigaledger database prepare` has set up.
    Listens on GIGALEDGER_LEDGER_ADDRESS. Logs go to standard error. SIGTERM and Ctrl-C let calls
    under way finish.
    """
    from gigaledger.cli.run import serve  # noqa: PLC0415 - only what runs is loaded

    if processes > 1:
        serve.serve_ledgers(processes, end_with_stdin=end_with_stdin)
    else:
        serve.serve("ledger", serve.load_ledger, end_with_stdin=end_with_stdin)


@serve_app.command("projections")
def serve_projections(*, end_with_stdin: EndWithStdin = False) -> None:
    """Run the projection service: follows the ledger, answers reports.

    Needs GIGALEDGER_DATABASE_URL, a database that `gigaledger database prepare` has set up, and
    the ledger at GIGALEDGER_LEDGER_ADDRESS. Listens on GIGALEDGER_PROJECTIONS_ADDRESS. Logs go to
    standard error. SIGTERM and Ctrl-C let calls under way finish.
    """
    from gigaledger.cli.run import serve  # noqa: PLC0415 - only what runs is loaded

    serve.serve("projections", serve.load_projections, end_with_stdin=end_with_stdin)


@serve_app.command("exceptions")
def serve_exceptions(*, end_with_stdin: EndWithStdin = False) -> None:
    """Run the evaluation of exceptions: applies the rules that flag to what the projections folded.

    Needs GIGALEDGER_DATABASE_URL, the database of the projections. Answers health checks on
    GIGALEDGER_EXCEPTIONS_ADDRESS. Logs go to standard error.
    """
    from gigaledger.cli.run import serve  # noqa: PLC0415 - only what runs is loaded

    serve.serve("exceptions", serve.load_exceptions, end_with_stdin=end_with_stdin)


@app.command(rich_help_panel=_RUN_PANEL)
def health(
    part: Annotated[ServicePart, typer.Argument(metavar="ledger|projections", show_default=False)],
    *,
    ledger: LedgerAddress = None,
    projections: ProjectionsAddress = None,
) -> None:
    """Ask a service whether it serves: exit code 0 where it does, 3 where it does not."""
    given = _given(ledger_address=ledger, projections_address=projections)
    report_health(part, read_settings().model_copy(update=given))


@database_app.command("prepare")
def database_prepare(*, database_url: DatabaseUrl = None) -> None:
    """Create roles, schemas and functions in a database, or bring them up to date.

    Needs a login that may create roles and schemas. Safe to repeat. `up` and `demo` do it by
    themselves; the services never do.
    """
    from gigaledger.cli.run.database import prepare, without_password  # noqa: PLC0415 - see above

    url = database_url or read_settings().database_url
    if url is None:
        raise CommandError(
            "which database?",
            ExitCode.USAGE,
            "Give --database-url, or set GIGALEDGER_DATABASE_URL.",
        )
    prepare(url)
    notice(f"The database {without_password(url)} is prepared.")


app.add_typer(serve_app, name="serve", rich_help_panel=_RUN_PANEL)
app.add_typer(database_app, name="database", rich_help_panel=_RUN_PANEL)
app.add_typer(key_commands.app, name="key", rich_help_panel=_RUN_PANEL)
ledger_commands.register(app, _FACTS_PANEL)
report_commands.register(app, _ANSWERS_PANEL)
ask_commands.register(app, _ANSWERS_PANEL)
history_commands.register(report_commands.report_app)
what_if_commands.register(report_commands.report_app)
projection_commands.register(app, _ANSWERS_PANEL)
audit_commands.register(app, _AUDIT_PANEL)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: of the command line; those of the process where None.
    """
    try:
        app(list(arguments) if arguments is not None else None, prog_name="gigaledger")
    except SystemExit as request:
        return request.code if isinstance(request.code, int) else ExitCode.OK
    except CommandError as error:
        notice(f"Error: {error.message}")
        if error.hint:
            notice(error.hint)
        return error.exit_code
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Interrupted:
        notice("Stopped before it was done.")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def main() -> NoReturn:
    """Entry point of the program."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(int(run()))


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}
