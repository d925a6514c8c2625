"""The errors that calls raise, with everything that the service reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Violation:
    """One violation of a rule.

    Attributes:
        rule: code of the rule, such as "HR-INV-02"; docs/refusals.md lists them.
        field: path of the field in the request.
        description: what is wrong with its value.
    """

    rule: str
    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.rule} {self.field}: {self.description}".strip()


class GigaledgerError(Exception):
    """A call failed.

    Attributes:
        code: status code of gRPC.
        message: the service's message.
        reason: code of the rule or condition behind the error; empty if the service named none.
        field: path of the field in the request that it is about; empty if none.
        values: the values that made it so, by name.
        violations: every violation that was found, not only the first.
        retry_after: seconds after which the service advises to repeat the call, or None.
        request_id: id of the append that failed, with which it is safe to repeat; empty for other
            calls.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        field: str = "",
        values: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.field = field
        self.values = dict(values or {})
        self.violations = violations
        self.retry_after = retry_after
        self.request_id = ""

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed in a moment."""
        return self.retry_after is not None

    def __str__(self) -> str:
        lines = [str(violation) for violation in self.violations] or [self.message]
        if self.values:
            lines[0] += f" ({', '.join(f'{name}={self.values[name]}' for name in self.values)})"
        text = "\n".join(lines)
        return f"{text} [request_id={self.request_id}]" if self.request_id else text


class InvalidArgumentError(GigaledgerError):
    """The request is malformed, whatever the book holds."""


class FailedPreconditionError(GigaledgerError):
    """The book is not in a state that allows the call."""


class RuleViolatedError(FailedPreconditionError):
    """A rule of the domain refuses the facts, as the book is now."""


class HistoryDivergedError(FailedPreconditionError):
    """A resume token belongs to another history: the book was restored to an earlier state.

    What was derived from the events read before has to be built again from the beginning.
    """


class AlreadyExistsError(GigaledgerError):
    """A request id, a document number or a book is taken."""


class ConflictError(GigaledgerError):
    """A check of the request failed: the book has moved on. Read again, then decide again."""


class NotFoundError(GigaledgerError):
    """The book, event, checkpoint or projection does not exist."""


class PermissionDeniedError(GigaledgerError):
    """The caller may not do this."""


class UnauthenticatedError(PermissionDeniedError):
    """The caller's token or certificate was not accepted."""


class ResourceExhaustedError(GigaledgerError):
    """The service or the book has more to do than it accepts."""


class UnavailableError(GigaledgerError):
    """The service can't be reached, or its database can't. An append may have been recorded."""

    @property
    def is_transient(self) -> bool:
        """Always true: the call may succeed once the service is back."""
        return True


class DeadlineExceededError(UnavailableError):
    """There was no answer in time. An append may have been recorded."""


class InternalError(GigaledgerError):
    """The service failed. Its log says more."""


_BY_CODE: dict[grpc.StatusCode, type[GigaledgerError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgumentError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.ABORTED: ConflictError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    # Not the caller's own cancellation, which never gets here: a server that stops cuts calls off.
    grpc.StatusCode.CANCELLED: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.DATA_LOSS: InternalError,
}


def error_of_call(error: grpc.RpcError) -> GigaledgerError:
    """Return the error for a failed call, blocking or asynchronous."""
    failed: Any = error  # grpc.Call and grpc.aio.AioRpcError share these methods, but no class
    for key, value in failed.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            return error_of_status(Status.FromString(value))
    code: grpc.StatusCode = failed.code()
    return _class_of(code, "")(failed.details() or code.name, code=code)


def error_of_status(status: Status) -> GigaledgerError:
    """Return the error for a status with its details, as a stream answers a request that failed."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info, retry = ErrorInfo(), RetryInfo()
    bad_request, failure = BadRequest(), PreconditionFailure()
    for detail in status.details:
        for kind in (info, retry, bad_request, failure):
            detail.Unpack(kind)
    violations = [
        *(Violation(v.reason, v.field, v.description) for v in bad_request.field_violations),
        *(Violation(v.type, v.subject, v.description) for v in failure.violations),
    ]
    values = dict(sorted(info.metadata.items()))
    field = values.pop("field", violations[0].field if violations else "")
    return _class_of(code, info.reason)(
        status.message or code.name,
        code=code,
        reason=info.reason,
        field=field,
        values=values,
        violations=tuple(violations),
        retry_after=(
            retry.retry_delay.ToTimedelta().total_seconds()
            if retry.HasField("retry_delay")
            else None
        ),
    )


def _class_of(code: grpc.StatusCode, reason: str) -> type[GigaledgerError]:
    if reason == "HISTORY_DIVERGED":
        return HistoryDivergedError
    if code is grpc.StatusCode.FAILED_PRECONDITION and reason.startswith("HR-"):
        return RuleViolatedError
    return _BY_CODE.get(code, GigaledgerError)
