"""The second fold: every figure that is published, recomputed from the facts alone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from gigaledger.audit.recompute.comparison import Figures, HistoryError
from gigaledger.audit.recompute.figure_sheet import FigureKey
from gigaledger.audit.verify.published import (
    Published,
    capacity_figures,
    circular_flow_figures,
    investment_figures,
    round_trip_figures,
)
from gigaledger.common.quantities import instant_from_message
from gigaledger.projections.capacity.queries import query_capacity
from gigaledger.projections.engine.snapshot import KnowledgePoint
from gigaledger.projections.investment.queries import query_investment
from gigaledger.projections.trade.circular_flow_queries import query_circular_flows
from gigaledger.projections.trade.round_trip_queries import query_round_trip
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import (
    PartyLevel,
    QueryCircularFlowsRequest,
    QueryRoundTripRequest,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.histories import histories
from tests.facts import fact, invoiced, money, parties, placed, received
from tests.hypothesis_profiles import examples
from tests.projections.conftest import ReadModels
from tests.projections.log import example, log_of

EXPECTED = json.loads(
    (Path(__file__).parents[1] / "scenarios" / "expected_figures.json").read_text("utf-8")
)
DAYS = st.one_of(
    st.none(),
    st.integers(-60, 500).map(lambda days: dt.date(2026, 1, 5) + dt.timedelta(days=days)),
)
STATUSES = st.sampled_from([(), ("FACT",), ("FACT", "REPORTED")])


def added(events: Sequence[RecordedEvent]) -> Figures:
    figures = Figures()
    for event in events:
        figures.add(event)
    return figures


async def published(
    read_models: ReadModels,
    as_of: dt.date | None,
    statuses: Collection[str],
    known: KnowledgePoint | None = None,
) -> Published:
    """What the queries of the projections answer."""
    found: Published = {}
    async with read_models.snapshot("capacity", as_of, statuses, known=known) as snapshot:
        found |= capacity_figures(await query_capacity(snapshot, ""))
    async with read_models.snapshot("investment", as_of, statuses, known=known) as snapshot:
        found |= investment_figures(await query_investment(snapshot, ""))
    for level, section in (
        (PartyLevel.PARTY_LEVEL_GROUP, "round-trip"),
        (PartyLevel.PARTY_LEVEL_ENTITY, "round-trip.entity"),
    ):
        async with read_models.snapshot("round-trip", as_of, statuses, known=known) as snapshot:
            answer = await query_round_trip(snapshot, QueryRoundTripRequest(level=level))
            found |= round_trip_figures(answer, section)
            request = QueryCircularFlowsRequest(level=level)
            flows = await query_circular_flows(snapshot, request, dt.date.min)
            found |= circular_flow_figures(flows, section.replace("round-trip", "circular-flows"))
    return found


@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=histories(), as_of=DAYS, statuses=STATUSES, cut=st.integers(1, 60))
async def test_figures_agree_with_the_projections_on_any_history(
    read_models: ReadModels,
    events: list[RecordedEvent],
    as_of: dt.date | None,
    statuses: tuple[str, ...],
    cut: int,
) -> None:
    """As known now, and as known at an earlier position by the fold that has gone on since.

    That one is asked when it is the latest, and again when it is not.
    """
    await read_models.forget()
    figures = added(events)
    for part in (events[:cut], events[cut:]):
        if part:
            await read_models.apply(part)
            answers = await published(read_models, as_of, statuses)
            position = part[-1].position
            assert figures.compare(answers, position, as_of=as_of, statuses=statuses) == []
    last = events[:cut][-1]
    known = KnowledgePoint(last.position, instant_from_message(last.recorded_time))
    answers = await published(read_models, as_of, statuses, known)
    assert figures.compare(answers, last.position, as_of=as_of, statuses=statuses) == []


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=histories(), as_of=DAYS)
def test_tracing_changes_no_figure(events: list[RecordedEvent], as_of: dt.date | None) -> None:
    figures = added(events)
    plain, traced = figures.at(as_of=as_of), figures.at(as_of=as_of, traced=True)

    assert {key: one.value for key, one in plain.items()} == {
        key: one.value for key, one in traced.items()
    }


NAMES = {
    "capacity": (
        "contracted_kw",
        "indicative_kw",
        "planned_kw",
        "planned_linear_kw",
        "certified_kw",
        "claimed_pending_kw",
        "schedule_variance_kw",
        "delivered_implied_kw",
        "quarters_to_target",
    ),
    "investment.total": (
        "committed",
        "indicative",
        "entitled",
        "called",
        "funded",
        "issued",
        "remaining_commitment",
        "unfunded_entitlement",
        "overfunded",
    ),
    "round-trip": (
        "ordered",
        "received",
        "invoiced",
        "paid",
        "open_payable",
        "refund_due",
        "unapplied_payments",
    ),
}
RENAMED = {
    "required_pace_kw_per_quarter_ceil": ("capacity", "required_pace_kw_per_quarter"),
    "entitled_prorata_minor": ("investment.total", "entitled_pro_rata"),
    "grni_minor": ("round-trip", "received_not_invoiced"),
    "net_balance_paid_minor": ("round-trip", "cash.net_balance"),
    "net_balance_ordered_minor": ("round-trip", "ordered_against_funded.net_balance"),
    "net_balance_invoiced_minor": ("round-trip", "invoiced_against_funded.net_balance"),
    "recycled_paid_minor": ("round-trip", "cash.recycled"),
    "ratio_investment_ppm": ("round-trip", "cash.ratio_investment.ppm"),
    "ratio_purchases_ppm": ("round-trip", "cash.ratio_purchases.ppm"),
}


def by_expected_names(found: dict[FigureKey, Any]) -> dict[str, Any]:
    """Figures of the one pair and of IT load, under the names of the expected ones."""
    about = {
        "capacity": (("capacity_layer", "CHIP_SUPPLY"), ("power_basis", "IT_CRITICAL_LOAD")),
        "investment.total": (("currency_code", "USD"),),
        "round-trip": next((key.of for key in found if key.section == "round-trip"), ()),
    }
    gross = (about["capacity"][0], ("power_basis", "FACILITY_GROSS"))

    def value(section: str, name: str, of: Any = None) -> Any:
        figure = found.get(FigureKey(section, name, of or about[section]))
        return figure.value if figure else 0

    named = {
        f"{name}_minor" if section != "capacity" else name: value(section, name)
        for section, names in NAMES.items()
        for name in names
    }
    named |= {name: value(*place) for name, place in RENAMED.items()}
    named["energised_kw"] = value("capacity", "energised_kw", gross)
    named["shares"] = int(value("investment.total", "shares_outstanding"))
    named["certified_by_site_kw"] = {
        dict(key.of)["site"]: figure.value
        for key, figure in found.items()
        if (key.section, key.name) == ("capacity.breakdown", "certified_kw") and figure.value
    }
    return named


@pytest.mark.parametrize("name", ["nvidia-openai-plan", "corrections"])
def test_every_checkpoint_of_the_scenarios_is_exact(name: str) -> None:
    """Knowledge as of a date equals the log at the end of that date."""
    events = example(name)
    figures = added(events)
    for checkpoint in EXPECTED[name]:
        known = dt.date.fromisoformat(checkpoint.get("as_known", "9999-12-31"))
        position = max(
            event.position
            for event in events
            if instant_from_message(event.recorded_time).date() <= known
        )
        found = figures.at(position, as_of=dt.date.fromisoformat(checkpoint["as_of"]))
        named = by_expected_names(found)
        expected = checkpoint["figures"]
        assert {key: named[key] for key in expected} == expected, checkpoint["as_of"]


async def test_a_figure_that_is_published_wrongly_is_named(read_models: ReadModels) -> None:
    events = example("corrections")
    await read_models.apply(events)
    key = next(k for k in added(events).at() if (k.section, k.name) == ("round-trip", "paid"))
    answers = await published(read_models, None, ())
    paid = answers[key]
    assert isinstance(paid, int)

    [wrong] = added(events).compare(answers | {key: paid + 1}, events[-1].position)
    [lost] = added(events).compare(
        {k: v for k, v in answers.items() if k != key}, events[-1].position
    )

    assert (wrong.key, wrong.own, wrong.published) == (key, paid, paid + 1)
    assert wrong.position == events[-1].position
    assert lost.missing == "published"
    assert "round-trip.paid" in str(wrong)


def test_a_history_with_a_gap_is_none() -> None:
    first, _, third, *_ = example("corrections")
    figures = Figures()
    figures.add(first)

    with pytest.raises(HistoryError, match="position 3 follows position 1"):
        figures.add(third)


def test_the_fold_shares_no_code_with_the_projections() -> None:
    audit = Path(__file__).parents[2] / "services" / "audit"

    assert not [
        path.name for path in audit.glob("**/*.py") if "gigaledger.projections" in path.read_text()
    ]


async def test_figures_agree_where_a_line_was_amended_to_nothing(read_models: ReadModels) -> None:
    amendment = fact(
        "purchase_order_amended",
        purchase_order="PO-1",
        line=1,
        quantity_delta=-10,
        amount_delta=money(-10_000),
    )
    events = log_of([*parties("SUP", "CUS"), placed(10), amendment, received(3), invoiced(500)])
    await read_models.apply(events)

    answers = await published(read_models, None, ())

    assert added(events).compare(answers, events[-1].position) == []
