"""Streams as aggregates of the eventsourcing library: mapper, event store and repository.

The aggregate of a stream is its history: the entries that its rules are folded from, with those of
other streams that are linked to it. What the rules make of a history is decided in `domain`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import psycopg
from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    AggregateRecorder,
    EventStore,
    JSONTranscoder,
    Mapper,
    Notification,
    StoredEvent,
)
from gigaledger.ledger.domain.book_view import NaturalKey
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.pending import Accepted
from gigaledger.ledger.log.tables import EventRow, LogTables
from gigaledger.v1.events_pb2 import Event
from uuid_utils.compat import uuid7


@dataclass(frozen=True)
class LoggedEvent(Notification):
    """A stored event with its place in the book and its row in the log."""

    row: EventRow


@dataclass(frozen=True, slots=True)
class History:
    """A stream as an immutable aggregate.

    Attributes:
        id: name of the stream.
        version: version of its last entry.
        entries: its entries and those linked to it, in order of position.
    """

    id: str
    version: int
    entries: Sequence[Entry]


class EntryMapper(Mapper[str]):
    """Maps entries to stored events, whose state is the serialized `Event`: never encoded twice."""

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
        """Return the entry that a row of the log holds.

        Raises:
            TypeError: not from the log, so that its place in the book is unknown.
        """
        if not isinstance(stored_event, LoggedEvent):
            raise TypeError("a stored event becomes an entry by its row in the log")
        row = stored_event.row
        event = Event.FromString(row.event)
        return Entry(row.stream, row.stream_version, row.position, row.recorded_at, event)


MAPPER = EntryMapper()


class HistoryStore(EventStore[str]):
    """Reads the histories of streams in the transaction of a connection."""

    def __init__(
        self, recorder: AggregateRecorder, tables: LogTables, connection: psycopg.Connection
    ) -> None:
        super().__init__(MAPPER, recorder)
        self._tables = tables
        self._connection = connection
        self._ahead: dict[str, list[EventRow]] = {}

    def read_ahead(self, streams: Collection[str]) -> None:
        """Read the histories of several streams at once, and forget those read ahead before."""
        self._ahead = self._tables.histories(self._connection, streams) if streams else {}

    def get(
        self,
        originator_id: str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Iterator[DomainEventProtocol[str]]:
        """Yield the entries of a stream and those linked to it, in order of position.

        Raises:
            ValueError: asked for a part: versions do not order what is linked.
        """
        if (gt, lte, desc, limit) != (None, None, False, None):
            raise ValueError("a history is read whole")
        rows = self._ahead.get(originator_id)
        if rows is None:
            rows = self._tables.histories(self._connection, [originator_id])[originator_id]
        for row in rows:
            yield self.mapper.to_domain_event(logged(row))


def logged(row: EventRow) -> LoggedEvent:
    """Return a row of the log as a stored event of the library."""
    return LoggedEvent(row.stream, row.stream_version, row.fact_type, row.event, row.position, row)


class LogSource:
    """What is recorded in a book, as decisions ask for it (`domain.pending.Source`).

    Reads in the transaction that holds the book's head, so that nothing changes in between.
    """

    def __init__(
        self, recorder: AggregateRecorder, tables: LogTables, connection: psycopg.Connection
    ) -> None:
        self._tables = tables
        self._connection = connection
        self._store = HistoryStore(recorder, tables, connection)
        self._repository: Repository[str] = Repository(self._store)
        self._key_positions: dict[NaturalKey, int | None] = {}

    def read_ahead(self, streams: Collection[str]) -> None:
        """Begin a transaction: read at once what its decisions will ask for of streams."""
        self._key_positions.clear()
        self._store.read_ahead(streams)

    def read_keys_ahead(self, keys: Collection[NaturalKey]) -> None:
        """Look up at once the natural keys that decisions will ask for."""
        if keys:
            found = self._tables.key_positions(self._connection, keys)
            self._key_positions.update({key: found.get(key) for key in keys})

    def entries(self, stream: str) -> Sequence[Entry]:
        """Return the entries of a stream and those linked to it, in order of position."""

        def history_of(
            _nothing: History | None, entries: Iterable[DomainEventProtocol[str]]
        ) -> History | None:
            ours = [entry for entry in entries if isinstance(entry, Entry)]
            return History(stream, ours[-1].version, ours) if ours else None

        try:
            history: History = self._repository.get(stream, projector_func=history_of)
        except AggregateNotFoundError:
            return ()
        return history.entries

    def entry(self, position: int) -> Entry | None:
        """Return the entry at a position; None where there is none."""
        row = self._tables.event(self._connection, position)
        return None if row is None else MAPPER.to_domain_event(logged(row))

    def key_position(self, key: NaturalKey) -> int | None:
        """Return where a natural key is used by an entry that stands; None where it is free."""
        if key not in self._key_positions:
            self.read_keys_ahead([key])
        return self._key_positions[key]

    def reversal_of(self, position: int) -> int | None:
        """Return the position that reverses an entry; None where it stands."""
        return self._tables.reversal_of(self._connection, position)

    def dependant(self, entry: Entry) -> int | None:
        """Return the first entry that stands, in another stream, and refers to what one opened."""
        return self._tables.dependant(
            self._connection,
            entry.stream,
            getattr(entry.fact, "agreement", ""),
            getattr(entry.fact, "party", ""),
        )


def row_of(accepted: Accepted) -> EventRow:
    """Return the row in which an accepted entry is recorded, under a new event id."""
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
        event=MAPPER.to_stored_event(entry).state,
    )
