"""Our ProtoJSON is the library's."""

from __future__ import annotations

import pytest
from gigaledger.audit.export.book_file import ExportError, readable
from gigaledger.audit.export.protojson import to_json
from gigaledger.v1.events_pb2 import RecordedEvent
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hypothesis_profiles import examples
from tests.messages import messages
from tests.projections.log import example


@settings(max_examples=examples(100), deadline=None)
@given(messages(RecordedEvent.DESCRIPTOR, depth=5))
def test_it_is_what_the_library_gives(message: Message) -> None:
    try:
        expected = MessageToDict(message)
    except SerializeToJsonError:
        with pytest.raises(ValueError, match="Timestamp"):
            to_json(message)
    else:
        assert to_json(message) == expected
        assert list(to_json(message)) == list(expected)


def test_examples_are_what_the_library_gives() -> None:
    for event in example("nvidia-openai-plan"):
        assert to_json(event) == MessageToDict(event)


def test_what_facts_are_not_made_of_is_left_to_the_library() -> None:
    struct = Struct()
    struct.update({"a": 1.5, "b": [None, "x"]})

    assert to_json(struct) == {"a": 1.5, "b": [None, "x"]}


@given(st.integers(10**9, 2**31 - 1))
def test_a_time_that_is_none_is_not_shown(nanos: int) -> None:
    event = RecordedEvent(position=1)
    event.recorded_time.nanos = nanos

    with pytest.raises(ExportError, match="nothing that can be shown"):
        readable(event.SerializeToString())
