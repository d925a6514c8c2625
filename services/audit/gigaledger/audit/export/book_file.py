"""A book in a file: JSON Lines with everything needed to verify it offline.

The first line is a header with the keys of the book. Each event follows as a line with its bytes as
the ledger sends them, in base64, and their content in readable form. The last line holds the
checkpoints.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gigaledger.audit.export.protojson import to_json
from gigaledger.common.transparency.notes import NoteError, decoded
from gigaledger.v1.audit_pb2 import SigningKey
from gigaledger.v1.events_pb2 import RecordedEvent
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

FORMAT = "gigaledger-history"
VERSION = 1


class ExportError(ValueError):
    """Not a line of an exported book. The text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file.

    Attributes:
        book: resource name of the book.
        size: number of events in the file.
        checkpoints: number of checkpoints in the file.
        keys: the keys that sign the book's checkpoints.
    """

    book: str
    size: int
    checkpoints: int
    keys: tuple[SigningKey, ...]


def header_line(header: Header) -> str:
    """Return the first line of a file."""
    keys = [MessageToDict(key) for key in header.keys]
    return _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "book": header.book,
            "size": header.size,
            "checkpoints": header.checkpoints,
            "keys": keys,
        }
    )


def event_line(leaf: bytes) -> str:
    """Return the line of an event, from the bytes in which the ledger sent it."""
    return _line({"leaf": base64.b64encode(leaf).decode(), "event": readable(leaf)})


def footer_line(notes: Sequence[str]) -> str:
    """Return the last line of a file, from checkpoints as they are signed."""
    return _line({"checkpoints": list(notes)})


def readable(leaf: bytes) -> dict[str, Any]:
    """Return the content of an event's bytes as ProtoJSON.

    Raises:
        ExportError: the bytes are not those of an event.
    """
    try:
        return dict(to_json(RecordedEvent.FromString(leaf)))
    except DecodeError:
        raise ExportError("the bytes are not those of an event") from None
    except ValueError as error:
        raise ExportError(f"the event says nothing that can be shown: {error}") from None


def read_header(line: str) -> Header:
    """Read the first line of a file.

    Raises:
        ExportError: not the first line of an exported book, or of a later version.
    """
    found = _object(line)
    if found.get("format") != FORMAT:
        raise ExportError(f"the first line does not say that this is a {FORMAT}")
    if found.get("version") != VERSION:
        raise ExportError(f"the file is of version {found.get('version')}, this reads {VERSION}")
    try:
        keys = tuple(
            SigningKey(
                verifier_key=key["verifierKey"],
                from_size=int(key["fromSize"]),
                succession=key.get("succession", ""),
            )
            for key in found["keys"]
        )
        header = Header(str(found["book"]), int(found["size"]), int(found["checkpoints"]), keys)
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"the first line lacks or misstates {error}") from None
    if header_line(header) != line:
        raise ExportError("the first line is not in the form in which an export writes it")
    return header


def read_event(line: str) -> bytes | None:
    """Return the bytes of the event in a line; None for another line.

    Raises:
        ExportError: not a line of an exported book.
    """
    found = _object(line)
    if "leaf" not in found:
        return None
    try:
        return decoded(str(found["leaf"]), "the event")
    except NoteError as error:
        raise ExportError(str(error)) from None


def read_footer(line: str) -> list[str]:
    """Return the checkpoints in the last line.

    Raises:
        ExportError: not the last line of an exported book.
    """
    notes = _object(line).get("checkpoints")
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ExportError("the last line does not hold checkpoints")
    if footer_line(notes).rstrip("\n") != line.rstrip("\n"):
        raise ExportError("the last line is not in the form in which an export writes it")
    return notes


def write(header: Header, leaves: Iterable[bytes], notes: Sequence[str]) -> Iterable[str]:
    """Yield the lines of a file."""
    yield header_line(header)
    for leaf in leaves:
        yield event_line(leaf)
    yield footer_line(notes)


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ExportError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ExportError("not a JSON object")
    return found
