"""The projections' exceptions, and the gRPC statuses that they become."""

from __future__ import annotations

import grpc
from gigaledger.common.grpc.errors import RETRY_SECONDS, ErrorStatus, ErrorStatuses
from gigaledger.common.grpc.status import error_info, error_status, reason_of, retry_info
from gigaledger.projections.engine.generations import BeingRebuiltError
from gigaledger.projections.engine.snapshot import (
    BehindError,
    BookNotFoundError,
    TooManyEventsError,
)
from gigaledger.projections.engine.store import NotStoppedError
from google.rpc.status_pb2 import Status

_LEDGER_REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
"""Codes of the ledger that are due to the request, and are therefore passed on."""


class UnknownProjectionError(LookupError):
    """No projection has this name."""


def _behind(error: BehindError) -> Status:
    position = {"position": str(error.position)}
    details = [error_info("PROJECTION_BEHIND", position), retry_info(RETRY_SECONDS)]
    return error_status(grpc.StatusCode.UNAVAILABLE, str(error), details)


def _of_the_ledger(error: grpc.aio.AioRpcError) -> Status:
    if error.code() in _LEDGER_REFUSALS:
        details = [error_info(reason_of(error))]
        return error_status(error.code(), error.details() or "", details)
    message = f"the ledger service is not available: {error.details()}"
    details_of_outage = [error_info("LEDGER_UNAVAILABLE"), retry_info(RETRY_SECONDS)]
    return error_status(grpc.StatusCode.UNAVAILABLE, message, details_of_outage)


_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
ERRORS = ErrorStatuses(
    "projection",
    {
        BookNotFoundError: ErrorStatus(grpc.StatusCode.NOT_FOUND, "BOOK_NOT_FOUND"),
        UnknownProjectionError: ErrorStatus(grpc.StatusCode.NOT_FOUND, "PROJECTION_NOT_FOUND"),
        BeingRebuiltError: ErrorStatus(_PRECONDITION, "PROJECTION_BEING_REBUILT"),
        NotStoppedError: ErrorStatus(_PRECONDITION, "PROJECTION_NOT_STOPPED"),
        TooManyEventsError: ErrorStatus(_PRECONDITION, "TOO_MANY_EVENTS"),
        BehindError: _behind,
        grpc.aio.AioRpcError: _of_the_ledger,
    },
)
