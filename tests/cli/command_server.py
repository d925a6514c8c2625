"""Runs `gigaledger` many times and imports it once: each run is a fork of one prepared process.

Importing the command takes about a second, which several hundred runs would spend again and again.
A run has its own environment, files and exit code, as if it had been started from a shell.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import gigaledger.cli
from gigaledger.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


class CommandServer:
    """The prepared process. It runs one command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: str | None
    ) -> tuple[int, str, str]:
        """Run the command and wait; return its exit code, output and error output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as name, self._lock:
            given, out, err = (Path(name, stream) for stream in ("in", "out", "err"))
            given.write_text(stdin or "")
            run = {
                "arguments": arguments,
                "environment": dict(environment),
                "directory": str(Path.cwd()),
                "files": [str(given), str(out), str(err)],
            }
            self._process.stdin.write(json.dumps(run) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return code, out.read_text(), err.read_text()

    def stop(self) -> None:
        """End the prepared process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve() -> None:
    for module in pkgutil.walk_packages(gigaledger.cli.__path__, "gigaledger.cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
            main()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(
    arguments: list[str], environment: dict[str, str], directory: str, files: list[str]
) -> None:
    """Make this process what a shell would have started."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["gigaledger", *arguments]
    for descriptor, (path, flags) in enumerate(
        zip(files, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)
    ):
        os.dup2(os.open(path, flags), descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115


if __name__ == "__main__":
    _serve()
