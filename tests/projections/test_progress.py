"""Plan against actual, pace, the way from entitlement to cash, and the hardware behind it."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from gigaledger.common.quantities import date_from_message
from gigaledger.projections.capacity.progress import forecast_date, gained_days, reached_since
from gigaledger.projections.capacity.queries import query_capacity
from gigaledger.projections.investment.queries import query_investment
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import (
    MilestoneProgress,
    QueryCapacityResponse,
    QueryInvestmentResponse,
)
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.histories import histories
from tests.facts import called, certified, claimed, day, definitive, fact, funded, parties, terms
from tests.hypothesis_profiles import examples
from tests.projections.conftest import ReadModels
from tests.projections.log import example, log_of

JUNE = dt.date(2028, 6, 30)
IT_LOAD = "POWER_BASIS_IT_CRITICAL_LOAD"


async def capacity(read_models: ReadModels, as_of: dt.date | None = None) -> QueryCapacityResponse:
    async with read_models.snapshot("capacity", as_of) as snapshot:
        return await query_capacity(snapshot, "")


async def investment(
    read_models: ReadModels, as_of: dt.date | None = None
) -> QueryInvestmentResponse:
    async with read_models.snapshot("investment", as_of) as snapshot:
        return await query_investment(snapshot, "")


def on(message: Message, name: str) -> dt.date | None:
    value = getattr(message, name)
    assert isinstance(value, Date)
    return date_from_message(value) if message.HasField(name) else None


async def test_the_plan_reaches_its_target_later_than_planned_at_this_pace(
    read_models: ReadModels,
) -> None:
    """3.75 GW are missing on 2028-06-30, and 4.25 GW came in the 366 days before: 323 days more."""
    await read_models.apply(example("nvidia-openai-plan"))

    (forecast,) = (await capacity(read_models, JUNE)).forecasts
    (done,) = (await capacity(read_models, dt.date(2028, 12, 31))).forecasts
    (early,) = (await capacity(read_models, dt.date(2026, 11, 30))).forecasts

    assert (forecast.missing_kw, forecast.gained_kw, forecast.gained_days) == (
        3_750_000,
        4_250_000,
        366,
    )
    assert on(forecast, "forecast_date") == JUNE + dt.timedelta(days=323)
    assert forecast.days_late == 139
    for nothing in (done, early):
        assert on(nothing, "forecast_date") is None
        assert not nothing.HasField("days_late")
    assert (done.missing_kw, early.gained_kw) == (0, 0)


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)),
    st.integers(-(10**7), 10**9),
    st.integers(-(10**7), 10**9),
)
def test_the_forecast_is_the_first_day_on_which_the_pace_has_brought_what_is_missing(
    evaluation_date: dt.date, missing: int, gained: int
) -> None:
    found = forecast_date(evaluation_date, missing, gained)

    if found is None:
        assert (
            missing <= 0
            or gained <= 0
            or Fraction(missing * gained_days(evaluation_date), gained)
            > (dt.date.max - evaluation_date).days
        )
    else:
        a_day = Fraction(gained, gained_days(evaluation_date))
        assert (
            a_day * (found - evaluation_date).days
            >= missing
            > a_day * ((found - evaluation_date).days - 1)
        )


async def test_points_of_the_schedule_against_what_was_certified(read_models: ReadModels) -> None:
    await read_models.apply(example("nvidia-openai-plan"))

    points = (await capacity(read_models, JUNE)).schedule_points

    assert [(on(p, "planned_date"), p.planned_kw, p.variance_kw) for p in points] == [
        (dt.date(2026, 12, 31), 1_000_000, 0),
        (dt.date(2027, 12, 31), 5_000_000, 0),
        (dt.date(2028, 12, 31), 10_000_000, -3_750_000),
    ]
    assert [on(point, "reached_date") for point in points] == [
        dt.date(2026, 12, 10),
        dt.date(2027, 12, 28),
        None,
    ]
    assert [point.days_late for point in points[:2]] == [-21, -3]
    assert not points[2].HasField("days_late")


def planned(milestone: str = "M1", power_kw: int = 1_000_000, **fields: Any) -> Any:
    return fact(
        "capacity_milestone_planned",
        agreement="AGR",
        milestone=milestone,
        power_kw=power_kw,
        power_basis=IT_LOAD,
        **fields,
    )


async def test_milestones_planned_claimed_and_certified(read_models: ReadModels) -> None:
    march, april = dt.date(2026, 3, 1), dt.date(2026, 4, 1)
    await read_models.apply(
        log_of(
            [
                *parties("SUP", "CUS"),
                definitive(),
                planned(planned_date=day(march)),
                planned("M2", planned_date=day(april)),
                claimed(900_000, on=dt.date(2026, 2, 20)),
                certified(600_000, on=dt.date(2026, 2, 25)),
                claimed(100_000, on=dt.date(2026, 3, 4)),
                certified(400_000, "CERT-2", on=dt.date(2026, 3, 11)),
                claimed(5_000, milestone="M3", on=dt.date(2026, 3, 11)),
            ]
        )
    )

    before = (await capacity(read_models, dt.date(2026, 3, 3))).milestones
    after = (await capacity(read_models, dt.date(2026, 3, 31))).milestones

    assert _line(before[0]) == (1_000_000, 900_000, 600_000, -400_000, None, 2)
    assert _line(after[0]) == (1_000_000, 1_000_000, 1_000_000, 0, dt.date(2026, 3, 11), 10)
    assert _line(after[1]) == (1_000_000, 0, 0, -1_000_000, None, None)
    assert _line(after[2]) == (0, 5_000, 0, None, None, None)
    assert on(after[0], "claimed_date") == dt.date(2026, 2, 20)


def _line(milestone: MilestoneProgress) -> tuple[Any, ...]:
    numbers = (milestone.planned_kw, milestone.claimed_kw, milestone.certified_kw)
    return (
        *numbers,
        milestone.variance_kw if milestone.HasField("variance_kw") else None,
        on(milestone, "completed_date"),
        milestone.days_late if milestone.HasField("days_late") else None,
    )


@given(
    st.lists(st.tuples(st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 9)), st.integers(-5, 9))),
    st.integers(1, 20),
)
def test_a_goal_is_reached_since_the_last_time_that_it_was_missed(
    changes: list[tuple[dt.date, int]], goal: int
) -> None:
    def total(on_day: dt.date) -> int:
        return sum(kw for day_, kw in changes if day_ <= on_day)

    since = reached_since(changes, goal)

    last = dt.date(2026, 1, 9)
    held = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(9)]
    if since is None:
        assert total(last) < goal
    else:
        assert all(total(day_) >= goal for day_ in held if day_ >= since)
        assert total(since - dt.timedelta(days=1)) < goal


async def test_entitlement_has_a_day_and_a_cause(read_models: ReadModels) -> None:
    await read_models.apply(example("nvidia-openai-plan"))

    lines = (await investment(read_models, dt.date(2027, 12, 31))).timelines

    fifth, sixth = lines[4], lines[5]
    assert [cause.certificate for cause in lines[0].causes] == ["CERT-M1"]
    assert on(lines[0], "entitled_date") == dt.date(2026, 12, 10)
    assert (lines[0].days_to_call, lines[0].days_to_fund) == (5, 10)
    assert [(c.certificate, c.power_kw) for c in fifth.causes] == [("CERT-M5", 1_000_000)]
    assert on(fifth, "entitled_date") == dt.date(2027, 12, 28)
    assert (on(fifth, "called_date"), fifth.days_to_call, fifth.days_to_fund) == (None, 3, 3)
    assert on(sixth, "entitled_date") is None
    assert not sixth.causes
    assert not sixth.HasField("days_to_call")


async def test_entitlement_that_was_lost_began_anew(read_models: ReadModels) -> None:
    ladder = terms()["tranches"]
    ladder[1]["conditions"] = [
        {"type": "CONDITION_TYPE_DATE_REACHED", "date": day(dt.date(2026, 3, 5))}
    ]
    ladder[2]["conditions"] = [{"type": "CONDITION_TYPE_REGULATORY_APPROVAL"}]
    await read_models.apply(
        log_of(
            [
                *parties("SUP", "CUS"),
                definitive(tranches=ladder),
                claimed(2_000_000),
                certified(1_200_000),
                called(),
                funded(call="CALL-1", on=dt.date(2026, 1, 20)),
                fact(
                    "capacity_certification_reversed",
                    on=dt.date(2026, 2, 1),
                    agreement="AGR",
                    certificate="CERT-1",
                    power_kw=300_000,
                    power_basis=IT_LOAD,
                ),
                certified(400_000, "CERT-2", on=dt.date(2026, 3, 1)),
                fact(
                    "tranche_condition_satisfied",
                    on=dt.date(2026, 4, 1),
                    agreement="AGR",
                    tranche=3,
                    condition=1,
                ),
            ]
        )
    )

    lost = (await investment(read_models, dt.date(2026, 2, 1))).timelines
    first, second, third = (await investment(read_models, dt.date(2026, 4, 2))).timelines

    assert on(lost[0], "entitled_date") is None
    assert on(lost[0], "called_date") == dt.date(2026, 1, 5)
    assert on(first, "entitled_date") == dt.date(2026, 3, 1)
    assert [cause.certificate for cause in first.causes] == ["CERT-2"]
    assert (first.days_to_call, first.days_to_fund) == (-55, -40)
    assert (on(second, "entitled_date"), list(second.causes)) == (dt.date(2026, 3, 5), [])
    assert on(third, "entitled_date") == dt.date(2026, 4, 1)
    assert len(third.causes) == 1


DAYS = st.one_of(
    st.none(),
    st.integers(-60, 500).map(lambda days: dt.date(2026, 1, 5) + dt.timedelta(days=days)),
)


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=histories(), as_of=DAYS)
async def test_lines_agree_with_the_figures_on_any_history(
    read_models: ReadModels, events: list[RecordedEvent], as_of: dt.date | None
) -> None:
    """A tranche has a day of entitlement if it is entitled; lines of hardware add up."""
    await read_models.forget()
    await read_models.apply(events)

    money = await investment(read_models, as_of)
    power = await capacity(read_models, as_of)

    assert {(t.agreement, t.tranche) for t in money.tranches if t.entitled} <= {
        (line.agreement, line.tranche) for line in money.timelines if on(line, "entitled_date")
    }
    for tranche in money.tranches:
        (line,) = (
            line
            for line in money.timelines
            if (line.agreement, line.tranche) == (tranche.agreement, tranche.tranche)
        )
        assert tranche.entitled == line.HasField("entitled_date")
    places = power.hardware_places
    assert sum(place.received_rack_quantity for place in places) == sum(
        unit.rack_quantity for unit in power.hardware
    )
    for figures in power.figures:
        if figures.capacity_layer == 1:
            lines = [place for place in places if place.power_basis == figures.power_basis]
            assert sum(p.received_implied_kw for p in lines) == figures.delivered_implied_kw
            assert sum(place.certified_kw for place in lines) == figures.certified_kw


async def test_hardware_behind_the_gigawatts_ties_out(read_models: ReadModels) -> None:
    """39,750 racks can carry 7.5 GW, against 6.25 GW certified."""
    await read_models.apply(example("nvidia-openai-plan"))

    lines = (await capacity(read_models, JUNE)).hardware_places

    assert [(line.site, line.platform) for line in lines] == [
        ("", "VERA_RUBIN"),
        ("SITE-A", "VERA_RUBIN"),
        ("SITE-B", "VERA_RUBIN"),
        ("SITE-C", "VERA_RUBIN"),
    ]
    untold = lines[0]
    assert (untold.ordered_rack_quantity, untold.received_rack_quantity) == (53_000, 39_750)
    assert (untold.ordered_implied_kw, untold.received_implied_kw) == (10_000_000, 7_500_000)
    assert [line.certified_kw for line in lines] == [0, 3_000_000, 2_000_000, 1_250_000]
    assert sum(line.received_less_certified_kw for line in lines) == 1_250_000
    (gpus,) = untold.gpus
    assert gpus.received_quantity % 39_750 == 0
    assert gpus.ordered_quantity == gpus.received_quantity // 39_750 * 53_000


async def test_hardware_by_site_adds_up_to_the_total_rounded_once(read_models: ReadModels) -> None:
    """Three sites with a rack of 10,000/3 kW each carry 10,000 kW, and not 9,999."""
    await read_models.apply(
        log_of(
            [
                *parties("SUP", "CUS"),
                fact(
                    "rack_sku_rated",
                    sku="R",
                    platform="P",
                    rated_power_kw_numerator=10_000,
                    rated_power_kw_denominator=3,
                    power_basis=IT_LOAD,
                    gpu_count=72,
                    gpu_basis="GPU_BASIS_PACKAGE",
                ),
                _order(),
                *(_goods(1, 1, site) for site in ("A", "B", "C")),
                _goods(2, 4, "A"),
                fact("purchase_order_amended", purchase_order="PO-1", line=1, quantity_delta=2),
                fact("purchase_order_cancelled", purchase_order="PO-1", line=1, quantity=1),
            ]
        )
    )

    lines = (await capacity(read_models)).hardware_places

    by_site = {(line.site, line.platform): line for line in lines}
    assert [by_site[s, "P"].received_implied_kw for s in "ABC"] == [3_334, 3_333, 3_333]
    assert by_site["", "P"].ordered_rack_quantity == 5 + 2 - 1
    assert by_site["", "P"].ordered_implied_kw == 20_000
    assert by_site["", "P"].gpus[0].ordered_quantity == 432
    unrated = by_site["A", ""]
    assert (unrated.received_rack_quantity, unrated.received_implied_kw) == (4, 0)
    assert by_site["", ""].ordered_rack_quantity == 4


def _order() -> Any:
    price = {"currency_code": "USD", "units": "10"}
    return fact(
        "purchase_order_placed",
        purchase_order="PO-1",
        buyer="CUS",
        supplier="SUP",
        contract_kind="CONTRACT_KIND_CHIP_PO",
        lines=[
            {"line": 1, "sku": "R", "quantity": 5, "unit_price": price},
            {"line": 2, "sku": "UNRATED", "quantity": 4, "unit_price": price},
        ],
    )


def _goods(line: int, quantity: int, site: str) -> Any:
    return fact("goods_received", purchase_order="PO-1", line=line, quantity=quantity, site=site)
