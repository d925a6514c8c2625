"""`gigaledger template`: files to start from, for the common deals."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import add_row, console, print_text, table

app = typer.Typer()

_FOLDER = Path(__file__).parent / "templates"


@app.command()
def template(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="E.g. chip-order.", show_default=False),
    ] = None,
) -> None:
    """Print a file of facts to start from, or list the files.

    Each is valid JSON Lines with comments. Redirect it into a file, replace ids, dates and amounts,
    try it with `gigaledger append FILE --check`, and append it.
    """
    if name is None:
        made = table("Templates", "name", "what it records", numbers_from=2)
        for known in template_names():
            first = _path(known).read_text("utf-8").partition("\n")[0]
            add_row(made, [known, first.removeprefix("# ")])
        console().print(made)
        return
    if name not in template_names():
        near = difflib.get_close_matches(name, template_names(), n=1)
        raise CommandError(
            f"there is no template {name!r}",
            ExitCode.NOT_FOUND,
            f"Did you mean {near[0]}?" if near else "`gigaledger template` lists them.",
        )
    print_text(_path(name).read_text("utf-8"))


def template_names() -> list[str]:
    """Return the names of the templates."""
    return sorted(path.stem for path in _FOLDER.glob("*.jsonl"))


def _path(name: str) -> Path:
    return _FOLDER / f"{name}.jsonl"
