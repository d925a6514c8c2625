"""Answers as CSV (RFC 4180), from the flat rows of `gigaledger.client.records`."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal

from gigaledger.client.records import Row, Value

TABLE_COLUMN = "table"
Tables = dict[str, list[Row]]
Columns = dict[str, list[str]]


class CsvRows:
    """Makes lines of rows of several tables, under one header of all their columns."""

    def __init__(self, columns: Columns) -> None:
        """Take the columns of each table."""
        self._names = [
            TABLE_COLUMN,
            *dict.fromkeys(name for names in columns.values() for name in names),
        ]

    def header(self) -> str:
        """Return the header as a line."""
        return _line(self._names)

    def lines(self, tables: Tables) -> Iterator[str]:
        """Yield a line for each row."""
        for table, rows in tables.items():
            for row in rows:
                cells = (row.get(name) for name in self._names[1:])
                yield _line([table, *map(cell_text, cells)])


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def cell_text(value: Value) -> str:
    """Return a value as the text of a cell; an empty one if it is not given."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case dt.datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dt.date():
            return value.isoformat()
    return str(value)
