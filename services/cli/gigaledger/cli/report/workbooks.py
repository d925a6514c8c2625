"""Answers as workbooks of spreadsheets, from the flat rows of `gigaledger.client.records`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.report.csv_rows import Columns, Tables, cell_text
from gigaledger.client.records import Row, Value
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

_MAX_DIGITS = 15
"""Significant digits of a number in a workbook. Longer ones are written as text."""
_MAX_SHEET_NAME = 31
_MAX_COLUMN_WIDTH = 40
_CREATED = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - workbooks know no time zones
"""Constant, so that the same answer makes the same bytes."""


def write_workbook(path: Path, tables: Tables, columns: Columns) -> None:
    """Write a workbook with a sheet for each table that has rows.

    Texts are written as texts, never as formulas.

    Raises:
        CommandError: it can't be written, or an answer is too large for a workbook.
    """
    filled = {name: rows for name, rows in tables.items() if rows} or {"empty": []}
    workbook = Workbook(path)
    workbook.set_properties({"created": _CREATED, "title": "gigaledger"})
    sheets = _Sheets(workbook)
    for name, rows in filled.items():
        sheets.add(name, columns.get(name, []), rows)
    try:
        workbook.close()
    except (FileCreateError, OSError) as error:
        raise CommandError(f"can't write to {path}: {error}", ExitCode.USAGE) from None


class _Sheets:
    """Adds sheets to a workbook, with formats shared between them."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._formats: dict[str, Any] = {}
        self._heading = workbook.add_format({"bold": True})

    def add(self, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Add a table as a sheet: a heading that stays in sight, then its rows."""
        sheet = self._workbook.add_worksheet(sheet_name(name))
        widths = [len(column) + 1 for column in columns]
        for index, column in enumerate(columns):
            sheet.write_string(0, index, column, self._heading)
        last = 0
        for last, row in enumerate(rows, 1):
            for index, column in enumerate(columns):
                value = row[column]
                if value is not None and self._write(sheet, last, index, value):
                    raise CommandError(
                        f"{name}: a workbook can't hold as many rows, or as long a text",
                        ExitCode.USAGE,
                        "Use --csv.",
                    )
                widths[index] = max(widths[index], len(cell_text(value)) + 3)
        for index, width in enumerate(widths):
            sheet.set_column(index, index, min(width, _MAX_COLUMN_WIDTH))
        sheet.freeze_panes(1, 0)
        if columns:
            sheet.autofilter(0, 0, last, len(columns) - 1)

    def _write(self, sheet: Worksheet, row: int, column: int, value: Value) -> int:
        """Write a cell and return 0, or another number if it does not fit."""
        match value:
            case bool():
                return int(sheet.write_boolean(row, column, value))
            case dt.datetime():
                naive = value.astimezone(dt.UTC).replace(tzinfo=None)
                shown = self._format("yyyy-mm-dd hh:mm:ss")
                return int(sheet.write_datetime(row, column, naive, shown))
            case dt.date():
                return int(sheet.write_datetime(row, column, value, self._format("yyyy-mm-dd")))
            case int() | Decimal():
                number = Decimal(value)
                if len(number.as_tuple().digits) > _MAX_DIGITS:
                    return int(sheet.write_string(row, column, f"{number:f}"))
                return int(sheet.write_number(row, column, number, self._format(_number(number))))
        return int(sheet.write_string(row, column, str(value)))

    def _format(self, code: str) -> Any:
        if code not in self._formats:
            self._formats[code] = self._workbook.add_format({"num_format": code})
        return self._formats[code]


def sheet_name(table: str) -> str:
    """Return the name of a table, without as many of its first parts as a workbook can't hold."""
    while len(table) > _MAX_SHEET_NAME:
        table = table.partition(".")[2]
    return table


def _number(number: Decimal) -> str:
    """Return the format that shows all digits of a number."""
    places = max(0, -int(number.as_tuple().exponent))
    return "#,##0" + (f".{'0' * places}" if places else "")
