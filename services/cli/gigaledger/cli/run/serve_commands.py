"""`gigaledger serve`: one service as one process."""

from __future__ import annotations

from typing import Annotated

import typer
from gigaledger.cli.run import serve

app = typer.Typer(help="Run one service as this process, as production does.", no_args_is_help=True)

EndWithStdin = Annotated[
    bool,
    typer.Option("--end-with-stdin", hidden=True, help="End when standard input does."),
]


@app.command("ledger")
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
    if processes > 1:
        serve.serve_ledgers(processes, end_with_stdin=end_with_stdin)
    else:
        serve.serve("ledger", serve.load_ledger, end_with_stdin=end_with_stdin)


@app.command("projections")
def serve_projections(*, end_with_stdin: EndWithStdin = False) -> None:
    """Run the projection service: follows the ledger, answers reports.

    Needs GIGALEDGER_DATABASE_URL, a database that `gigaledger database prepare` has set up, and
    the ledger at GIGALEDGER_LEDGER_ADDRESS. Listens on GIGALEDGER_PROJECTIONS_ADDRESS. Logs go to
    standard error. SIGTERM and Ctrl-C let calls under way finish.
    """
    serve.serve("projections", serve.load_projections, end_with_stdin=end_with_stdin)


@app.command("exceptions")
def serve_exceptions(*, end_with_stdin: EndWithStdin = False) -> None:
    """Run the evaluation of exceptions: applies the rules that flag to what the projections folded.

    Needs GIGALEDGER_DATABASE_URL, the database of the projections. Answers health checks on
    GIGALEDGER_EXCEPTIONS_ADDRESS. Logs go to standard error.
    """
    serve.serve("exceptions", serve.load_exceptions, end_with_stdin=end_with_stdin)


@app.command("web")
def serve_web(*, end_with_stdin: EndWithStdin = False) -> None:
    """Run the web page: shows books in a browser.

    Needs no database: it asks the ledger at GIGALEDGER_LEDGER_ADDRESS and the projections at
    GIGALEDGER_PROJECTIONS_ADDRESS. Listens on GIGALEDGER_WEB_ADDRESS. Logs go to standard error.
    """
    serve.serve("web", serve.load_web, end_with_stdin=end_with_stdin, needs_database=False)
