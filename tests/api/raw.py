"""Calls with serialized requests, valid or not."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

UNKNOWN_FIELD_NUMBER = 1999
UNKNOWN_FIELD = b"\xfa\x7c\x01x"
"""A field of that number, with one byte."""
_SECONDS = 30


def call(channel: grpc.Channel, method: str, *requests: bytes) -> bytes:
    """Call a method, and return its first response; empty if there is none.

    Args:
        channel: a channel to the service.
        method: full name of the method, SERVICE/METHOD.
        requests: serialized requests: several only for methods that take a stream.

    Raises:
        grpc.RpcError: the call fails.
    """
    # A server cannot tell a streamed call of one request from a unary one.
    responses: Iterator[bytes] = channel.stream_stream(
        f"/{method}", request_serializer=bytes, response_deserializer=bytes
    )(iter(requests), timeout=_SECONDS)
    first = next(responses, b"")
    responses.cancel()  # type: ignore[attr-defined]
    return first
