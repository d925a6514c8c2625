"""Shorthand for calls to a ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import grpc
import pytest
from gigaledger.common.quantities import instant_to_message
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventsResponse,
    CreateBookRequest,
    NewEvent,
    ReadEventsRequest,
    StreamCheck,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

SECONDS = 30
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class CallError:
    """How a call failed, with the details that it carried."""

    code: grpc.StatusCode
    message: str
    status: Status

    def detail(self, kind: type[M]) -> M:
        """Return the detail of a type; fail unless there is exactly one."""
        (found,) = [detail for detail in self.status.details if detail.Is(kind.DESCRIPTOR)]
        unpacked = kind()
        found.Unpack(unpacked)
        return unpacked

    @property
    def reason(self) -> str:
        """The reason that programs go by."""
        info = self.detail(ErrorInfo)
        assert info.domain == "gigaledger"
        return str(info.reason)

    @property
    def retried(self) -> bool:
        """Whether the details advise when to repeat the call."""
        return any(detail.Is(RetryInfo.DESCRIPTOR) for detail in self.status.details)

    @property
    def fields(self) -> list[str]:
        """The fields that are named."""
        if self.code is grpc.StatusCode.INVALID_ARGUMENT:
            return [v.field for v in self.detail(BadRequest).field_violations]
        return [v.subject for v in self.detail(PreconditionFailure).violations]


def error_of(call: Callable[[], Any]) -> CallError:
    """Make a call that fails, and return how."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, "the error has details"
    return CallError(error.code(), str(error.details()), status)


@dataclass(frozen=True)
class Caller:
    """A client that works with one book."""

    stub: LedgerServiceStub
    book: str
    recorded_at: dt.datetime | None = None
    """When its facts were recorded, in an imported book."""

    @classmethod
    def of_imported_book(cls, stub: LedgerServiceStub, recorded_at: dt.datetime) -> Caller:
        """Open a book whose facts were all recorded at one instant."""
        request = CreateBookRequest(
            book_id=f"b{uuid4().hex[:30]}",
            clock=BookClock.BOOK_CLOCK_IMPORTED,
            opened_time=instant_to_message(recorded_at),
        )
        return cls(stub, stub.CreateBook(request).book.name, recorded_at)

    @classmethod
    def of_new_book(cls, stub: LedgerServiceStub) -> Caller:
        """Open a book."""
        book = f"b{uuid4().hex}"
        return cls(stub, stub.CreateBook(CreateBookRequest(book_id=book)).book.name)

    def request(
        self, *events: Event, request_id: str = "", checks: Sequence[StreamCheck] = ()
    ) -> AppendEventsRequest:
        """A request to append."""
        recorded = instant_to_message(self.recorded_at) if self.recorded_at else None
        return AppendEventsRequest(
            book=self.book,
            request_id=request_id or uuid4().hex,
            events=[NewEvent(event=event, recorded_time=recorded) for event in events],
            checks=checks,
        )

    def append(self, *events: Event, request_id: str = "") -> AppendEventsResponse:
        """Append facts."""
        return self.stub.AppendEvents(self.request(*events, request_id=request_id), timeout=SECONDS)

    def refused(self, *events: Event, checks: Sequence[StreamCheck] = ()) -> CallError:
        """Append facts that are refused."""
        request = self.request(*events, checks=checks)
        return error_of(lambda: self.stub.AppendEvents(request, timeout=SECONDS))

    def read(self, **fields: Any) -> list[RecordedEvent]:
        """Read the book."""
        pages = self.stub.ReadEvents(ReadEventsRequest(book=self.book, **fields), timeout=SECONDS)
        return events_of(pages)

    def head(self) -> int:
        """Return the position of the last event."""
        events = self.read()
        return events[-1].position


def events_of(pages: Iterable[Any]) -> list[RecordedEvent]:
    """Return the events of a stream of pages."""
    return [event for page in pages for event in page.events]
