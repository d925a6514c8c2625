"""The contract as one image, a `FileDescriptorSet` with comments.

`python -m tests.contract.image FILE` writes it.
"""

from __future__ import annotations

import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
PROTO_ROOT = ROOT / "proto"


def write_image(image: Path) -> None:
    """Compile the contract, with all that it imports, into a `FileDescriptorSet`.

    The imports come from installed packages, so that nothing is fetched from a schema registry.

    Raises:
        RuntimeError: the compiler refuses the contract; its words are on standard error.
    """
    arguments = [
        "protoc",
        f"-I{PROTO_ROOT}",
        f"-I{sysconfig.get_path('purelib')}",  # google/type/*.proto
        f"-I{files('grpc_tools') / '_proto'}",  # google/protobuf/*.proto
        f"--descriptor_set_out={image}",
        "--include_imports",
        "--include_source_info",
        *sorted(str(path) for path in PROTO_ROOT.rglob("*.proto")),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("the protocol compiler refused the contract")


if __name__ == "__main__":
    write_image(Path(sys.argv[1]))
