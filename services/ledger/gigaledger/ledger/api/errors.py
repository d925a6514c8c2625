"""The ledger's exceptions and refusals, and the gRPC statuses that they become."""

from __future__ import annotations

import grpc
import structlog
from gigaledger.common.grpc.errors import ErrorStatus, ErrorStatuses
from gigaledger.common.grpc.status import error_info, error_status
from gigaledger.ledger.domain.refusals import Kind, Refused, Violation
from gigaledger.ledger.log.book_registry import UnknownBookError
from gigaledger.ledger.log.books import BookExistsError
from gigaledger.ledger.log.seals import TreeDamagedError
from gigaledger.ledger.log.writer import StoreUnavailableError, WriterBusyError
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure
from google.rpc.status_pb2 import Status

MAX_NAMED_VIOLATIONS = 20
MAX_TEXT = 200
"""Characters of each text in the details. Details travel in trailing metadata, of which clients
accept 8 KiB by default."""

_CODES = {
    Kind.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.DUPLICATE: grpc.StatusCode.ALREADY_EXISTS,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
}
"""In order of precedence: a request that no book would accept is reported as such first."""

_log = structlog.get_logger("gigaledger.api")


class HistoryDivergedError(RuntimeError):
    """A resume token belongs to a history that the book no longer has."""


class NotSealedError(RuntimeError):
    """The ledger has no signing key, so that no book is sealed."""


class ShuttingDownError(RuntimeError):
    """The process is shutting down, which ends its streams."""


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


def _tree_damaged(error: TreeDamagedError) -> Status:
    _log.error("proof refused", reason=str(error))
    return error_status(grpc.StatusCode.DATA_LOSS, str(error), [error_info("TREE_DAMAGED")])


ERRORS = ErrorStatuses(
    "ledger",
    {
        Refused: _status_of_refusal,
        UnknownBookError: ErrorStatus(grpc.StatusCode.NOT_FOUND, "BOOK_NOT_FOUND"),
        BookExistsError: ErrorStatus(grpc.StatusCode.ALREADY_EXISTS, "BOOK_EXISTS"),
        HistoryDivergedError: ErrorStatus(grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_DIVERGED"),
        NotSealedError: ErrorStatus(grpc.StatusCode.FAILED_PRECONDITION, "NO_SIGNING_KEY"),
        TreeDamagedError: _tree_damaged,
        ShuttingDownError: ErrorStatus(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry=True),
        WriterBusyError: ErrorStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, "BOOK_BUSY", retry=True),
        StoreUnavailableError: ErrorStatus(
            grpc.StatusCode.UNAVAILABLE,
            "STORE_UNAVAILABLE",
            "the database of the ledger service is not available; repeat with the same request_id",
            retry=True,
        ),
    },
)
