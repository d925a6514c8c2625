"""The one interceptor of all services: request decoding, errors, deadlines, metrics and logs."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from gigaledger.common import metrics
from gigaledger.common.grpc.errors import (
    ErrorStatuses,
    InvalidArgumentError,
    UndecodableRequestError,
)
from gigaledger.common.grpc.status import abort, code_of, error_info, error_status
from gigaledger.common.request_content import find_nul, find_unknown_field
from google.protobuf.message import DecodeError, Message

DEFAULT_DEADLINE_SECONDS = 600.0
"""Limit of a unary call whose caller sets no deadline. gRPC enforces the deadlines of callers."""
_PACKAGE = "gigaledger."
"""Unknown fields are refused in messages of this contract, and ignored in gRPC's own services."""

_log = structlog.get_logger("gigaledger.grpc")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class _RejectedMessage:
    """Stands for a request that could not be taken. gRPC would hide an error of its decoder."""

    error: InvalidArgumentError | UndecodableRequestError


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of a server.

    A request that cannot be decoded or has unknown fields ends with INVALID_ARGUMENT. An exception
    of a method ends the call with the status registered for it.
    """

    def __init__(self, errors: ErrorStatuses, *, reject_nul: bool = False) -> None:
        """Answer exceptions with these statuses.

        Args:
            errors: the statuses.
            reject_nul: whether a request ends with INVALID_ARGUMENT if a text in it holds a NUL
                character, which PostgreSQL does not accept in a parameter.
        """
        self._errors = errors
        self._reject_nul = reject_nul
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the wrapped handler of a method."""
        method = handler_call_details.method
        wrapped = self._handlers.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:  # an unknown method: gRPC answers UNIMPLEMENTED
                return handler
            wrapped = self._handlers[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        take = _taken_stream if handler.request_streaming else _taken
        if not handler.response_streaming:
            make, call = (
                (grpc.stream_unary_rpc_method_handler, handler.stream_unary)
                if handler.request_streaming
                else (grpc.unary_unary_rpc_method_handler, handler.unary_unary)
            )
            behavior: Any = self._unary(method, call, take)
        else:
            make, call = (
                (grpc.stream_stream_rpc_method_handler, handler.stream_stream)
                if handler.request_streaming
                else (grpc.unary_stream_rpc_method_handler, handler.unary_stream)
            )
            iterates = inspect.isasyncgenfunction(call)
            behavior = (self._stream if iterates else self._unary)(method, call, take)
        decoder = _decoder(handler.request_deserializer, reject_nul=self._reject_nul)
        return make(behavior, decoder, handler.response_serializer)

    def _unary(self, method: str, call: Any, take: Callable[[Any], Any]) -> Any:
        async def behavior(request: Any, context: Context) -> Any:
            with _observed(method) as call_end:
                limit = None
                if context.time_remaining() is None and not inspect.isasyncgen(request):
                    limit = DEFAULT_DEADLINE_SECONDS
                try:
                    async with asyncio.timeout(limit) as deadline:
                        return await call(take(request), context)
                except grpc.aio.AbortError:
                    raise
                except Exception as error:  # noqa: BLE001 - every error becomes a status
                    expired = deadline.expired()
                    status = _DEADLINE_EXCEEDED if expired else self._errors.status_of(error)
                    call_end.code = code_of(status.code)
                    await abort(context, status)

        return behavior

    def _stream(self, method: str, call: Any, take: Callable[[Any], Any]) -> Any:
        async def behavior(request: Any, context: Context) -> AsyncIterator[Any]:
            with _observed(method) as call_end:
                try:
                    async with aclosing(call(take(request), context)) as responses:
                        async for response in responses:
                            yield response
                except grpc.aio.AbortError:
                    raise
                except Exception as error:  # noqa: BLE001 - every error becomes a status
                    status = self._errors.status_of(error)
                    call_end.code = code_of(status.code)
                    await abort(context, status)

        return behavior


_DEADLINE_EXCEEDED = error_status(
    grpc.StatusCode.DEADLINE_EXCEEDED,
    f"the call took longer than {DEFAULT_DEADLINE_SECONDS:.0f} seconds; set a deadline of its own",
    [error_info("DEADLINE_EXCEEDED")],
)


@dataclass(slots=True)
class _CallEnd:
    """How a call ended. A method of gRPC's own that aborts its call counts as UNKNOWN."""

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN


@contextmanager
def _observed(method: str) -> Iterator[_CallEnd]:
    """Count, time and log a call."""
    service, _, name = method.removeprefix("/").rpartition("/")
    end, started = _CallEnd(), time.perf_counter()
    try:
        yield end
        end.code = grpc.StatusCode.OK
    except (asyncio.CancelledError, GeneratorExit):
        end.code = grpc.StatusCode.CANCELLED
        raise
    finally:
        seconds = time.perf_counter() - started
        metrics.RPC_SECONDS.labels(service, name).observe(seconds)
        metrics.RPCS_HANDLED.labels(service, name, end.code.name).inc()
        _log.debug("call", method=method, code=end.code.name, seconds=seconds)


def _decoder(decode: Any, *, reject_nul: bool) -> Callable[[bytes], Message | _RejectedMessage]:
    def decoded(content: bytes) -> Message | _RejectedMessage:
        try:
            message: Message = decode(content)
        except (DecodeError, ValueError):
            reason = "the request is not a valid protocol buffer of the method's request type"
            return _RejectedMessage(UndecodableRequestError(reason))
        if message.DESCRIPTOR.full_name.startswith(_PACKAGE):
            size = message.ByteSize()
            message.DiscardUnknownFields()
            if message.ByteSize() != size:
                return _RejectedMessage(_unknown_field(decode(content)))
            if reject_nul and b"\0" in content and (field := find_nul(message)) is not None:
                return _RejectedMessage(
                    InvalidArgumentError(field, "must not hold a NUL character")
                )
        return message

    return decoded


def _unknown_field(request: Message) -> InvalidArgumentError:
    found = find_unknown_field(request)
    if found is None:
        raise AssertionError("a request without unknown fields keeps its size without them")
    path, number = found
    text = f"holds field number {number}, which this version of the contract lacks"
    return InvalidArgumentError(path or "request", text)


def _taken(request: Message | _RejectedMessage) -> Message:
    if isinstance(request, _RejectedMessage):
        raise request.error
    return request


async def _taken_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Message]:
    async for request in requests:
        yield _taken(request)
