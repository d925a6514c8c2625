"""The import contracts in pyproject.toml: each one fails when a forbidden import is added."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sysconfig.get_path("scripts")) / "lint-imports"


@dataclass(frozen=True)
class Sources:
    """A copy of the packages that the contracts cover."""

    folders: list[Path]

    def append(self, module: str, statement: str) -> None:
        """Add a statement to the end of a module."""
        for folder in self.folders:
            path = folder.joinpath(*module.split(".")).with_suffix(".py")
            if path.exists():
                path.write_text(f"{path.read_text()}\n{statement}\n")
                return
        raise AssertionError(f"{module} does not exist")

    def lint(self, *contracts: str) -> subprocess.CompletedProcess[str]:
        """Check contracts, all of them by default."""
        only = [word for contract in contracts for word in ("--contract", contract)]
        return subprocess.run(
            [LINT_IMPORTS, "--no-cache", "--no-logo", *only, ROOT / "pyproject.toml"],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(map(str, self.folders)), "COLUMNS": "1000"},
            cwd=self.folders[0],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    folders = []
    for root in (ROOT / "proto", *sorted((ROOT / "services").iterdir())):
        if (root / "gigaledger").is_dir():
            shutil.copytree(
                root / "gigaledger",
                tmp_path / root.name / "gigaledger",
                ignore=shutil.ignore_patterns("__pycache__", "*.proto", "*.sql"),
            )
            folders.append(tmp_path / root.name)
    return Sources(folders)


def test_unchanged_sources_keep_every_contract(sources: Sources) -> None:
    result = sources.lint()

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("contract", "module", "imported"),
    [
        ("pure", "gigaledger.ledger.domain.book", "psycopg"),
        ("pure", "gigaledger.ledger.domain.book", "time"),
        ("pure", "gigaledger.audit.recompute.capacity", "asyncio"),
        ("folds", "gigaledger.projections.capacity.fold", "psycopg"),
        ("layers", "gigaledger.audit.recompute.capacity", "gigaledger.projections.serve"),
        ("layers", "gigaledger.projections.serve", "gigaledger.audit.recompute.capacity"),
        ("layers", "gigaledger.ledger.serve", "gigaledger.cli.main"),
        ("layers", "gigaledger.common.quantities", "gigaledger.ledger.serve"),
        ("layers", "gigaledger.client.__init__", "gigaledger.common.quantities"),
        ("cycles", "gigaledger.cli.ledger.append", "gigaledger.cli.run.demo"),
        ("cycles", "gigaledger.common.settings", "gigaledger.common.logs"),
        ("cycles", "gigaledger.ledger.domain.agreement_state", "gigaledger.ledger.domain.equity"),
        ("cycles", "gigaledger.projections.engine.leases", "gigaledger.projections.registry"),
        ("cycles", "gigaledger.ledger.log.recorder", "gigaledger.ledger.api.service"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    sources: Sources, contract: str, module: str, imported: str
) -> None:
    sources.append(module, f"import {imported}")

    result = sources.lint(contract)

    assert result.returncode == 1, result.stdout + result.stderr
    assert " BROKEN" in result.stdout
