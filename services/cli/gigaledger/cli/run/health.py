"""`gigaledger health`: whether a service serves, for health checks and for people."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import notice
from gigaledger.cli.run.processes import check_part
from gigaledger.cli.settings import LedgerAddress, ProjectionsAddress, read_settings
from gigaledger.common.grpc.health import HealthError
from gigaledger.common.settings import Settings

_WAIT_SECONDS = 3.0

app = typer.Typer()


class ServicePart(StrEnum):
    """The services, by the names that `gigaledger serve` has for them."""

    LEDGER = "ledger"
    PROJECTIONS = "projections"
    EXCEPTIONS = "exceptions"
    WEB = "web"


def report_health(part: ServicePart, settings: Settings) -> None:
    """Say that a service serves.

    Raises:
        CommandError: it does not.
    """
    address: str = getattr(settings, f"{part}_address")
    try:
        name = check_part(part, address, _WAIT_SECONDS)
    except HealthError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from None
    notice(f"{name} at {address} serves.")


@app.command()
def health(
    part: Annotated[
        ServicePart,
        typer.Argument(
            metavar="SERVICE", help=f"One of: {', '.join(ServicePart)}.", show_default=False
        ),
    ],
    *,
    ledger: LedgerAddress = None,
    projections: ProjectionsAddress = None,
) -> None:
    """Ask a service whether it serves: exit code 0 if it does, 3 if it does not."""
    report_health(part, read_settings(ledger_address=ledger, projections_address=projections))
