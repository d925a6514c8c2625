"""The methods of LedgerService as gRPC handlers.

Written out rather than generated, because methods that return events return serialized messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from gigaledger.ledger.api.service import LedgerService
from gigaledger.v1 import ledger_pb2 as pb

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["LedgerService"].full_name


def _as_it_is(response: bytes) -> bytes:
    return response


def add_to_server(service: LedgerService, server: grpc.aio.Server) -> None:
    """Add the methods of the service to a server."""
    unary: list[tuple[str, Any, Any, Callable[[Any], bytes]]] = [
        ("CreateBook", service.create_book, pb.CreateBookRequest, _serialized),
        ("GetBook", service.get_book, pb.GetBookRequest, _serialized),
        ("ListBooks", service.list_books, pb.ListBooksRequest, _serialized),
        ("AppendEvents", service.append_events, pb.AppendEventsRequest, _serialized),
        ("ListAttempts", service.list_attempts, pb.ListAttemptsRequest, _serialized),
        ("ResolvePosition", service.resolve_position, pb.ResolvePositionRequest, _serialized),
        (
            "EvaluateCapitalCall",
            service.evaluate_capital_call,
            pb.EvaluateCapitalCallRequest,
            _serialized,
        ),
        ("GetEvent", service.get_event, pb.GetEventRequest, _as_it_is),
        ("ListEvents", service.list_events, pb.ListEventsRequest, _as_it_is),
    ]
    streams: list[tuple[str, Any, Any]] = [
        ("ReadEvents", service.read_events, pb.ReadEventsRequest),
        ("SubscribeEvents", service.subscribe_events, pb.SubscribeEventsRequest),
    ]
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            method, request_deserializer=request.FromString, response_serializer=serializer
        )
        for name, method, request, serializer in unary
    }
    handlers |= {
        name: grpc.unary_stream_rpc_method_handler(
            method, request_deserializer=request.FromString, response_serializer=_as_it_is
        )
        for name, method, request in streams
    }
    handlers["AppendEventStream"] = grpc.stream_stream_rpc_method_handler(
        service.append_event_stream,
        request_deserializer=pb.AppendEventStreamRequest.FromString,
        response_serializer=_serialized,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, handlers),))


def _serialized(response: Any) -> bytes:
    content: bytes = response.SerializeToString()
    return content
