"""From events to the read model of exceptions: the events themselves, for rules to judge.

Who recorded a fact, when and on what evidence are what some rules are about, so events are kept
whole. What the rules make of them is worked out when a question is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from gigaledger.v1.events_pb2 import Event

from services.projections.facts import EventFold, Row
from services.projections.projection import Projection


def _kept(event: Event) -> Iterator[Row]:
    yield Row(
        "exceptions_event",
        {
            "fact_type": event.WhichOneof("fact"),
            "event": event.SerializeToString(deterministic=True),
        },
    )


EXCEPTIONS = Projection(
    name="exceptions",
    package="services.projections.exceptions",
    folds={
        field.name: EventFold(_kept) for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    },
    tables=("exceptions_event",),
)
