"""The processes of the projections: one that folds and answers, one that evaluates exceptions."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
from gigaledger.common.grpc.interceptor import CallInterceptor
from gigaledger.common.grpc.server import serve
from gigaledger.common.postgres.connections import Database
from gigaledger.common.settings import Settings
from gigaledger.projections.engine.evaluation_worker import EvaluationWorker
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.projections.engine.snapshot import reading_pool
from gigaledger.projections.engine.worker import Workers
from gigaledger.projections.queries.errors import ERRORS
from gigaledger.projections.queries.service import ProjectionService, WriteNotifier
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.v1 import projections_pb2
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2_grpc import add_ProjectionServiceServicer_to_server

SERVICE_NAME = projections_pb2.DESCRIPTOR.services_by_name["ProjectionService"].full_name
EXCEPTIONS_NAME = "gigaledger.v1.Exceptions"
"""The name by which the evaluation of exceptions reports its health."""
READING_CONNECTIONS = 8
CONTROL_CONNECTIONS = 2


async def serve_projections(settings: Settings) -> None:
    """Serve `gigaledger.v1.ProjectionService` and follow all books until SIGTERM or SIGINT.

    Raises:
        SettingMissingError: no database is named.
        psycopg.OperationalError: the database can't be reached.
        RuntimeError: an address can't be listened on.
    """
    url = settings.required_database_url()
    database = Database(url, SESSION_OPTIONS)
    database.connect().close()
    written = WriteNotifier()
    async with (
        reading_pool(url, READING_CONNECTIONS) as pool,
        database.async_pool(CONTROL_CONNECTIONS, min_size=0, autocommit=True) as writing,
        grpc.aio.insecure_channel(settings.ledger_address) as channel,
        Workers(PROJECTIONS, url, settings.ledger_address, written.announce),
    ):
        service = ProjectionService(pool, writing, LedgerServiceStub(channel), written)
        await serve(
            (SERVICE_NAME,),
            settings.projections_address,
            lambda server: add_ProjectionServiceServicer_to_server(service, server),
            CallInterceptor(ERRORS, reject_nul=True),
            settings,
            metrics_address=settings.projections_metrics_address,
        )


async def serve_exceptions(settings: Settings) -> None:
    """Evaluate the exceptions of all books until SIGTERM or SIGINT; serve health meanwhile.

    Raises:
        SettingMissingError: no database is named.
        psycopg.OperationalError: the database can't be reached.
        RuntimeError: an address can't be listened on.
    """
    url = settings.required_database_url()
    database = Database(url, SESSION_OPTIONS)
    database.connect().close()
    evaluated = [projection for projection in PROJECTIONS if projection.evaluator is not None]
    working = asyncio.create_task(EvaluationWorker(database, evaluated).run())
    try:
        await serve(
            (EXCEPTIONS_NAME,),
            settings.exceptions_address,
            lambda _server: None,
            CallInterceptor(ERRORS),
            settings,
            metrics_address=settings.exceptions_metrics_address,
        )
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
