"""ProtoJSON of events: the output of the library's own conversion, in a fraction of the time.

Verification compares a million lines with their bytes, so the lookups of each message type are done
once. Types that facts do not use (maps, floats, wrappers) are left to the library.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_Convert = Callable[[Any], Any]
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name


def to_json(message: Message) -> Any:
    """Return a message as `google.protobuf.json_format.MessageToDict` does.

    Raises:
        ValueError: a time is outside the range of ProtoJSON.
        SerializeToJsonError: the library cannot convert a value of a type left to it.
    """
    fields = _fields(message.DESCRIPTOR)
    if fields is None:
        return MessageToDict(message)
    found = {}
    for field, value in message.ListFields():
        name, convert, repeated = fields[field.number]
        if repeated:
            found[name] = [convert(one) for one in value]
        else:
            found[name] = convert(value)
    return found


@cache
def _fields(descriptor: Descriptor) -> dict[int, tuple[str, _Convert, bool]] | None:
    """Return name and conversion of each field by number; None if the library converts one."""
    if descriptor.full_name.startswith("google.protobuf."):
        return None
    found = {}
    for field in descriptor.fields:
        convert = _conversion(field)
        if convert is None:
            return None
        found[field.number] = (field.json_name, convert, field.is_repeated)
    return found


def _conversion(field: FieldDescriptor) -> _Convert | None:
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            return None
        return _time if field.message_type.full_name == _TIMESTAMP else to_json
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        ours = not field.enum_type.full_name.startswith("google.protobuf.")
        return (lambda number: names.get(number, number)) if ours else None
    return _SCALARS.get(field.type)


def _same(value: Any) -> Any:
    return value


def _time(value: Timestamp) -> str:
    return value.ToJsonString()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_SCALARS: dict[int, _Convert] = {
    FieldDescriptor.TYPE_BOOL: _same,
    FieldDescriptor.TYPE_BYTES: _base64,
    FieldDescriptor.TYPE_INT32: _same,
    FieldDescriptor.TYPE_INT64: str,  # JSON's numbers do not hold it.
    FieldDescriptor.TYPE_STRING: _same,
    FieldDescriptor.TYPE_UINT32: _same,
    FieldDescriptor.TYPE_UINT64: str,
}
