"""Subtotals: which blocks make what, and that they say what the rows say."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from itertools import chain

import pytest
from gigaledger.common.quantities import instant_from_message
from gigaledger.projections.engine import store, subtotal_builder
from gigaledger.projections.engine.generations import Generation
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.projections.engine.snapshot import KnowledgePoint
from gigaledger.projections.engine.subtotals import (
    FAN_OUT,
    Block,
    blocks_before,
    blocks_ending_with,
)
from gigaledger.projections.trade.matching import Moved
from gigaledger.projections.trade.round_trip import BASES, Series
from gigaledger.projections.trade.round_trip_queries import read_series
from gigaledger.v1.events_pb2 import RecordedEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection, sql

from tests.audit.histories import histories
from tests.hypothesis_profiles import examples
from tests.projections.conftest import BY_NAME, SCHEMA, WORKER, ReadModels
from tests.projections.log import example

SUMS = "SELECT * FROM {sums} AS sums"
WITH_SUBTOTALS = [name for name, projection in BY_NAME.items() if projection.subtotals]


def spanned(block: Block) -> range:
    """The blocks of level 0 that a block is made of."""
    size = FAN_OUT**block.level
    return range(block.number * size, (block.number + 1) * size)


@given(count=st.integers(0, 10**6))
def test_few_blocks_make_any_number_of_short_ones(count: int) -> None:
    blocks = list(blocks_before(count))

    ranges = sorted((spanned(block) for block in blocks), key=lambda span: span.start)
    assert [0, *(span.stop for span in ranges)] == [*(span.start for span in ranges), count]
    for level in {block.level for block in blocks}:
        assert sum(block.level == level for block in blocks) < FAN_OUT


@given(first=st.integers(0, 2000), count=st.integers(0, 600))
def test_a_block_is_made_once_all_of_it_is_there(first: int, count: int) -> None:
    made = list(chain.from_iterable(map(blocks_ending_with, range(first, first + count))))

    assert len(made) == len(set(made))
    assert all(first <= spanned(block).stop - 1 < first + count for block in made)
    whole = set(blocks_before(first + count)) - set(blocks_before(first))
    assert whole <= set(made)


def test_the_projections_of_trade_have_subtotals() -> None:
    assert WITH_SUBTOTALS == ["capacity", "exceptions", "round-trip"]


@pytest.mark.parametrize("name", WITH_SUBTOTALS)
@settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=histories(),
    block_events=st.integers(1, 7),
    parts=st.lists(st.integers(1, 20), max_size=4),
    days=st.lists(st.integers(-60, 500), min_size=1, max_size=3),
)
async def test_subtotals_say_what_the_rows_say(
    read_models: ReadModels,
    name: str,
    events: list[RecordedEvent],
    block_events: int,
    parts: list[int],
    days: list[int],
) -> None:
    """At every position, however the events came in, as of any day and of all days."""
    subtotals = BY_NAME[name].subtotals
    assert subtotals is not None
    await read_models.forget()
    await read_models.connection.execute(
        "UPDATE book_main.projection_subtotal SET block_events = %s", (block_events,)
    )
    left = list(events)
    for count in (*parts, len(events)):
        if left[:count]:
            await read_models.apply(left[:count])
            left = left[count:]
    until = [None, *(dt.date(2026, 1, 5) + dt.timedelta(days=day) for day in days)]
    for event in events:
        known = KnowledgePoint(event.position, instant_from_message(event.recorded_time))
        for as_of in until:
            async with read_models.snapshot(name, as_of, known=known) as snapshot:
                summed = await snapshot.sums(subtotals.question(SUMS))
                rows = await snapshot.rows(subtotals.question(SUMS).of_rows)
            assert sorted_rows(summed) == sorted_rows(rows)


@settings(
    max_examples=examples(5),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=histories(),
    block_events=st.integers(1, 7),
    from_days=st.integers(-60, 500),
    until_days=st.integers(-60, 500),
)
async def test_series_of_blocks_are_series_of_rows(
    read_models: ReadModels,
    events: list[RecordedEvent],
    block_events: int,
    from_days: int,
    until_days: int,
) -> None:
    """At every position, from any day to any day."""
    await read_models.forget()
    await read_models.connection.execute(
        "UPDATE book_main.projection_subtotal SET block_events = %s", (block_events,)
    )
    await read_models.apply(events)
    first = dt.date(2026, 1, 5)
    from_day, as_of = (first + dt.timedelta(days) for days in (from_days, until_days))
    for event in events:
        known = KnowledgePoint(event.position, instant_from_message(event.recorded_time))
        async with read_models.snapshot("round-trip", as_of, known=known) as snapshot:
            of_rows = replace(snapshot, subtotal_position=0)
            for day in (dt.date.min, from_day):
                found = await read_series(snapshot, {}, day)
                assert comparable(found) == comparable(await read_series(of_rows, {}, day))


def comparable(found: list[Series]) -> dict[tuple[object, ...], object]:
    """Series by their keys: by day if they are part of a basis, else as totals."""
    by_day = {measure for measures in BASES.values() for measure in measures}
    return {
        (series.measure, series.supplier, series.customer, series.currency): (
            Moved(series.days).standing if series.measure in by_day else Moved(series.days).minor,
            series.undisclosed,
            series.statuses,
        )
        for series in found
    }


async def test_questions_are_answered_from_subtotals(read_models: ReadModels) -> None:
    events = example("nvidia-openai-plan")
    await read_models.apply(events)
    for name in WITH_SUBTOTALS:
        subtotals = BY_NAME[name].subtotals
        assert subtotals is not None
        async with read_models.snapshot(name) as snapshot:
            assert snapshot.subtotal_position == len(events) // 2 * 2
            assert await snapshot.sums(subtotals.question(SUMS))
        await read_models.connection.execute(
            sql.SQL("TRUNCATE {}").format(sql.Identifier(SCHEMA, f"{subtotals.table}_1"))
        )
        last = events[len(events) // 2 * 2 - 1]
        known = KnowledgePoint(last.position, instant_from_message(last.recorded_time))
        async with read_models.snapshot(name, known=known) as snapshot:
            assert not await snapshot.sums(subtotals.question(SUMS))
            assert await snapshot.rows(subtotals.question(SUMS).of_rows)
        async with read_models.snapshot(
            name, statuses=["PLAN", "ASSUMPTION"], known=known
        ) as snapshot:
            assert await snapshot.sums(subtotals.question(SUMS))


async def test_subtotals_are_built_once(read_models: ReadModels, database_url: str) -> None:
    """However many processes build them at the same time."""
    generation = Generation(BY_NAME["round-trip"], 1)
    await store.apply(
        read_models.connection, SCHEMA, [generation], example("nvidia-openai-plan"), "", WORKER
    )
    async with await AsyncConnection.connect(
        database_url, options=SESSION_OPTIONS, autocommit=True
    ) as other:
        await asyncio.gather(
            *(_all_summed(connection, generation) for connection in (read_models.connection, other))
        )
    together = await _count(read_models)
    await read_models.forget()
    await read_models.apply(example("nvidia-openai-plan"), BY_NAME["round-trip"])

    assert together == await _count(read_models) > 0


async def _all_summed(
    connection: AsyncConnection[tuple[object, ...]], generation: Generation
) -> None:
    while await subtotal_builder.build_subtotals(connection, SCHEMA, [generation]):
        pass


async def _count(read_models: ReadModels) -> int:
    cursor = await read_models.connection.execute(
        "SELECT count(*) FROM book_main.round_trip_subtotal_1"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(str(row[0]))


def sorted_rows(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    """Rows as tuples in the order of the names of their columns, in order."""
    return sorted((tuple(row[name] for name in sorted(row)) for row in rows), key=repr)
