"""A gRPC server as every service runs it: health, reflection, limits, graceful drain."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence

import grpc
import structlog
from gigaledger.common.metrics import served
from gigaledger.common.settings import Settings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

MAX_MESSAGE_BYTES = 70 * 1024 * 1024
"""A request of 1000 facts of 65,535 bytes, with room for its envelope."""

LAME_DUCK_SECONDS = 0.2
"""How long a service that is told to end answers new calls before it stops to listen."""

_log = structlog.get_logger("gigaledger")


async def serve(
    service_names: Sequence[str],
    address: str,
    register: Callable[[grpc.aio.Server], None],
    settings: Settings,
    *,
    metrics_address: str | None = None,
    on_drain: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let calls under way finish.

    Args:
        service_names: full names of the services, for health and reflection; the first names the
            process.
        address: host:port to listen on; port 0 picks a free one.
        register: adds the services' handlers to the server.
        settings: how long to drain, and whether others listen on the address as well.
        metrics_address: host:port to serve metrics on; None for nowhere.
        on_drain: called when draining begins, to end streams that have no end of their own.

    Raises:
        RuntimeError: an address can't be listened on.
    """
    with served(metrics_address):
        await _serve(service_names, address, register, settings, on_drain)


async def _serve(
    service_names: Sequence[str],
    address: str,
    register: Callable[[grpc.aio.Server], None],
    settings: Settings,
    on_drain: Callable[[], None],
) -> None:
    service_name = service_names[0]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # Clients may look whether this end is still there, more often than every five minutes.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.so_reuseport", int(settings.reuse_port)),
        ]
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
    # What is there by now stays: to look through it for garbage holds up answers for 20 to 30 ms.
    gc.collect()
    gc.freeze()
    _log.info("serving", service=service_name, address=address, port=port)

    await stop.wait()
    _log.info("draining", service=service_name, seconds=settings.drain_seconds)
    await health_servicer.enter_graceful_shutdown()
    on_drain()
    # Connections that callers still use are refused by name for a moment, which tells them to go
    # elsewhere: what arrives once the server stops is cut off with CANCELLED.
    await asyncio.sleep(LAME_DUCK_SECONDS)
    await server.stop(settings.drain_seconds)
    _log.info("stopped", service=service_name)
