"""`gigaledger serve`: one service as this process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine

from services.command.database import database_errors
from services.command.errors import CommandError, ExitCode
from services.command.settings import read_settings
from services.runtime.logs import configure_logs
from services.runtime.settings import Settings

ServeFunction = Callable[[Settings], Coroutine[None, None, None]]


def serve(part: str, load: Callable[[], ServeFunction], *, end_with_stdin: bool) -> None:
    """Run a service until SIGTERM or SIGINT.

    Args:
        part: name of the service, for errors.
        load: imports its serve function: only what runs is loaded.
        end_with_stdin: end when standard input does, which is how a parent's death is noticed.

    Raises:
        CommandError: it can't run.
    """
    settings = read_settings()
    if settings.database_url is None:
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
        except RuntimeError as error:
            if "Failed to bind to address" not in str(error):
                raise
            address = settings.ledger_address if part == "ledger" else settings.projections_address
            raise CommandError(
                f"the {part} service can't listen on {address}: the address is in use or not of "
                "this machine",
                ExitCode.UNAVAILABLE,
                f"Stop what listens there, or set GIGALEDGER_{part.upper()}_ADDRESS to HOST:PORT.",
            ) from error


def load_ledger() -> ServeFunction:
    """Import the ledger service."""
    from services.ledger.serve import serve_ledger  # noqa: PLC0415 - only what runs is loaded

    return serve_ledger


def load_projections() -> ServeFunction:
    """Import the projection service."""
    from services.projections.serve import (  # noqa: PLC0415 - only what runs is loaded
        serve_projections,
    )

    return serve_projections


def _terminate_at_end_of_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
