"""The ledger service as a process."""

from __future__ import annotations

import psycopg

from services.ledger.api.handlers import SERVICE_NAME, add_to_server
from services.ledger.api.service import LedgerService
from services.ledger.log.schema import SESSION_OPTIONS, check_prepared
from services.ledger.log.shelf import Shelf, utc_now
from services.runtime.server import serve
from services.runtime.settings import Settings


async def serve_ledger(settings: Settings) -> None:
    """Serve `gigaledger.v1.LedgerService` until SIGTERM or SIGINT.

    Raises:
        SettingMissingError: no database is named.
        psycopg.OperationalError: the database can't be reached.
        DatabaseNotPreparedError: it is not of the shape that this version needs.
        RuntimeError: the address can't be listened on.
    """
    url = settings.required_database_url()
    with psycopg.connect(url, options=SESSION_OPTIONS) as connection:
        check_prepared(connection)
    async with Shelf(url, utc_now) as shelf:
        service = LedgerService(shelf, utc_now)
        await serve(
            SERVICE_NAME,
            settings.ledger_address,
            lambda server: add_to_server(service, server),
            settings,
            on_drain=service.drain,
        )
