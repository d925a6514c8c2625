"""What answers at an address that is not the service that was expected there."""

from __future__ import annotations

import socket

from gigaledger.common.grpc.health import HealthError, check_health

_SERVICES = {
    "gigaledger.v1.LedgerService": "the ledger",
    "gigaledger.v1.ProjectionService": "the projections",
    "gigaledger.v1.Exceptions": "the evaluation of exceptions",
}
"""Services of gigaledger that answer health checks, by their full name."""
_WAIT_SECONDS = 1.0


def service_at(address: str) -> str:
    """Return the service of gigaledger that serves at an address; empty if none does."""
    for name, words in _SERVICES.items():
        try:
            check_health(address, name, _WAIT_SECONDS)
        except HealthError:
            continue
        return words
    return ""


def is_web_server(address: str) -> bool:
    """Return whether HTTP/1 is spoken at an address, as by the web page or for metrics."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _WAIT_SECONDS) as connection:
            connection.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return connection.recv(5) == b"HTTP/"
    except (OSError, ValueError):
        return False
