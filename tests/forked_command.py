"""Runs `gigaledger` in forks of one process that has imported it.

Importing the services takes about a second of processor time, and a run of the tests starts them
several hundred times. A fork has its own environment, directory, files and exit code, as if it had
been started from a shell.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, Any, Protocol

import gigaledger.cli
from gigaledger.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
_SERVICES = ["gigaledger.ledger.serve", "gigaledger.projections.serve"]
_SIZE_BYTES = 4


class Command(Protocol):
    """A running command, as `subprocess.Popen` is."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class StartCommand(Protocol):
    """Starts `gigaledger` with arguments and all environment variables."""

    def __call__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, stderr: IO[bytes]
    ) -> Command: ...


class ForkedCommand:
    """A running fork."""

    def __init__(self, forker: _Forker, pid: int, ended: int) -> None:
        self._pid = pid
        self._forker = forker
        self._ended = ended
        self._code: int | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._pid

    def poll(self) -> int | None:
        """Return the exit code, or None if it is running."""
        return self._code if self._code is not None or not self._has_ended(0) else self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; the negative signal if one killed it.

        Raises:
            TimeoutError: it is running after `timeout` seconds.
        """
        if self._code is None:
            if not self._has_ended(timeout):
                raise TimeoutError
            self._code = self._forker.exit_code(self.pid)
            os.close(self._ended)
        return self._code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _has_ended(self, timeout: float | None) -> bool:
        """Return whether the pipe that only the command holds open has been closed."""
        ready, _, _ = select.select([self._ended], [], [], timeout)
        return bool(ready)


def start_command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: IO[Any] | None = None,
    stdout: IO[Any] | None = None,
    stderr: IO[Any] | None = None,
) -> ForkedCommand:
    """Run `gigaledger` in the current directory, with /dev/null for files that are not given."""
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        files = [(file or nothing).fileno() for file in (stdin, stdout, stderr)]
        return _forker().start([*arguments], dict(environment), files)


class _Forker:
    """The process that forks. It ends when its socket is closed."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._lock = Lock()

    def start(
        self, arguments: list[str], environment: dict[str, str], files: list[int]
    ) -> ForkedCommand:
        ended, running = os.pipe()
        try:
            start = {
                "arguments": arguments,
                "environment": environment,
                "directory": str(Path.cwd()),
            }
            return ForkedCommand(self, self._ask(start, [*files, running]), ended)
        finally:
            os.close(running)

    def exit_code(self, pid: int) -> int:
        return self._ask({"pid": pid}, [])

    def stop(self) -> None:
        self._socket.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any], files: list[int]) -> int:
        content = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._socket, [len(content).to_bytes(_SIZE_BYTES)], files)
            self._socket.sendall(content)
            return int.from_bytes(_received(self._socket, _SIZE_BYTES), signed=True)


@cache
def _forker() -> _Forker:
    forker = _Forker()
    atexit.register(forker.stop)
    return forker


def _received(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise EOFError
        content += part
    return content


def _serve(connection: socket.socket) -> None:
    for module in pkgutil.walk_packages(gigaledger.cli.__path__, "gigaledger.cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _SERVICES:
        importlib.import_module(name)
    gc.freeze()
    while True:
        head, files, _, _ = socket.recv_fds(connection, _SIZE_BYTES, 4)
        if not head:
            return
        request = json.loads(_received(connection, int.from_bytes(head)))
        if "pid" in request:
            _, status = os.waitpid(request["pid"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                connection.close()
                _become(**request, files=files[:3])
                main()
            for descriptor in files:
                os.close(descriptor)
        connection.sendall(answer.to_bytes(_SIZE_BYTES, signed=True))


def _become(
    arguments: list[str], environment: dict[str, str], directory: str, files: list[int]
) -> None:
    """Make this process what a shell would have started."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["gigaledger", *arguments]
    for standard, descriptor in enumerate(files):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        _serve(inherited)
