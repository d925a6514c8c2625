"""Generate the Python side of the contract, or say which of its files are stale.

`python proto/generate.py` writes the modules and type stubs beside the .proto files, and
`gigaledger/client/facts.py`;
`python proto/generate.py --check` writes nothing and exits with 1 where one differs.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

from fact_builders import fact_builders
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

PROTO_ROOT = Path(__file__).resolve().parent
PACKAGE = Path("gigaledger/v1")
FACTS = Path("gigaledger/client/facts.py")


def generate(destination: Path) -> None:
    """Write the generated modules, stubs and builders of facts below `destination`.

    Raises:
        RuntimeError: the compiler refuses the contract; its words are on standard error.
    """
    includes = [
        f"-I{PROTO_ROOT}",
        f"-I{sysconfig.get_path('purelib')}",  # google/type/*.proto
        f"-I{files('grpc_tools') / '_proto'}",  # google/protobuf/*.proto
    ]
    scripts = Path(sysconfig.get_path("scripts"))
    plugins = [
        f"--plugin={name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    ]
    sources = sorted(str(path) for path in (PROTO_ROOT / PACKAGE).glob("*.proto"))
    arguments = [
        "protoc",
        *includes,
        *plugins,
        f"--python_out={destination}",
        f"--mypy_out=quiet:{destination}",
        *sources,
    ]
    services = [
        "protoc",
        *includes,
        *plugins,
        f"--grpc_python_out={destination}",
        f"--mypy_grpc_out=quiet:{destination}",
        *(source for source in sources if "\nservice " in Path(source).read_text()),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        described = Path(scratch) / "contract.binpb"
        description = [
            "protoc",
            *includes,
            f"--descriptor_set_out={described}",
            "--include_source_info",
            *sources,
        ]
        for command in (arguments, services, description):
            if protoc.main(command) != 0:
                raise RuntimeError("the protocol compiler refused the contract")
        contract = FileDescriptorSet.FromString(described.read_bytes())
    (destination / FACTS).parent.mkdir(exist_ok=True)
    (destination / FACTS).write_text(fact_builders(contract))


def stale_files() -> list[str]:
    """Name the generated files that differ from what the contract would generate now."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh_root = Path(scratch)
        generate(fresh_root)
        fresh = _contents(fresh_root)
    kept = _contents(PROTO_ROOT)
    names = sorted(fresh.keys() | kept.keys())
    return [name for name in names if fresh.get(name) != kept.get(name)]


def _contents(root: Path) -> dict[str, bytes]:
    """Return the generated files below a directory."""
    files = [*(root / PACKAGE).glob("*_pb2*.py*"), root / FACTS]
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.exists()}


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, report stale files")
    if not parser.parse_args().check:
        generate(PROTO_ROOT)
        return 0
    stale = stale_files()
    for name in stale:
        sys.stderr.write(f"{name} is stale: run 'make proto'\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
