"""gRPC errors with google.rpc details, as AIP-193 asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

ERROR_DOMAIN = "gigaledger"
_DETAILS_KEY = "grpc-status-details-bin"


async def abort(
    context: grpc.aio.ServicerContext[Message, Message],
    code: grpc.StatusCode,
    message: str,
    details: Sequence[Message],
) -> NoReturn:
    """End the call with a status and its details. Never returns."""
    packed = []
    for detail in details:
        holder = AnyMessage()
        holder.Pack(detail)
        packed.append(holder)
    status = Status(code=code.value[0], message=message, details=packed)
    await context.abort(
        code, message, trailing_metadata=((_DETAILS_KEY, status.SerializeToString()),)
    )
    raise AssertionError("abort does not return")


def error_info(reason: str, metadata: Mapping[str, str] | None = None) -> ErrorInfo:
    """Return the detail that names the reason of an error."""
    return ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=dict(metadata or {}))


def retry_info(seconds: float) -> RetryInfo:
    """Return the detail that tells when to try again."""
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return RetryInfo(retry_delay=delay)


def bad_request(field: str, description: str) -> BadRequest:
    """Return the detail that names a malformed field."""
    return BadRequest(
        field_violations=[BadRequest.FieldViolation(field=field, description=description)]
    )
