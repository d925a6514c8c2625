"""Parts of a request that are refused: fields that the contract lacks, and NUL characters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet


def find_unknown_field(message: Message, path: str = "") -> tuple[str, int] | None:
    """Return the path and the number of a message's first unknown field; None if it has none.

    Args:
        message: the message. It is neither copied nor changed.
        path: path of the message in the request, for nested messages; empty for the request.

    Returns:
        The path of the message that holds the field, empty for the outermost, and the number.
    """
    unknown = UnknownFieldSet(message)
    if len(unknown):
        return path, unknown[0].field_number
    for place, item in _nested(message, path):
        found = find_unknown_field(item, place)
        if found is not None:
            return found
    return None


def find_nul(message: Message, path: str = "") -> str | None:
    """Return the path of a message's first text with a NUL character; None if it has none.

    PostgreSQL accepts no NUL in a text, and no name or number has one.
    """
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            name = f"{path}.{field.name}" if path else field.name
            if not field.is_repeated and "\0" in value:
                return name
            for index, text in enumerate(value if field.is_repeated else ()):
                if "\0" in text:
                    return f"{name}[{index}]"
    for place, item in _nested(message, path):
        found = find_nul(item, place)
        if found is not None:
            return found
    return None


def _nested(message: Message, path: str) -> Iterator[tuple[str, Message]]:
    """Yield the messages in a message's fields, each with its path."""
    nested = _nested_fields(message.DESCRIPTOR)
    if not nested:
        return
    for field, value in message.ListFields():
        if field.name not in nested:
            continue
        name = f"{path}.{field.name}" if path else field.name
        if field.is_repeated:
            for index, item in enumerate(value):
                yield f"{name}[{index}]", item
        else:
            yield name, value


@cache
def _nested_fields(descriptor: Descriptor) -> frozenset[str]:
    """Return the names of the fields that are messages. The contract has no map fields."""
    return frozenset(field.name for field in descriptor.fields if field.message_type is not None)
