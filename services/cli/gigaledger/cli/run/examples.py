"""Location of the example data: in the package if it is installed, else in the source tree."""

from __future__ import annotations

from pathlib import Path

from gigaledger.cli.errors import CommandError, ExitCode

_PACKAGE = Path(__file__).parents[1] / "examples"
_SOURCE_TREE = Path(__file__).parents[5] / "examples"


def example_path(name: str) -> Path:
    """Return the path of an example file.

    Raises:
        CommandError: the installation lacks it.
    """
    for folder in (_PACKAGE, _SOURCE_TREE):
        if (folder / name).is_file():
            return folder / name
    raise CommandError(
        f"the example file {name} is not part of this installation",
        ExitCode.FAILED,
        "Install gigaledger again, or run it from its source tree.",
    )
