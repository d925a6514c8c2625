"""The manifest of an export: its files, totals and hashes, so that changes and gaps show."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from gigaledger.audit.export.columns import fact_of
from gigaledger.common.quantities import instant_from_message, money_from_message
from gigaledger.v1.events_pb2 import RecordedEvent
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

NAME = "manifest.json"
_CHUNK_BYTES = 1 << 20


class ExportError(ValueError):
    """The export can't be made. The text says why."""


class Writer(Protocol):
    """Writes events in a format, one after another."""

    def add(self, recorded: RecordedEvent) -> None:
        """Take the next event."""

    def close(self) -> None:
        """Write the rest and close all files."""


def write_export(
    events: Iterable[RecordedEvent],
    folder: Path,
    make_writer: Callable[[Path], Writer],
    *,
    export_format: str,
    book: str,
    version: str,
) -> int:
    """Write events and their manifest into a folder. The same input gives the same bytes.

    Args:
        events: from position 1 on.
        folder: created if missing; must be empty.
        make_writer: creates the writer of the format for a folder.
        export_format: name of the format.
        book: resource name of the book.
        version: version of this software.

    Returns:
        The number of events.

    Raises:
        ExportError: the folder is not empty, or an event is of an unknown type.
        HistoryError: the events are not a history without gaps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ExportError(f"{folder} is not empty: an export is written into a folder of its own")
    totals = _Totals()
    writer = make_writer(folder)
    try:
        for recorded in events:
            totals.add(recorded)
            writer.add(recorded)
    finally:
        writer.close()
    manifest = {
        "format": export_format,
        "book": book,
        "software": f"gigaledger {version}",
        **totals.as_json(),
        "files": [_file(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()],
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / NAME).write_text(text, "utf-8", newline="\n")
    return totals.events


class _Totals:
    """Control totals of the written events."""

    def __init__(self) -> None:
        self.events = 0
        self._last: Timestamp | None = None
        self._facts: Counter[str] = Counter()
        self._amounts: Counter[tuple[str, str]] = Counter()

    def add(self, recorded: RecordedEvent) -> None:
        kind, fact = fact_of(recorded)
        self.events += 1
        self._last = recorded.recorded_time
        self._facts[kind] += 1
        amount = getattr(fact, "amount", None)
        if isinstance(amount, Money) and amount.currency_code:
            money = money_from_message(amount)
            self._amounts[kind, money.currency] += money.amount_minor

    def as_json(self) -> dict[str, Any]:
        known = instant_from_message(self._last).isoformat() if self._last else None
        return {
            "first_position": 1 if self.events else 0,
            "last_position": self.events,
            "as_of": None,
            "as_known": known,
            "control_totals": {
                "events": self.events,
                "events_by_fact": dict(sorted(self._facts.items())),
                "amount_minor_by_fact_and_currency": {
                    f"{kind} {currency}": str(amount)
                    for (kind, currency), amount in sorted(self._amounts.items())
                },
            },
        }


def _file(folder: Path, path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return {
        "name": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": digest.hexdigest(),
    }
