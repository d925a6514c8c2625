"""The same log under other readings of the terms."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.quantities import money_from_message
from gigaledger.projections.investment.counterfactual_queries import query_counterfactual
from gigaledger.projections.investment.queries import query_investment
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import (
    CounterfactualFigures,
    CounterfactualReading,
    EntitlementReading,
    FirstTrancheReading,
    LatchingReading,
    QueryCounterfactualRequest,
    QueryCounterfactualResponse,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.histories import histories
from tests.facts import called, certified, claimed, definitive, fact, funded, parties
from tests.hypothesis_profiles import examples
from tests.projections.conftest import ReadModels
from tests.projections.log import example, log_of

FLOOR = CounterfactualReading(entitlement=EntitlementReading.ENTITLEMENT_READING_FLOOR)
PRO_RATA = CounterfactualReading(entitlement=EntitlementReading.ENTITLEMENT_READING_PRO_RATA)
LATCHING = CounterfactualReading(latching=LatchingReading.LATCHING_READING_ON)
NOT_LATCHING = CounterfactualReading(latching=LatchingReading.LATCHING_READING_OFF)
SIGNATURE = CounterfactualReading(first_tranche=FirstTrancheReading.FIRST_TRANCHE_READING_SIGNATURE)
FIGURES = (
    "entitled",
    "called",
    "funded",
    "available_to_call",
    "unfunded_entitlement",
    "overfunded",
)
BILLION = 10**11
"""Cents in a billion dollars."""


async def read(
    read_models: ReadModels, as_of: dt.date | None, *readings: CounterfactualReading
) -> QueryCounterfactualResponse:
    async with read_models.snapshot("investment", as_of) as snapshot:
        return await query_counterfactual(snapshot, QueryCounterfactualRequest(readings=readings))


def minor(figures: CounterfactualFigures) -> dict[str, int]:
    """The disclosed amounts, in minor units."""
    return {
        name: money_from_message(getattr(figures, name).amount).amount_minor
        for name in FIGURES
        if getattr(figures, name).amount.currency_code
    }


async def test_floor_against_pro_rata(read_models: ReadModels) -> None:
    """6.25 GW of 10 open six tranches of ten, or 62.5% of the commitment."""
    await read_models.apply(example("nvidia-openai-plan"))

    answer = await read(read_models, dt.date(2028, 6, 30), FLOOR, PRO_RATA)

    by_name = {line.agreement: line for line in answer.agreements}
    line = by_name["AGR-DA"]
    floor, share = line.outcomes
    assert minor(line.as_recorded)["entitled"] == minor(floor.figures)["entitled"] == 60 * BILLION
    assert set(minor(floor.difference).values()) == {0}
    assert minor(share.figures) == {
        "entitled": 62 * BILLION + BILLION // 2,
        "called": 60 * BILLION,
        "funded": 60 * BILLION,
        "available_to_call": 2 * BILLION + BILLION // 2,
        "unfunded_entitlement": 2 * BILLION + BILLION // 2,
        "overfunded": 0,
    }
    assert minor(share.difference)["entitled"] == 2 * BILLION + BILLION // 2
    assert answer.context.hypothetical


async def test_the_first_tranche_on_signature(read_models: ReadModels) -> None:
    await read_models.apply(example("nvidia-openai-plan"))
    both = CounterfactualReading()
    both.CopyFrom(SIGNATURE)
    both.entitlement = EntitlementReading.ENTITLEMENT_READING_PRO_RATA

    async def entitled(day: dt.date) -> list[int]:
        answer = await read(read_models, day, SIGNATURE, PRO_RATA, both)
        (line,) = (item for item in answer.agreements if item.agreement == "AGR-DA")
        figures = [line.as_recorded, *(outcome.figures for outcome in line.outcomes)]
        return [minor(item)["entitled"] // BILLION for item in figures]

    assert await entitled(dt.date(2025, 12, 31)) == [0, 10, 0, 10]
    assert await entitled(dt.date(2027, 12, 31)) == [50, 50, 50, 50]
    assert await entitled(dt.date(2028, 6, 30)) == [60, 60, 62, 62]


async def test_latching_and_not(read_models: ReadModels) -> None:
    """Funding on a certificate that is withdrawn is too much, unless the agreement latches."""
    opened = [*parties("SUP", "CUS"), definitive(), claimed(), certified(), called(), funded()]
    withdrawn = fact(
        "capacity_certification_reversed",
        on=dt.date(2026, 2, 1),
        agreement="AGR",
        certificate="CERT-1",
        power_kw=500_000,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
    )
    await read_models.apply(log_of([*opened, withdrawn]))

    (line,) = (await read(read_models, None, LATCHING, NOT_LATCHING)).agreements

    kept, lost = line.outcomes
    assert (minor(kept.figures)["entitled"], minor(kept.figures)["overfunded"]) == (100_000, 0)
    assert minor(kept.difference)["entitled"] == 100_000
    assert minor(kept.difference)["overfunded"] == -100_000
    assert minor(lost.figures) == minor(line.as_recorded)
    assert minor(lost.figures)["overfunded"] == 100_000


async def test_in_proportion_to_no_capacity_has_no_value(read_models: ReadModels) -> None:
    await read_models.apply(
        log_of([*parties("SUP", "CUS"), definitive(power_kw=0, tranches=[]), funded()])
    )

    (line,) = (await read(read_models, None, PRO_RATA)).agreements

    assert minor(line.outcomes[0].figures) == {"called": 0, "funded": 100_000}
    assert minor(line.outcomes[0].difference) == {}


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=histories(),
    as_of=st.one_of(
        st.none(),
        st.integers(-60, 500).map(lambda days: dt.date(2026, 1, 5) + dt.timedelta(days=days)),
    ),
)
async def test_the_books_are_those_of_the_report_and_no_reading_changes_what_was_recorded(
    read_models: ReadModels, events: list[RecordedEvent], as_of: dt.date | None
) -> None:
    await read_models.forget()
    await read_models.apply(events)
    before = await read_models.content()

    answer = await read(read_models, as_of, FLOOR, PRO_RATA, LATCHING, NOT_LATCHING, SIGNATURE)
    async with read_models.snapshot("investment", as_of) as snapshot:
        report = await query_investment(snapshot, "")

    lines = {(line.agreement, line.currency_code): line for line in answer.agreements}
    assert lines.keys() == {(item.agreement, item.currency_code) for item in report.agreements}
    assert answer.context == report.context
    for item in report.agreements:
        line = lines[item.agreement, item.currency_code]
        for name in FIGURES:
            assert getattr(line.as_recorded, name) == getattr(item, name)
        floor, share, latched, current, _ = line.outcomes
        assert floor.figures == line.as_recorded
        if latched.figures.entitled.amount.currency_code:
            assert minor(latched.figures)["entitled"] >= minor(current.figures)["entitled"]
        for outcome in line.outcomes:
            own, other = minor(line.as_recorded), minor(outcome.figures)
            moved = minor(outcome.difference)
            for name in ("called", "funded"):
                assert other.get(name) == own.get(name)
            assert all(other[name] == own[name] + moved[name] for name in moved)
        assert share.figures.called == line.as_recorded.called
    assert await read_models.content() == before


@pytest.mark.parametrize(
    "readings",
    [[], [FLOOR] * 21, [CounterfactualReading(entitlement=7)]],  # type: ignore[arg-type]
)
async def test_readings_that_are_none(read_models: ReadModels, readings: list[Any]) -> None:
    await read_models.apply(log_of([]))

    with pytest.raises(InvalidArgumentError, match="readings"):
        await read(read_models, None, *readings)
