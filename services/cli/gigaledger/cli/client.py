"""Connections of the command to the services: `gigaledger.client` with errors for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.wrong_address import is_web_server, service_at
from gigaledger.client import Client, GigaledgerError, RetryPolicy, connect
from gigaledger.client.calls import PROJECTIONS
from gigaledger.client.errors import error_of_call
from gigaledger.client.streams import LEDGER
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

CALL_SECONDS = 30.0
"""Time limit of one attempt of a call, which includes the wait for a position."""
AT_ONCE = RetryPolicy(seconds=0)
"""Fails at the first error: somebody is waiting at the terminal."""
PATIENT = RetryPolicy(seconds=30)
"""For work in progress, such as an append, which outlives a restart of the ledger."""

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


@dataclass(frozen=True)
class _Service:
    name: str
    address: str
    option: str


@contextmanager
def ledger(address: str, retry: RetryPolicy = AT_ONCE) -> Iterator[Client]:
    """Connect to the ledger; errors of calls become errors of the command."""
    with (
        _command_errors(_Service("ledger", address, "--ledger")),
        connect(address, timeout=CALL_SECONDS, retry=retry) as client,
    ):
        yield client


@contextmanager
def ledger_channel(address: str) -> Iterator[grpc.Channel]:
    """Connect to the ledger for generated stubs; errors of calls become errors of the command."""
    with ledger(address) as client:
        yield client.connection.channel(LEDGER)


@contextmanager
def projections(address: str) -> Iterator[ProjectionServiceStub]:
    """Connect to the projections; errors of calls become errors of the command."""
    with (
        _command_errors(_Service("projections", address, "--projections")),
        connect(projections=address, retry=AT_ONCE) as client,
    ):
        yield ProjectionServiceStub(client.connection.channel(f"{PROJECTIONS}/"))


@contextmanager
def _command_errors(service: _Service) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise _command_error(error_of_call(error), service) from error
    except GigaledgerError as error:
        raise _command_error(error, service) from error


def exit_code(error: GigaledgerError) -> ExitCode:
    """Return the exit code for a call that failed."""
    return _EXIT_CODES.get(error.code, ExitCode.FAILED)


def _command_error(error: GigaledgerError, service: _Service) -> CommandError:
    ending = exit_code(error)
    where = f"the {service.name} service at {service.address}"
    if error.code is grpc.StatusCode.UNIMPLEMENTED and not error.reason:
        found = service_at(service.address) or "another gRPC service"
        return CommandError(
            f"at {service.address} is {found}, and not the {service.name} service",
            ExitCode.UNAVAILABLE,
            f"Name the right address with {service.option} HOST:PORT.",
        )
    if error.code is grpc.StatusCode.UNAVAILABLE and not error.reason:
        if is_web_server(service.address):
            return CommandError(
                f"at {service.address} is a web server, and not the {service.name} service",
                ExitCode.UNAVAILABLE,
                "The page and the metrics have ports of their own: name that of the service with"
                f" {service.option} HOST:PORT.",
            )
        return CommandError(
            f"cannot reach {where}",
            ending,
            f"Start it with `gigaledger up`, or name another with {service.option} HOST:PORT.",
        )
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CommandError(
            f"{where} did not answer in time",
            ending,
            "Try again; what was appended with a request id is never appended twice.",
        )
    if ending is ExitCode.FAILED:
        message = f"{where} failed: {error.code.name}: {error.message}"
        return CommandError(message, ending, "Its log says more.")
    lines = violation_lines(error)
    message = "refused:\n" + "\n".join(lines) if lines else error.message
    return CommandError(message, ending, _hint(error))


def violation_lines(error: GigaledgerError) -> list[str]:
    """Return a line for each violation, then the values that caused them."""
    lines = [f"  {item.rule}  {item.field}: {item.description}" for item in error.violations]
    if lines and error.values:
        values = (f"{name}={error.values[name]}" for name in sorted(error.values))
        lines.append(f"  with {', '.join(values)}")
    return lines


def _hint(error: GigaledgerError) -> str:
    if error.reason == "PROJECTION_BEHIND":
        return "Ask again in a moment, or see `gigaledger projection list`."
    if error.reason == "HISTORY_DIVERGED":
        return "The book's history is another one than before. Read it again from the beginning."
    if error.code is grpc.StatusCode.ABORTED:
        return "Something was appended in between: read the stream again, then decide again."
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return "Send less at once, or wait."
    return ""
