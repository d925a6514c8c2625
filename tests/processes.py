"""The services as real processes, for tests from end to end and of faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Literal

import grpc
import pytest
from gigaledger.common.grpc.server import MAX_MESSAGE_BYTES

from tests.forked_command import Command, StartCommand, start_command
from tests.postgres import PostgresServer

COMMAND = Path(sys.executable).with_name("gigaledger")

_START_SECONDS = 60
_STOP_SECONDS = 30
_LOG_LINES = 200

ServiceName = Literal["ledger", "projections", "exceptions", "web"]


class ServiceFailedError(AssertionError):
    """A service did not start or stop. The message ends with its last log lines."""


class ServiceProcess:
    """`gigaledger serve NAME` as a process, on a free port that it keeps over restarts."""

    def __init__(
        self,
        name: ServiceName,
        environment: dict[str, str],
        start: StartCommand = start_command,
    ) -> None:
        self.name = name
        self.port = 0
        self._environment = environment
        self._start = start
        self._process: Command | None = None
        self._reader: threading.Thread | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def address(self) -> str:
        """The address for clients, host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the latest process."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it serves.

        Raises:
            ServiceFailedError: it ended, or took too long.
        """
        assert self._process is None or self._process.poll() is not None, f"{self.name} runs"
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GIGALEDGER_")
        }
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as log:
            self._process = self._start(
                ["serve", self.name],
                inherited
                | self._environment
                | {
                    f"GIGALEDGER_{self.name.upper()}_ADDRESS": self.address,
                    "GIGALEDGER_LOG_FORMAT": "json",
                },
                stderr=log,
            )
        served: Queue[int | None] = Queue()
        self._reader = threading.Thread(
            target=self._read_log, args=(os.fdopen(reading), served), daemon=True
        )
        self._reader.start()
        try:
            port = served.get(timeout=_START_SECONDS)
        except Empty:
            self.kill()
            raise ServiceFailedError(self._message("did not serve in time")) from None
        if port is None:
            code = self._process.wait(_STOP_SECONDS)
            raise ServiceFailedError(self._message(f"ended with exit code {code} before it served"))
        self.port = port

    def kill(self) -> None:
        """Kill the process with SIGKILL, unless it has ended."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Stop the process with SIGTERM and return its exit code.

        Raises:
            ServiceFailedError: it took too long, and was killed.
        """
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Suspend the process, as if its host hung."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a suspended process."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start the process again on the same port, after it has ended."""
        self.start()

    def log_tail(self) -> str:
        """Return the last log lines, including those before a restart."""
        return "".join(self._log)

    def channel(self) -> grpc.Channel:
        """Open a channel for blocking calls, which the caller closes."""
        return grpc.insecure_channel(self.address, options=_CHANNEL_OPTIONS)

    def aio_channel(self) -> grpc.aio.Channel:
        """Open a channel for asyncio, which the caller closes."""
        return grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(how)
        try:
            code = self._process.wait(_STOP_SECONDS)
        except (TimeoutError, subprocess.TimeoutExpired):
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            raise ServiceFailedError(self._message(f"did not end on {how.name}")) from None
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        return code

    def _read_log(self, stderr: IO[str], served: Queue[int | None]) -> None:
        with stderr:
            for line in stderr:
                self._log.append(line)
                port = _serving_port(line)
                if port is not None:
                    served.put(port)
        served.put(None)

    def _message(self, what: str) -> str:
        return f"the {self.name} service {what}; its log ends with:\n{self.log_tail()}"


_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Reconnect to a restarted service at once, not after a minute.
    ("grpc.max_reconnect_backoff_ms", 200),
    # Tests do not share connections.
    ("grpc.use_local_subchannel_pool", 1),
]


def _serving_port(line: str) -> int | None:
    """Return the port if a log line reports that the service serves."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if isinstance(entry, dict) and entry.get("event") == "serving":
        return int(entry["port"])
    return None


@dataclass(frozen=True)
class RunningServices:
    """A ledger and its projections, with the evaluation of exceptions."""

    ledger: ServiceProcess
    projections: ServiceProcess


StartLedger = Callable[[], ServiceProcess]
StartProjections = Callable[[ServiceProcess], ServiceProcess]


@pytest.fixture
def service_processes() -> Iterator[ExitStack]:
    """Kills the processes of the test at its end and prints the ends of their logs."""
    with ExitStack() as processes:
        yield processes


@pytest.fixture
def start_ledger(database_url: str, service_processes: ExitStack) -> StartLedger:
    """Starts another ledger process on the test's database."""

    def start() -> ServiceProcess:
        return _started(
            ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": database_url}), service_processes
        )

    return start


@pytest.fixture
def start_projections(database_url: str, service_processes: ExitStack) -> StartProjections:
    """Starts another projections process on the test's database, which follows a ledger.

    A single process evaluates the exceptions.
    """

    def start(ledger: ServiceProcess) -> ServiceProcess:
        environment = {
            "GIGALEDGER_DATABASE_URL": database_url,
            "GIGALEDGER_LEDGER_ADDRESS": ledger.address,
        }
        return _started(ServiceProcess("projections", environment), service_processes)

    _started(
        ServiceProcess("exceptions", {"GIGALEDGER_DATABASE_URL": database_url}), service_processes
    )
    return start


@pytest.fixture(scope="module")
def shared_ledger(postgres_server: PostgresServer) -> Iterator[ServiceProcess]:
    """A ledger process for all tests of a module, each of which has its own book."""
    with postgres_server.database() as url, ExitStack() as processes:
        yield _started(ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": url}), processes)


@pytest.fixture(scope="module")
def shared_services(postgres_server: PostgresServer) -> Iterator[RunningServices]:
    """A ledger and its projections for all tests of a module, each of which has its own book."""
    with postgres_server.database() as url, ExitStack() as processes:
        database = {"GIGALEDGER_DATABASE_URL": url}
        ledger = _started(ServiceProcess("ledger", database), processes)
        follows = database | {"GIGALEDGER_LEDGER_ADDRESS": ledger.address}
        projections = _started(ServiceProcess("projections", follows), processes)
        _started(ServiceProcess("exceptions", database), processes)
        yield RunningServices(ledger, projections)


def _started(service: ServiceProcess, processes: ExitStack) -> ServiceProcess:
    def end() -> None:
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            service.terminate()  # a killed process writes no coverage
        service.kill()
        # pytest shows it if the test fails.
        sys.stdout.write(f"---- log of the {service.name} service\n{service.log_tail()}")

    service.start()
    processes.callback(end)
    return service
