"""`gigaledger up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode, Interrupted
from gigaledger.cli.output import notice
from gigaledger.cli.run.database import without_password
from gigaledger.cli.run.interruption import Interruption
from gigaledger.cli.run.processes import check_alive
from gigaledger.cli.run.stack import Stack, running_stack
from gigaledger.common.settings import Settings

DEFAULT_BOOK = "main"
_WATCH_SECONDS = 0.2


def run_up(settings: Settings) -> None:
    """Start everything and keep it running until a signal asks to stop.

    Raises:
        CommandError: something can't be started, or ended by itself.
    """
    folder = settings.embedded_data_dir()
    with Interruption() as interruption:
        try:
            _serve_until_stopped(settings, interruption)
        except Interrupted:
            notice("Stopped.")
        except OSError as error:
            raise CommandError(
                f"cannot use {folder}: {error.strerror}",
                ExitCode.UNAVAILABLE,
                "Set GIGALEDGER_DATA_DIR to a directory that you may write to.",
            ) from error


def _serve_until_stopped(settings: Settings, interruption: Interruption) -> None:
    folder = settings.embedded_data_dir()
    notice("Starting...")
    log_dir = folder / "logs"
    with running_stack(settings, folder, log_dir, interruption) as stack:
        with client.ledger(settings.ledger_address) as connected:
            connected.create_book(DEFAULT_BOOK, exist_ok=True)
        notice(_whereabouts(stack, settings))
        try:
            while True:
                check_alive(stack.services)
                interruption.pause(_WATCH_SECONDS)
        finally:
            notice("Stopping: calls under way may finish...")


def _whereabouts(stack: Stack, settings: Settings) -> str:
    logs = [service.log_path for service in stack.services if service.log_path]
    if stack.database_log:
        logs.append(stack.database_log)
    rows = [
        ("ledger", f"{settings.ledger_address} (gRPC, gigaledger.v1.LedgerService)"),
        ("projections", f"{settings.projections_address} (gRPC, gigaledger.v1.ProjectionService)"),
        ("exceptions", f"{settings.exceptions_address} (health checks)"),
        ("web page", f"http://{settings.web_address}/"),
        ("database", without_password(stack.database_url)),
        ("signing key", str(stack.signing_key or "none: books are not sealed")),
        ("book", DEFAULT_BOOK),
        *(("log" if index == 0 else "", str(path)) for index, path in enumerate(logs)),
    ]
    lines = [f"  {label:<13}{text}" for label, text in rows]
    return "\n".join(
        [
            "gigaledger is up.",
            *lines,
            "Try: gigaledger append FILE, gigaledger events --follow, gigaledger report capacity",
            "Ctrl-C stops it.",
        ]
    )
