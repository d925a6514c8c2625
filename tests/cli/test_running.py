"""`gigaledger demo` and `gigaledger up`: everything by itself, and nothing left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from gigaledger.cli.run.processes import free_addresses

from tests.cli.conftest import Shell, clean_environment

START_SECONDS = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, through which the account passes that PostgreSQL runs as under root."""
    with TemporaryDirectory(prefix="gigaledger-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def home(folder: Path) -> Shell:
    """A shell in an empty home."""
    ledger, projections, exceptions, web = free_addresses(4)
    return Shell(
        clean_environment(folder)
        | {
            "GIGALEDGER_DATA_DIR": str(folder / "data"),
            "GIGALEDGER_LEDGER_ADDRESS": ledger,
            "GIGALEDGER_PROJECTIONS_ADDRESS": projections,
            "GIGALEDGER_EXCEPTIONS_ADDRESS": exceptions,
            "GIGALEDGER_WEB_ADDRESS": web,
            "TMPDIR": str(folder),
        }
    )


def left_running(folder: Path) -> list[list[str]]:
    """Command lines of processes that work with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(folder) in word for word in words):
            found.append(words)
    return found


def test_the_demo_of_the_network(home: Shell) -> None:
    done = home("demo", "--network")

    assert done.code == 0, done.err
    assert "Circular flows: commitment; USD" in done.out
    assert "138.00" in done.out


def test_the_demo(home: Shell, folder: Path) -> None:
    done = home("demo")

    assert done.code == 0, done.err
    assert "HYPOTHETICAL" in done.out
    for title in ("GW against plan", "Cumulative investment", "Round trip in cash"):
        assert title in done.out
    assert "position" in done.out
    assert left_running(folder) == []
    assert list(folder.iterdir()) == [], "nothing is left behind"


def test_up_serves_until_ctrl_c_and_keeps_what_was_recorded(home: Shell, folder: Path) -> None:
    for opened in (False, True):
        running = home.start("up")
        assert running.stderr is not None
        words = ""
        while "Ctrl-C stops it" not in words:
            line = running.stderr.readline()
            assert line, words
            words += line
        assert home.environment["GIGALEDGER_LEDGER_ADDRESS"] in words
        assert f"http://{home.environment['GIGALEDGER_WEB_ADDRESS']}/" in words
        assert home("health", "web").code == 0
        if not opened:
            assert home("book", "create", "kept").code == 0
        else:
            assert home("book", "show", "kept").code == 0
        running.send_signal(signal.SIGINT)
        assert running.wait(START_SECONDS) == 0
        assert left_running(folder) == []


def test_a_port_that_is_taken(home: Shell, folder: Path) -> None:
    first = home.start("up")
    assert first.stderr is not None
    while "Ctrl-C stops it" not in (line := first.stderr.readline()):
        assert line
    other = Shell(home.environment | {"GIGALEDGER_DATA_DIR": str(folder / "other")})

    second = other("up")

    first.send_signal(signal.SIGTERM)
    assert first.wait(START_SECONDS) == 0
    assert second.code == 3, second.err
    assert home.environment["GIGALEDGER_LEDGER_ADDRESS"] in second.err
    assert "Traceback" not in second.err
    assert left_running(folder) == []
