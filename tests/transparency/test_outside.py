"""Go's implementation accepts our checkpoints and proofs.

The tests need Go and its module golang.org/x/mod: Debian's packages golang-go and
golang-golang-x-mod-dev.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from gigaledger.common.transparency.checkpoints import IMPORTED, Checkpoint
from gigaledger.common.transparency.keys import new_key
from gigaledger.common.transparency.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
)

PROGRAM = Path(__file__).with_name("go") / "check.go"
GOPATH = Path("/usr/share/gocode")
SIZES = (1, 2, 3, 7, 8, 21, 64, 100)
KEY = new_key("ledger.test").named("ledger.test/books/main")

pytestmark = pytest.mark.skipif(
    shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
    reason="Go with golang.org/x/mod is not installed",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    folder = tmp_path_factory.mktemp("go")
    built = folder / "check"
    settings = {
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOCACHE": str(folder / "cache"),
    }
    subprocess.run(
        ["go", "build", "-o", built, PROGRAM],  # noqa: S607 - from PATH
        env=os.environ | settings,
        check=True,
        timeout=120,
    )
    return built


def text(data: bytes) -> str:
    """Encode bytes as Go does in JSON."""
    return base64.b64encode(data).decode()


def book() -> dict[str, Any]:
    """Return a book with checkpoints and all proofs between them."""
    data = [b"event %d" % number for number in range(SIZES[-1])]
    nodes: dict[tuple[int, int], bytes] = {}
    frontier = Frontier()
    checkpoints = []
    for leaf in map(leaf_hash, data):
        nodes.update({(level, index): root for level, index, root in frontier.append(leaf)})
        if frontier.size in SIZES:
            extensions = (IMPORTED,) if frontier.size % 2 else ()
            checkpoint = Checkpoint(KEY.name, frontier.size, frontier.root(), extensions)
            checkpoints.append(checkpoint.signed(KEY))

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    return {
        "Key": str(KEY.verifier),
        "Checkpoints": checkpoints,
        "Inclusion": [
            {
                "Size": size,
                "Index": index,
                "Leaf": text(data[index]),
                "Hashes": [text(h) for h in inclusion_proof(read, index, size)],
            }
            for size in SIZES
            for index in range(size)
        ],
        "Consistency": [
            {
                "First": first,
                "Second": second,
                "Hashes": [text(h) for h in consistency_proof(read, first, second)],
            }
            for second in SIZES
            for first in SIZES
            if first <= second
        ],
    }


def checked(program: Path, given: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run Go's checks on a book."""
    return subprocess.run(
        [program],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_checkpoints_and_proofs_are_accepted(program: Path) -> None:
    ended = checked(program, book())

    assert ended.stderr == ""
    assert ended.stdout.split() == [str(len(SIZES)), str(sum(SIZES)), "36"]


@pytest.mark.parametrize("part", ["Checkpoints", "Inclusion", "Consistency"])
def test_altered_checkpoints_and_proofs_are_refused(program: Path, part: str) -> None:
    given = book()
    if part == "Checkpoints":
        given[part][3] = given[part][3].replace("ledger.test", "ledger.text", 1)
    else:
        given[part][-2]["Hashes"][0] = text(bytes(32))

    assert checked(program, given).returncode == 1
