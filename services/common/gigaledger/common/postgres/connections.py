"""Connections to PostgreSQL, as every service makes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

CONNECT_SECONDS = 10
"""Limit of connecting, and of waiting for a connection of a pool."""


def session_options(role: str, **settings: str) -> str:
    """Return libpq's `options` for sessions that work with the rights of a role alone, in UTC.

    Args:
        role: the role, of which every login of a service is a member.
        settings: further settings of the session.
    """
    values = {"role": role, "timezone": "UTC", **settings}
    return " ".join(f"-c {name}={value}" for name, value in values.items())


@dataclass(frozen=True, slots=True)
class Database:
    """A database as a service's sessions use it.

    Attributes:
        url: for libpq.
        options: of every session; see `session_options`.
    """

    url: str
    options: str

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        """Open a connection."""
        return psycopg.connect(self.url, autocommit=autocommit, **self._arguments())

    async def connect_async(self) -> psycopg.AsyncConnection:
        """Open a connection in autocommit mode."""
        return await psycopg.AsyncConnection.connect(self.url, autocommit=True, **self._arguments())

    def pool(self, max_size: int) -> ConnectionPool:
        """Return a pool, not yet open, that keeps no idle connection for long."""
        return ConnectionPool(
            self.url,
            kwargs=self._arguments(),
            min_size=0,
            max_size=max_size,
            timeout=CONNECT_SECONDS,
            open=False,
            check=ConnectionPool.check_connection,
        )

    def async_pool(
        self,
        max_size: int,
        *,
        min_size: int = 1,
        configure: Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]] | None = None,
        **arguments: Any,
    ) -> AsyncConnectionPool[Any]:
        """Return a pool, not yet open.

        Args:
            max_size: most connections.
            min_size: connections that are kept open.
            configure: called with each new connection.
            arguments: further arguments of each connection, such as `autocommit`.
        """
        return AsyncConnectionPool(
            self.url,
            kwargs={**self._arguments(), **arguments},
            min_size=min_size,
            max_size=max_size,
            timeout=CONNECT_SECONDS,
            open=False,
            configure=configure,
            check=AsyncConnectionPool.check_connection,
        )

    def _arguments(self) -> dict[str, Any]:
        return {"options": self.options, "connect_timeout": CONNECT_SECONDS}
