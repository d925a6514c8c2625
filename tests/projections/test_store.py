"""Read models do not depend on how the log arrived: batches, restarts, several workers."""

from __future__ import annotations

import pytest
from gigaledger.common.quantities import instant_to_message
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.projections.engine import generations, store
from gigaledger.projections.engine.folding import FoldError, fold_event
from gigaledger.projections.engine.snapshot import BehindError
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from hypothesis import given, settings

from tests.facts import fact, invoiced, paid, parties, placed, reversed_entry
from tests.hypothesis_profiles import examples
from tests.projections.conftest import SCHEMA, ReadModels
from tests.projections.log import example, log_of
from tests.rules.test_properties import STEPS, opened

CORRECTIONS = example("corrections")


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_batches_leave_the_tables_of_a_rebuild(read_models: ReadModels, size: int) -> None:
    for start in range(0, len(CORRECTIONS), size):
        await read_models.apply(CORRECTIONS[start : start + size])
    in_batches = await read_models.content()

    await read_models.forget()
    await read_models.apply(CORRECTIONS)

    assert await read_models.content() == in_batches
    # The payment at position 30 was recorded in error, as position 31 says.
    reversals = {(row[0], row[5]) for rows in in_batches.values() for row in rows if row[5]}
    assert reversals == {(30, 31)}


async def test_events_are_counted_once(read_models: ReadModels) -> None:
    await read_models.apply(CORRECTIONS[:20])
    before = await read_models.content()

    for again in (CORRECTIONS[:20], CORRECTIONS[10:30], CORRECTIONS[25:]):
        with pytest.raises(store.OvertakenError):
            await read_models.apply(again)

    assert await read_models.content() == before


async def test_a_reversal_in_the_batch_of_its_target(read_models: ReadModels) -> None:
    log = log_of([*parties("SUP", "CUS"), placed(), invoiced(), paid(), reversed_entry(6)])

    await read_models.apply(log)

    rows = (await read_models.content())["round_trip_payment"]
    assert [(row[0], row[5]) for row in rows] == [(6, 7)]


async def test_what_cannot_be_folded_stops_only_its_projection(read_models: ReadModels) -> None:
    log = log_of([*parties("SUP", "CUS"), placed(), invoiced(), paid()])
    poison = RecordedEvent()
    poison.CopyFrom(log[4])
    poison.event.invoice_issued.amount.currency_code = "XXY"
    round_trip = next(p for p in PROJECTIONS if p.name == "round-trip")

    with pytest.raises(FoldError, match="XXY") as caught:
        await read_models.apply([*log[:4], poison, log[5]])

    assert caught.value.position == 5
    stopped = await read_models.connection.execute(
        "SELECT position, failed_position FROM book_main.projection_evaluation"
    )
    assert await stopped.fetchall() == [(4, 5)]

    progress = await store.read_progress(read_models.connection, SCHEMA)
    assert progress["capacity", 1].position == progress["investment", 1].position == 6
    assert progress["round-trip", 1].position == 4
    assert "invoice_issued" in progress["round-trip", 1].failure
    async with read_models.snapshot("exceptions") as snapshot:
        assert snapshot.scope.position == 4
    # Once it can be folded, the projection goes on from there.
    await read_models.apply(log[4:], round_trip)
    healed = (await store.read_progress(read_models.connection, SCHEMA))["round-trip", 1]
    assert (healed.position, healed.failure) == (6, "")


async def test_a_fact_of_a_later_version_stops_a_projection(read_models: ReadModels) -> None:
    unknown = RecordedEvent()
    unknown.CopyFrom(log_of([])[0])
    unknown.event.ClearField("book_opened")

    with pytest.raises(FoldError, match="does not know"):
        await read_models.apply([unknown])


async def test_a_reader_is_told_when_a_position_is_not_reached(read_models: ReadModels) -> None:
    await read_models.apply(CORRECTIONS[:5])

    with pytest.raises(BehindError) as caught:
        async with read_models.snapshot("capacity", min_position=6):
            pass

    assert caught.value.position == 5


async def test_preparing_again_changes_nothing(read_models: ReadModels) -> None:
    await read_models.apply(CORRECTIONS[:5])
    before = await read_models.content()

    await generations.prepare(read_models.connection, SCHEMA, PROJECTIONS)

    assert await read_models.content() == before


async def test_the_planner_is_told_of_a_book_that_grows_fast(read_models: ReadModels) -> None:
    """Without statistics, PostgreSQL joins thousands of rows as if there were ten."""
    await read_models.apply(log_of(parties(*(f"P{number}" for number in range(1100)))))

    cursor = await read_models.connection.execute(
        "SELECT reltuples FROM pg_class WHERE oid = 'book_main.round_trip_group_1'::regclass"
    )
    assert await cursor.fetchone() == (1100.0,)


async def test_the_role_of_projections_cannot_read_the_log(read_models: ReadModels) -> None:
    with pytest.raises(Exception, match="permission denied"):
        await read_models.connection.execute("SELECT * FROM book_main.event")


def test_facts_that_do_not_concern_a_projection_add_no_rows() -> None:
    (_, period) = log_of([fact("period_closed", period="2026-01")])

    concerned = [p.name for p in PROJECTIONS if fold_event(p.folds, period).rows]
    assert concerned == ["exceptions"]


@settings(max_examples=examples(25), deadline=None)
@given(steps=STEPS)
def test_every_projection_folds_whatever_the_ledger_accepts(steps: list[list[Event]]) -> None:
    ledger = opened()
    for step in steps:
        try:
            ledger.append(*step)
        except Refused:
            continue

    for entry in ledger.entries:
        recorded = RecordedEvent(
            position=entry.position,
            recorded_time=instant_to_message(entry.recorded_at),
            event=entry.event,
        )
        for projection in PROJECTIONS:
            assert fold_event(projection.folds, recorded).position == entry.position
