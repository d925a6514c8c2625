"""The two distributions: their content, and the client in an empty environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.processes import StartLedger

ROOT = Path(__file__).resolve().parents[2]
SERVER_PACKAGES = {path.parent.name for path in ROOT.glob("services/*/gigaledger/*/__init__.py")}


def built(project: Path, destination: Path) -> zipfile.ZipFile:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", destination],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (wheel,) = destination.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(ROOT / "proto", tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def server_wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(ROOT, tmp_path_factory.mktemp("server"))


def packages(wheel: zipfile.ZipFile) -> set[str]:
    """Return the packages of the namespace gigaledger in a wheel."""
    names = [name.split("/") for name in wheel.namelist() if ".dist-info/" not in name]
    assert {parts[0] for parts in names} == {"gigaledger"}
    return {parts[1] for parts in names}


def requirements(wheel: zipfile.ZipFile) -> list[Requirement]:
    """Return the direct dependencies of a wheel, without those of its extras."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    described = Parser().parsestr(wheel.read(name).decode())
    found = [Requirement(text) for text in described.get_all("Requires-Dist", [])]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def test_the_client_holds_the_contract_and_the_client(client_wheel: zipfile.ZipFile) -> None:
    assert packages(client_wheel) == {"client", "v1"}
    names = client_wheel.namelist()
    assert "gigaledger/client/py.typed" in names
    assert "gigaledger/v1/py.typed" in names
    assert {one.name for one in requirements(client_wheel)} == {
        "googleapis-common-protos",
        "grpcio",
        "grpcio-status",
        "protobuf",
    }


def test_the_server_holds_neither(server_wheel: zipfile.ZipFile) -> None:
    assert packages(server_wheel) == SERVER_PACKAGES
    assert "gigaledger" in {one.name for one in requirements(server_wheel)}


@pytest.fixture(scope="module")
def python(client_wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with only the client and its dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    site_packages = Path(found.stdout.strip())
    client_wheel.extractall(site_packages)
    installed: set[str] = set()
    waiting = [one.name for one in requirements(client_wheel)]
    while waiting:
        name = waiting.pop()
        if name in installed:
            continue
        installed.add(name)
        copy(name, site_packages)
        required = [Requirement(text) for text in distribution(name).requires or []]
        waiting += [
            one.name for one in required if not one.marker or one.marker.evaluate({"extra": ""})
        ]
    return python


def copy(name: str, site_packages: Path) -> None:
    """Copy an installed distribution, whose version is the locked one."""
    for file in distribution(name).files or []:
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        target = site_packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(str(file.locate())).read_bytes())


def run(python: Path, program: str, **environment: str) -> str:
    done = subprocess.run(
        [python, "-I", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MODULES = "import sys, json; print(json.dumps(sorted(set(sys.modules) - before)))"


def imported(python: Path, program: str) -> list[Any]:
    """Return the modules that a program imports."""
    found: list[Any] = json.loads(
        run(python, f"import sys; before = set(sys.modules)\n{program}\n{MODULES}")
    )
    return found


def test_importing_the_client_is_light(python: Path) -> None:
    foreign = {"grpc", "google", "gigaledger.v1", "asyncio"}
    assert not foreign & set(imported(python, "import gigaledger.client"))


def test_a_blocking_client_imports_no_more_than_it_needs(python: Path) -> None:
    modules = imported(
        python, "from gigaledger.client import connect, facts; facts.party_registered; connect()"
    )
    roots = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    assert roots <= {"cython_runtime", "gigaledger", "google", "grpc", "typing_extensions"} | {
        root for root in roots if root.startswith("_")
    }
    assert "gigaledger.client.asynchronous" not in modules
    assert "gigaledger.client.eventsourcing" not in modules
    assert not [name for name in modules if name.endswith("_pb2_grpc")]


@pytest.mark.parametrize(
    "module", ["services", "gigaledger.ledger", "gigaledger.common", "psycopg", "eventsourcing"]
)
def test_nothing_of_the_server_is_there(python: Path, module: str) -> None:
    program = f"""
try:
    import {module}
except ModuleNotFoundError:
    pass
else:
    raise AssertionError({module}.__file__)
"""
    run(python, program)


def test_the_first_lines_for_callers_work_when_pasted(
    python: Path, start_ledger: StartLedger
) -> None:
    page = (ROOT / "docs" / "callers.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    lines = block[1]
    assert len(lines.splitlines()) == 10
    ledger = start_ledger()
    for recorded_before in (False, True):
        assert run(python, lines, GIGALEDGER_LEDGER_ADDRESS=ledger.address).splitlines() == [
            f"position 2, recorded before: {recorded_before}",
            "1 control",
            "2 parties/NVDA",
        ]


def test_the_example_of_the_readme_works(python: Path, start_ledger: StartLedger) -> None:
    page = (ROOT / "proto" / "README.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    program = block[1].replace("127.0.0.1:50051", start_ledger().address)
    assert run(python, program).splitlines() == ["2", "1 control", "2 parties/NVDA"]
