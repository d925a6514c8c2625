"""The ledger service as a process."""

from __future__ import annotations

import grpc
import psycopg
from gigaledger.common.grpc.server import serve
from gigaledger.common.settings import Settings
from gigaledger.common.transparency.keys import read_keys
from gigaledger.ledger.api.audit import AUDIT_SERVICE_NAME, AuditService
from gigaledger.ledger.api.handlers import SERVICE_NAME, add_to_server
from gigaledger.ledger.api.service import LedgerService
from gigaledger.ledger.log.book_registry import Shelf, utc_now
from gigaledger.ledger.log.schema import SESSION_OPTIONS, check_prepared
from gigaledger.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server


async def serve_ledger(settings: Settings) -> None:
    """Serve `LedgerService` and `AuditService` of gigaledger.v1 until SIGTERM or SIGINT.

    Raises:
        SettingMissingError: no database is named.
        psycopg.OperationalError: the database can't be reached.
        DatabaseNotPreparedError: it is not of the shape that this version needs.
        KeyFileError: the file of the ledger's key can't be used.
        OSError: it can't be read.
        RuntimeError: an address can't be listened on.
    """
    url = settings.required_database_url()
    with psycopg.connect(url, options=SESSION_OPTIONS) as connection:
        check_prepared(connection)
    keys = read_keys(settings.signing_key) if settings.signing_key else []
    async with Shelf(url, utc_now, keys) as shelf:
        service, audit = LedgerService(shelf, utc_now), AuditService(shelf)

        def register(server: grpc.aio.Server) -> None:
            add_to_server(service, server)
            add_AuditServiceServicer_to_server(audit, server)

        await serve(
            (SERVICE_NAME, AUDIT_SERVICE_NAME),
            settings.ledger_address,
            register,
            settings,
            metrics_address=settings.ledger_metrics_address,
            on_drain=service.drain,
        )
