"""The whole of gigaledger on this machine: PostgreSQL, the ledger, the projections."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.run.database import prepare
from gigaledger.cli.run.interruption import Interruption
from gigaledger.cli.run.processes import (
    Service,
    check_free,
    start_service,
    stop_service,
    wait_until_serving,
)
from gigaledger.common.settings import Settings
from gigaledger.common.transparency.keys import new_key, write_keys


@dataclass(frozen=True)
class Stack:
    """The running services and their files.

    Attributes:
        database_url: of PostgreSQL.
        database_log: of the embedded PostgreSQL; None if the database was given.
        signing_key: file of the key that seals books; None if they are not sealed.
        services: the ledger first.
    """

    database_url: str
    database_log: Path | None
    signing_key: Path | None
    services: tuple[Service, ...]


@contextmanager
def running_stack(
    settings: Settings,
    data_dir: Path,
    log_dir: Path,
    interruption: Interruption,
    *,
    web: bool = True,
) -> Iterator[Stack]:
    """Run everything until the block ends, then stop it: projections, ledger, database.

    Args:
        settings: addresses of the services, and the database; an embedded one if none is given.
        data_dir: of the embedded PostgreSQL.
        log_dir: directory of the services' logs; created if missing.
        interruption: requests to stop.
        web: whether the web page is served too.

    Raises:
        CommandError: something can't be started.
        Interrupted: a stop was asked for.
    """
    parts = [(part, address) for part, address in _addresses(settings) if web or part != "web"]
    for part, address in parts:
        check_free(part, address)
    with ExitStack() as cleanup:
        url, database_log, signing_key = settings.database_url, None, settings.signing_key
        if url is None:
            # Imported only here: other commands and the services run without the extra `local`.
            from gigaledger.common.postgres.embedded import (  # noqa: PLC0415
                EmbeddedPostgresError,
                embedded_postgres,
            )

            try:
                server = cleanup.enter_context(embedded_postgres(data_dir))
            except EmbeddedPostgresError as error:
                raise CommandError(str(error), ExitCode.UNAVAILABLE) from error
            url, database_log = server.url, server.log_path
            signing_key = signing_key or _own_key(data_dir)
        interruption.check()
        prepare(url)
        interruption.check()
        environment = {
            "GIGALEDGER_DATABASE_URL": url,
            "GIGALEDGER_LEDGER_ADDRESS": settings.ledger_address,
            "GIGALEDGER_PROJECTIONS_ADDRESS": settings.projections_address,
            "GIGALEDGER_EXCEPTIONS_ADDRESS": settings.exceptions_address,
            "GIGALEDGER_WEB_ADDRESS": settings.web_address,
        }
        if signing_key is not None:
            environment["GIGALEDGER_SIGNING_KEY"] = str(signing_key)
        log_dir.mkdir(parents=True, exist_ok=True)
        services: list[Service] = []
        for part, address in parts:
            service = start_service(part, address, log_dir / f"{part}.log", environment)
            cleanup.callback(stop_service, service, settings.drain_seconds)
            services.append(service)
        wait_until_serving(services, interruption)
        yield Stack(url, database_log, signing_key, tuple(services))


def _own_key(data_dir: Path) -> Path:
    """Return the file of the key beside the embedded database's data; made the first time."""
    path = data_dir / "signing-key"
    if not path.exists():
        write_keys(path, [new_key(f"gigaledger.local/{secrets.token_hex(4)}")])
    return path


def _addresses(settings: Settings) -> tuple[tuple[str, str], ...]:
    return (
        ("ledger", settings.ledger_address),
        ("projections", settings.projections_address),
        ("exceptions", settings.exceptions_address),
        ("web", settings.web_address),
    )
