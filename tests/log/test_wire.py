"""Responses assembled from stored bytes equal those of the generated classes."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from gigaledger.common.quantities import instant_to_message
from gigaledger.ledger.log import wire
from gigaledger.v1 import ledger_pb2 as pb
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from hypothesis import given
from hypothesis import strategies as st

# Sizes around those at which a length takes one more byte.
EVENTS = st.sampled_from([0, 1, 40, 60, 125, 126, 127, 128, 16_380, 16_384, 65_535]).map(
    lambda size: Event(actor="a" * size)
)
PLACES = st.tuples(
    st.integers(1, 1 << 62),
    st.text(max_size=80),
    st.integers(0, 1 << 62),
    st.uuids(),
    st.datetimes(timezones=st.just(dt.UTC)),
)


@given(st.lists(st.tuples(PLACES, EVENTS), max_size=4), st.text(max_size=20))
def test_byte_for_byte(
    rows: list[tuple[tuple[int, str, int, UUID, dt.datetime], Event]], token: str
) -> None:
    expected = pb.ListEventsResponse(
        events=[
            RecordedEvent(
                position=position,
                stream=stream,
                stream_version=version,
                event_id=str(event_id),
                recorded_time=instant_to_message(recorded_at),
                event=event,
            )
            for (position, stream, version, event_id, recorded_at), event in rows
        ],
        next_page_token=token,
    )

    written = (
        b"".join(
            wire.prefix_of(*place, event.ByteSize()) + event.SerializeToString()
            for place, event in rows
        )
        + pb.ListEventsResponse(next_page_token=token).SerializeToString()
    )

    assert written == expected.SerializeToString()


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (pb.ListEventsResponse, "events"),
        (pb.ReadEventsResponse, "events"),
        (pb.SubscribeEventsResponse, "events"),
        (pb.GetEventResponse, "event"),
    ],
)
def test_the_events_field_has_the_same_number_in_every_response(answer: Any, field: str) -> None:
    assert answer.DESCRIPTOR.fields_by_name[field].number == wire.EVENTS_FIELD_NUMBER
