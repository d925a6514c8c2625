"""Leaf data of the Merkle tree, extracted from responses.

The data of a leaf are the bytes of a `RecordedEvent` as the ledger sends it: position, stream,
version, event id, recorded time, and the event. Readers hash the bytes that they received, without
encoding a message.
"""

from __future__ import annotations

from collections.abc import Iterator

_SEVEN_BITS = 0x7F
_MORE = 0x80
_LAST_SHIFT = 63
_LAST_FIELD = (1 << 29) - 1
_WIRE_TYPE = 0x07
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """Not a serialized message."""


def recorded_events(response: bytes, field_number: int = 1) -> Iterator[bytes]:
    """Yield the bytes of each event in a serialized response, whose field of this number has them.

    Raises:
        WireError: not a serialized message.
    """
    place, end = 0, len(response)
    while place < end:
        tag, place = _varint(response, place)
        number, wire_type = tag >> 3, tag & _WIRE_TYPE
        if not 0 < number <= _LAST_FIELD:
            raise WireError(f"{number} is not a field number")
        if wire_type == _LENGTH_DELIMITED:
            length, start = _varint(response, place)
            place = start + length
            if place > end:
                raise WireError("a field is truncated")
            if number == field_number:
                yield response[start:place]
        elif wire_type == _VARINT:
            _, place = _varint(response, place)
        elif wire_type in (_FIXED64, _FIXED32):
            place += 8 if wire_type == _FIXED64 else 4
            if place > end:
                raise WireError("a number is truncated")
        else:
            raise WireError(f"wire type {wire_type} is not supported")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if place >= len(data):
            raise WireError("a number is truncated")
        byte = data[place]
        place += 1
        if shift == _LAST_SHIFT and byte > 1:
            raise WireError("a number is too long")
        number |= (byte & _SEVEN_BITS) << shift
        if byte < _MORE:
            return number, place
        shift += 7
