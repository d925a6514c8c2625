"""Health checks of services, by gRPC's standard protocol."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2

_WAIT_SECONDS = 3.0


class HealthError(RuntimeError):
    """The service is not serving. The message gives its status or the error."""


def check_health(address: str, service: str, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Check that a service is serving.

    Args:
        address: host:port of the service.
        service: full name of the service, such as `gigaledger.v1.LedgerService`.
        wait_seconds: deadline of the call.

    Raises:
        HealthError: the call fails, or the service has another status.
    """
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=wait_seconds)
        except grpc.RpcError as error:
            raise HealthError(f"{service} at {address}: {error.code().name}") from None
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise HealthError(f"{service} at {address}: {name}")
