"""The lock files: one set of versions for every platform and purpose."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
RUN_TIME = ROOT / "requirements.lock"
LOCAL = ROOT / "requirements-local.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"
BENCHMARKS = ROOT / "requirements-bench.lock"

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CLIENT = tomllib.loads((ROOT / "proto" / "pyproject.toml").read_text())
RUN_TIME_REQUIREMENTS: list[str] = [
    *CLIENT["project"]["dependencies"],
    *(r for r in PROJECT["project"]["dependencies"] if not r.startswith("gigaledger==")),
]
LOCAL_REQUIREMENTS: list[str] = PROJECT["project"]["optional-dependencies"]["local"]
DEVELOPMENT_REQUIREMENTS: list[str] = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["dependency-groups"]["dev"],
]


def locked_versions(lock: Path) -> dict[str, str]:
    """Return the version of each package of a lock file."""
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        (RUN_TIME, RUN_TIME_REQUIREMENTS),
        (LOCAL, RUN_TIME_REQUIREMENTS + LOCAL_REQUIREMENTS),
        (DEVELOPMENT, RUN_TIME_REQUIREMENTS + LOCAL_REQUIREMENTS + DEVELOPMENT_REQUIREMENTS),
        (BENCHMARKS, PROJECT["dependency-groups"]["bench"]),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_lock_satisfies_the_project(lock: Path, requirements: list[str]) -> None:
    versions = locked_versions(lock)
    for text in requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{text} is not locked: run 'make lock'"
        assert requirement.specifier.contains(versions[name], prereleases=True), (
            f"{name} is locked at {versions[name]}, which is not {text}: run 'make lock'"
        )


def test_development_runs_the_versions_of_run_time() -> None:
    assert locked_versions(RUN_TIME).items() <= locked_versions(LOCAL).items()
    assert locked_versions(LOCAL).items() <= locked_versions(DEVELOPMENT).items()


@pytest.mark.parametrize(
    "lock", [RUN_TIME, LOCAL, DEVELOPMENT, BENCHMARKS], ids=lambda lock: lock.name
)
def test_lock_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
