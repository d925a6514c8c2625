"""`gigaledger serve`: a service as this process, or as several that share an address."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress

from gigaledger.cli.errors import CommandError, ExitCode, Interrupted
from gigaledger.cli.run.database import database_errors
from gigaledger.cli.run.interruption import Interruption
from gigaledger.cli.run.processes import (
    Service,
    check_alive,
    check_free,
    start_service,
    stop_service,
    wait_until_serving,
)
from gigaledger.cli.settings import read_settings
from gigaledger.common.logs import configure_logs
from gigaledger.common.metrics import MetricsAddressError
from gigaledger.common.settings import Settings
from gigaledger.common.transparency.keys import KeyFileError

ServeFunction = Callable[[Settings], Coroutine[None, None, None]]

_SHARING = {"GIGALEDGER_REUSE_PORT": "true"}
_WATCH_SECONDS = 0.2


def serve(
    part: str,
    load: Callable[[], ServeFunction],
    *,
    end_with_stdin: bool,
    needs_database: bool = True,
) -> None:
    """Run a service until SIGTERM or SIGINT.

    Args:
        part: name of the service, for errors.
        load: imports its serve function: only what runs is loaded.
        end_with_stdin: end when standard input does, which is how a parent's death is noticed.
        needs_database: whether a database must be set.

    Raises:
        CommandError: it can't run.
    """
    settings = read_settings()
    if needs_database and settings.database_url is None:
        raise CommandError(
            f"the {part} service needs a database",
            ExitCode.USAGE,
            "Set GIGALEDGER_DATABASE_URL, or run `gigaledger up`, which brings a PostgreSQL.",
        )
    configure_logs(settings)
    serve_part = load()
    if end_with_stdin:
        threading.Thread(target=_terminate_at_end_of_stdin, daemon=True).start()
    with database_errors(settings.database_url):
        try:
            asyncio.run(serve_part(settings))
        except KeyboardInterrupt:
            # before the service took the signals over
            return
        except (KeyFileError, OSError) as error:
            raise CommandError(
                f"the {part} service can't use its signing key: {error}",
                ExitCode.USAGE,
                "`gigaledger key make FILE` makes one; GIGALEDGER_SIGNING_KEY names it.",
            ) from error
        except MetricsAddressError as error:
            raise CommandError(
                str(error),
                ExitCode.UNAVAILABLE,
                f"Set GIGALEDGER_{part.upper()}_METRICS_ADDRESS to another one, or unset it.",
            ) from error
        except RuntimeError as error:
            if "Failed to bind to address" not in str(error):
                raise
            address = getattr(settings, f"{part}_address")
            raise CommandError(
                f"the {part} service can't listen on {address}: the address is in use or not of "
                "this machine",
                ExitCode.UNAVAILABLE,
                f"Stop what listens there, or set GIGALEDGER_{part.upper()}_ADDRESS to HOST:PORT.",
            ) from error


def _metrics(settings: Settings, number: int) -> dict[str, str]:
    """Return the metrics address of one of several processes: each has a port of its own."""
    if settings.ledger_metrics_address is None:
        return {}
    host, _, port = settings.ledger_metrics_address.rpartition(":")
    if not port.isdecimal():
        raise CommandError(
            f"GIGALEDGER_LEDGER_METRICS_ADDRESS: {settings.ledger_metrics_address!r} is not "
            "HOST:PORT",
            ExitCode.USAGE,
        )
    return {"GIGALEDGER_LEDGER_METRICS_ADDRESS": f"{host}:{int(port) + number}"}


def serve_ledgers(count: int, *, end_with_stdin: bool) -> None:
    """Run several ledger processes on one address until SIGTERM or SIGINT.

    Args:
        count: how many.
        end_with_stdin: see `serve`.

    Raises:
        CommandError: one can't be started, or has ended by itself.
    """
    settings = read_settings()
    address = settings.ledger_address
    if address.endswith(":0"):
        raise CommandError(
            f"several processes can't share {address}: each would be given another port",
            ExitCode.USAGE,
            "Set GIGALEDGER_LEDGER_ADDRESS to HOST:PORT.",
        )
    check_free("ledger", address)
    if end_with_stdin:
        threading.Thread(target=_terminate_at_end_of_stdin, daemon=True).start()
    ledgers: list[Service] = []
    with Interruption() as interruption, suppress(Interrupted):
        try:
            while len(ledgers) < count:
                more = _SHARING | _metrics(settings, len(ledgers))
                ledgers.append(start_service("ledger", address, None, more))
            wait_until_serving(ledgers, interruption)
            while True:
                check_alive(ledgers)
                interruption.pause(_WATCH_SECONDS)
        finally:
            for ledger in ledgers:
                ledger.process.terminate()  # All at once: each may take as long as it may drain.
            for ledger in ledgers:
                stop_service(ledger, settings.drain_seconds)


def load_ledger() -> ServeFunction:
    """Import the ledger service."""
    from gigaledger.ledger.serve import serve_ledger  # noqa: PLC0415 - only what runs is loaded

    return serve_ledger


def load_projections() -> ServeFunction:
    """Import the projection service."""
    from gigaledger.projections.serve import serve_projections  # noqa: PLC0415 - only what runs is loaded

    return serve_projections


def load_exceptions() -> ServeFunction:
    """Import the evaluation of exceptions."""
    from gigaledger.projections.serve import (  # noqa: PLC0415 - only what runs is loaded
        serve_exceptions,
    )

    return serve_exceptions


def load_web() -> ServeFunction:
    """Import the web page."""
    from gigaledger.web.serve import serve_web  # noqa: PLC0415 - only what runs is loaded

    return serve_web


def _terminate_at_end_of_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
