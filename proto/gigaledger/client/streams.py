"""Streams of answers that go on after a break: where each stands, without I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import (
    EventFilter,
    ReadEventsRequest,
    ReadEventsResponse,
    SubscribeEventsRequest,
    SubscribeEventsResponse,
)
from google.protobuf.message import Message

T = TypeVar("T")
LEDGER = "/gigaledger.v1.LedgerService"


@dataclass(frozen=True)
class Update:
    """A step of a subscription.

    Store `resume_token` in the transaction that stores what was made of the events, and each event
    counts exactly once.

    Attributes:
        events: the next events in order of position; empty if the step only reports progress.
        position: the log has been looked at up to here, including events that the filter left out.
        resume_token: resumes a subscription after `position`.
        caught_up: `position` was the head of the book.
        resumed: the stream had broken, and this is the first step of its continuation. No event is
            missing or repeated.
    """

    events: Sequence[RecordedEvent]
    position: int
    resume_token: str
    caught_up: bool
    resumed: bool


class StreamCall(ABC, Generic[T]):
    """A call that is answered by a stream.

    Attributes:
        method: path of the method.
        response: type of its answers.
        resumable: whether a broken stream can go on after answers have been received.
    """

    method: str
    response: type[Message]
    resumable = True

    @abstractmethod
    def request(self) -> Message:
        """Return the request that starts the stream, or continues it after a break."""

    @abstractmethod
    def items(self, response: Any) -> Iterable[T]:
        """Take note of an answer, and return what the caller gets of it."""


class Reading(StreamCall[RecordedEvent]):
    """Events from one position to another."""

    method = f"{LEDGER}/ReadEvents"
    response = ReadEventsResponse

    def __init__(self, request: ReadEventsRequest) -> None:
        self._request = request

    def request(self) -> ReadEventsRequest:
        """Return the request for the events that have not been received."""
        return self._request

    def items(self, response: ReadEventsResponse) -> Iterable[RecordedEvent]:
        """Return the events of an answer."""
        self._request.from_position = response.through_position + 1
        return response.events


class Following(StreamCall[Update]):
    """Events as they are appended."""

    method = f"{LEDGER}/SubscribeEvents"
    response = SubscribeEventsResponse

    def __init__(
        self, book: str, after: int, resume_token: str, event_filter: EventFilter | None
    ) -> None:
        self._request = SubscribeEventsRequest(book=book, filter=event_filter)
        self._started = False
        self._continued = False
        self._go_on_after(after, resume_token)

    def request(self) -> SubscribeEventsRequest:
        """Return the request that starts after the last answer."""
        self._continued = self._started
        return self._request

    def items(self, response: SubscribeEventsResponse) -> Iterable[Update]:
        """Return an answer as an update."""
        resumed, self._continued, self._started = self._continued, False, True
        self._go_on_after(response.through_position, response.resume_token)
        yield Update(
            events=response.events,
            position=response.through_position,
            resume_token=response.resume_token,
            caught_up=response.caught_up,
            resumed=resumed,
        )

    def _go_on_after(self, position: int, token: str) -> None:
        if token:
            self._request.resume_token = token
        else:
            self._request.after_position = position


class Answers(StreamCall[T]):
    """Answers from one state of the book. A stream that breaks after the first of them fails."""

    resumable = False

    def __init__(
        self,
        method: str,
        request: Message,
        response: type[Message],
        item: Callable[[Any], T],
    ) -> None:
        self.method = method
        self.response = response
        self._request = request
        self._item = item

    def request(self) -> Message:
        """Return the request."""
        return self._request

    def items(self, response: Any) -> Iterable[T]:
        """Return the answer."""
        yield self._item(response)
