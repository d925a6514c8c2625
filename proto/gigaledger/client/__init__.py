"""The client of gigaledger: append facts to a book, read and follow its log, ask for figures.

    from datetime import date
    from gigaledger.client import connect, facts

    with connect(actor="treasury@example.com") as client:
        book = client.create_book("main", exist_ok=True)
        party = facts.party_registered(party="NVDA", legal_name="NVIDIA Corporation")
        print(book.append(party, effective_date=date(2025, 9, 22)).position)

`connect` returns a blocking client and `connect_async` one for asyncio, with the same methods.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gigaledger.client import facts, queries
    from gigaledger.client.asynchronous import AsyncBook, AsyncClient
    from gigaledger.client.blocking import Book, Client, Stream
    from gigaledger.client.calls import Appended
    from gigaledger.client.connections import Tls, Token
    from gigaledger.client.errors import (
        AlreadyExistsError,
        ConflictError,
        DeadlineExceededError,
        FailedPreconditionError,
        GigaledgerError,
        HistoryDivergedError,
        InternalError,
        InvalidArgumentError,
        NotFoundError,
        PermissionDeniedError,
        ResourceExhaustedError,
        RuleViolatedError,
        UnauthenticatedError,
        UnavailableError,
        Violation,
    )
    from gigaledger.client.pipelines import Outcome
    from gigaledger.client.requests import event, event_filter
    from gigaledger.client.retries import RetryPolicy
    from gigaledger.client.streams import Update
    from gigaledger.client.values import amount_of, date_of, datetime_of, money
    from grpc import ChannelCredentials

__all__ = [
    "AlreadyExistsError",
    "Appended",
    "AsyncBook",
    "AsyncClient",
    "Book",
    "Client",
    "ConflictError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "GigaledgerError",
    "HistoryDivergedError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "Outcome",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RetryPolicy",
    "RuleViolatedError",
    "Stream",
    "Tls",
    "UnauthenticatedError",
    "UnavailableError",
    "Update",
    "Violation",
    "amount_of",
    "connect",
    "connect_async",
    "date_of",
    "datetime_of",
    "event",
    "event_filter",
    "facts",
    "money",
    "queries",
]

_LAZY = {
    "AlreadyExistsError": "errors",
    "Appended": "calls",
    "AsyncBook": "asynchronous",
    "AsyncClient": "asynchronous",
    "Book": "blocking",
    "Client": "blocking",
    "ConflictError": "errors",
    "DeadlineExceededError": "errors",
    "FailedPreconditionError": "errors",
    "GigaledgerError": "errors",
    "HistoryDivergedError": "errors",
    "InternalError": "errors",
    "InvalidArgumentError": "errors",
    "NotFoundError": "errors",
    "Outcome": "pipelines",
    "PermissionDeniedError": "errors",
    "ResourceExhaustedError": "errors",
    "RetryPolicy": "retries",
    "RuleViolatedError": "errors",
    "Stream": "blocking",
    "Tls": "connections",
    "UnauthenticatedError": "errors",
    "UnavailableError": "errors",
    "Update": "streams",
    "Violation": "errors",
    "amount_of": "values",
    "date_of": "values",
    "datetime_of": "values",
    "event": "requests",
    "event_filter": "requests",
    "money": "values",
}
"""Names and the modules that hold them, which are imported when a name is first used."""


def connect(  # noqa: PLR0913 - the options of a connection
    address: str | None = None,
    *,
    projections: str | None = None,
    tls: bool | Tls = False,
    credentials: ChannelCredentials | None = None,
    token: Token = "",
    actor: str = "",
    timeout: float = 10.0,
    retry: RetryPolicy | None = None,
) -> Client:
    """Return a blocking client. It connects with its first call.

    Args:
        address: host:port of the ledger. Default: GIGALEDGER_LEDGER_ADDRESS, else 127.0.0.1:50051.
        projections: host:port of the projections. Default: GIGALEDGER_PROJECTIONS_ADDRESS, else
            127.0.0.1:50052.
        tls: True for TLS with the authorities that gRPC trusts, or a `Tls` with certificates.
        credentials: credentials of gRPC, instead of `tls`.
        token: bearer token sent with each call, or a function that returns the current one.
        actor: who records, unless an append says otherwise.
        timeout: seconds that one attempt of a call may take.
        retry: how long calls are repeated; 30 seconds in all by default.

    Raises:
        ValueError: a token would be sent to another machine in the clear.
    """
    from gigaledger.client.blocking import Client  # noqa: PLC0415 - imported when used
    from gigaledger.client.connections import settings  # noqa: PLC0415 - imported when used

    return Client(
        settings(
            address,
            projections=projections,
            tls=tls,
            credentials=credentials,
            token=token,
            actor=actor,
            timeout=timeout,
            retry=retry,
        )
    )


def connect_async(  # noqa: PLR0913 - the options of a connection
    address: str | None = None,
    *,
    projections: str | None = None,
    tls: bool | Tls = False,
    credentials: ChannelCredentials | None = None,
    token: Token = "",
    actor: str = "",
    timeout: float = 10.0,
    retry: RetryPolicy | None = None,
) -> AsyncClient:
    """Return a client for asyncio: see `connect`."""
    from gigaledger.client.asynchronous import AsyncClient  # noqa: PLC0415 - imported when used
    from gigaledger.client.connections import settings  # noqa: PLC0415 - imported when used

    return AsyncClient(
        settings(
            address,
            projections=projections,
            tls=tls,
            credentials=credentials,
            token=token,
            actor=actor,
            timeout=timeout,
            retry=retry,
        )
    )


def __getattr__(name: str) -> Any:
    if name in {"facts", "queries"}:
        return importlib.import_module(f"gigaledger.client.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"gigaledger.client.{_LAZY[name]}"), name)
