"""CSV (RFC 4180): a table of all events, and one for each type of fact that occurs."""

from __future__ import annotations

import csv
import datetime as dt
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from gigaledger.audit.export.columns import EVENTS, Cell, Column, columns_of, fact_of
from gigaledger.v1.events_pb2 import RecordedEvent


class CsvWriter:
    """Writes `events.csv`, and `facts/<type>.csv` for each type."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = ExitStack()
        self._tables: dict[str, Any] = {}

    def add(self, recorded: RecordedEvent) -> None:
        """Write an event into both of its tables."""
        kind, _ = fact_of(recorded)
        self._write("events", EVENTS, recorded)
        self._write(f"facts/{kind}", columns_of(kind), recorded)

    def close(self) -> None:
        """End all files."""
        self._files.close()

    def _write(self, name: str, columns: tuple[Column, ...], recorded: RecordedEvent) -> None:
        if name not in self._tables:
            path = self._folder / f"{name}.csv"
            path.parent.mkdir(exist_ok=True)
            file = self._files.enter_context(path.open("w", encoding="utf-8", newline=""))
            self._tables[name] = csv.writer(file)
            self._tables[name].writerow([column.name for column in columns])
        self._tables[name].writerow([text_of(column.read(recorded)) for column in columns])


def text_of(cell: Cell) -> str:
    """Return a value as written to a CSV file; empty for None."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case Decimal():
            return f"{cell:f}"
        case dt.datetime():
            return f"{cell:%Y-%m-%dT%H:%M:%S.%fZ}"
        case dt.date():
            return cell.isoformat()
    return str(cell)
