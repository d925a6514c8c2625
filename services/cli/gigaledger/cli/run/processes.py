"""The services as child processes: started as in production, watched, and stopped in order.

Each child leads a session of its own, so Ctrl-C reaches only the parent, which then stops them in
order. Each child holds one end of a pipe to the parent: if the parent is killed, the pipe breaks
and the child ends by itself.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import notice
from gigaledger.cli.run.interruption import Interruption
from gigaledger.common.grpc.health import HealthError, check_health
from gigaledger.web.health import check_web

PARENT_PIPE_OPTION = "--end-with-stdin"
START_SECONDS = 60.0
_HEALTH_SECONDS = 2.0
_KILL_AFTER_DRAIN_SECONDS = 5.0
_LOG_TAIL_LINES = 20
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """A service that runs as a child process; without a log of its own it writes to ours."""

    part: str
    address: str
    log_path: Path | None
    process: subprocess.Popen[bytes]

    def log_tail(self) -> str:
        """Return the end of its log."""
        if self.log_path is None:
            return "its log above says why"
        lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"the end of {self.log_path}:", *lines])


_HEALTH_NAMES = {
    "ledger": "gigaledger.v1.LedgerService",
    "projections": "gigaledger.v1.ProjectionService",
    "exceptions": "gigaledger.v1.Exceptions",
}


def check_part(part: str, address: str, wait_seconds: float) -> str:
    """Check that a part serves, and return its full name.

    Raises:
        HealthError: it does not.
    """
    if part == "web":
        check_web(address, wait_seconds)
        return "The web page"
    check_health(address, _HEALTH_NAMES[part], wait_seconds)
    return _HEALTH_NAMES[part]


def free_addresses(count: int) -> list[str]:
    """Return loopback addresses whose ports nobody listens on."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind((_LOOPBACK, 0))
        return [f"{_LOOPBACK}:{listener.getsockname()[1]}" for listener in listeners]


def check_free(part: str, address: str) -> None:
    """Check that nobody listens on an address, so that answers of another process are never used.

    Raises:
        CommandError: somebody does, or it is no address of this machine.
    """
    hint = f"Stop what listens there, or set GIGALEDGER_{part.upper()}_ADDRESS to HOST:PORT."
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(f"{address!r} is not of the form HOST:PORT", ExitCode.USAGE)
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, where in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
    except OSError as error:
        raise CommandError(
            f"the {part} service can't listen on {address}: {error.strerror}",
            ExitCode.UNAVAILABLE,
            hint,
        ) from None


def start_service(
    part: str, address: str, log_path: Path | None, settings: Mapping[str, str]
) -> Service:
    """Start `gigaledger serve PART` with its output in a file, or else to that of this process."""
    with ExitStack() as stack:
        log = None if log_path is None else stack.enter_context(log_path.open("ab"))
        process = subprocess.Popen(  # noqa: S603 - this program, with fixed arguments
            # -P: a folder named services in the working directory is not this package
            [sys.executable, "-P", "-m", "gigaledger.cli", "serve", part, PARENT_PIPE_OPTION],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=None if log is None else subprocess.STDOUT,
            start_new_session=True,
        )
    return Service(part, address, log_path, process)


def wait_until_serving(services: Sequence[Service], interruption: Interruption) -> None:
    """Wait until every service reports that it serves.

    Raises:
        CommandError: one ended, or was not ready in time.
        Interrupted: a stop was requested.
    """
    until = time.monotonic() + START_SECONDS
    for service in services:
        while not _serves(service):
            check_alive(services)
            if time.monotonic() > until:
                raise CommandError(
                    f"the {service.part} service did not start within {START_SECONDS:.0f} "
                    f"seconds\n{service.log_tail()}",
                    ExitCode.FAILED,
                )
            interruption.pause()


def check_alive(services: Sequence[Service]) -> None:
    """Go on while all services run.

    Raises:
        CommandError: one has ended.
    """
    for service in services:
        code = service.process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise CommandError(
                f"the {service.part} service {how}\n{service.log_tail()}", ExitCode.FAILED
            )


def stop_service(service: Service, drain_seconds: float) -> None:
    """Ask a service to drain and end; kill it if it takes much longer than it may."""
    process = service.process
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(drain_seconds + _KILL_AFTER_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            notice(
                f"The {service.part} service did not end within "
                f"{drain_seconds + _KILL_AFTER_DRAIN_SECONDS:.0f} seconds: killing it."
            )
            process.kill()
            process.wait()
    if process.stdin:
        process.stdin.close()


def _serves(service: Service) -> bool:
    try:
        check_part(service.part, service.address, _HEALTH_SECONDS)
    except HealthError:
        return False
    return True
