"""gRPC statuses with google.rpc details (AIP-193)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

ERROR_DOMAIN = "gigaledger"
_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def error_status(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> Status:
    """Return a status with its details."""
    packed = []
    for detail in details:
        any_detail = AnyMessage()
        any_detail.Pack(detail)
        packed.append(any_detail)
    return Status(code=code.value[0], message=message, details=packed)


def code_of(number: int) -> grpc.StatusCode:
    """Return the code of a number."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)


async def abort(context: grpc.aio.ServicerContext[Any, Any], status: Status) -> NoReturn:
    """End the call with a status. Never returns."""
    await context.abort(
        code_of(status.code),
        status.message,
        trailing_metadata=((_DETAILS_KEY, status.SerializeToString()),),
    )
    raise AssertionError("abort does not return")


def error_info(reason: str, metadata: Mapping[str, str] | None = None) -> ErrorInfo:
    """Return the detail that names the reason of an error."""
    return ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=dict(metadata or {}))


def retry_info(seconds: float) -> RetryInfo:
    """Return the detail that advises callers how long to wait before a repeat."""
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return RetryInfo(retry_delay=delay)


def bad_request(field: str, description: str) -> BadRequest:
    """Return the detail that names a malformed field."""
    return BadRequest(
        field_violations=[BadRequest.FieldViolation(field=field, description=description)]
    )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason in a failed call's details; empty if there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""
