"""The events behind a figure add up to it."""

from __future__ import annotations

import datetime as dt

import pytest
from gigaledger.audit.explain.explain import UnknownFigureError, explain, names, position_known_on
from gigaledger.audit.explain.replay import by_month, by_position
from gigaledger.v1.events_pb2 import RecordedEvent
from hypothesis import HealthCheck, given, settings

from tests.audit.histories import histories
from tests.audit.test_figures import added
from tests.hypothesis_profiles import examples
from tests.projections.log import example

SUMS = (
    "capacity.claimed_kw",
    "capacity.certified_kw",
    "capacity.contracted_kw",
    "capacity.energised_kw",
    "investment.committed",
    "investment.called",
    "investment.funded",
    "investment.issued",
    "investment.total.funded",
    "round-trip.ordered",
    "round-trip.received",
    "round-trip.invoiced",
    "round-trip.paid",
    "round-trip.open_payable",
    "round-trip.unapplied_payments",
    "round-trip.cash.net_balance",
    "round-trip.commitment.investment",
)
"""Figures that no rule caps or rounds: their events alone make them."""


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_sums_are_their_events(events: list[RecordedEvent]) -> None:
    figures = added(events)
    traced = figures.at(traced=True)

    for name in set(SUMS) & set(names(traced)):
        for one in explain(figures.history, traced, name, {}):
            if one.lines is not None:
                assert one.events_total == one.value, one.key
                assert one.by_rule == 0


def test_what_a_rule_adds_is_told_apart() -> None:
    """In the corrections a decertified gigawatt leaves more funded than there is entitlement to."""
    figures = added(example("corrections"))
    as_of = dt.date(2026, 7, 1)
    traced = figures.at(as_of=as_of, traced=True)

    [unfunded] = explain(
        figures.history, traced, "investment.unfunded_entitlement", {"currency_code": "USD"}
    )
    [over] = explain(figures.history, traced, "investment.overfunded", {})

    assert unfunded.value == 0
    assert unfunded.by_rule == -unfunded.events_total == over.value == 100_000_000_00 * 10
    assert over.by_rule == 0


def test_events_are_named_with_what_they_add() -> None:
    figures = added(example("corrections"))
    traced = figures.at(traced=True)

    [funded] = explain(figures.history, traced, "round-trip.funded", {"customer_investee": "CUS"})

    kinds = [line.entry.kind for line in funded.lines or ()]
    assert kinds == ["capital_contribution_funded", "capital_returned"]
    assert [line.amount for line in funded.lines or ()] == [100_000_000_000, -50_000_000_000]
    assert funded.unit == "USD"


def test_an_unknown_figure_lists_those_that_are_known() -> None:
    figures = added(example("corrections"))
    traced = figures.at(traced=True)

    with pytest.raises(UnknownFigureError, match=r"capacity\.certified_kw"):
        explain(figures.history, traced, "profit", {})
    with pytest.raises(UnknownFigureError, match="agreement=AGR"):
        explain(figures.history, traced, "investment.funded", {"agreement": "nowhere"})


def test_replays_end_where_the_figures_are() -> None:
    figures = added(example("nvidia-openai-plan"))

    months = list(by_month(figures, None))
    positions = list(by_position(figures, 10, None))

    assert [step.position for step in positions] == [*range(10, figures.position, 10), 95]
    assert months[-1].amounts == positions[-1].amounts
    assert [step.date for step in months] == sorted(step.date for step in months)
    assert months[-1].certified_kw["CHIP_SUPPLY, IT_CRITICAL_LOAD"] == 10_000_000
    year_end = next(step for step in months if step.date == dt.date(2027, 12, 31))
    assert year_end.amounts["USD"]["entitled"] == 5_000_000_000_000
    assert year_end.amounts["USD"]["funded"] == 4_000_000_000_000
    assert year_end.hypothetical


def test_the_position_that_was_known_on_a_day() -> None:
    events = example("corrections")
    history = added(events).history
    day = history.recorded_on(20)

    position = position_known_on(history, day)

    assert history.recorded_on(position) == day
    assert position == len(events) or history.recorded_on(position + 1) > day
    assert position_known_on(history, dt.date(2000, 1, 1)) == 0
