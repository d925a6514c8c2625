"""Follow a book with the `eventsourcing` library: its projections and runners, exactly once.

The extra `eventsourcing` installs the library. A runner makes the application itself, so a subclass
of `BookApplication` names the book:

    class Main(BookApplication):
        book = "main"

    with ProjectionRunner(application_class=Main, projection_class=Funded, view_class=FundedView):
        ...

Notification ids are positions of the log, without gaps, so the tracking of the library counts each
event once, however often a runner is stopped. Topics are names of facts, such as "goods_received".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, NoReturn
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    Notification,
    NotSupportedError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.utils import Environment
from gigaledger.client import Book, Client, Stream, Update, connect, event_filter
from gigaledger.client.values import date_of, datetime_of
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from google.protobuf.message import Message

_READ_ONLY = "a book is read only here: facts are appended with Book.append"


@dataclass(frozen=True)
class RecordedFact:
    """A domain event of a book.

    Attributes:
        originator_id: the stream, such as "agreements/AGR-1".
        originator_version: place in the stream, from 1.
        position: place in the book, from 1.
        recorded_time: when the ledger recorded it.
        effective_date: since when the fact holds.
        fact: the message of the fact, such as `CapitalContributionFunded`.
        event: the event that the fact is part of.
    """

    originator_id: str
    originator_version: int
    position: int
    recorded_time: dt.datetime
    effective_date: dt.date
    fact: Message
    event: Event


class BookMapper(Mapper[str]):
    """Makes domain events of what a book stored. Nothing is mapped the other way."""

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[str]:
        """Return the fact of a notification."""
        recorded = RecordedEvent.FromString(stored_event.state)
        return RecordedFact(
            originator_id=recorded.stream,
            originator_version=recorded.stream_version,
            position=recorded.position,
            recorded_time=datetime_of(recorded.recorded_time),
            effective_date=date_of(recorded.event.effective_date),
            fact=getattr(recorded.event, stored_event.topic),
            event=recorded.event,
        )

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> NoReturn:
        """Refuse to map for writing.

        Raises:
            NotSupportedError: always.
        """
        raise NotSupportedError(_READ_ONLY)


class BookRecorder(ApplicationRecorder):
    """The events of a book as the notifications of an application. Read only."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self.book = book

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Refuse to write.

        Raises:
            NotSupportedError: always.
        """
        raise NotSupportedError(_READ_ONLY)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return events of a stream in the order of its versions, or in reverse."""
        with closing(self.book.read(matching=event_filter(stream=str(originator_id)))) as events:
            found: list[StoredEvent] = [
                _notification(recorded)
                for recorded in events
                if recorded.stream_version > (gt or 0)
                and (lte is None or recorded.stream_version <= lte)
            ]
        return (found[::-1] if desc else found)[:limit]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events of the book in order of position, at most `limit`."""
        first = max(start or 1, 1) if inclusive_of_start else (start or 0) + 1
        if stop is not None and stop < first:
            return []
        matching = event_filter(fact_types=topics)
        with closing(self.book.read(first, stop or 0, matching=matching)) as events:
            return [_notification(recorded) for recorded in islice(events, limit)]

    def max_notification_id(self) -> int | None:
        """Return the position of the last event."""
        return self.book.info().head_position

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Return an iterator over events in order of position that waits for more at the end."""
        return BookSubscription(self, gt=gt, topics=topics)


class BookSubscription(Subscription[BookRecorder]):
    """Follows a book. A stream that breaks is resumed; `stop` ends it, from any thread."""

    def __init__(self, recorder: BookRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._updates: Stream[Update] = recorder.book.subscribe(
            gt or 0, matching=event_filter(fact_types=topics)
        )
        self._received: list[Notification] = []

    def stop(self) -> None:
        """End the subscription."""
        super().stop()
        self._updates.close()

    def __next__(self) -> Notification:
        """Return the next event, waiting for it if need be.

        Raises:
            StopIteration: the subscription was stopped.
            GigaledgerError: the ledger refuses, or stays away for too long.
        """
        while not self._received and not self._has_been_stopped:
            update = next(self._updates)
            self._received = [_notification(recorded) for recorded in reversed(update.events)]
        if self._has_been_stopped:
            raise StopIteration
        notification = self._received.pop()
        self._last_notification_id = notification.id
        return notification


class BookFactory(InfrastructureFactory[TrackingRecorder]):
    """What an application that is a book is made of."""

    def __init__(self, env: Environment, client: Client, book: str) -> None:
        super().__init__(env)
        self._client = client
        self._book = client.book(book)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def application_recorder(self) -> ApplicationRecorder:
        """Return the recorder of the book."""
        return BookRecorder(self._book)

    def mapper(
        self,
        transcoder: Transcoder | None = None,
        mapper_class: type[Mapper[Any]] | None = None,
    ) -> Mapper[Any]:
        """Return the mapper of facts."""
        return (mapper_class or BookMapper)(transcoder or self.transcoder())

    def is_snapshotting_enabled(self) -> bool:
        """Return false: a book has no snapshots."""
        return False

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Refuse: a book is the recorder of all its streams.

        Raises:
            NotSupportedError: always.
        """
        raise NotSupportedError(_READ_ONLY)

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> TrackingRecorder:
        """Refuse: what was processed is tracked in the database of the view.

        Raises:
            NotSupportedError: always.
        """
        raise NotSupportedError(_READ_ONLY)

    def process_recorder(self) -> ProcessRecorder:
        """Refuse: a book takes no events of the library.

        Raises:
            NotSupportedError: always.
        """
        raise NotSupportedError(_READ_ONLY)


class BookApplication(Application[str]):
    """A book as an application of the library, for projections and runners. Read only.

    The name of the subclass is the name that tracking goes by: keep it, and use one subclass for
    each book.

    Attributes:
        book: id of the book; the variable GIGALEDGER_BOOK of the environment takes its place.
    """

    book: ClassVar[str] = "main"

    def construct_factory(self, env: Environment) -> BookFactory:
        """Return what the application is made of, connected to the ledger of the environment."""
        client = connect(env.get("GIGALEDGER_LEDGER_ADDRESS"))
        return BookFactory(env, client, env.get("GIGALEDGER_BOOK") or self.book)


def _notification(recorded: RecordedEvent) -> Notification:
    return Notification(
        originator_id=recorded.stream,
        originator_version=recorded.stream_version,
        topic=str(recorded.event.WhichOneof("fact")),
        state=recorded.SerializeToString(),
        id=recorded.position,
    )
