"""The recorded part of a book, between the tables of its log and the entries of the domain.

Entries are domain events of the eventsourcing library, rows of the log are its stored events, and
a mapper converts between them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, Notification, StoredEvent
from gigaledger.ledger.domain.book_view import NaturalKey
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.pending import Accepted
from gigaledger.ledger.log.tables import EventRow, LogTables
from gigaledger.v1.events_pb2 import Event
from uuid_utils.compat import uuid7


@dataclass(frozen=True)
class LoggedEvent(Notification):
    """A stored event with its position in the book and its row in the log."""

    row: EventRow


class EntryMapper(Mapper[str]):
    """Maps entries to stored events. Their state is the serialized `Event`, encoded only once."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Return the stored form of an entry.

        Raises:
            TypeError: not an entry.
        """
        if not isinstance(domain_event, Entry):
            raise TypeError(f"{type(domain_event).__name__} is not an entry")
        return StoredEvent(
            originator_id=domain_event.stream,
            originator_version=domain_event.version,
            topic=domain_event.kind,
            state=domain_event.event.SerializeToString(deterministic=True),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Entry:
        """Return the entry of a stored event.

        Raises:
            TypeError: the stored event was not read from the log, so its position is unknown.
        """
        if not isinstance(stored_event, LoggedEvent):
            raise TypeError("a stored event becomes an entry by its row in the log")
        row = stored_event.row
        event = Event.FromString(row.event)
        return Entry(row.stream, row.stream_version, row.position, row.recorded_at, event)


_MAPPER = EntryMapper()


def entry_of(row: EventRow) -> Entry:
    """Return the entry in a row of the log."""
    logged = LoggedEvent(
        row.stream, row.stream_version, row.fact_type, row.event, row.position, row
    )
    return _MAPPER.to_domain_event(logged)


def row_of(accepted: Accepted) -> EventRow:
    """Return the row of an accepted entry, with a new event id."""
    entry = accepted.entry
    return EventRow(
        position=entry.position,
        stream=entry.stream,
        stream_version=entry.version,
        event_id=uuid7(),
        recorded_at=entry.recorded_at,
        fact_type=entry.kind,
        effective_date=entry.effective_date,
        agreement=accepted.agreement,
        parties=accepted.parties,
        event=_MAPPER.to_stored_event(entry).state,
    )


class LogSource:
    """The recorded entries of a book, as decisions read them (`domain.pending.Source`).

    Reads in the transaction that holds the lock on the book's head, so that nothing is appended in
    between.
    """

    def __init__(self, tables: LogTables) -> None:
        """Read a book once a transaction begins."""
        self._tables = tables
        self._transaction: psycopg.Connection | None = None
        self._prefetched: dict[str, list[EventRow]] = {}
        self._key_positions: dict[NaturalKey, int | None] = {}

    def begin(self, connection: psycopg.Connection) -> None:
        """Read in the transaction of a connection from here on."""
        self._transaction = connection

    def end(self) -> None:
        """Drop the connection and everything that was read."""
        self._transaction = None
        self._prefetched = {}
        self._key_positions = {}

    @property
    def _connection(self) -> psycopg.Connection:
        if self._transaction is None:
            raise AssertionError("a book is read in a transaction")
        return self._transaction

    def prefetch_streams(self, streams: Collection[str]) -> None:
        """Read the entries of streams in one statement."""
        if streams:
            self._prefetched = self._tables.histories(self._connection, streams)

    def prefetch_keys(self, keys: Collection[NaturalKey]) -> None:
        """Look up natural keys in one statement."""
        if keys:
            found = self._tables.key_positions(self._connection, keys)
            self._key_positions.update({key: found.get(key) for key in keys})

    def entries(self, stream: str) -> Sequence[Entry]:
        """Return the entries of a stream and those linked to it, in order of position."""
        rows = self._prefetched.get(stream)
        if rows is None:
            rows = self._tables.histories(self._connection, [stream])[stream]
        return [entry_of(row) for row in rows]

    def entry(self, position: int) -> Entry | None:
        """Return the entry at a position; None if there is none."""
        row = self._tables.event(self._connection, position)
        return None if row is None else entry_of(row)

    def key_position(self, key: NaturalKey) -> int | None:
        """Return the position of the unreversed entry that uses a natural key, if any."""
        if key not in self._key_positions:
            self.prefetch_keys([key])
        return self._key_positions[key]

    def reversal_of(self, position: int) -> int | None:
        """Return the position that reverses an entry; None if it is not reversed."""
        return self._tables.reversal_of(self._connection, position)

    def dependant(self, entry: Entry) -> int | None:
        """Return the first unreversed entry of another stream that refers to what one opened."""
        return self._tables.dependant(
            self._connection,
            entry.stream,
            getattr(entry.fact, "agreement", ""),
            getattr(entry.fact, "party", ""),
        )
