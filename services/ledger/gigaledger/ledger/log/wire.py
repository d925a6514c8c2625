"""Responses assembled from stored bytes: an event is never decoded to be sent.

A message field is encoded as its tag, the length of its content, and the content. Therefore a
`RecordedEvent` contains the stored bytes of its `Event` unchanged, and elements of a repeated field
follow each other. The bytes before an event are stored in its column `prefix`, and PostgreSQL
concatenates both. A test compares the result with the generated classes.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from uuid import UUID

from gigaledger.common.quantities import instant_to_message
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsResponse

EVENTS_FIELD_NUMBER = ReadEventsResponse.EVENTS_FIELD_NUMBER
"""The same in every response with events, which a test ensures."""
_VARINT = 0
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
    """Return the bytes before an event in a response.

    Args:
        position: position in the book.
        stream: name of the stream.
        stream_version: version in the stream.
        event_id: id of the event.
        recorded_at: when it was recorded.
        event_bytes: size of the serialized `Event`.
    """
    name, event_name = stream.encode(), str(event_id).encode()
    fields = b"".join(
        (
            _POSITION + _varint(position),
            _STREAM + _varint(len(name)) + name if name else b"",
            _STREAM_VERSION + _varint(stream_version) if stream_version else b"",
            _EVENT_ID + _varint(len(event_name)) + event_name,
            _recorded_time(recorded_at),
            _EVENT + _varint(event_bytes),
        )
    )
    return _EVENTS + _varint(len(fields) + event_bytes) + fields


@lru_cache(maxsize=1024)
def _recorded_time(recorded_at: dt.datetime) -> bytes:
    """Return the field `recorded_time`, which all events of a group share."""
    return RecordedEvent(recorded_time=instant_to_message(recorded_at)).SerializeToString()


def _varint(number: int) -> bytes:
    if number <= _SEVEN_BITS:
        return _ONE_BYTE[number]
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _tag(field_number: int, wire_type: int) -> bytes:
    return _varint(field_number << 3 | wire_type)


_ONE_BYTE = [bytes([number]) for number in range(_SEVEN_BITS + 1)]
_EVENTS = _tag(EVENTS_FIELD_NUMBER, _LENGTH_DELIMITED)
_POSITION = _tag(RecordedEvent.POSITION_FIELD_NUMBER, _VARINT)
_STREAM = _tag(RecordedEvent.STREAM_FIELD_NUMBER, _LENGTH_DELIMITED)
_STREAM_VERSION = _tag(RecordedEvent.STREAM_VERSION_FIELD_NUMBER, _VARINT)
_EVENT_ID = _tag(RecordedEvent.EVENT_ID_FIELD_NUMBER, _LENGTH_DELIMITED)
_EVENT = _tag(RecordedEvent.EVENT_FIELD_NUMBER, _LENGTH_DELIMITED)
