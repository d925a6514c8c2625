"""Exceptions of the services' methods, and the gRPC statuses that they become (AIP-193)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import psycopg
import psycopg_pool
import structlog
from gigaledger.common.grpc.status import bad_request, error_info, error_status, retry_info
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

RETRY_SECONDS = 0.5
"""Delay that callers are advised to wait after a transient failure."""

_log = structlog.get_logger("gigaledger.grpc")


class InvalidArgumentError(ValueError):
    """A field of a request is malformed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UndecodableRequestError(ValueError):
    """A request is not a serialized message of the method's request type."""


class NotFoundError(LookupError):
    """A resource does not exist. `reason` identifies the kind of resource to programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """The status of an exception type.

    Attributes:
        code: the gRPC code.
        reason: `ErrorInfo.reason`.
        message: sent instead of the exception's own text, unless empty.
        retry: whether callers are advised to repeat the call after `RETRY_SECONDS`.
    """

    code: grpc.StatusCode
    reason: str
    message: str = ""
    retry: bool = False

    def __call__(self, error: Exception) -> Status:
        """Return the status of an exception."""
        details: list[Message] = [error_info(self.reason)]
        if self.retry:
            details.append(retry_info(RETRY_SECONDS))
        return error_status(self.code, self.message or str(error), details)


StatusOf = Callable[[Any], Status]


class ErrorStatuses:
    """The exceptions that a process's services raise, each with its status."""

    def __init__(self, service: str, statuses: Mapping[type, StatusOf]) -> None:
        """Register exceptions.

        Args:
            service: name of the service in messages, such as `ledger`.
            statuses: by exception type, the function that returns its status. A subclass without
                an entry has the status of its nearest base class.
        """
        unavailable = ErrorStatus(
            grpc.StatusCode.UNAVAILABLE,
            "STORE_UNAVAILABLE",
            f"the database of the {service} service is not available; repeat the same request",
            retry=True,
        )
        self._service = service
        self._statuses: dict[type, StatusOf] = {
            InvalidArgumentError: _invalid_argument,
            UndecodableRequestError: ErrorStatus(
                grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_UNDECODABLE"
            ),
            NotFoundError: _not_found,
            NotImplementedError: ErrorStatus(
                grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED", "the method is not implemented"
            ),
            psycopg.OperationalError: unavailable,
            psycopg_pool.PoolTimeout: unavailable,
            psycopg_pool.PoolClosed: unavailable,
            **statuses,
        }

    def status_of(self, error: Exception) -> Status:
        """Return the status of an exception. An unregistered one is logged and is INTERNAL."""
        for kind in type(error).__mro__:
            if kind in self._statuses:
                return self._statuses[kind](error)
        _log.error("unexpected error", service=self._service, exc_info=error)
        message = f"internal error of the {self._service} service; its log has the details"
        return error_status(grpc.StatusCode.INTERNAL, message, [error_info("INTERNAL")])


def _invalid_argument(error: InvalidArgumentError) -> Status:
    details = [error_info("FIELD_INVALID"), bad_request(error.field, error.message)]
    return error_status(grpc.StatusCode.INVALID_ARGUMENT, str(error), details)


def _not_found(error: NotFoundError) -> Status:
    return error_status(grpc.StatusCode.NOT_FOUND, str(error), [error_info(error.reason)])
