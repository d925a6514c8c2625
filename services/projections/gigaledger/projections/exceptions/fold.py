"""From events to the read model of exceptions: the events themselves, for rules to evaluate.

Some rules concern who recorded a fact, when, and on what evidence, so events are kept whole.
Findings about documents and hardware, of which books have many, are evaluated asynchronously and
stored. Other subjects are few and are evaluated by the query.
"""

from __future__ import annotations

from collections.abc import Iterator

from gigaledger.projections.engine.folding import EventFold, Row
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.exceptions.documents import document_of
from gigaledger.projections.exceptions.evaluation import ExceptionEvaluator
from gigaledger.projections.exceptions.exception_records import SUBTOTALS
from gigaledger.v1.events_pb2 import Event, RecordedEvent


def _kept(recorded: RecordedEvent) -> Iterator[Row]:
    event = recorded.event
    document, settlement = document_of(recorded)
    yield Row(
        "exceptions_event",
        {
            "fact_type": event.WhichOneof("fact"),
            "document": document,
            "settlement": settlement,
            "event": event.SerializeToString(deterministic=True),
        },
    )


EXCEPTIONS = Projection(
    name="exceptions",
    version=6,
    package="gigaledger.projections.exceptions",
    folds={
        field.name: EventFold(_kept) for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    },
    tables=("exceptions_event",),
    evaluator=ExceptionEvaluator,
    evaluated_tables=(
        "exceptions_finding",
        "exceptions_capacity_delta",
        "exceptions_document",
        "exceptions_status",
    ),
    subtotals=SUBTOTALS,
)
