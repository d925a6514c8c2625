"""`gigaledger demo` and `gigaledger up`."""

from __future__ import annotations

from typing import Annotated

import typer
from gigaledger.cli.run.demo import NETWORK, PLAN, run_demo
from gigaledger.cli.run.up import run_up
from gigaledger.cli.settings import (
    DatabaseUrl,
    LedgerAddress,
    ProjectionsAddress,
    read_settings,
)

app = typer.Typer()


@app.command()
def demo(
    *,
    network: Annotated[
        bool,
        typer.Option(
            "--network", help="The public network around OpenAI in place of the example deal."
        ),
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """See the example deal go through a real ledger into real answers, in seconds.

    Starts a PostgreSQL in a temporary folder, the ledger and the projections, appends the example
    deal, shows GW against plan, cumulative investment and the round trip of cash, and stops
    everything again. Nothing is left behind.

    With --network it shows who has committed what to whom between OpenAI, its suppliers and its
    investors, by public sources, and how much of it goes in circles.

    With a database URL the demo uses that database, in a new book that stays there.
    """
    run_demo(read_settings(database_url=database_url), NETWORK if network else PLAN)


@app.command()
def up(
    *,
    database_url: DatabaseUrl = None,
    ledger: LedgerAddress = None,
    projections: ProjectionsAddress = None,
) -> None:
    """Run the ledger, the projections and, unless you name one, a PostgreSQL.

    Ctrl-C stops them.

    Without a database URL the data is kept in GIGALEDGER_DATA_DIR: ~/.gigaledger, for root
    /var/lib/gigaledger. The book "main" is opened the first time.

    If one of the services ends by itself, the others are stopped and the exit code is not 0:
    nothing is restarted behind your back.
    """
    run_up(
        read_settings(
            database_url=database_url, ledger_address=ledger, projections_address=projections
        )
    )
