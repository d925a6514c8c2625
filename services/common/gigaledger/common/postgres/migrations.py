"""Numbered SQL migrations, in files named NNNN_what_it_does.sql."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True, order=True)
class Migration:
    """One change of a database schema.

    Attributes:
        number: the first is 1.
        name: file name.
        sql: statements.
    """

    number: int
    name: str
    sql: str


def migrations_of(folder: Traversable) -> list[Migration]:
    """Return the migrations in a folder, in order.

    Raises:
        ValueError: the numbers are not 1, 2, 3 and so on.
    """
    found = sorted(
        Migration(int(file.name.split("_")[0]), file.name, file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    )
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations in {folder} are not numbered 1, 2, 3 and so on")
    return found
