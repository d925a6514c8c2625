"""Differences of figures between two states of knowledge, event by event.

The question is answered again after each event that the projection has rows of, and the answers are
compared. Whatever rule makes a figure, the differences thus add up to the total.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from gigaledger.common.quantities import date_to_message, instant_from_message
from gigaledger.projections.engine.snapshot import KnowledgePoint, Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.queries.reports import Answer, Question, answer
from gigaledger.projections.shared.figure_diff import changes_between, figures_of
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import EventChanges, FigureChange, TotalChanges

_AFFECTED = """
    SELECT position FROM {table} WHERE position > %(since)s AND position <= %(position)s
    UNION
    SELECT reversed_position FROM {table}
    WHERE reversed_position > %(since)s AND reversed_position <= %(position)s
"""


async def affected_positions(snapshot: Snapshot, since: int) -> frozenset[int]:
    """Return the positions, after another, of events that the rows of a projection come from.

    Args:
        snapshot: a snapshot of the projection, at the later state of knowledge.
        since: the position of the earlier state.
    """
    found: set[int] = set()
    for table in snapshot.projection.tables:
        rows = await snapshot.rows(statement(_AFFECTED, table=table), since=since)
        found.update(row["position"] for row in rows)
    return frozenset(found)


async def changes(
    snapshot: Snapshot,
    question: Question,
    since: KnowledgePoint,
    events: AsyncIterable[RecordedEvent],
    affected: frozenset[int],
) -> AsyncIterator[EventChanges | TotalChanges]:
    """Yield the difference that each event made to the figures of a question, then the total.

    Differences caused by time alone, if the question names no day, come without a position.

    Args:
        snapshot: a snapshot of the projection, at the later state of knowledge.
        question: the question.
        since: the earlier state of knowledge.
        events: events recorded after it up to the later one, in order.
        affected: positions of those events that the projection has rows of.

    Raises:
        InvalidArgumentError: a field of the question is malformed.
    """
    walk = _Walk(snapshot, question, since, await answer(snapshot.at(since), question))
    before = walk.last
    async for event in events:
        if event.position not in affected:
            continue
        passed = await walk.pass_time(
            KnowledgePoint(event.position - 1, instant_from_message(event.recorded_time))
        )
        if passed.changes:
            yield passed
        moved = await walk.take(event)
        if moved.changes:
            yield moved
    scope = snapshot.scope
    passed = await walk.pass_time(KnowledgePoint(scope.position, scope.recorded_time))
    if passed.changes:
        yield passed
    yield TotalChanges(
        before=before.context,
        after=walk.last.context,
        changes=changes_between(figures_of(before), figures_of(walk.last)),
    )


class _Walk:
    """Goes from one state of knowledge to the next and compares the answers."""

    def __init__(
        self, snapshot: Snapshot, question: Question, known: KnowledgePoint, last: Answer
    ) -> None:
        self._reader = snapshot
        self._question = question
        self._today = snapshot.at(known).scope.evaluation_date
        self.last = last

    async def pass_time(self, known: KnowledgePoint) -> EventChanges:
        """Go on to a later time at which nothing else is known that matters."""
        scope = self._reader.at(known).scope
        if scope.evaluation_date == self._today and scope.position != self._reader.scope.position:
            return EventChanges()
        self._today = scope.evaluation_date
        return EventChanges(
            effective_date=date_to_message(scope.evaluation_date),
            changes=await self._compare(known),
        )

    async def take(self, event: RecordedEvent) -> EventChanges:
        """Advance to the knowledge after an event."""
        known = KnowledgePoint(event.position, instant_from_message(event.recorded_time))
        return EventChanges(
            position=event.position,
            recorded_time=event.recorded_time,
            effective_date=event.event.effective_date,
            fact_type=event.event.WhichOneof("fact") or "",
            stream=event.stream,
            changes=await self._compare(known),
        )

    async def _compare(self, known: KnowledgePoint) -> list[FigureChange]:
        before, self.last = self.last, await answer(self._reader.at(known), self._question)
        return changes_between(figures_of(before), figures_of(self.last))
