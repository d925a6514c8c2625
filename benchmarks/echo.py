"""A grpc.aio server that parses every message and sends it back: the limit of unary calls."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
from gigaledger.v1.ledger_pb2 import AppendEventsRequest


async def _echo(request: AppendEventsRequest, _context: Any) -> AppendEventsRequest:
    return request


async def _serve(address: str) -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        _echo,
        request_deserializer=AppendEventsRequest.FromString,
        response_serializer=AppendEventsRequest.SerializeToString,
    )
    handlers = grpc.method_handlers_generic_handler("echo.Echo", {"Echo": handler})
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
