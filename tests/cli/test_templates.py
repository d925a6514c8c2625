"""`gigaledger template`: every file that it prints is one that a ledger takes."""

from __future__ import annotations

import json

import pytest
from gigaledger.cli.errors import ExitCode
from gigaledger.cli.ledger.template_commands import template_names

from tests.cli.conftest import Shell


@pytest.mark.parametrize("name", template_names())
def test_a_template_is_appended_to_a_live_ledger(services: Shell, name: str) -> None:
    book = services.new_book()
    printed = services("template", name)

    tried = services("append", "-", "--book", book, "--check", stdin=printed.out)
    done = services("append", "-", "--book", book, stdin=printed.out)

    assert (printed.code, printed.err) == (ExitCode.OK, "")
    assert tried.code == ExitCode.OK, tried.err
    assert done.code == ExitCode.OK, done.err
    lines = [line for line in printed.out.splitlines() if not line.startswith("#")]
    recorded = services("events", "--book", book, "--json").out.splitlines()
    assert len(recorded) == len(lines) + 1
    assert {json.loads(line)["event"]["actor"] for line in recorded[1:]} == {"you@example.com"}


def test_templates_are_listed(alone: Shell) -> None:
    done = alone("template")

    assert done.code == ExitCode.OK
    assert len(template_names()) >= 7
    for name in template_names():
        assert f"│ {name} " in done.out


def test_a_template_that_there_is_not(alone: Shell) -> None:
    done = alone("template", "chip-orders")

    assert done.code == ExitCode.NOT_FOUND
    assert "Did you mean chip-order?" in done.err
