"""The forms in which a report is given: text for people, JSON, CSV, a workbook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import console, notice, print_json, print_text
from gigaledger.cli.report.csv_rows import Columns, CsvRows, Tables
from gigaledger.cli.report.reports import print_report
from gigaledger.client.records import record_columns, records
from rich.console import RenderableType


@dataclass(frozen=True)
class Output:
    """The forms that the command line asks for."""

    as_json: bool = False
    as_csv: bool = False
    xlsx: Path | None = None

    def __post_init__(self) -> None:
        """Check that they go together.

        Raises:
            CommandError: they do not.
        """
        if self.as_json and self.as_csv:
            raise CommandError("give --json or --csv, not both", ExitCode.USAGE)
        if self.xlsx is not None and self.xlsx.suffix.lower() != ".xlsx":
            raise CommandError(f"--xlsx: {self.xlsx} does not end in .xlsx", ExitCode.USAGE)

    @property
    def for_people(self) -> bool:
        """Whether to print text for people: if nothing else is asked for."""
        return not (self.as_json or self.as_csv or self.xlsx)

    def give(self, answer: Any, parts: Callable[[Any], Iterable[RenderableType]]) -> None:
        """Give an answer.

        Args:
            answer: the answer.
            parts: returns the text for people.

        Raises:
            CommandError: a file can't be written.
        """
        if self.as_json:
            print_json(answer)
        if self.for_people:
            print_report(console(), answer.context, *parts(answer))
        with self.rows(record_columns(answer)) as add:
            add(records(answer))

    @contextmanager
    def rows(self, columns: Columns) -> Iterator[Callable[[Tables], None]]:
        """Yield a function that prints rows as CSV and keeps them for a workbook, if asked for.

        Args:
            columns: of each table.

        Raises:
            CommandError: the workbook can't be written.
        """
        lines = CsvRows(columns)
        kept: Tables = {name: [] for name in columns}
        waiting = [lines.header()] if self.as_csv else []

        def add(tables: Tables) -> None:
            if self.as_csv:
                for line in (*waiting, *lines.lines(tables)):
                    print_text(line)
                waiting.clear()
            if self.xlsx is not None:
                for name, rows in tables.items():
                    kept[name] += rows

        yield add
        add({})
        if self.xlsx is not None:
            # Slow to import, and rarely asked for.
            from gigaledger.cli.report.workbooks import write_workbook  # noqa: PLC0415

            write_workbook(self.xlsx, kept, columns)
            notice(f"{self.xlsx} is written.")
