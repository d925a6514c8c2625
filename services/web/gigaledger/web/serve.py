"""The process of the web page."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from types import FrameType

import structlog
import uvicorn
from gigaledger.client import RetryPolicy, connect_async
from gigaledger.common.settings import Settings
from gigaledger.web.app import LOOPBACK_HOSTS, create_app
from gigaledger.web.live import Live

_RETRY = RetryPolicy(seconds=2.0)
_log = structlog.get_logger("gigaledger")


class _Server(uvicorn.Server):
    """Ends the streams of open pages on a signal, so that it does not wait for them."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, on a signal."""
        self._loop.call_soon_threadsafe(self._live.close)
        super().handle_exit(sig, frame)


async def serve_web(settings: Settings) -> None:
    """Serve the web page until SIGTERM or SIGINT.

    Raises:
        RuntimeError: the address can't be listened on.
    """
    with _listening(settings.web_address) as listener:
        async with connect_async(
            settings.ledger_address, projections=settings.projections_address, retry=_RETRY
        ) as client:
            app, live = create_app(
                client,
                ledger=settings.ledger_address,
                projections=settings.projections_address,
                hosts=_hosts(settings),
            )
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
            )
            port = listener.getsockname()[1]
            _log.info("serving", service="web", address=settings.web_address, port=port)
            await _Server(config, live).serve(sockets=[listener])
            _log.info("stopped", service="web")


def _listening(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except (OSError, ValueError, OverflowError) as error:
        raise RuntimeError(f"Failed to bind to address {address}: {error}") from error


def _hosts(settings: Settings) -> list[str]:
    """Return the names that requests may address the page by; any if empty.

    On a loopback address, a name of another site that resolves to it is refused.
    """
    if settings.web_hosts:
        return [host.strip() for host in settings.web_hosts.split(",") if host.strip()]
    host = settings.web_address.rpartition(":")[0].strip("[]")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return [*LOOPBACK_HOSTS, host] if local else []
