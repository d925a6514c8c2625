"""What did we know, when: any figure as of any day, as known at any position, and what moved it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from itertools import pairwise

import pytest
from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.quantities import decimal_to_text, instant_from_message
from gigaledger.projections.engine.snapshot import KnowledgePoint
from gigaledger.projections.queries import drill_down
from gigaledger.projections.queries.changes import affected_positions, changes
from gigaledger.projections.queries.reports import Answer, Question, answer, answered_by
from gigaledger.projections.shared.figure_diff import (
    FigureKey,
    FigureValue,
    changes_between,
    figures_of,
)
from gigaledger.projections.shared.paging import PageStart, page_start
from gigaledger.projections.shared.periods import Length, periods
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import (
    EventChanges,
    FigureChange,
    Interval,
    ListContributionsRequest,
    PartyLevel,
    QueryCapacityRequest,
    QueryCircularFlowsRequest,
    QueryInvestmentRequest,
    QueryRollForwardRequest,
    QueryRoundTripRequest,
    TotalChanges,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.histories import histories
from tests.hypothesis_profiles import examples
from tests.projections.conftest import ReadModels
from tests.projections.log import example

QUESTIONS: list[Question] = [
    QueryCapacityRequest(),
    QueryInvestmentRequest(),
    QueryRoundTripRequest(include_lots=True),
    QueryRoundTripRequest(level=PartyLevel.PARTY_LEVEL_ENTITY),
    QueryCircularFlowsRequest(),
]
DAYS = st.one_of(
    st.none(),
    st.integers(-60, 500).map(lambda days: dt.date(2026, 1, 5) + dt.timedelta(days=days)),
)
SLOW = settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def known_at(events: Sequence[RecordedEvent], position: int) -> KnowledgePoint:
    """The state of knowledge at a position of a log."""
    return KnowledgePoint(position, instant_from_message(events[position - 1].recorded_time))


async def asked(
    read_models: ReadModels,
    question: Question,
    as_of: dt.date | None = None,
    known: KnowledgePoint | None = None,
) -> Answer:
    """The answer to a question."""
    async with read_models.snapshot(answered_by(question), as_of) as snapshot:
        return await answer(snapshot.at(known) if known else snapshot, question)


async def as_if_then(
    read_models: ReadModels,
    events: Sequence[RecordedEvent],
    question: Question,
    as_of: dt.date | None,
) -> Answer:
    """The answer of a read model that holds nothing but these events."""
    await read_models.forget()
    await read_models.apply(events)
    return await asked(read_models, question, as_of)


@pytest.mark.parametrize("name", ["corrections", "nvidia-openai-plan"])
async def test_an_earlier_position_answers_as_it_did_then(
    read_models: ReadModels, name: str
) -> None:
    events = example(name)
    day = dt.date(2026, 8, 31)
    then: dict[int, list[Answer]] = {}
    for start, end in pairwise([0, 9, 16, 24, 27, 29, 30, len(events)]):
        await read_models.apply(events[start:end])
        then[end] = [await asked(read_models, question, day) for question in QUESTIONS]

    for position, answers in then.items():
        for question, before in zip(QUESTIONS, answers, strict=True):
            now = await asked(read_models, question, day, known_at(events, position))
            assert now.context.latest_position == (len(events) if position < len(events) else 0)
            now.context.latest_position = 0
            assert now == before, f"{type(question).__name__} at {position}"


@SLOW
@given(events=histories(), as_of=DAYS, data=st.data())
async def test_any_day_and_any_knowledge_answer_as_they_did(
    read_models: ReadModels, events: list[RecordedEvent], as_of: dt.date | None, data: st.DataObject
) -> None:
    position = data.draw(st.integers(1, len(events)), label="position")
    question = data.draw(st.sampled_from(QUESTIONS), label="question")
    then = await as_if_then(read_models, events[:position], question, as_of)
    await read_models.apply(events[position:]) if events[position:] else None

    now = await asked(read_models, question, as_of, known_at(events, position))

    now.context.latest_position = 0
    assert now == then


async def moved(
    read_models: ReadModels,
    events: Sequence[RecordedEvent],
    question: Question,
    since: int,
    as_of: dt.date | None,
) -> tuple[list[EventChanges], TotalChanges]:
    """What each event after a position did to the figures of a question."""

    async def later() -> AsyncIterator[RecordedEvent]:
        for event in events[since:]:
            yield event

    async with read_models.snapshot(answered_by(question), as_of) as snapshot:
        affected = await affected_positions(snapshot, since)
        parts = [
            part
            async for part in changes(
                snapshot, question, known_at(events, since), later(), affected
            )
        ]
    *steps, total = parts
    assert isinstance(total, TotalChanges)
    return [step for step in steps if isinstance(step, EventChanges)], total


def applied(
    figures: dict[FigureKey, FigureValue], found: Sequence[FigureChange]
) -> dict[FigureKey, str]:
    """Figures, as texts, after changes, each of which must start from what there is."""
    texts = {key: value.text for key, value in figures.items()}
    for change in found:
        key = FigureKey(change.figure, tuple((s.field, s.value) for s in change.about))
        assert texts.get(key, "") == change.before
        texts[key] = change.after
        if change.difference:
            before, after = (Decimal(text or 0) for text in (change.before, change.after))
            assert before + Decimal(change.difference) == after
    return texts


@SLOW
@given(events=histories(), as_of=DAYS, data=st.data())
async def test_what_events_did_adds_up_to_the_difference(
    read_models: ReadModels, events: list[RecordedEvent], as_of: dt.date | None, data: st.DataObject
) -> None:
    since = data.draw(st.integers(1, len(events)), label="since")
    question = data.draw(st.sampled_from(QUESTIONS), label="question")
    await read_models.forget()
    await read_models.apply(events)

    steps, total = await moved(read_models, events, question, since, as_of)

    before = figures_of(await asked(read_models, question, as_of, known_at(events, since)))
    after = figures_of(await asked(read_models, question, as_of))
    assert list(total.changes) == changes_between(before, after)
    figures = before
    for step in steps:
        texts = applied(figures, step.changes)
        if step.position:
            known = known_at(events, step.position)
            figures = figures_of(await asked(read_models, question, as_of, known))
            assert {k: t for k, t in texts.items() if t not in ("", "0", "no")} == {
                k: v.text for k, v in figures.items() if v.text not in ("", "0", "no")
            }
        else:
            assert as_of is None, "time passes only where no day is asked for"
            figures = {k: FigureValue(t, "") for k, t in texts.items()}
    assert (total.before.position, total.after.position) == (since, len(events))


async def test_a_late_payment_and_its_correction_are_named(read_models: ReadModels) -> None:
    events = example("corrections")
    await read_models.apply(events)

    steps, total = await moved(
        read_models, events, QueryRoundTripRequest(), 28, dt.date(2026, 8, 31)
    )

    assert [(step.position, step.fact_type) for step in steps] == [
        (30, "supplier_payment_settled"),
        (31, "entry_reversed"),
    ]
    paid = [
        (c.before, c.after, c.difference, c.unit)
        for step in steps
        for c in step.changes
        if c.figure == "round-trip.paid"
    ]
    assert paid == [
        ("2400000000", "2500000000", "100000000", "USD"),
        ("2500000000", "2400000000", "-100000000", "USD"),
    ]
    assert not total.changes


def _sums(figures: dict[FigureKey, FigureValue], name: str) -> dict[tuple[str, ...], Decimal]:
    """Figures of a name that are not zero, by what they are about."""
    found: dict[tuple[str, ...], Decimal] = {}
    for key, value in figures.items():
        if key.figure == name and isinstance(value.value, Decimal) and value.value:
            found[tuple(text for field, text in key.about if field != "agreement")] = value.value
    return found


PUBLISHED = {
    "capacity": ["claimed_kw", "certified_gross_kw", "decertified_kw", "retired_kw", "certified_kw",
                 "energised_kw", "hardware.rack_quantity"],
    "investment": ["called", "funded_gross_cash", "funded_gross_non_cash", "returned", "funded",
                   "issued", "shares_outstanding", "secondary"],
    "round-trip": ["ordered", "received", "invoiced", "paid", "unapplied_payments",
                   "invested_non_cash", "cash.investment", "accrual.investment",
                   "commitment.investment", "cash.purchases"],
}  # fmt: skip
"""Sums that answers publish."""
ASKED: dict[str, Question] = {
    "capacity": QueryCapacityRequest(),
    "investment": QueryInvestmentRequest(),
    "round-trip": QueryRoundTripRequest(),
}


@SLOW
@given(events=histories(), as_of=DAYS, data=st.data())
async def test_every_sum_is_what_its_events_add(
    read_models: ReadModels, events: list[RecordedEvent], as_of: dt.date | None, data: st.DataObject
) -> None:
    known = known_at(events, data.draw(st.integers(1, len(events)), label="known"))
    await read_models.forget()
    await read_models.apply(events)
    for projection, names in PUBLISHED.items():
        published = figures_of(await asked(read_models, ASKED[projection], as_of, known))
        if projection == "investment":
            # Totals are by currency: agreements in several are no matter here.
            published = {
                FigureKey(key.figure.replace("investment.total.", "investment."), key.about): value
                for key, value in published.items()
                if key.figure.startswith("investment.total.")
            }
        for name in names:
            figure = f"{projection}.{name}"
            async with read_models.snapshot(projection, as_of) as snapshot:
                found = await drill_down.list_contributions(
                    snapshot.at(known),
                    ListContributionsRequest(figure=figure, page_size=1000),
                    PageStart(),
                )
            sums: dict[tuple[str, ...], Decimal] = {}
            for total in found.totals:
                about = tuple(s.value for s in total.about if s.field != "agreement")
                sums[about] = sums.get(about, Decimal(0)) + Decimal(total.amount)
            assert {k: v for k, v in sums.items() if v} == _sums(published, figure), figure
            assert all(item.position <= known.position for item in found.contributions)


async def test_pages_of_contributions_add_up_as_known_on_the_first(read_models: ReadModels) -> None:
    events = example("nvidia-openai-plan")
    await read_models.apply(events[:60])
    request = ListContributionsRequest(figure="round-trip.invoiced", page_size=2)
    async with read_models.snapshot("round-trip") as snapshot:
        whole = await drill_down.list_contributions(
            snapshot, ListContributionsRequest(figure="round-trip.invoiced"), PageStart()
        )
        page = await drill_down.list_contributions(snapshot, request, PageStart())
    await read_models.apply(events[60:])
    listed = list(page.contributions)
    while page.next_page_token:
        request.page_token = page.next_page_token
        place = page_start(request)
        async with read_models.snapshot("round-trip") as snapshot:
            page = await drill_down.list_contributions(
                snapshot.at(known_at(events, place.known_position)), request, place
            )
        assert page.totals == whole.totals
        listed += page.contributions
    assert listed == list(whole.contributions)
    assert len(listed) == whole.total_count > 2
    other = ListContributionsRequest(figure="round-trip.paid", page_token=request.page_token)
    with pytest.raises(InvalidArgumentError, match="another request"):
        page_start(other)


@pytest.mark.parametrize("length", list(Length))
@pytest.mark.parametrize(
    "figure", ["capacity.certified_kw", "investment.funded", "round-trip.paid"]
)
async def test_a_roll_forward_closes_where_the_figure_stands(
    read_models: ReadModels, figure: str, length: Length
) -> None:
    events = example("corrections")
    await read_models.apply(events)
    projection, name = figure.split(".")
    span = periods(dt.date(2026, 4, 10), dt.date(2026, 8, 20), length)
    request = QueryRollForwardRequest(figure=figure)
    async with read_models.snapshot(projection) as snapshot:
        found = await drill_down.query_roll_forward(snapshot.as_of(span[-1].last), request, span)
    (rolled,) = found.figures

    assert len(rolled.periods) == len(span)
    for before, after in pairwise(rolled.periods):
        assert before.closing == after.opening
    for period, row in list(zip(span, rolled.periods, strict=True))[:: max(1, len(span) // 10)]:
        opening, additions, reductions, closing = (
            Decimal(text) for text in (row.opening, row.additions, row.reductions, row.closing)
        )
        assert opening + additions + reductions == closing
        figures = figures_of(await asked(read_models, ASKED[projection], period.last))
        standing = _sums(figures, f"{projection}.{name}")
        assert decimal_to_text(closing) == decimal_to_text(sum(standing.values(), Decimal(0)))


async def test_a_reversed_entry_is_in_no_period_of_a_roll_forward(read_models: ReadModels) -> None:
    """The payment of 20 August was recorded in error: it is neither an addition nor a reduction."""
    events = example("corrections")
    await read_models.apply(events)
    span = periods(dt.date(2026, 8, 1), dt.date(2026, 8, 31), Length.MONTH)
    request = QueryRollForwardRequest(figure="round-trip.unapplied_payments")
    async with read_models.snapshot("round-trip", dt.date(2026, 8, 31)) as snapshot:
        now = await drill_down.query_roll_forward(snapshot, request, span)
        then = await drill_down.query_roll_forward(snapshot.at(known_at(events, 30)), request, span)
    assert not now.figures
    ((month,),) = [figure.periods for figure in then.figures]
    assert (month.additions, month.reductions, month.closing) == ("100000000", "0", "100000000")


def test_figures_that_are_no_sums_name_what_goes_into_them() -> None:
    assert drill_down.sums_behind("round-trip.cash.recycled") == (
        "round-trip.cash.purchases",
        "round-trip.cash.investment",
    )
    with pytest.raises(drill_down.UnknownFigureError, match="is made of"):
        drill_down.sum_of("investment.entitled")
    with pytest.raises(drill_down.UnknownFigureError, match="is none of"):
        drill_down.sums_behind("investment.nothing")
    for inputs in drill_down.INPUTS.values():
        assert set(inputs) <= drill_down.SUMS


@pytest.mark.parametrize(
    "token",
    ["x", "1", "0-5", "1-", "1-0", "-1-2", "1-2", "1-2-0" * 16, "9-5-1-1", "9-5-0-1-" + "0" * 16],
)
def test_a_page_token_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError):
        page_start(ListContributionsRequest(page_token=token))


def test_intervals_of_the_contract_are_the_lengths_of_periods() -> None:
    named = {name.removeprefix("INTERVAL_") for name, value in Interval.items() if value}
    assert named == {length.name for length in Length}
