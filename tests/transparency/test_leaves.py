"""Leaves of the Merkle tree are the bytes of events as readers receive them."""

from __future__ import annotations

import pytest
from gigaledger.common.transparency.leaves import WireError, recorded_events
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.ledger_pb2 import ReadEventsResponse, SubscribeEventsResponse
from hypothesis import given
from hypothesis import strategies as st

EVENTS = st.builds(
    RecordedEvent,
    position=st.integers(0, 2**62),
    stream=st.text(max_size=300),
    event=st.builds(Event, actor=st.text(max_size=300)),
)


@given(st.lists(EVENTS, max_size=5), st.integers(0, 2**62), st.text(max_size=5))
def test_each_event_of_a_response(events: list[RecordedEvent], position: int, token: str) -> None:
    expected = [event.SerializeToString() for event in events]
    for answer in (
        ReadEventsResponse(events=events, through_position=position),
        SubscribeEventsResponse(events=events, resume_token=token, caught_up=True),
    ):
        assert list(recorded_events(answer.SerializeToString())) == expected


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(answer: bytes) -> None:
    try:
        found = list(recorded_events(answer))
    except WireError:
        return
    assert sum(map(len, found)) <= len(answer)


@given(EVENTS.filter(lambda event: event.ByteSize() > 0), st.data())
def test_a_truncated_response(event: RecordedEvent, data: st.DataObject) -> None:
    answer = ReadEventsResponse(events=[event]).SerializeToString()
    cut = answer[: data.draw(st.integers(1, len(answer) - 1))]

    with pytest.raises(WireError, match="truncated"):
        list(recorded_events(cut))


@pytest.mark.parametrize("cut", [b"\x11\x00", b"\x15", b"\x0a\x01x\x11", b"\x0a\x02x"])
def test_a_truncated_field(cut: bytes) -> None:
    with pytest.raises(WireError, match="truncated"):
        list(recorded_events(cut))


@pytest.mark.parametrize("tag", [b"\x02\x00", b"\x82\x80\x80\x80\x10\x00"])
def test_a_field_without_a_number(tag: bytes) -> None:
    with pytest.raises(WireError, match="not a field number"):
        list(recorded_events(tag))


def test_an_endless_number() -> None:
    with pytest.raises(WireError, match="too long"):
        list(recorded_events(b"\x08" + b"\xff" * 20 + b"\x01"))
