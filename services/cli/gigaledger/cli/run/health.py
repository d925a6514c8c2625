"""`gigaledger health`: whether a service serves, for health checks and for people."""

from __future__ import annotations

from enum import StrEnum

from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import notice
from gigaledger.cli.run.processes import HEALTH_NAMES
from gigaledger.common.grpc.health import HealthError, check_health
from gigaledger.common.settings import Settings


class ServicePart(StrEnum):
    """The services, by the names that `gigaledger serve` has for them."""

    LEDGER = "ledger"
    PROJECTIONS = "projections"
    EXCEPTIONS = "exceptions"


def report_health(part: ServicePart, settings: Settings) -> None:
    """Say that a service serves.

    Raises:
        CommandError: it does not.
    """
    address: str = getattr(settings, f"{part}_address")
    name = HEALTH_NAMES[part]
    try:
        check_health(address, name)
    except HealthError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from None
    notice(f"{name} at {address} serves.")
