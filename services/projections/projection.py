"""What a projection is: a name, a version, folds, tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from services.projections.facts import Fold
from services.projections.subtotals import Subtotals


@dataclass(frozen=True, slots=True)
class Projection:
    """A projection of a book.

    Attributes:
        name: as in the resource name books/{book}/projections/{projection}.
        package: where its folder is. `tables.sql` in it defines its tables.
        folds: from the name of a fact's field in the event to the fold.
        tables: its tables of entries: those with the header of `template_entry`.
        version: counted up with every change of its folds or tables. Where a book has an older one,
            this one is built beside it and then takes its place.
        subtotals: what is made of its entries, so that questions needn't sum them up; None where
            they are few.
    """

    name: str
    package: str
    folds: Mapping[str, Fold]
    tables: tuple[str, ...]
    version: int = 1
    subtotals: Subtotals | None = None

    @property
    def all_tables(self) -> tuple[str, ...]:
        """Its tables of entries, and that of subtotals."""
        return (*self.tables, self.subtotals.table) if self.subtotals else self.tables

    @property
    def definition(self) -> str:
        """The SQL that makes its tables, by their plain names."""
        return (resources.files(self.package) / "tables.sql").read_text("utf-8")


@lru_cache(maxsize=1024)
def named(query: bytes, tables: tuple[str, ...], generation: int) -> bytes:
    """Return a statement with the plain names of tables replaced by those of a generation."""
    names = re.compile(rb"\b(%s)\b" % b"|".join(name.encode() for name in tables))
    return names.sub(rb"\1_%d" % generation, query)
