"""The requests of a file through one stream, which is opened again where it breaks.

Requests are sent without waiting for answers. Those that are not answered when a stream breaks are
sent again on the next one: their ids make that safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grpc
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError
from gigaledger.cli.ledger.requests import FileRequest
from gigaledger.v1.ledger_pb2 import (
    AppendEventsResponse,
    AppendEventStreamRequest,
    AppendEventStreamResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.rpc.status_pb2 import Status


class RequestError(grpc.RpcError):
    """The error that a request of a stream was answered with, as if it were that of a call."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self._status = status

    def code(self) -> grpc.StatusCode:
        """Return the code."""
        return client.code_of(self._status.code)

    def details(self) -> str:
        """Return the message."""
        return str(self._status.message)

    def trailing_metadata(self) -> tuple[Any, ...]:
        """Return the metadata in which a call would have carried the details."""
        return (_Metadatum(client.DETAILS_KEY, self._status.SerializeToString()),)


class _Metadatum(NamedTuple):
    key: str
    value: bytes


Outcome = AppendEventsResponse | RequestError


class _Items:
    """The requests of a file by number, from being read until they are answered.

    Read by the thread that sends; a broken stream's thread may still be reading when the next one
    begins, so that none of them owns what it has read.
    """

    def __init__(self, requests: Iterator[FileRequest]) -> None:
        self._requests = requests
        self._items: dict[int, FileRequest] = {}
        self._read = 0
        self._lock = threading.Lock()
        self.answered = 0
        self.failure: CommandError | None = None

    @property
    def all_answered(self) -> bool:
        """Whether nothing waits for an answer."""
        return not self._items

    def sent(self, *, in_sequence: bool) -> Iterator[AppendEventStreamRequest]:
        """Yield what is not answered, then what is still to be read."""
        number = self.answered
        while (item := self._items.get(number) or self._next(number)) is not None:
            yield AppendEventStreamRequest(append=item.request, in_sequence=in_sequence)
            number += 1

    def take(self) -> FileRequest:
        """Return the request that is answered next, for good."""
        item = self._items.pop(self.answered)
        self.answered += 1
        return item

    def _next(self, number: int) -> FileRequest | None:
        with self._lock:
            if number == self._read and self.failure is None:
                try:
                    item = next(self._requests, None)
                except CommandError as error:
                    self.failure = error
                    return None
                if item is None:
                    return None
                self._items[number] = item
                self._read += 1
            return self._items.get(number)


def appended_in_turn(
    stub: LedgerServiceStub,
    requests: Iterator[FileRequest],
    *,
    in_sequence: bool,
    between: Callable[[], None] = lambda: None,
) -> Iterator[tuple[FileRequest, Outcome]]:
    """Append requests, and yield each with its outcome, in their order.

    Args:
        stub: the ledger.
        requests: what to append, with the book in each.
        in_sequence: whether nothing is to be recorded after a request that is refused.
        between: called while waiting to open the stream again; may raise.

    Raises:
        CommandError: a request can't be read; those before it are appended and were yielded.
        grpc.RpcError: the ledger can't be reached for longer than `client.RETRY_SECONDS`.
    """
    items = _Items(requests)
    patience = client.Patience()
    while True:
        call = stub.AppendEventStream(items.sent(in_sequence=in_sequence))
        try:
            for answer in call:
                outcome = _outcome(answer)
                if isinstance(outcome, RequestError) and client.passes(outcome):
                    raise outcome
                yield items.take(), outcome
                patience.renew()
        except grpc.RpcError as error:
            patience.wait(error, between)
            continue
        finally:
            call.cancel()
        if items.failure is not None:
            raise items.failure
        if items.all_answered:
            return


def _outcome(answer: AppendEventStreamResponse) -> Outcome:
    if answer.WhichOneof("outcome") == "error":
        return RequestError(answer.error)
    return answer.appended
