"""Every call of the services, described without I/O: what is sent, and what is made of the answer.

`Client` and `AsyncClient` send the same descriptions. Nothing here knows which of them does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack

from gigaledger.client import queries, requests
from gigaledger.client.requests import AppendOptions
from gigaledger.client.streams import LEDGER, Answers, Following, Reading
from gigaledger.client.values import build
from gigaledger.v1 import audit_pb2 as audit
from gigaledger.v1 import ledger_pb2 as ledger
from gigaledger.v1 import projections_pb2 as projections
from gigaledger.v1.audit_pb2 import Checkpoint
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import Attempt, EventFilter, EventReceipt
from google.protobuf.message import Message
from google.type.money_pb2 import Money

PROJECTIONS = "/gigaledger.v1.ProjectionService"
AUDIT = "/gigaledger.v1.AuditService"

T = TypeVar("T")
P = ParamSpec("P")
Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


@dataclass(frozen=True)
class Call(Generic[T]):
    """A call with one answer.

    Attributes:
        method: path of the method.
        request: what is sent.
        response: type of the answer.
        result: makes of the answer what the caller gets.
        repeatable: whether it may be repeated if its outcome is unknown.
        wait_seconds: how long the service may wait before it answers.
        request_id: id of the append; empty for other calls.
    """

    method: str
    request: Message
    response: type[Message]
    result: Callable[[Any], T]
    repeatable: bool = True
    wait_seconds: float = 0.0
    request_id: str = ""


@dataclass(frozen=True)
class Pages(Generic[T]):
    """A call whose answer comes in pages.

    Attributes:
        method: path of the method.
        request: asks for the first page, and has a field `page_token`.
        response: type of the pages, with a field `next_page_token`.
        items: makes of a page what the caller gets of it.
    """

    method: str
    request: Any
    response: type[Message]
    items: Callable[[Any], Iterable[T]]

    def first(self) -> Call[Any]:
        """Return the call for the first page."""
        return Call(self.method, self.request, self.response, _whole)

    def after(self, page: Any) -> Call[Any] | None:
        """Return the call for the page after another; None after the last."""
        if not page.next_page_token:
            return None
        self.request.page_token = page.next_page_token
        return self.first()


@dataclass(frozen=True)
class Appended:
    """The answer to an append: the facts are on disk.

    Attributes:
        request_id: id of the request.
        receipts: one for each fact, in order.
        recorded_time: when the last of them was recorded.
        replayed: the request had been accepted before, and nothing was appended now.
    """

    request_id: str
    receipts: Sequence[EventReceipt]
    recorded_time: dt.datetime
    replayed: bool

    @property
    def position(self) -> int:
        """Position of the last fact: `min_position` of a query that is to reflect it."""
        return self.receipts[-1].position


class Named(Protocol):
    """A book to call about."""

    @property
    def name(self) -> str:
        """Resource name of the book."""

    @property
    def actor(self) -> str:
        """Who records, unless an append says otherwise."""


# ---- books --------------------------------------------------------------------------------------


def book_name(book: str) -> str:
    """Return the resource name of a book that is given by its id or its name."""
    return book if book.startswith("books/") else f"books/{book}"


def get_book(name: str) -> Call[ledger.Book]:
    """Return a book with its head."""
    request = ledger.GetBookRequest(name=name)
    return Call(f"{LEDGER}/GetBook", request, ledger.GetBookResponse, lambda answer: answer.book)


def create_book(
    book_id: str, display_name: str, opened_time: dt.datetime | None
) -> Call[ledger.Book]:
    """Open a book: an imported one if an opening time is given."""
    request = build(
        ledger.CreateBookRequest,
        book_id=book_id,
        display_name=display_name,
        clock="IMPORTED" if opened_time else "SERVER",
        opened_time=opened_time,
    )
    return Call(
        f"{LEDGER}/CreateBook",
        request,
        ledger.CreateBookResponse,
        lambda answer: answer.book,
        repeatable=False,
    )


def books(_client: object, /) -> Pages[ledger.Book]:
    """Yield all books in order of name."""
    return Pages(
        f"{LEDGER}/ListBooks",
        ledger.ListBooksRequest(page_size=1000),
        ledger.ListBooksResponse,
        lambda page: page.books,
    )


def info(book: Named, /) -> Call[ledger.Book]:
    """Return the book with its head."""
    return get_book(book.name)


# ---- the log ------------------------------------------------------------------------------------


def append(book: Named, /, *facts: Message, **options: Unpack[AppendOptions]) -> Call[Appended]:
    """Append facts, all or none.

    The request is repeated with the same id while its outcome is unknown, so that it is recorded
    once. If the id is your own, you may also repeat it yourself at any time.

    Args:
        *facts: 1 to 1000 facts such as `facts.party_registered(...)`, or events.
        **options: see `AppendOptions`. `effective_date` and an actor are required; `status` is
            "FACT" if not given.

    Raises:
        InvalidArgumentError: the request is malformed.
        RuleViolatedError: a rule refuses it, as the book is now.
        AlreadyExistsError: a document number, or the request id with other content, is taken.
        ConflictError: a stream is not in the state that `checks` states.
        UnavailableError: the outcome is unknown. Its `request_id` makes it safe to repeat.
    """
    return append_call(request(book, *facts, **options))


def request(
    book: Named, /, *facts: Message, **options: Unpack[AppendOptions]
) -> ledger.AppendEventsRequest:
    """Return the request of `append` without sending it: for `append_stream`, or to keep it.

    Args:
        *facts: as of `append`.
        **options: as of `append`.
    """
    return requests.append_request(book.name, facts, options, book.actor)


def append_call(message: ledger.AppendEventsRequest) -> Call[Appended]:
    """Describe the call that sends a request to append."""
    return Call(
        f"{LEDGER}/AppendEvents",
        message,
        ledger.AppendEventsResponse,
        lambda answer: appended(message.request_id, answer),
        request_id=message.request_id,
    )


def appended(request_id: str, answer: ledger.AppendEventsResponse) -> Appended:
    """Return the answer to an append."""
    recorded = answer.recorded_time.ToDatetime(dt.UTC)
    return Appended(request_id, answer.receipts, recorded, answer.replayed)


def send(book: Named, message: ledger.AppendEventsRequest, /) -> Call[Appended]:
    """Send a request that `request` returned, or one of your own making.

    Args:
        message: the request; its book is this one if it names none.
    """
    message.book = message.book or book.name
    return append_call(message)


def read(
    book: Named,
    /,
    from_position: int = 1,
    to_position: int = 0,
    *,
    matching: EventFilter | None = None,
) -> Reading:
    """Yield events in order of position, up to the head that the book has now.

    Args:
        from_position: first position.
        to_position: last position; the head if 0.
        matching: only these events, from `event_filter`.
    """
    return Reading(
        ledger.ReadEventsRequest(
            book=book.name, from_position=from_position, to_position=to_position, filter=matching
        )
    )


def subscribe(
    book: Named,
    /,
    after_position: int = 0,
    *,
    resume_token: str = "",
    matching: EventFilter | None = None,
) -> Following:
    """Yield events as they are appended, beginning with those that are, until it is closed.

    A stream that breaks is resumed where it was: no event is missed or repeated.

    Args:
        after_position: start after this position.
        resume_token: start where an earlier subscription was, instead.
        matching: only these events, from `event_filter`.

    Raises:
        HistoryDivergedError: the resume token belongs to another history of the book.
        UnavailableError: the ledger stayed away for longer than the client's retry policy allows.
    """
    return Following(book.name, after_position, resume_token, matching)


def event(book: Named, position: int, /) -> Call[RecordedEvent]:
    """Return the event at a position."""
    request = ledger.GetEventRequest(name=f"{book.name}/events/{position}")
    return Call(f"{LEDGER}/GetEvent", request, ledger.GetEventResponse, lambda answer: answer.event)


def events(
    book: Named, /, *, matching: EventFilter | None = None, page_size: int = 1000
) -> Pages[RecordedEvent]:
    """Yield events in order of position, fetched page by page: `read` is faster for many.

    Args:
        matching: only these events, from `event_filter`.
        page_size: events fetched at once, at most 1000.
    """
    return Pages(
        f"{LEDGER}/ListEvents",
        ledger.ListEventsRequest(parent=book.name, filter=matching, page_size=page_size),
        ledger.ListEventsResponse,
        lambda page: page.events,
    )


def resolve_position(
    book: Named, recorded_time: dt.datetime, /
) -> Call[ledger.ResolvePositionResponse]:
    """Return the position of the last event that was recorded by an instant."""
    request = build(ledger.ResolvePositionRequest, book=book.name, recorded_time=recorded_time)
    response = ledger.ResolvePositionResponse
    return Call(f"{LEDGER}/ResolvePosition", request, response, _whole)


def attempts(book: Named, /, *, page_size: int = 100) -> Pages[Attempt]:
    """Yield requests that were refused, the newest first.

    Args:
        page_size: attempts fetched at once, at most 1000.
    """
    return Pages(
        f"{LEDGER}/ListAttempts",
        ledger.ListAttemptsRequest(parent=book.name, page_size=page_size),
        ledger.ListAttemptsResponse,
        lambda page: page.attempts,
    )


def evaluate_capital_call(
    book: Named,
    /,
    *,
    agreement: str,
    tranches: Sequence[int],
    amount: Money | None = None,
    effective_date: dt.date | None = None,
    call: str = "",
) -> Call[ledger.EvaluateCapitalCallResponse]:
    """Return whether a call of capital would be accepted, and what would change the answer.

    Args:
        agreement: id of the agreement.
        tranches: numbers of the tranches that would be called.
        amount: the amount; that of the tranches if not given.
        effective_date: when the call would take effect; today if not given.
        call: number of the call notice, to check that it is free.
    """
    request = build(
        ledger.EvaluateCapitalCallRequest,
        book=book.name,
        agreement=agreement,
        tranches=tranches,
        amount=amount,
        effective_date=effective_date,
        call=call,
    )
    response = ledger.EvaluateCapitalCallResponse
    return Call(f"{LEDGER}/EvaluateCapitalCall", request, response, _whole)


# ---- projections --------------------------------------------------------------------------------


def _query(
    method: str, question: Callable[P, Q], response: type[R]
) -> Callable[Concatenate[Named, P], Call[R]]:
    """Return a function that describes a question about a book."""

    def describe(book: Named, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        request: Any = question(*args, **kwargs)
        request.book = book.name
        wait = request.read.max_wait.ToTimedelta().total_seconds()
        return Call(f"{PROJECTIONS}/{method}", request, response, _whole, wait_seconds=wait)

    describe.__doc__ = question.__doc__
    return describe


def _paged_query(
    method: str, question: Callable[P, Q], response: type[R]
) -> Callable[Concatenate[Named, P], Pages[R]]:
    """Return a function that describes a question about a book whose answer comes in pages."""

    def describe(book: Named, /, *args: P.args, **kwargs: P.kwargs) -> Pages[R]:
        request: Any = question(*args, **kwargs)
        request.book = book.name
        return Pages(f"{PROJECTIONS}/{method}", request, response, lambda page: (page,))

    describe.__doc__ = question.__doc__
    return describe


capacity = _query("QueryCapacity", queries.capacity, projections.QueryCapacityResponse)
investment = _query("QueryInvestment", queries.investment, projections.QueryInvestmentResponse)
round_trip = _query("QueryRoundTrip", queries.round_trip, projections.QueryRoundTripResponse)
circular_flows = _query(
    "QueryCircularFlows", queries.circular_flows, projections.QueryCircularFlowsResponse
)
roll_forward = _query(
    "QueryRollForward", queries.roll_forward, projections.QueryRollForwardResponse
)
counterfactual = _query(
    "QueryCounterfactual", queries.counterfactual, projections.QueryCounterfactualResponse
)
warrants = _query("QueryWarrants", queries.warrants, projections.QueryWarrantsResponse)
exceptions = _paged_query(
    "QueryExceptions", queries.exceptions, projections.QueryExceptionsResponse
)
contributions = _paged_query(
    "ListContributions", queries.contributions, projections.ListContributionsResponse
)


def series(
    book: Named,
    question: queries.Question,
    /,
    *,
    from_date: dt.date,
    to_date: dt.date,
    interval: queries.Interval = "MONTH",
) -> Answers[Any]:
    """Yield the answers to a question at the end of each interval, in one state of the book.

    Args:
        question: from `queries.capacity` and the like, without `as_of`.
        from_date: a day of the first interval.
        to_date: the last day.
        interval: how far apart the days are.
    """
    request = queries.series(question, from_date=from_date, to_date=to_date, interval=interval)
    getattr(request, str(request.WhichOneof("question"))).book = book.name
    return Answers(
        f"{PROJECTIONS}/QuerySeries",
        request,
        projections.QuerySeriesResponse,
        lambda answer: getattr(answer, answer.WhichOneof("answer")),
    )


def changes(
    book: Named, question: queries.Question, /, *, since: int | dt.datetime
) -> Answers[projections.QueryChangesResponse]:
    """Yield the events that moved figures since an earlier state of knowledge, then the total.

    Args:
        question: from `queries.capacity` and the like.
        since: the earlier state of knowledge: a position of the log, or an instant.
    """
    request = queries.changes(question, since=since)
    getattr(request, str(request.WhichOneof("question"))).book = book.name
    response = projections.QueryChangesResponse
    return Answers(f"{PROJECTIONS}/QueryChanges", request, response, _whole)


def projection(book: Named, projection: str, /) -> Call[projections.Projection]:
    """Return the status of a projection, such as "capacity"."""
    request = projections.GetProjectionRequest(name=f"{book.name}/projections/{projection}")
    response = projections.GetProjectionResponse
    return Call(f"{PROJECTIONS}/GetProjection", request, response, _projection)


def list_projections(book: Named, /) -> Pages[projections.Projection]:
    """Yield the status of each projection of the book."""
    return Pages(
        f"{PROJECTIONS}/ListProjections",
        projections.ListProjectionsRequest(parent=book.name),
        projections.ListProjectionsResponse,
        lambda page: page.projections,
    )


def rebuild_projection(book: Named, projection: str, /) -> Call[projections.Projection]:
    """Rebuild a projection from the beginning of the log, beside the one that answers."""
    request = projections.RebuildProjectionRequest(name=f"{book.name}/projections/{projection}")
    response = projections.RebuildProjectionResponse
    method = f"{PROJECTIONS}/RebuildProjection"
    return Call(method, request, response, _projection, repeatable=False)


def resume_projection(book: Named, projection: str, /) -> Call[projections.Projection]:
    """Let a projection that has stopped try the event again that it stopped at."""
    request = projections.ResumeProjectionRequest(name=f"{book.name}/projections/{projection}")
    response = projections.ResumeProjectionResponse
    method = f"{PROJECTIONS}/ResumeProjection"
    return Call(method, request, response, _projection, repeatable=False)


# ---- proofs -------------------------------------------------------------------------------------


def checkpoint(book: Named, size: int = 0, /) -> Call[Checkpoint]:
    """Return the signed checkpoint of the book at a size; the latest if 0."""
    if not size:
        return Call(
            f"{AUDIT}/GetLatestCheckpoint",
            audit.GetLatestCheckpointRequest(book=book.name),
            audit.GetLatestCheckpointResponse,
            lambda answer: answer.checkpoint,
        )
    return Call(
        f"{AUDIT}/GetCheckpoint",
        audit.GetCheckpointRequest(name=f"{book.name}/checkpoints/{size}"),
        audit.GetCheckpointResponse,
        lambda answer: answer.checkpoint,
    )


def checkpoints(book: Named, /) -> Pages[Checkpoint]:
    """Yield the checkpoints of the book, the oldest first."""
    return Pages(
        f"{AUDIT}/ListCheckpoints",
        audit.ListCheckpointsRequest(parent=book.name, page_size=1000),
        audit.ListCheckpointsResponse,
        lambda page: page.checkpoints,
    )


def leaf_hashes(book: Named, size: int, /) -> Call[audit.GetLeafHashesResponse]:
    """Return the hashes of the leaves that the checkpoint of a size adds to the one before it."""
    request = audit.GetLeafHashesRequest(name=f"{book.name}/checkpoints/{size}")
    return Call(f"{AUDIT}/GetLeafHashes", request, audit.GetLeafHashesResponse, _whole)


def inclusion_proof(
    book: Named, position: int, size: int = 0, /
) -> Call[audit.GetInclusionProofResponse]:
    """Return the proof that an event is in the tree of a size; the latest if 0."""
    request = audit.GetInclusionProofRequest(book=book.name, position=position, size=size)
    return Call(f"{AUDIT}/GetInclusionProof", request, audit.GetInclusionProofResponse, _whole)


def consistency_proof(
    book: Named, first_size: int, second_size: int = 0, /
) -> Call[audit.GetConsistencyProofResponse]:
    """Return the proof that the tree of one size is the beginning of another; the latest if 0."""
    request = audit.GetConsistencyProofRequest(
        book=book.name, first_size=first_size, second_size=second_size
    )
    response = audit.GetConsistencyProofResponse
    return Call(f"{AUDIT}/GetConsistencyProof", request, response, _whole)


def signing_keys(book: Named, /) -> Call[Sequence[audit.SigningKey]]:
    """Return the keys that checkpoints of the book are signed with, the oldest first."""
    request = audit.ListSigningKeysRequest(parent=book.name)
    response = audit.ListSigningKeysResponse
    return Call(f"{AUDIT}/ListSigningKeys", request, response, lambda answer: answer.keys)


def _whole(answer: Any) -> Any:
    return answer


def _projection(answer: Any) -> Any:
    return answer.projection
