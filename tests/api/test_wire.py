"""Responses put together from stored bytes are what the generated classes would have written."""

from __future__ import annotations

import datetime as dt

from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.ledger_pb2 import ListEventsResponse
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.api import wire
from services.ledger.log.reader import LogRow
from services.quantities import instant_to_message

ROWS = st.builds(
    LogRow,
    position=st.integers(1, 1 << 62),
    stream=st.text(max_size=80),
    stream_version=st.integers(0, 1 << 62),
    event_id=st.uuids(),
    recorded_at=st.datetimes(timezones=st.just(dt.UTC)),
    # Sizes around those at which the length takes one more byte.
    event=st.sampled_from([0, 1, 125, 126, 127, 128, 16_380, 16_384, 65_535]).map(
        lambda size: Event(actor="a" * size).SerializeToString()
    ),
)


@given(st.lists(ROWS, max_size=4), st.text(max_size=20))
def test_byte_for_byte(rows: list[LogRow], token: str) -> None:
    rest = ListEventsResponse(next_page_token=token)
    expected = ListEventsResponse(
        events=[
            RecordedEvent(
                position=row.position,
                stream=row.stream,
                stream_version=row.stream_version,
                event_id=str(row.event_id),
                recorded_time=instant_to_message(row.recorded_at),
                event=Event.FromString(row.event),
            )
            for row in rows
        ],
        next_page_token=token,
    )

    written = wire.with_events(
        ListEventsResponse.EVENTS_FIELD_NUMBER, rows, rest.SerializeToString()
    )

    assert ListEventsResponse.FromString(written) == expected
    assert written == expected.SerializeToString()
