"""Calls of the services: errors in words, and repeats where they are safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.v1.ledger_pb2 import GetBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

CALL_SECONDS = 30.0
"""How long one call may take. Queries wait for a position at most as long as they are told."""
RETRY_SECONDS = 30.0
"""How long a request whose outcome is unknown is repeated."""
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 2.0
DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_CHANNEL_OPTIONS = [
    # the service states the limits; an answer of its own is never too large for its reader
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # a stream whose peer is gone without a word ends
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),  # the time that one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
]

_EXIT_CODES = {
    grpc.StatusCode.UNAVAILABLE: ExitCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.UNAVAILABLE,
    grpc.StatusCode.NOT_FOUND: ExitCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: ExitCode.REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: ExitCode.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: ExitCode.REFUSED,
    grpc.StatusCode.ALREADY_EXISTS: ExitCode.REFUSED,
    grpc.StatusCode.ABORTED: ExitCode.REFUSED,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.REFUSED,
    grpc.StatusCode.UNAUTHENTICATED: ExitCode.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExitCode.REFUSED,
}

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Place:
    """A service and how the command line names it."""

    service: str
    address: str
    option: str


LEDGER_OPTION = "--ledger"
PROJECTIONS_OPTION = "--projections"


@contextmanager
def ledger(address: str) -> Iterator[LedgerServiceStub]:
    """Connect to the ledger; errors of its calls become errors of the command."""
    with _connected(Place("ledger", address, LEDGER_OPTION)) as channel:
        yield LedgerServiceStub(channel)


@contextmanager
def audit(address: str) -> Iterator[grpc.Channel]:
    """Connect to the ledger for its proofs; errors of calls become errors of the command."""
    with _connected(Place("ledger", address, LEDGER_OPTION)) as channel:
        yield channel


@contextmanager
def projections(address: str) -> Iterator[ProjectionServiceStub]:
    """Connect to the projections; errors of their calls become errors of the command."""
    with _connected(Place("projections", address, PROJECTIONS_OPTION)) as channel:
        yield ProjectionServiceStub(channel)


@contextmanager
def _connected(place: Place) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(place.address, options=_CHANNEL_OPTIONS) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise call_error(error, place) from error


def repeated(
    call: Callable[..., Response],
    request: Request,
    between: Callable[[], None] = lambda: None,
) -> Response:
    """Call, and call again with the same request while the outcome is unknown.

    UNAVAILABLE and DEADLINE_EXCEEDED are repeated, and whatever the service advises to repeat.
    Only for requests that may be repeated. Waits as long as the service advises (RetryInfo), else
    from 0.1 seconds, doubling up to 2.

    Args:
        call: method of a stub.
        request: the request.
        between: called before each repeat; may raise.

    Raises:
        grpc.RpcError: an error that repeating does not mend, or one that lasts longer than
            `RETRY_SECONDS`.
    """
    patience = Patience()
    while True:
        try:
            return call(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            patience.wait(error, between)


class Patience:
    """Waits before calls are repeated: as long as the service advises, else longer and longer."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew, after something has worked."""
        self._until: float | None = None
        self._delay = _FIRST_DELAY_SECONDS

    def wait(self, error: grpc.RpcError, between: Callable[[], None]) -> None:
        """Wait before a repeat.

        Args:
            error: what the call ended with.
            between: called before the waiting; may raise.

        Raises:
            grpc.RpcError: the error, where repeating does not mend it, or did not within
                `RETRY_SECONDS`.
        """
        if not passes(error):
            raise error
        now = time.monotonic()
        self._until = self._until or now + RETRY_SECONDS
        advised = _advised_delay(error)
        wait = self._delay if advised is None else advised
        if now + wait > self._until:
            raise error
        between()
        time.sleep(wait)
        self._delay = min(2 * self._delay, _LONGEST_DELAY_SECONDS)


def passes(error: grpc.RpcError) -> bool:
    """Return whether the same call may work in a moment."""
    return error.code() in _RETRIED or _advised_delay(error) is not None


def code_of(number: int) -> grpc.StatusCode:
    """Return the code of a status by its number."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)


@dataclass(frozen=True)
class RuleViolation:
    """One violation as an error's details name it."""

    field: str
    description: str
    rule: str


def violations(error: grpc.RpcError) -> list[RuleViolation]:
    """Return every violation that the details of an error name."""
    found = []
    for detail in _status(error).details:
        bad_request, failure = BadRequest(), PreconditionFailure()
        if detail.Unpack(bad_request):
            found += [
                RuleViolation(item.field, item.description, item.reason)
                for item in bad_request.field_violations
            ]
        elif detail.Unpack(failure):
            found += [
                RuleViolation(item.subject, item.description, item.type)
                for item in failure.violations
            ]
    return found


def error_info(error: grpc.RpcError) -> ErrorInfo:
    """Return the detail that names the reason of an error; empty where there is none."""
    info = ErrorInfo()
    for detail in _status(error).details:
        if detail.Unpack(info):
            break
    return info


def exit_code(error: grpc.RpcError) -> ExitCode:
    """Return how the command ends where a call ends so."""
    return _EXIT_CODES.get(error.code(), ExitCode.FAILED)


def call_error(error: grpc.RpcError, place: Place) -> CommandError:
    """Return the error of the command that an error of a call is."""
    code = error.code()
    ending = exit_code(error)
    details = error.details() or code.name
    info = error_info(error)
    if code is grpc.StatusCode.UNAVAILABLE and not info.reason:
        return CommandError(
            f"cannot reach the {place.service} service at {place.address}",
            ending,
            f"Start it with `gigaledger up`, or name another with {place.option} HOST:PORT.",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CommandError(
            f"the {place.service} service at {place.address} did not answer in time",
            ending,
            "Try again; what was appended with a request id is never appended twice.",
        )
    if ending is ExitCode.FAILED:
        return CommandError(
            f"the {place.service} service at {place.address} failed: {code.name}: {details}",
            ending,
            "Its log tells more.",
        )
    lines = violation_lines(error)
    message = "refused:\n" + "\n".join(lines) if lines else details
    return CommandError(message, ending, _hint(code, info.reason))


def violation_lines(error: grpc.RpcError) -> list[str]:
    """Return what an error's details say, a line for each violation, with the values."""
    lines = [f"  {item.rule}  {item.field}: {item.description}" for item in violations(error)]
    values = {name: value for name, value in error_info(error).metadata.items() if name != "field"}
    if lines and values:
        lines.append("  with " + ", ".join(f"{name}={values[name]}" for name in sorted(values)))
    return lines


def _hint(code: grpc.StatusCode, reason: str) -> str:
    if reason == "PROJECTION_BEHIND":
        return "Ask again in a moment, or see `gigaledger projection list`."
    if reason == "HISTORY_DIVERGED":
        return "The book's history is another one than before. Read it again from the beginning."
    if code is grpc.StatusCode.ABORTED:
        return "Something was appended in between: read the stream again, then decide again."
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return "Send less at once, or wait."
    return ""


def _advised_delay(error: grpc.RpcError) -> float | None:
    info = RetryInfo()
    for detail in _status(error).details:
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None


def _status(error: grpc.RpcError) -> Status:
    for item in error.trailing_metadata() or ():
        if item.key == DETAILS_KEY:
            return Status.FromString(item.value)
    return Status()


def wait_until_reachable(stub: LedgerServiceStub, book: str) -> None:
    """Wait until the ledger answers for a book.

    Raises:
        grpc.RpcError: it did not within `RETRY_SECONDS`.
    """
    repeated(stub.GetBook, GetBookRequest(name=book))
