"""The state of a stream of appends: requests in order, until each is answered. Without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gigaledger.client.calls import Appended, appended
from gigaledger.client.errors import GigaledgerError, error_of_status
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventStreamRequest,
    AppendEventStreamResponse,
)

METHOD = "/gigaledger.v1.LedgerService/AppendEventStream"
WINDOW = 512
"""The most requests that wait for an answer: twice what the ledger decides on together."""


@dataclass(frozen=True)
class Outcome:
    """The answer to one request of `append_stream`.

    Attributes:
        request: the request.
        appended: what was recorded; None if the request was refused.
        error: why it was refused; None if it was recorded.
    """

    request: AppendEventsRequest
    appended: Appended | None
    error: GigaledgerError | None

    def result(self) -> Appended:
        """Return what was recorded.

        Raises:
            GigaledgerError: the request was refused.
        """
        if self.appended is None:
            raise self.error or GigaledgerError("the request was not answered")
        return self.appended


class Pipeline:
    """Requests that were read and wait for their answers, in order.

    A stream that breaks is opened again and gets what is still waiting: the request ids keep
    anything from being recorded twice.
    """

    def __init__(self, book: str, *, in_sequence: bool) -> None:
        self._book = book
        self._in_sequence = in_sequence
        self._waiting: deque[AppendEventsRequest] = deque()
        self._answered = 0
        self._all_read = False
        self._stopped = False

    @property
    def is_full(self) -> bool:
        """Whether no more requests are to be read for now."""
        return len(self._waiting) >= WINDOW

    @property
    def is_done(self) -> bool:
        """Whether every request is answered, or the rest is not to be sent."""
        return self._stopped or (self._all_read and not self._waiting)

    @property
    def all_read(self) -> bool:
        """Whether there are no more requests to come."""
        return self._all_read

    @property
    def answered(self) -> int:
        """Number of requests that were answered: that of the next to send when a stream opens."""
        return self._answered

    def add(self, request: AppendEventsRequest) -> None:
        """Take a request that was read."""
        request.book = request.book or self._book
        self._waiting.append(request)

    def end(self) -> None:
        """Note that no more requests will come."""
        self._all_read = True

    def has(self, number: int) -> bool:
        """Return whether the request of a number was read and waits for its answer."""
        return 0 <= number - self._answered < len(self._waiting)

    def numbered(self, number: int) -> AppendEventStreamRequest:
        """Return what to send as the request of a number, which must be waiting."""
        request = self._waiting[number - self._answered]
        return AppendEventStreamRequest(append=request, in_sequence=self._in_sequence)

    def take(self, answer: AppendEventStreamResponse) -> Outcome:
        """Return the outcome of the request that is answered next.

        Raises:
            GigaledgerError: the outcome is unknown or will pass: the request has to be sent again.
        """
        error = None
        if answer.WhichOneof("outcome") == "error":
            error = error_of_status(answer.error)
            error.request_id = self._waiting[0].request_id
            if error.is_transient:
                raise error
        request = self._waiting.popleft()
        self._answered += 1
        if error is None:
            return Outcome(request, appended(request.request_id, answer.appended), None)
        # Once the stream is opened again, the ledger no longer knows that one was refused.
        self._stopped = self._in_sequence
        return Outcome(request, None, error)
