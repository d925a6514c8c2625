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
    """How far the events of a projection are evaluated.

    Attributes:
        position: the log up to this position is evaluated.
        recorded_time: when the event there was recorded; None before the first.
        resume_after: how far the next event is evaluated, if it takes several transactions; else
            empty.
    """

    position: int
    recorded_time: dt.datetime | None
    resume_after: str = ""


class Evaluator(Protocol):
    """Evaluates the folded events of a generation in the order of the log."""

    async def advance(
        self,
        connection: AsyncConnection[Any],
        qualify_tables: Callable[[bytes], bytes],
        progress: EvaluationProgress,
        limit: int,
    ) -> EvaluationProgress:
        """Evaluate some of the next events and write what changes.

        Args:
            connection: in a transaction, in the schema of the book.
            qualify_tables: puts the names of the generation's tables into a statement.
            progress: how far it is evaluated.
            limit: the last position to evaluate, after that of the progress.

        Returns:
            How far it is evaluated now.

        Raises:
            FoldError: an event cannot be evaluated.
        """


@dataclass(frozen=True, slots=True)
class Projection:
    """A projection of a book.

    Attributes:
        name: as in the resource name books/{book}/projections/{projection}.
        package: its package, in which `tables.sql` defines its tables.
        folds: from the name of a fact's field in the event to the fold.
        tables: its tables of entries: those with the header of `template_entry`.
        version: incremented with every change of its folds or tables. In a book that has an older
            version, this one is built beside it and then takes its place.
        subtotals: sums of its entries by block, for queries; None if entries are few.
        evaluator: creates the evaluator of its events; None if it has entries only. Queries reflect
            the position that is evaluated.
        evaluated_tables: the tables that the evaluator writes.
    """

    name: str
    package: str
    folds: Mapping[str, Fold]
    tables: tuple[str, ...]
    version: int = 1
    subtotals: Subtotals | None = None
    evaluator: Callable[[], Evaluator] | None = None
    evaluated_tables: tuple[str, ...] = ()

    @property
    def all_tables(self) -> tuple[str, ...]:
        """Its tables of entries and those derived from them."""
        derived = (self.subtotals.table,) if self.subtotals else ()
        return (*self.tables, *self.evaluated_tables, *derived)

    @property
    def definition(self) -> str:
        """The SQL that creates its tables, by their plain names."""
        return (resources.files(self.package) / "tables.sql").read_text("utf-8")


@lru_cache(maxsize=1024)
def qualify_tables(query: bytes, tables: tuple[str, ...], generation: int) -> bytes:
    """Return a statement with the plain names of tables replaced by those of a generation."""
    names = re.compile(rb"\b(%s)\b" % b"|".join(name.encode() for name in tables))
    return names.sub(rb"\1_%d" % generation, query)
