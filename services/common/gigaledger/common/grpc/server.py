"""The gRPC server of every service: health, reflection, limits, graceful shutdown."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence

import grpc
import structlog
from gigaledger.common.grpc.interceptor import CallInterceptor
from gigaledger.common.metrics import served
from gigaledger.common.settings import Settings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

MAX_MESSAGE_BYTES = 70 * 1024 * 1024
"""A request of 1000 facts of 65,535 bytes, with room for its envelope."""

MIN_PING_MILLISECONDS = 2000
"""Shortest interval of keepalive pings on an idle connection: many clients ping every ten seconds.
gRPC's default is five minutes, and it closes connections that ping more often."""
LAME_DUCK_SECONDS = 0.2
"""How long a service that is shutting down refuses new calls before it stops listening."""

_log = structlog.get_logger("gigaledger")


async def serve(
    service_names: Sequence[str],
    address: str,
    register: Callable[[grpc.aio.Server], None],
    interceptor: CallInterceptor,
    settings: Settings,
    *,
    metrics_address: str | None = None,
    on_drain: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let active calls finish.

    Args:
        service_names: full names of the services, for health and reflection; logs use the first.
        address: host:port to listen on; port 0 picks a free one.
        register: adds the services' handlers to the server.
        interceptor: wraps every method.
        settings: `drain_seconds` and `reuse_port`.
        metrics_address: host:port to serve metrics on; None to serve none.
        on_drain: called when draining begins, to end subscriptions.

    Raises:
        RuntimeError: an address can't be listened on.
    """
    with served(metrics_address):
        await _serve(service_names, address, register, interceptor, settings, on_drain)


async def _serve(
    service_names: Sequence[str],
    address: str,
    register: Callable[[grpc.aio.Server], None],
    interceptor: CallInterceptor,
    settings: Settings,
    on_drain: Callable[[], None],
) -> None:
    service_name = service_names[0]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    server = grpc.aio.server(
        interceptors=[interceptor],
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_MILLISECONDS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.so_reuseport", int(settings.reuse_port)),
        ],
    )
    register(server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    port = server.add_insecure_port(address)
    await server.start()
    for name in ("", *service_names):
        await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    # Start-up objects live on. Frozen, they do not add 20 to 30 ms to each full collection.
    gc.collect()
    gc.freeze()
    _log.info("serving", service=service_name, address=address, port=port)

    await stop.wait()
    _log.info("draining", service=service_name, seconds=settings.drain_seconds)
    await health_servicer.enter_graceful_shutdown()
    on_drain()
    # New calls are answered for a moment (SHUTTING_DOWN), so that callers go elsewhere: calls that
    # arrive once the server stops end with CANCELLED.
    await asyncio.sleep(LAME_DUCK_SECONDS)
    await server.stop(settings.drain_seconds)
    _log.info("stopped", service=service_name)
