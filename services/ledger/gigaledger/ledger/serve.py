"""The ledger service as a process."""

from __future__ import annotations

import grpc
from gigaledger.common.grpc.interceptor import CallInterceptor
from gigaledger.common.grpc.server import serve
from gigaledger.common.postgres.connections import Database
from gigaledger.common.settings import Settings
from gigaledger.common.transparency.keys import read_keys
from gigaledger.ledger.api.audit import AUDIT_SERVICE_NAME, AuditService
from gigaledger.ledger.api.errors import ERRORS
from gigaledger.ledger.api.handlers import SERVICE_NAME, add_to_server
from gigaledger.ledger.api.service import LedgerService
from gigaledger.ledger.log.book_registry import BookRegistry, utc_now
from gigaledger.ledger.log.schema import SESSION_OPTIONS, check_prepared
from gigaledger.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server


async def serve_ledger(settings: Settings) -> None:
    """Serve `LedgerService` and `AuditService` of gigaledger.v1 until SIGTERM or SIGINT.

    Raises:
        SettingMissingError: no database is set.
        psycopg.OperationalError: the database can't be reached.
        DatabaseNotPreparedError: the database lacks migrations of this version, or is newer.
        KeyFileError: the signing key file can't be used.
        OSError: the signing key file can't be read.
        RuntimeError: an address can't be listened on.
    """
    url = settings.required_database_url()
    with Database(url, SESSION_OPTIONS).connect() as connection:
        check_prepared(connection)
    keys = read_keys(settings.signing_key) if settings.signing_key else []
    async with BookRegistry(url, utc_now, keys) as registry:
        service, audit = LedgerService(registry, utc_now), AuditService(registry)

        def register(server: grpc.aio.Server) -> None:
            add_to_server(service, server)
            add_AuditServiceServicer_to_server(audit, server)

        await serve(
            (SERVICE_NAME, AUDIT_SERVICE_NAME),
            settings.ledger_address,
            register,
            CallInterceptor(ERRORS),
            settings,
            metrics_address=settings.ledger_metrics_address,
            on_drain=service.drain,
        )
