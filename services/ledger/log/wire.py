"""Answers put together from stored bytes: an event is never decoded to be sent.

A message field is its tag, the length of its content, and the content; so the stored bytes of an
`Event` stand in a `RecordedEvent` as they are, and repeated fields are one after another. See the
encoding of protocol buffers, "Embedded messages". What stands before an event is stored beside it,
and PostgreSQL puts both together. A test holds the result against the generated classes.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsResponse

from services.quantities import instant_to_message

EVENTS_FIELD_NUMBER = ReadEventsResponse.EVENTS_FIELD_NUMBER
"""The same in every answer that holds events. A test sees to it."""
_LENGTH_DELIMITED = 2
_SEVEN_BITS = 0x7F
_MORE = 0x80


def prefix_of(
    position: int,
    stream: str,
    stream_version: int,
    event_id: UUID,
    recorded_at: dt.datetime,
    event_bytes: int,
) -> bytes:
    """Return what stands before the bytes of an event in an answer.

    Args:
        position: place in the book.
        stream: the stream.
        stream_version: place in the stream.
        event_id: id of the event.
        recorded_at: when it was recorded.
        event_bytes: length of the serialized `Event`.
    """
    place = RecordedEvent(
        position=position,
        stream=stream,
        stream_version=stream_version,
        event_id=str(event_id),
        recorded_time=instant_to_message(recorded_at),
    ).SerializeToString() + _header(RecordedEvent.EVENT_FIELD_NUMBER, event_bytes)
    return _header(EVENTS_FIELD_NUMBER, len(place) + event_bytes) + place


def _header(field_number: int, content_bytes: int) -> bytes:
    return _varint(field_number << 3 | _LENGTH_DELIMITED) + _varint(content_bytes)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
