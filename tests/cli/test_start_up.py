"""The modules that the command imports before it knows its arguments."""

from __future__ import annotations

import subprocess
import sys

import pytest
from gigaledger.cli.lazy import LazyCommand
from gigaledger.cli.main import COMMANDS

from tests.cli.conftest import Shell

HEAVY = ("cryptography", "google.protobuf", "grpc", "networkx", "psycopg", "pydantic")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_nothing_heavy_is_imported_to_list_the_commands(option: str) -> None:
    program = (
        "import sys\n"
        "from gigaledger.cli.main import run\n"
        f"assert run(['{option}']) == 0\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stderr.split() == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_lists_each_command_by_the_first_line_of_its_own(command: LazyCommand) -> None:
    loaded = command.load()

    assert loaded.help is not None
    assert loaded.help.partition("\n")[0] == command.help


def test_a_misspelled_command(alone: Shell) -> None:
    assert "Did you mean 'append'?" in alone("appendd").err
