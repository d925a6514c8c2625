"""The health check of the web page, without importing its framework."""

from __future__ import annotations

import http.client

from gigaledger.common.grpc.health import HealthError


def check_web(address: str, wait_seconds: float) -> None:
    """Check that the web page is served.

    Args:
        address: host:port.
        wait_seconds: deadline.

    Raises:
        HealthError: there is no answer, or another one.
    """
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=wait_seconds)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise HealthError(f"the web page at {address}: {error}") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise HealthError(f"the web page at {address}: HTTP {status}")
