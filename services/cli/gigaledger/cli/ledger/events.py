"""`gigaledger events` and `gigaledger attempts`: the log, and what was refused, for reading."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice

from gigaledger.cli.formats import day, enum_label, instant, money, printable
from gigaledger.cli.output import console, notice, print_json_line
from gigaledger.client import Book
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.ledger_pb2 import Attempt, EventFilter
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal
from google.type.money_pb2 import Money
from rich.text import Text

_MAX_PAGE = 1000
_HEADING = (
    f"{'position':>8}  {'recorded':<20}  {'effective':<10}  {'status':<10}  "
    f"{'stream':<24}  fact and fields"
)


def follow_events(
    book: Book, after_position: int, matching: EventFilter
) -> Iterator[RecordedEvent]:
    """Yield events as they are recorded, without end; a stream that breaks is resumed.

    Raises:
        GigaledgerError: the ledger refuses, or stays away for longer than the retry policy allows.
    """
    with book.subscribe(after_position, matching=matching) as updates:
        for update in updates:
            if update.resumed:
                notice("The stream broke off and was resumed: nothing is missing or repeated.")
            yield from update.events


def print_events(events: Iterable[RecordedEvent], *, as_json: bool) -> int:
    """Print events as they come, and return how many there were."""
    printed = 0
    out = console()
    for event in events:
        if as_json:
            print_json_line(event)
        else:
            if not printed:
                out.print(Text(_HEADING, style="bold"))
            out.print(
                Text(event_line(event)),
                no_wrap=sys.stdout.isatty(),
                overflow="ellipsis" if sys.stdout.isatty() else "ignore",
                crop=sys.stdout.isatty(),
                soft_wrap=not sys.stdout.isatty(),
            )
            sys.stdout.flush()
        printed += 1
    return printed


def event_line(recorded: RecordedEvent) -> str:
    """Return an event on one line."""
    event = recorded.event
    status = enum_label(AssertionStatus.Name, event.assertion_status, "ASSERTION_STATUS_")
    return printable(
        f"{recorded.position:>8}  {instant(recorded.recorded_time):<20}  "
        f"{day(event.effective_date):<10}  {status:<10}  {recorded.stream:<24}  "
        f"{fact_summary(event)}"
    )


def fact_summary(event: Event) -> str:
    """Return a fact and its fields in words; of what is nested deeper, how much there is."""
    fact = event.WhichOneof("fact")
    if fact is None:
        return "(a fact that this version does not know)"
    message: Message = getattr(event, fact)
    fields = (f"{field.name}={_shown(field, value)}" for field, value in message.ListFields())
    return f"{fact} {' '.join(fields)}".rstrip()


def list_attempts(book: Book, limit: int) -> list[Attempt]:
    """Return the newest refused requests, at most `limit`."""
    return list(islice(book.attempts(page_size=min(limit, _MAX_PAGE)), limit))


def _shown(field: FieldDescriptor, value: object) -> str:
    if field.is_repeated:
        items = list(value) if isinstance(value, Iterable) else []
        if field.message_type is not None:
            return f"[{len(items)}]"
        return ",".join(_shown_one(field, item) for item in items)
    return _shown_one(field, value)


def _shown_one(field: FieldDescriptor, value: object) -> str:
    match value:
        case Money():
            return money(value).replace(" ", "")
        case Date():
            return day(value)
        case Decimal():
            return str(value.value)
        case Message():
            return "{...}"
        case int() if field.enum_type is not None and value in field.enum_type.values_by_number:
            prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
            return str(field.enum_type.values_by_number[value].name).removeprefix(prefix)
    return str(value)
