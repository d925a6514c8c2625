"""The services as real processes, for tests from end to end and of faults."""

from __future__ import annotations

import json
import os
import signal
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

from tests.forked_command import ForkedCommand, start_command
from tests.postgres import PostgresServer

COMMAND = Path(sys.executable).with_name("gigaledger")

_START_SECONDS = 60
_STOP_SECONDS = 30
_LOG_LINES = 200

ServiceName = Literal["ledger", "projections", "exceptions"]


class ServiceFailedError(AssertionError):
    """A service did not start, or did not stop. The text ends with its last log lines."""


class ServiceProcess:
    """`gigaledger serve NAME` as a process, on a free port that it keeps when it is restarted."""

    def __init__(self, name: ServiceName, environment: dict[str, str]) -> None:
        self.name = name
        self.port = 0
        self._environment = environment
        self._process: ForkedCommand | None = None
        self._reader: threading.Thread | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def address(self) -> str:
        """Where clients find the service: host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it says that it serves.

        Raises:
            ServiceFailedError: it ended first, or took too long.
        """
        assert self._process is None or self._process.poll() is not None, f"{self.name} runs"
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GIGALEDGER_")
        }
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as log:
            self._process = start_command(
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
            raise ServiceFailedError(self._words("did not serve in time")) from None
        if port is None:
            code = self._process.wait(_STOP_SECONDS)
            raise ServiceFailedError(self._words(f"ended with exit code {code} before it served"))
        self.port = port

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would. Nothing happens where it has ended."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask the process to end, with SIGTERM, and return its exit code.

        Raises:
            ServiceFailedError: it took too long, and was killed.
        """
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop the process where it is, as a host that hangs would."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start the process again, at the same port, after it has ended or was killed."""
        self.start()

    def log_tail(self) -> str:
        """Return the last log lines, over all restarts."""
        return "".join(self._log)

    def channel(self) -> grpc.Channel:
        """Return a new channel for blocking calls. The caller closes it."""
        return grpc.insecure_channel(self.address, options=_CHANNEL_OPTIONS)

    def aio_channel(self) -> grpc.aio.Channel:
        """Return a new channel for calls under asyncio. The caller closes it."""
        return grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(how)
        try:
            code = self._process.wait(_STOP_SECONDS)
        except TimeoutError:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            raise ServiceFailedError(self._words(f"did not end on {how.name}")) from None
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

    def _words(self, what: str) -> str:
        return f"the {self.name} service {what}; its log ends with:\n{self.log_tail()}"


_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A service that was killed and restarted is found again at once, not after a minute.
    ("grpc.max_reconnect_backoff_ms", 200),
    # Each test talks to its own services: no connection is shared behind its back.
    ("grpc.use_local_subchannel_pool", 1),
]


def _serving_port(line: str) -> int | None:
    """Return the port that a log line names as being served, if it does."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if isinstance(entry, dict) and entry.get("event") == "serving":
        return int(entry["port"])
    return None


@dataclass(frozen=True)
class RunningServices:
    """A ledger and its projections, both serving; exceptions are evaluated."""

    ledger: ServiceProcess
    projections: ServiceProcess


StartLedger = Callable[[], ServiceProcess]
StartProjections = Callable[[ServiceProcess], ServiceProcess]


@pytest.fixture
def service_processes() -> Iterator[ExitStack]:
    """Ends each process of the test, killed where it still runs, and prints its log's end."""
    with ExitStack() as processes:
        yield processes


@pytest.fixture
def start_ledger(database_url: str, service_processes: ExitStack) -> StartLedger:
    """Starts one more ledger process on the test's database."""

    def start() -> ServiceProcess:
        return _started(
            ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": database_url}), service_processes
        )

    return start


@pytest.fixture
def start_projections(database_url: str, service_processes: ExitStack) -> StartProjections:
    """Starts one more projections process on the test's database, that follows a ledger.

    One process evaluates the exceptions of all of them.
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
    """A ledger process for all tests of a module, which use books of their own."""
    with postgres_server.database() as url, ExitStack() as processes:
        yield _started(ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": url}), processes)


@pytest.fixture(scope="module")
def shared_services(postgres_server: PostgresServer) -> Iterator[RunningServices]:
    """A ledger and its projections for all tests of a module, which use books of their own."""
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
        # Shown where the test fails.
        sys.stdout.write(f"---- log of the {service.name} service\n{service.log_tail()}")

    service.start()
    processes.callback(end)
    return service
