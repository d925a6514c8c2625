"""Responses put together from stored bytes: an event is never decoded to be sent.

A message field is its tag, the length of its content, and the content; so the stored bytes of an
`Event` stand in a `RecordedEvent` as they are. See the encoding of protocol buffers, "Embedded
messages". A test holds the result against the generated classes.
"""

from __future__ import annotations

from collections.abc import Iterable

from gigaledger.v1.events_pb2 import RecordedEvent

from services.ledger.log.reader import LogRow
from services.quantities import instant_to_message

_LENGTH_DELIMITED = 2
_SEVEN_BITS = 0x7F
_MORE = 0x80


def recorded_event(row: LogRow) -> bytes:
    """Return the serialized `RecordedEvent` of a row."""
    place = RecordedEvent(
        position=row.position,
        stream=row.stream,
        stream_version=row.stream_version,
        event_id=str(row.event_id),
        recorded_time=instant_to_message(row.recorded_at),
    )
    return place.SerializeToString() + embedded(RecordedEvent.EVENT_FIELD_NUMBER, row.event)


def embedded(field_number: int, content: bytes) -> bytes:
    """Return a field that holds a serialized message, or bytes, or text."""
    tag = field_number << 3 | _LENGTH_DELIMITED
    return _varint(tag) + _varint(len(content)) + content


def with_events(field_number: int, rows: Iterable[LogRow], rest: bytes) -> bytes:
    """Return a serialized response: events in a repeated field, and the rest of its fields."""
    return b"".join(embedded(field_number, recorded_event(row)) for row in rows) + rest


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
