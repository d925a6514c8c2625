"""How errors of the projections meet the wire: every error becomes a status with details."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from typing import Any, TypeVar

import grpc
import psycopg
import psycopg_pool
import structlog
from gigaledger.common.grpc.status import (
    abort,
    bad_request,
    error_info,
    error_status,
    reason_of,
    retry_info,
)
from gigaledger.projections.engine.generations import BeingRebuiltError
from gigaledger.projections.engine.store import NotStoppedError
from gigaledger.projections.queries.read_spec import InvalidArgumentError
from gigaledger.projections.queries.snapshot import (
    BehindError,
    BookNotFoundError,
    TooManyEventsError,
)
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

RETRY_SECONDS = 0.5
"""When a caller should come back after a passing failure."""

Context = grpc.aio.ServicerContext[Any, Any]
_Method = TypeVar("_Method", bound=Callable[..., Awaitable[Any]])
_StreamMethod = TypeVar("_StreamMethod", bound=Callable[..., Any])
_log = structlog.get_logger("gigaledger.projections.api")


class UnknownProjectionError(LookupError):
    """There is no projection of that name."""


def answered(method: _Method) -> _Method:
    """Turn what a method raises into a status: the one place where errors meet the wire."""

    @wraps(method)
    async def call(self: object, request: Message, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await abort(context, _status_of(error))

    return call  # type: ignore[return-value]


def answered_stream(method: _StreamMethod) -> _StreamMethod:
    """Do the same for a method that answers again and again."""

    @wraps(method)
    async def call(self: object, request: Message, context: Context) -> AsyncIterator[Any]:
        try:
            async with aclosing(method(self, request, context)) as responses:
                async for response in responses:
                    yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await abort(context, _status_of(error))

    return call  # type: ignore[return-value]


def _status_of(error: Exception) -> Status:  # noqa: PLR0911 - one for each error
    """Return the status that says what went wrong."""
    match error:
        case InvalidArgumentError():
            details = [error_info("FIELD_INVALID"), bad_request(error.field, error.message)]
            return error_status(grpc.StatusCode.INVALID_ARGUMENT, str(error), details)
        case BookNotFoundError():
            details = [error_info("BOOK_NOT_FOUND")]
            return error_status(grpc.StatusCode.NOT_FOUND, str(error), details)
        case UnknownProjectionError():
            details = [error_info("PROJECTION_NOT_FOUND")]
            return error_status(grpc.StatusCode.NOT_FOUND, str(error), details)
        case BeingRebuiltError() | NotStoppedError():
            reason = "BEING_REBUILT" if isinstance(error, BeingRebuiltError) else "NOT_STOPPED"
            details = [error_info(f"PROJECTION_{reason}")]
            return error_status(grpc.StatusCode.FAILED_PRECONDITION, str(error), details)
        case TooManyEventsError():
            details = [error_info("TOO_MANY_EVENTS")]
            return error_status(grpc.StatusCode.FAILED_PRECONDITION, str(error), details)
        case BehindError():
            position = {"position": str(error.position)}
            details = [error_info("PROJECTION_BEHIND", position), retry_info(RETRY_SECONDS)]
            return error_status(grpc.StatusCode.UNAVAILABLE, str(error), details)
        case psycopg.OperationalError() | psycopg_pool.PoolTimeout() | psycopg_pool.PoolClosed():
            details = [error_info("STORE_UNAVAILABLE"), retry_info(RETRY_SECONDS)]
            message = "the database of the projections is not available"
            return error_status(grpc.StatusCode.UNAVAILABLE, message, details)
        case grpc.aio.AioRpcError() if reason_of(error) == "BOOK_NOT_FOUND":
            details = [error_info("BOOK_NOT_FOUND")]
            return error_status(grpc.StatusCode.NOT_FOUND, error.details() or "", details)
        case grpc.aio.AioRpcError():
            details = [error_info("LEDGER_UNAVAILABLE"), retry_info(RETRY_SECONDS)]
            message = f"the ledger service does not tell the head of the log: {error.details()}"
            return error_status(grpc.StatusCode.UNAVAILABLE, message, details)
        case _:
            _log.error("unexpected error", exc_info=error)
            message = "an error of the projection service itself; its log says more"
            return error_status(grpc.StatusCode.INTERNAL, message, [error_info("INTERNAL")])
