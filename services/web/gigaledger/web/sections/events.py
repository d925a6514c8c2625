"""Events: the feed, one event with its proof, and the events behind a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.ledger_pb2 import Book
from gigaledger.v1.projections_pb2 import ListContributionsResponse
from gigaledger.web.content import Cell, Chart, Link, Note, Section, Table, columns
from gigaledger.web.formats import (
    day,
    gigawatts,
    grouped,
    instant,
    label,
    money,
    quantity,
    sentence,
    words,
)
from gigaledger.web.sections.cells import reflects, texts
from gigaledger.web.source import Inclusion
from gigaledger.web.view import View
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal
from google.type.money_pb2 import Money

_SUMMARY_FIELDS = 6
Field = tuple[str, str]


def feed(view: View, events: Sequence[RecordedEvent], sealed: int) -> Table:
    """Return events as a table.

    Args:
        view: of the page.
        events: in the order of the table.
        sealed: size of the latest checkpoint.
    """
    rows = [
        [
            Cell(f"{item.position:,}", view.link("events", str(item.position))),
            Cell(instant(item.recorded_time)),
            Cell(day(item.event.effective_date)),
            Cell(in_words(item.event)),
            Cell(_status(item.event)),
            _sealed(item.position, sealed),
        ]
        for item in events
    ]
    names = ("position", "recorded", "effective", "fact", "status", "proof")
    return Table("Events, the latest first", columns(*names, numbers_from=6), rows)


def overview(view: View, events: Sequence[RecordedEvent], sealed: int) -> Section:
    """Return the latest events for the overview."""
    section = Section("events", "Latest events", wide=True)
    if events:
        section.parts.append(feed(view, events, sealed))
    else:
        section.parts.append(Note("No event counts as of this date."))
    section.parts.append(Link("All events", view.link("events")))
    return section


def page(
    view: View,
    events: Sequence[RecordedEvent],
    sealed: int,
    size: int,
    parameters: Mapping[str, str],
) -> list[Section]:
    """Return a page of the feed.

    Args:
        view: of the page.
        events: the newest first.
        sealed: size of the latest checkpoint.
        size: number of events on a full page.
        parameters: the filter.
    """
    section = Section("events", "Events", wide=True)
    if parameters:
        wanted = ", ".join(f"{name} {value}" for name, value in parameters.items())
        section.parts.append(Note(f"Only events about {wanted}."))
        section.parts.append(Link("All events", view.link("events")))
    if events:
        section.parts.append(feed(view, events, sealed))
    else:
        section.parts.append(Note("No event counts here."))
    if len(events) == size and events[-1].position > 1:
        before = str(events[-1].position)
        section.parts.append(
            Link("Earlier events", view.link("events", before=before, **parameters))
        )
    return [section]


def event_page(view: View, item: RecordedEvent, inclusion: Inclusion, book: Book) -> list[Section]:
    """Return everything about one event."""
    event = item.event
    fact = event.WhichOneof("fact")
    fields = _fields(getattr(event, fact)) if fact else []
    title = sentence(words(fact)) if fact else "A fact that this version does not know"
    known = [
        ("effective date", day(event.effective_date)),
        ("time zone", event.effective_time_zone or "UTC"),
        ("status", _status(event)),
        ("recorded", instant(item.recorded_time)),
        ("recorded by", event.actor),
        ("approved by", event.approver),
        ("stream", f"{item.stream}, version {item.stream_version:,}"),
        ("source system", event.source_system),
        ("note", event.note),
        ("request", event.request_id),
        ("correlation", event.correlation_id),
        ("causation", event.causation_id),
        ("policy", str(event.policy or "")),
        ("event id", item.event_id),
    ]
    sections = [
        Section("fact", title, [_pairs("Fact", fields)]),
        Section("circumstances", "Circumstances", [_pairs("Circumstances", known)]),
    ]
    if event.evidence:
        rows = [
            texts(
                proof.uri,
                proof.document_type,
                "third party" if proof.third_party else "party to the fact",
                day(proof.obtained_date),
                proof.sha256.hex() or "document not held",
            )
            for proof in event.evidence
        ]
        names = ("document", "type", "made by", "obtained", "SHA-256")
        table = Table("Evidence", columns(*names, numbers_from=5), rows)
        sections.append(Section("evidence", "Evidence", [table], wide=True))
    sections.append(_proof(item.position, inclusion))
    sections.append(_neighbours(view, item, book))
    return sections


def figure_page(
    view: View, figure: str, about: Mapping[str, str], answer: ListContributionsResponse
) -> list[Section]:
    """Return the events behind a figure."""
    totals = [
        [
            Cell(_figure_words(total.figure)),
            Cell(", ".join(subject.value for subject in total.about)),
            Cell(quantity(total.amount, total.unit), "", total.figure, total.amount),
            Cell(str(total.undisclosed_count) if total.undisclosed_count else ""),
        ]
        for total in answer.totals
    ]
    rows = [
        [
            Cell(f"{item.position:,}", view.link("events", str(item.position))),
            Cell(day(item.effective_date)),
            Cell(_figure_words(item.figure)),
            Cell(item.document),
            Cell(", ".join(subject.value for subject in item.about)),
            Cell(quantity(item.amount, item.unit), "", "", item.amount),
        ]
        for item in answer.contributions
    ]
    names = ("position", "effective", "adds to", "document", "about", "amount")
    section = Section("contributions", _figure_words(figure), wide=True)
    if about:
        section.parts.append(Note(", ".join(f"{words(k)}: {v}" for k, v in about.items())))
    section.parts.append(
        Table("Sums", columns("figure", "about", "sum", "not disclosed", numbers_from=2), totals)
    )
    if len(answer.contributions) < answer.total_count:
        section.parts.append(
            Note(
                f"The first {len(answer.contributions):,} of {answer.total_count:,} entries are "
                "listed; the sums are of all."
            )
        )
    section.parts.append(Table("Events", columns(*names, numbers_from=5), rows))
    ending: list[Chart | Table | Note | Link] = [
        *reflects(answer.context, f"drill-down {figure}", view)
    ]
    return [section, Section("source", "Source", ending)]


def in_words(event: Event) -> str:
    """Return a fact in words, with its first fields."""
    fact = event.WhichOneof("fact")
    if fact is None:
        return "a fact that this version does not know"
    fields = _fields(getattr(event, fact), deep=False)[:_SUMMARY_FIELDS]
    shown = ", ".join(f"{name} {value}" for name, value in fields)
    return f"{sentence(words(fact))}: {shown}" if shown else sentence(words(fact))


def _figure_words(figure: str) -> str:
    return sentence(" · ".join(words(part) for part in figure.split(".")))


def _status(event: Event) -> str:
    return label(AssertionStatus.Name, event.assertion_status, "ASSERTION_STATUS_")


def _sealed(position: int, sealed: int) -> Cell:
    return Cell("sealed") if position <= sealed else Cell("not sealed", tone="notice")


def _pairs(caption: str, fields: Iterable[Field]) -> Table:
    rows = [texts(name, value) for name, value in fields if value]
    return Table(caption, columns("field", "value", numbers_from=2), rows)


def _proof(position: int, inclusion: Inclusion) -> Section:
    checkpoint = inclusion.checkpoint
    rows: list[Field] = [("leaf hash, SHA-256 of the bytes received", inclusion.leaf_hash.hex())]
    if checkpoint is None:
        state = "Not sealed: the book has no checkpoint yet, or the ledger no signing key."
    elif inclusion.proof is None:
        state = f"Not sealed yet: the latest checkpoint ends at position {checkpoint.size:,}."
    elif inclusion.failure:
        state = f"The proof does not hold: {inclusion.failure}. Run gigaledger audit verify."
    else:
        state = (
            f"Sealed: the hash of these bytes and {len(inclusion.proof)} hashes beside it yield "
            f"the root of the checkpoint at position {checkpoint.size:,}. This page has checked "
            "that; gigaledger audit verify checks the signature too, with a key of your own."
        )
    if checkpoint is not None:
        rows += [
            ("checkpoint", f"{checkpoint.size:,} events, sealed {instant(checkpoint.sealed_time)}"),
            ("root hash", checkpoint.root_hash.hex()),
            ("checkpoint note", checkpoint.note),
        ]
    rows += [
        (f"proof, hash {number}", item.hex())
        for number, item in enumerate(inclusion.proof or (), 1)
    ]
    section = Section("proof", "Proof", [Note(state), _pairs("Proof", rows)], wide=True)
    section.parts.append(Note(f"index of the leaf: {position - 1:,}"))
    return section


def _neighbours(view: View, item: RecordedEvent, book: Book) -> Section:
    section = Section("neighbours", "Neighbours")
    if item.position > 1:
        before = item.position - 1
        section.parts.append(Link(f"Event {before:,}", view.link("events", str(before))))
    if item.position < book.head_position:
        after = item.position + 1
        section.parts.append(Link(f"Event {after:,}", view.link("events", str(after))))
    section.parts.append(Link(f"Events of {item.stream}", view.link("events", stream=item.stream)))
    return section


def _fields(message: Message, prefix: str = "", *, deep: bool = True) -> list[Field]:
    """Return the fields of a message by name in words; of nested ones too, if deep."""
    found: list[Field] = []
    for field, value in message.ListFields():
        name = f"{prefix}{words(field.name.removesuffix('_kw'))}"
        if field.is_repeated:
            items = list(value)
            if field.message_type is not None and deep:
                for number, item in enumerate(items, 1):
                    found += _one(field, item, f"{name} {number}", deep=deep)
            elif field.message_type is None:
                found.append((name, ", ".join(_scalar(field, item) for item in items)))
        else:
            found += _one(field, value, name, deep=deep)
    return found


def _one(field: FieldDescriptor, value: object, name: str, *, deep: bool) -> list[Field]:
    match value:
        case Money():
            return [(name, money(value))]
        case Date():
            return [(name, day(value))]
        case Timestamp():
            return [(name, instant(value))]
        case Decimal():
            return [(name, value.value)]
        case Message():
            return _fields(value, f"{name}: ", deep=deep) if deep else []
    return [(name, _scalar(field, value))]


def _scalar(field: FieldDescriptor, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case bytes():
            return value.hex()
        case int() if field.enum_type is not None:
            found = field.enum_type.values_by_number.get(value)
            prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
            return words(found.name.removeprefix(prefix).lower()) if found else str(value)
        case int() if field.name.endswith("_kw"):
            return gigawatts(value)
        case int():
            return grouped(value)
    return str(value)
