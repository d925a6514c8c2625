"""Strategies for messages of any type, with arbitrary values in their fields."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_TEXTS = st.one_of(
    st.sampled_from(
        ["", "SUP", "CUS", "AGR", "PO-1", "INV-1", "USD", "books/main", "\0", "1", "é"]
    ),
    st.text(max_size=20),
)


def messages(descriptor: Descriptor, depth: int = 4) -> st.SearchStrategy[Message]:
    """Messages of a type with a random subset of fields set."""
    return st.composite(_message)(descriptor, depth)


def _message(draw: st.DrawFn, descriptor: Descriptor, depth: int) -> Message:
    message = GetMessageClass(descriptor)()
    fields = [f for f in descriptor.fields if depth or f.message_type is None]
    if not fields:
        return message
    for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda f: f.name)):
        count = draw(st.integers(1, 3)) if field.is_repeated else 1
        for _ in range(count):
            _set(message, field, draw(_values(field, depth)))
    return message


def _set(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, depth - 1)
    if field.enum_type is not None:
        return st.sampled_from([*(v.number for v in field.enum_type.values), 99, -1])
    bits = 31 if field.cpp_type in {field.CPPTYPE_INT32, field.CPPTYPE_UINT32} else 63
    signed = field.cpp_type in {field.CPPTYPE_INT32, field.CPPTYPE_INT64}
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _TEXTS
        case FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=40)
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case _:
            extremes = [0, 1, 2, 100, 2**bits - 1, *([-1, -(2**bits)] if signed else [])]
            return st.sampled_from(extremes)
