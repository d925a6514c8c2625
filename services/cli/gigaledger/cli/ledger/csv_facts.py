"""Requests from CSV: a column `fact` says what each row is, the other columns are its fields."""

from __future__ import annotations

import csv
import datetime as dt
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from gigaledger.cli.ledger.csv_columns import (
    ENVELOPE,
    EVIDENCE_COLUMNS,
    LINES,
    REQUEST_COLUMNS,
    fact_types,
    fields_of,
    is_required,
    line_fields_of,
    needs_lines,
    set_field,
)
from gigaledger.cli.ledger.requests import FileRequest, InputError, derived_request_id, text_of
from gigaledger.common.quantities import instant_to_message
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_DOCUMENT = ("fact", "purchase_order", "invoice", "credit_note", "supplier")
"""Columns that say which document the line of a row belongs to."""
_LINE = "line"
_SHA256_BYTES = 32


@dataclass(frozen=True)
class _Row:
    """A row: its values by column, and the text that it was made of."""

    file: str
    line: int
    raw: bytes
    values: Mapping[str, str]
    read_bytes: int

    def error(self, column: str, message: str) -> InputError:
        return InputError(f"{self.file}:{self.line}", f"column {column}: {message}")


def read_csv(file: BinaryIO, name: str) -> Iterator[FileRequest | InputError]:
    """Read requests, one a row; the lines of a document, one after another, are one request.

    Args:
        file: CSV in UTF-8 with a header row, separated by commas (RFC 4180).
        name: of the file, for errors and derived ids.

    Returns:
        For each request itself, or the error if its rows can't be read. An error of the header, or
        of the quotes and bytes of a row, is the last item.
    """
    document: list[_Row] = []
    for row in _rows(file, name):
        if document and (isinstance(row, InputError) or not _same_document(document[0], row)):
            yield _request_or_error(document)
            document = []
        if isinstance(row, InputError):
            yield row
        elif _has_lines(row):
            document.append(row)
        else:
            yield _request_or_error([row])
    if document:
        yield _request_or_error(document)


def _has_lines(row: _Row) -> bool:
    fact = row.values.get("fact", "")
    return _LINE in row.values and fact in fact_types() and _LINE in line_fields_of(fact)


def _request_or_error(rows: Sequence[_Row]) -> FileRequest | InputError:
    try:
        return _request(rows)
    except InputError as error:
        return error


def _rows(file: BinaryIO, name: str) -> Iterator[_Row | InputError]:
    """Yield the rows that are not empty, and the errors of those that can't be read."""
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        for number, raw in enumerate(file, start=1):
            taken.append(raw)
            yield text_of(raw, name, number)

    reader = csv.reader(lines(), strict=True)
    header: list[str] | None = None
    first_line, read_bytes = 1, 0
    try:
        for cells in reader:
            raw = b"".join(taken)
            taken.clear()
            read_bytes += len(raw)
            place = f"{name}:{first_line}"
            if header is None:
                header = _header(cells, place)
            elif len(cells) != len(header) and any(cell.strip() for cell in cells):
                message = f"{len(cells)} cells, but the header has {len(header)} columns"
                yield InputError(place, message)
            elif any(cell.strip() for cell in cells):
                yield _Row(name, first_line, raw, _values(header, cells), read_bytes)
            first_line = reader.line_num + 1
        if header is None:
            yield InputError(f"{name}:1", "the file is empty: a header row is needed")
    except csv.Error as error:
        yield InputError(f"{name}:{reader.line_num}", f"not CSV: {error}")
    except InputError as error:
        yield error


