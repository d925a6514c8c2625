"""The command as people run it, against services that run for the tests of a module."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

import pytest

from tests.forked_command import start_command
from tests.processes import COMMAND, RunningServices


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs the command with settings."""

    environment: dict[str, str]

    def __call__(self, *arguments: object, stdin: str | None = None) -> Ended:
        """Run `gigaledger` and wait for its end."""
        with TemporaryFile("w+") as given, TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            given.write(stdin or "")
            given.seek(0)
            code = start_command(
                [*map(str, arguments)], self.environment, stdin=given, stdout=out, stderr=err
            ).wait()
            out.seek(0)
            err.seek(0)
            return Ended(code, out.read(), err.read())

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Run `gigaledger` and go on."""
        return subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As from a terminal: a job in the background may ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def new_book(self) -> str:
        """Open a book and return its id."""
        book = f"b{uuid4().hex}"
        assert self("book", "create", book).code == 0
        return book


def clean_environment(home: Path) -> dict[str, str]:
    """An environment without settings of ours, in a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIGALEDGER_")}
    return kept | {"HOME": str(home), "COLUMNS": "200"}


@pytest.fixture(scope="module")
def services(shared_services: RunningServices, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell that finds the shared services."""
    return Shell(
        clean_environment(tmp_path_factory.mktemp("home"))
        | {
            "GIGALEDGER_LEDGER_ADDRESS": shared_services.ledger.address,
            "GIGALEDGER_PROJECTIONS_ADDRESS": shared_services.projections.address,
        }
    )


@pytest.fixture
def alone(tmp_path: Path) -> Shell:
    """A shell in which nothing is set and nothing runs."""
    nowhere = {
        "GIGALEDGER_LEDGER_ADDRESS": "127.0.0.1:1",
        "GIGALEDGER_PROJECTIONS_ADDRESS": "127.0.0.1:1",
    }
    return Shell(clean_environment(tmp_path) | nowhere)
