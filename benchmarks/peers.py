"""UmaDB, an event store with durable writes over gRPC: a peer, if it is installed."""

from __future__ import annotations

from typing import Any

from tests.facts import received

STATE = received(1).SerializeToString()
"""The bytes of a fact, which the peers store unchanged."""


class UmaDB:
    """A client of a running server."""

    def __init__(self, address: str) -> None:
        import umadb  # noqa: PLC0415 - it need not be installed

        self._module: Any = umadb
        self._client: Any = umadb.Client(f"http://{address}")

    def append(self, events: int) -> None:
        """Append the given number of events durably."""
        self._client.append(
            [
                self._module.Event("goods_received", STATE, tags=["purchaseOrders/PO-1"])
                for _ in range(events)
            ]
        )

    def read(self) -> int:
        """Read all events and return their number."""
        return sum(1 for _ in self._client.read())