def _header(cells: Sequence[str], place: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    if "fact" not in header:
        raise InputError(
            place,
            "the header has no column fact, which says what each row is, e.g. "
            "capacity_milestone_claimed. `gigaledger columns` lists the facts.",
        )
    known = {*REQUEST_COLUMNS, *EVIDENCE_COLUMNS, *ENVELOPE}
    for fact in fact_types():
        known |= fields_of(fact).keys() | line_fields_of(fact).keys()
    for name in header:
        if name not in known:
            raise InputError(
                place,
                f"no fact has a column {name!r}.{_meant(name, known)} `gigaledger columns FACT` "
                "lists the columns of a fact.",
            )
        if header.count(name) > 1:
            raise InputError(place, f"the column {name} is there twice")
    return header


def _values(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    stripped = ((name, cell.strip()) for name, cell in zip(header, cells, strict=True))
    return {name: cell for name, cell in stripped if cell}


def _same_document(one: _Row, other: _Row) -> bool:
    same = all(one.values.get(name) == other.values.get(name) for name in _DOCUMENT)
    return same and _has_lines(other)


def _request(rows: Sequence[_Row]) -> FileRequest:
    """Return the request of a row, or of the lines of a document."""
    first = rows[0]
    request = AppendEventsRequest(
        request_id=first.values.get("request_id")
        or derived_request_id(first.file, first.line, b"".join(row.raw for row in rows))
    )
    new = request.events.add()
    if "recorded_time" in first.values:
        new.recorded_time.CopyFrom(instant_to_message(_recorded_time(first)))
    fact = _fill_event(new.event, first)
    line_fields = line_fields_of(fact)
    if needs_lines(fact) or any(line_fields.keys() & row.values.keys() for row in rows):
        for row in rows:
            _check_same(first, row, line_fields)
            _fill(getattr(getattr(new.event, fact), LINES).add(), line_fields, row)
    return FileRequest(request, first.file, first.line, rows[-1].read_bytes)


def _fill_event(event: Event, row: _Row) -> str:
    """Fill the envelope and the fact of a row; return the fact's name."""
    fact = row.values.get("fact")
    if fact is None:
        raise row.error("fact", "required: it says what the row is")
    if fact not in fact_types():
        meant = _meant(fact, fact_types()) or " `gigaledger columns` lists the facts."
        raise row.error("fact", f"CSV has no fact {fact!r}.{meant}")
    own = fields_of(fact)
    allowed = {*REQUEST_COLUMNS, *EVIDENCE_COLUMNS, *ENVELOPE, *own, *line_fields_of(fact)}
    for column in row.values:
        if column not in allowed:
            raise row.error(column, f"{fact} has no such field: leave the cell empty")
    _fill(event, ENVELOPE, row)
    message: Message = getattr(event, fact)
    message.SetInParent()
    _fill(message, own, row)
    _fill_evidence(event, row)
    return fact


def _fill(message: Message, fields: Mapping[str, FieldDescriptor], row: _Row) -> None:
    for name, field in fields.items():
        text = row.values.get(name)
        if text is not None:
            try:
                set_field(message, field, text, row.values.get("currency"))
            except ValueError as error:
                raise row.error(name, str(error)) from None
        elif is_required(field):
            raise row.error(name, "required")


def _fill_evidence(event: Event, row: _Row) -> None:
    if not row.values.keys() & EVIDENCE_COLUMNS.keys():
        return
    if "evidence_uri" not in row.values:
        raise row.error("evidence_uri", "required if the row has evidence")
    try:
        sha256 = bytes.fromhex(row.values.get("evidence_sha256", ""))
    except ValueError:
        raise row.error("evidence_sha256", "not hex digits") from None
    if len(sha256) not in {0, _SHA256_BYTES}:
        raise row.error("evidence_sha256", f"{len(sha256)} bytes, not {_SHA256_BYTES}")
    event.evidence.add(
        uri=row.values["evidence_uri"],
        sha256=sha256,
        document_type=row.values.get("evidence_document_type", ""),
    )


def _check_same(first: _Row, row: _Row, line_fields: Mapping[str, FieldDescriptor]) -> None:
    """Check that two lines of a document say the same of the document."""
    columns = first.values.keys() | row.values.keys()
    for column in sorted(columns - line_fields.keys() - {"request_id"}):
        one, other = first.values.get(column, ""), row.values.get(column, "")
        if one != other:
            raise row.error(column, f"{other!r} differs from the document's first line: {one!r}")


def _recorded_time(row: _Row) -> dt.datetime:
    text = row.values["recorded_time"]
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise row.error(
            "recorded_time", f"{text!r} is not an instant such as 2026-01-15T12:00:00Z"
        ) from None
    if instant.tzinfo is None:
        raise row.error("recorded_time", f"{text!r} names no time zone: end it with Z for UTC")
    return instant


def _meant(name: str, known: Sequence[str] | set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
