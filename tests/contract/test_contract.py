"""The contract in proto/: later versions stay compatible with released ones.

`make check` checks its style, its layout, and that the generated code matches it.
"""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.contract.image import PROTO_ROOT, ROOT, write_image

BUF = Path(sysconfig.get_path("scripts")) / "buf"
RELEASED = PROTO_ROOT / "released.binpb"
"""The contract of the last release, which `make release-contract` writes."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contract") / "contract.binpb"
    write_image(path)
    return path


def buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUF, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def breaking(image: Path, against: Path) -> subprocess.CompletedProcess[str]:
    ours = ("--path", "gigaledger")
    return buf("breaking", image, "--against", against, "--config", "buf.yaml", *ours)


def test_contract_breaks_nothing_that_was_released(image: Path) -> None:
    if not RELEASED.exists():
        pytest.skip("no contract has been released yet: nothing can be broken")
    result = breaking(image, against=RELEASED)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_removed_field_would_be_found(image: Path, tmp_path: Path) -> None:
    contract = FileDescriptorSet.FromString(image.read_bytes())
    messages = {
        message.name: message
        for file in contract.file
        if file.package == "gigaledger.v1"
        for message in file.message_type
    }
    removed = messages["AppendEventsRequest"].field.pop()
    changed = tmp_path / "changed.binpb"
    changed.write_bytes(contract.SerializeToString())

    result = breaking(changed, against=image)

    assert result.returncode != 0
    assert f'"{removed.name}" on message "AppendEventsRequest" was deleted' in result.stdout
