"""Parquet: the tables of the CSV export, with exact types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from gigaledger.audit.export.columns import EVENTS, Column, Kind, columns_of, fact_of
from gigaledger.common.quantities import MAX_DECIMAL_DIGITS, MAX_DECIMAL_PLACES
from gigaledger.v1.events_pb2 import RecordedEvent
from pyarrow import parquet

ROW_GROUP = 50_000
"""Rows of a table that are kept in memory before they are written."""

_TYPES = {
    Kind.INTEGER: pa.int64(),
    Kind.TEXT: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DECIMAL: pa.decimal128(MAX_DECIMAL_DIGITS, MAX_DECIMAL_PLACES),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}


class _Table:
    """One file, written by row groups."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        path.parent.mkdir(exist_ok=True)
        self._columns = columns
        self._schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns])
        self._rows: list[list[Any]] = []
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def add(self, recorded: RecordedEvent) -> None:
        self._rows.append([column.read(recorded) for column in self._columns])
        if len(self._rows) == ROW_GROUP:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


class ParquetWriter:
    """Writes `events.parquet`, and `facts/<type>.parquet` for each type."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[str, _Table] = {}

    def add(self, recorded: RecordedEvent) -> None:
        """Write an event into both of its tables."""
        kind, _ = fact_of(recorded)
        self._table("events", EVENTS).add(recorded)
        self._table(f"facts/{kind}", columns_of(kind)).add(recorded)

    def close(self) -> None:
        """End all files."""
        for table in self._tables.values():
            table.close()

    def _table(self, name: str, columns: tuple[Column, ...]) -> _Table:
        if name not in self._tables:
            self._tables[name] = _Table(self._folder / f"{name}.parquet", columns)
        return self._tables[name]
