"""What a projection is: a name, a version, folds, tables."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Protocol

from gigaledger.projections.engine.folding import Fold
from gigaledger.projections.engine.subtotals import Subtotals
from psycopg import AsyncConnection


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """How far the events of a projection are judged.

    Attributes:
        position: the log up to this position is judged.
        time: when the event there was recorded; None before the first.
        until: how far the next event is judged, where that takes several transactions; else empty.
    """

    position: int
    time: dt.datetime | None
    until: str = ""


class Evaluator(Protocol):
    """Judges the events of a generation behind its fold, in the order of the log."""

    async def advance(
        self,
        connection: AsyncConnection[Any],
        named: Callable[[bytes], bytes],
        judged: EvaluationProgress,
        until: int,
    ) -> EvaluationProgress:
        """Judge some of what follows, and write what changes.

        Args:
            connection: in a transaction, in the schema of the book.
            named: puts the names of the generation's tables into a statement.
            judged: how far it is judged.
            until: up to where it is folded, which is further.

        Returns:
            How far it is judged now.

        Raises:
            FoldError: an event cannot be judged.
        """


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
        judge: makes what judges its events; None where it is all told by entries. Questions are
            answered at the position that is judged.
        judged_tables: what a judge writes.
    """

    name: str
    package: str
    folds: Mapping[str, Fold]
    tables: tuple[str, ...]
    version: int = 1
    subtotals: Subtotals | None = None
    evaluator: Callable[[], Evaluator] | None = None
    judged_tables: tuple[str, ...] = ()

    @property
    def all_tables(self) -> tuple[str, ...]:
        """Its tables of entries, and what is made of them."""
        made = (self.subtotals.table,) if self.subtotals else ()
        return (*self.tables, *self.judged_tables, *made)

    @property
    def definition(self) -> str:
        """The SQL that makes its tables, by their plain names."""
        return (resources.files(self.package) / "tables.sql").read_text("utf-8")


@lru_cache(maxsize=1024)
def named(query: bytes, tables: tuple[str, ...], generation: int) -> bytes:
    """Return a statement with the plain names of tables replaced by those of a generation."""
    names = re.compile(rb"\b(%s)\b" % b"|".join(name.encode() for name in tables))
    return names.sub(rb"\1_%d" % generation, query)
