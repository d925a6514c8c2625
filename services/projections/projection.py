"""What a projection is: a name, folds, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from services.projections.facts import Fold


@dataclass(frozen=True, slots=True)
class Projection:
    """A projection of a book.

    Attributes:
        name: as in the resource name books/{book}/projections/{projection}.
        package: where its folder is. Its migrations are the numbered files in `migrations/`.
        folds: from the name of a fact's field in the event to the fold.
        tables: its tables of entries: those with the header of `template_entry`.
    """

    name: str
    package: str
    folds: Mapping[str, Fold]
    tables: tuple[str, ...]

    @property
    def migrations(self) -> Traversable:
        """The folder of its migrations."""
        return resources.files(self.package) / "migrations"
