"""Errors as gRPC statuses: the one place where the domain's refusals meet the wire (AIP-193)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import grpc
import psycopg
import psycopg_pool
import structlog
from gigaledger.common.grpc.status import abort, bad_request, error_info, error_status, retry_info
from gigaledger.ledger.domain.refusals import Kind, Refused, Violation
from gigaledger.ledger.log.book_registry import UnknownBookError
from gigaledger.ledger.log.seals import TreeDamagedError
from gigaledger.ledger.log.writer import StoreUnavailableError, WriterBusyError
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure
from google.rpc.status_pb2 import Status

RETRY_SECONDS = 0.5
"""When a caller should come back after a passing failure."""

MAX_NAMED_VIOLATIONS = 20
MAX_TEXT = 200
"""Details travel in trailing metadata, of which clients take 8 KiB by default: so much is named of
violations, and of each text in them."""

_CODES = {
    Kind.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.DUPLICATE: grpc.StatusCode.ALREADY_EXISTS,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
}
"""In order of precedence: what makes a request unacceptable everywhere comes first."""

_log = structlog.get_logger("gigaledger.api")
Context = grpc.aio.ServicerContext[Any, Any]


class InvalidArgumentError(ValueError):
    """A field of a request is malformed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class NotFoundError(LookupError):
    """What a request names does not exist. `reason` is for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AlreadyExistsError(ValueError):
    """What a request would make exists. `reason` is for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class HistoryDivergedError(RuntimeError):
    """A resume token was given for a history that this book does not have."""


class NotSealedError(RuntimeError):
    """The ledger has no key, so that nothing of a book is sealed."""


class ShuttingDownError(RuntimeError):
    """The process ends, and streams with it."""


_Method = TypeVar("_Method", bound=Callable[..., Awaitable[Any]])
_Stream = TypeVar("_Stream", bound=Callable[..., AsyncIterator[Any]])


def answered(method: _Method) -> _Method:
    """Turn what a unary method raises into a status."""

    @wraps(method)
    async def call(self: object, request: Message, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await abort(context, status_of(error))

    return call  # type: ignore[return-value]


def answered_stream(method: _Stream) -> _Stream:
    """Turn what a streaming method raises into a status."""

    @wraps(method)
    async def call(self: object, request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for response in method(self, request, context):
                yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a status
            await abort(context, status_of(error))

    return call  # type: ignore[return-value]


def status_of(error: Exception) -> Status:  # noqa: PLR0911 - one for each error
    """Return the status that says what went wrong. What is unexpected goes to the process's log."""
    match error:
        case Refused():
            return _status_of_refusal(error)
        case InvalidArgumentError():
            details = [error_info("FIELD_INVALID"), bad_request(error.field, error.message)]
            return error_status(grpc.StatusCode.INVALID_ARGUMENT, str(error), details)
        case NotFoundError():
            return error_status(grpc.StatusCode.NOT_FOUND, str(error), [error_info(error.reason)])
        case UnknownBookError():
            return error_status(
                grpc.StatusCode.NOT_FOUND, str(error), [error_info("BOOK_NOT_FOUND")]
            )
        case AlreadyExistsError():
            return error_status(
                grpc.StatusCode.ALREADY_EXISTS, str(error), [error_info(error.reason)]
            )
        case HistoryDivergedError():
            reason = error_info("HISTORY_DIVERGED")
            return error_status(grpc.StatusCode.FAILED_PRECONDITION, str(error), [reason])
        case NotSealedError():
            reason = error_info("NO_SIGNING_KEY")
            return error_status(grpc.StatusCode.FAILED_PRECONDITION, str(error), [reason])
        case TreeDamagedError():
            _log.error("proof not given", reason=str(error))
            reason = error_info("TREE_DAMAGED")
            return error_status(grpc.StatusCode.DATA_LOSS, str(error), [reason])
        case ShuttingDownError():
            details = [error_info("SHUTTING_DOWN"), retry_info(RETRY_SECONDS)]
            return error_status(grpc.StatusCode.UNAVAILABLE, str(error), details)
        case WriterBusyError():
            details = [error_info("BOOK_BUSY"), retry_info(RETRY_SECONDS)]
            return error_status(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), details)
        case (
            StoreUnavailableError()
            | psycopg.OperationalError()
            | psycopg_pool.PoolTimeout()
            | psycopg_pool.PoolClosed()
        ):
            details = [error_info("STORE_UNAVAILABLE"), retry_info(RETRY_SECONDS)]
            message = "the ledger's database is not available; repeat with the same request_id"
            return error_status(grpc.StatusCode.UNAVAILABLE, message, details)
        case _:
            _log.error("unexpected error", exc_info=error)
            message = "an error of the ledger itself; its log says more"
            return error_status(grpc.StatusCode.INTERNAL, message, [error_info("INTERNAL")])


def _status_of_refusal(refused: Refused) -> Status:
    kinds = {violation.rule.kind for violation in refused.violations}
    kind = next(kind for kind in _CODES if kind in kinds)
    first = next(v for v in refused.violations if v.rule.kind is kind)
    metadata = {name: _short(value) for name, value in first.values.items()}
    details: list[Message] = [error_info(first.rule.code, metadata | {"field": first.field})]
    named = refused.violations[:MAX_NAMED_VIOLATIONS]
    if kind is Kind.MALFORMED:
        details.append(_bad_request(named))
    else:
        details.append(_precondition_failure(named))
    message = f"{first.field}: {first.rule.code}: {_short(first.message)}"
    if len(refused.violations) > 1:
        message += f" (and {len(refused.violations) - 1} more)"
    return error_status(_CODES[kind], message, details)


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _bad_request(violations: tuple[Violation, ...]) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(
                field=violation.field,
                description=_short(violation.message),
                reason=violation.rule.code,
            )
            for violation in violations
        ]
    )


def _precondition_failure(violations: tuple[Violation, ...]) -> PreconditionFailure:
    return PreconditionFailure(
        violations=[
            PreconditionFailure.Violation(
                type=violation.rule.code,
                subject=violation.field,
                description=_short(violation.message),
            )
            for violation in violations
        ]
    )
