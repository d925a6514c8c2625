"""`gigaledger database`: what the services need in a database."""

from __future__ import annotations

import typer
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import notice
from gigaledger.cli.run.database import prepare, without_password
from gigaledger.cli.settings import DatabaseUrl, read_settings

app = typer.Typer(help="Set up the database.", no_args_is_help=True)


@app.command("prepare")
def database_prepare(*, database_url: DatabaseUrl = None) -> None:
    """Create roles, schemas and functions in a database, or bring them up to date.

    Needs a login that may create roles and schemas. Safe to repeat. `up` and `demo` do it by
    themselves; the services never do.
    """
    url = read_settings(database_url=database_url).database_url
    if url is None:
        raise CommandError(
            "which database?",
            ExitCode.USAGE,
            "Give --database-url, or set GIGALEDGER_DATABASE_URL.",
        )
    prepare(url)
    notice(f"The database {without_password(url)} is prepared.")
