"""What callers hand to the writer of a book, and what they get back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gigaledger.ledger.domain.book import Book, Request
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.ledger.log.tables import AttemptRow, EventRow

MAX_ATTEMPT_TEXT = 2000
"""Characters that are kept of each text of a refused request."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Positions of the facts of a request.

    Attributes:
        entries: position, stream, version and event id of each fact; position 0 and no id for a
            request that was only validated.
        recorded_at: when the last fact was recorded.
        replayed: whether the request had been accepted before.
    """

    entries: Sequence[tuple[int, str, int, str]]
    recorded_at: dt.datetime
    replayed: bool

    @classmethod
    def of_rows(cls, rows: Sequence[EventRow]) -> Receipt:
        """Return the receipt of recorded rows, which are not empty."""
        entries = [
            (row.position, row.stream, row.stream_version, str(row.event_id)) for row in rows
        ]
        return cls(entries, rows[-1].recorded_at, replayed=False)


@dataclass(slots=True, eq=False)
class RequestSequence:
    """Requests of one stream to one book, none of which is recorded after one that was not."""

    broken: bool = False


class ResultFuture(Protocol):
    """A future of asyncio or of concurrent.futures."""

    def done(self) -> bool:
        """Return whether it was cancelled or has a result."""

    def set_result(self, result: Any, /) -> None:
        """Complete it with a result."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Complete it with an exception."""


Future = TypeVar("Future", bound=ResultFuture)


@dataclass(slots=True)
class Submission(Generic[Future]):
    """A request on its way to the writer.

    Attributes:
        request: the facts.
        content_hash: SHA-256 of the request's canonical form.
        future: gets a receipt once the request is durable, or fails with `Refused` or
            `StoreUnavailableError`.
        validate_only: whether only to decide, and to record nothing.
        sequence: broken if the request is not recorded.
        in_sequence: whether the request is refused once its sequence is broken.
    """

    request: Request
    content_hash: bytes
    future: Future
    validate_only: bool = False
    sequence: RequestSequence | None = None
    in_sequence: bool = False


@dataclass(slots=True)
class RejectedRequest:
    """A malformed request on its way to the attempt log.

    Attributes:
        row: row of the attempt log.
        future: gets None once the row is durable, or fails with `StoreUnavailableError`.
        sequence: broken by the request.
    """

    row: AttemptRow
    future: ResultFuture
    sequence: RequestSequence | None = None


@dataclass(slots=True)
class BookQuery(Generic[Future]):
    """A question to a book as decisions see it, at its head. Nothing is recorded.

    Attributes:
        run: returns the answer from the book, unchanged, and the time of the server's clock.
        future: gets the answer, or fails like a submission.
    """

    run: Callable[[Book, dt.datetime], object]
    future: Future
    sequence: None = None


def attempt_row(now: dt.datetime, request_id: str, actor: str, refused: Refused) -> AttemptRow:
    """Return the row of a refused request in the attempt log, whatever its caller sent."""
    rules = sorted({violation.rule.code for violation in refused.violations})
    return AttemptRow(now, _stored(request_id), _stored(actor), rules, _stored(str(refused)))


def _stored(text: str) -> str:
    """Return a text as PostgreSQL can store it: without U+0000, and not longer than the limit."""
    return text[:MAX_ATTEMPT_TEXT].replace("\0", "\N{SYMBOL FOR NULL}")
