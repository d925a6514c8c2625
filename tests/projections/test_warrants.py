"""Warrants: granted, vested, exercisable, exercised and lapsed, as of any day and knowledge."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.projections.engine.snapshot import KnowledgePoint
from gigaledger.projections.warrants.queries import query_warrants
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import WarrantFigures

from tests.facts import money, parties, reversed_entry
from tests.instruments import EXERCISE, EXPIRY, exercised, granted, lapsed, satisfied, vested
from tests.projections.conftest import ReadModels
from tests.projections.log import log_of

JAN, FEB, MAR, APR, MAY = (dt.date(2026, month, 1) for month in range(1, 6))


def on(event: Event, date: dt.date) -> Event:
    """The fact with another effective date."""
    event.effective_date.year, event.effective_date.month, event.effective_date.day = (
        date.year,
        date.month,
        date.day,
    )
    return event


def life() -> list[Event]:
    """Granted in January, vested in February and March, exercised in part in May."""
    return [
        *parties("SUP", "CUS"),
        on(granted(), JAN),
        on(vested("40", tranche=2), FEB),
        on(satisfied(), MAR),
        on(vested("60"), MAR),
        on(satisfied(EXERCISE), APR),
        on(exercised("65", amount=money(3_250)), MAY),
    ]


async def read(
    read_models: ReadModels,
    as_of: dt.date | None = None,
    price: Decimal | None = None,
    known: KnowledgePoint | None = None,
) -> WarrantFigures:
    async with read_models.snapshot("warrants", as_of, known=known) as snapshot:
        [warrant] = (await query_warrants(snapshot, "", price)).warrants
    return warrant


def shares(figures: WarrantFigures) -> dict[str, str]:
    names = ("granted", "vested", "exercisable", "exercised", "lapsed", "outstanding")
    return {name: getattr(figures, name).value for name in names}


async def test_a_warrant_lives_from_grant_to_exercise(read_models: ReadModels) -> None:
    await read_models.apply(log_of(life()))

    by_month = [shares(await read(read_models, month)) for month in (JAN, FEB, MAR, APR, MAY)]

    names = ("vested", "exercisable", "exercised", "outstanding")
    assert [[one[name] for name in names] for one in by_month] == [
        ["0", "0", "0", "100"],
        ["40", "40", "0", "100"],
        # Vested shares wait for the condition of exercise.
        ["100", "40", "0", "100"],
        ["100", "100", "0", "100"],
        ["100", "35", "65", "35"],
    ]


async def test_the_next_tranche_names_what_is_missing(read_models: ReadModels) -> None:
    await read_models.apply(log_of(life()))

    in_february = await read(read_models, FEB)
    in_march = await read(read_models, MAR)

    assert in_february.next_tranche == 1
    [delivery] = in_february.tranches[0].vesting_conditions
    assert (delivery.holds, delivery.condition.power_kw) == (False, 1_000_000)
    assert in_march.next_tranche == 0
    [delivery] = in_march.tranches[0].vesting_conditions
    assert (delivery.holds, date_from_message(delivery.since)) == (True, MAR)
    [approval] = in_march.tranches[0].exercise_conditions
    assert not approval.holds
    assert not approval.HasField("since")


async def test_exercises_take_exercisable_tranches_by_number(read_models: ReadModels) -> None:
    await read_models.apply(log_of(life()))

    after = await read(read_models, MAY)

    assert [tranche.exercised.value for tranche in after.tranches] == ["60", "5"]
    assert [tranche.exercisable.value for tranche in after.tranches] == ["0", "35"]


async def test_what_was_paid_and_what_the_rest_is_worth(read_models: ReadModels) -> None:
    await read_models.apply(log_of(life()))

    after = await read(read_models, MAY, Decimal("2.125"))
    under_water = await read(read_models, MAY, Decimal("0.25"))
    without_price = await read(read_models, MAY)

    assert money_from_message(after.exercise_paid.amount).amount_minor == 3_250
    # 35 x (2.125 - 0.50) = 56.875, half to even.
    assert money_from_message(after.exercisable_value).amount_minor == 5_688
    assert money_from_message(after.outstanding_value).amount_minor == 5_688
    assert money_from_message(under_water.exercisable_value).amount_minor == 0
    assert not without_price.HasField("exercisable_value")


async def test_after_expiry_the_rest_has_lapsed(read_models: ReadModels) -> None:
    await read_models.apply(log_of(life()))

    last_day = await read(read_models, EXPIRY)
    day_after = await read(read_models, EXPIRY + dt.timedelta(days=1))

    assert shares(last_day) | {"lapsed": "0", "exercisable": "35"} == shares(last_day)
    expected = {"lapsed": "35", "exercisable": "0", "outstanding": "0"}
    assert shares(day_after) | expected == shares(day_after)
    assert all(tranche.lapsed for tranche in day_after.tranches)


async def test_a_tranche_can_lapse_alone(read_models: ReadModels) -> None:
    facts = [*parties("SUP", "CUS"), on(granted(), JAN), on(lapsed(tranche=1), FEB)]
    await read_models.apply(log_of(facts))

    figures = await read(read_models)

    expected = {"lapsed": "60", "outstanding": "40", "exercisable": "0"}
    assert shares(figures) | expected == shares(figures)
    assert figures.next_tranche == 2


async def test_a_vesting_recorded_in_error_was_known_for_a_while(read_models: ReadModels) -> None:
    until_vested = life()[:6]
    wrong = log_of(until_vested)[-1].position
    log = log_of([*until_vested, reversed_entry(wrong, on=MAR)])
    await read_models.apply(log)
    vesting = log[-2]
    before = KnowledgePoint(vesting.position, vesting.recorded_time.ToDatetime(dt.UTC))

    assert (await read(read_models, known=before)).vested.value == "100"
    assert (await read(read_models)).vested.value == "40"
