"""Fields in a message that this version of the contract does not define."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from google.protobuf.descriptor import Descriptor
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
    nested = _nested_fields(message.DESCRIPTOR)
    if not nested:
        return None
    for field, value in message.ListFields():
        if field.name not in nested:
            continue
        name = f"{path}.{field.name}" if path else field.name
        items: Iterable[tuple[str, Message]] = (
            ((f"{name}[{index}]", item) for index, item in enumerate(value))
            if field.is_repeated
            else ((name, value),)
        )
        for place, item in items:
            found = find_unknown_field(item, place)
            if found is not None:
                return found
    return None


@cache
def _nested_fields(descriptor: Descriptor) -> frozenset[str]:
    """Return the names of the fields that are messages. The contract has no map fields."""
    return frozenset(field.name for field in descriptor.fields if field.message_type is not None)
