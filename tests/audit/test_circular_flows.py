"""Circular flows by a second algorithm: the published figures must equal it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from itertools import product

import networkx as nx
import pytest
from gigaledger.audit.recompute.circulation import (
    Edge,
    Payment,
    cheapest_with_same_positions,
    largest_circulation,
    returned_in_time,
)
from gigaledger.audit.recompute.comparison import Difference, differences
from gigaledger.audit.verify.published import circular_flow_figures
from gigaledger.projections.trade.circular_flow_queries import query_circular_flows
from gigaledger.projections.trade.circular_flows import FlowKind, maximum_circulation
from gigaledger.projections.trade.timed import DatedFlow
from gigaledger.projections.trade.timed import returned_in_time as published_in_time
from gigaledger.v1.projections_pb2 import (
    CircularFlows,
    PartyLevel,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.test_figures import added
from tests.facts import definitive, fact, funded, money, paid, parties, reversed_entry
from tests.instruments import (
    backstopped,
    bought_unsold,
    contributed,
    distributed,
    drawn,
    exercised,
    formed,
    granted,
    leased,
    rent,
    repaid,
    vested,
)
from tests.projections.conftest import ReadModels
from tests.projections.log import log_of

PARTIES = st.sampled_from("ABCDEF")
ENDS = st.tuples(PARTIES, PARTIES).filter(lambda ends: ends[0] != ends[1])
GRAPHS = st.dictionaries(ENDS, st.integers(0, 10**13), max_size=14)
SMALL_GRAPHS = st.dictionaries(ENDS, st.integers(0, 2), max_size=6)
DAYS = st.integers(1, 6).map(lambda day: dt.date(2026, 1, day))
PAYMENTS = st.lists(
    st.builds(
        lambda ends, day, minor: Payment(ends[0], ends[1], day, minor),
        ENDS,
        DAYS,
        st.integers(1, 50),
    ),
    max_size=25,
)


def net(flows: dict[Edge, int]) -> dict[str, int]:
    """Inflow less outflow of each party that has any."""
    positions: dict[str, int] = defaultdict(int)
    for (payer, payee), minor in flows.items():
        positions[payer] -= minor
        positions[payee] += minor
    return {party: minor for party, minor in positions.items() if minor}


@given(GRAPHS)
def test_a_circulation_is_one_and_no_larger_one_exists(edges: dict[Edge, int]) -> None:
    circulation = largest_circulation(edges)

    assert all(0 <= circulation[edge] <= minor for edge, minor in edges.items())
    assert net(circulation) == {}
    assert net(cheapest_with_same_positions(edges)) == net(edges)
    # Optimal if no cycle of the movable rest would carry more.
    residual: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for (payer, payee), minor in edges.items():
        if circulation[payer, payee] < minor:
            residual.add_edge(payer, payee, weight=-1)
        if circulation[payer, payee]:
            residual.add_edge(payee, payer, weight=1)
    assert not any(
        nx.negative_edge_cycle(residual.subgraph(part).copy())
        for part in nx.strongly_connected_components(residual)
    )


@given(SMALL_GRAPHS)
def test_it_is_the_first_of_the_largest(edges: dict[Edge, int]) -> None:
    """Compared with every circulation that there is."""
    ordered = sorted(edges)
    every = (
        parts
        for parts in product(*(range(edges[edge] + 1) for edge in ordered))
        if not net(dict(zip(ordered, parts, strict=True)))
    )

    best = max(every, key=lambda parts: (sum(parts), parts))

    assert tuple(largest_circulation(edges)[edge] for edge in ordered) == best


@given(GRAPHS)
def test_two_algorithms_find_one_circulation(edges: dict[Edge, int]) -> None:
    assert largest_circulation(edges) == maximum_circulation(edges)


@given(PAYMENTS, PARTIES)
def test_two_algorithms_find_one_way_back_in_time(payments: list[Payment], origin: str) -> None:
    others = [payment for payment in payments if payment.payer != origin]
    started = [payment for payment in payments if payment.payer == origin]
    flows = [
        DatedFlow(p.payer, p.payee, FlowKind.PURCHASE, p.day, p.amount_minor) for p in payments
    ]

    assert returned_in_time(others, started, origin) == published_in_time(flows, origin)


TRIANGLE = [
    *parties("SUP", "CUS", "THIRD"),
    definitive(),
    funded(90_000, agreement="AGR"),
    paid(60_000, "PAY-1", purchase_order="", invoice="", payer="CUS", payee="THIRD"),
    paid(50_000, "PAY-2", purchase_order="", invoice="", payer="THIRD", payee="SUP"),
    paid(20_000, "PAY-3", purchase_order="", invoice="", payer="CUS", payee="SUP"),
    fact("group_membership_changed", party="THIRD", group="CUS"),
]


async def answered(
    read_models: ReadModels, level: PartyLevel.ValueType
) -> QueryCircularFlowsResponse:
    request = QueryCircularFlowsRequest(level=level)
    async with read_models.snapshot("round-trip") as snapshot:
        return await query_circular_flows(snapshot, request, dt.date.min)


def compared(answer: QueryCircularFlowsResponse) -> list[Difference]:
    """Differences of an answer about legal entities."""
    own = {
        key: figure.value
        for key, figure in added(log_of(TRIANGLE)).flows_at().items()
        if key.section.startswith("circular-flows.entity")
    }
    published = circular_flow_figures(answer, "circular-flows.entity")
    return differences(own, published, len(TRIANGLE))


def _carried_elsewhere(flows: CircularFlows) -> None:
    """The same volume on another edge: conserved nowhere."""
    share = next(share for share in flows.pure_maximum.shares if share.longer.units)
    share.longer.units, share.outside.units = 0, share.amount.units


def _another_cycle(flows: CircularFlows) -> None:
    flows.bilateral_first.cycles[-1].parties[:] = ["CUS", "SUP", "THIRD"]


def _unordered_cycle(flows: CircularFlows) -> None:
    """The same cycle, starting from another party."""
    parties_ = list(flows.bilateral_first.cycles[-1].parties)
    flows.bilateral_first.cycles[-1].parties[:] = [*parties_[1:], parties_[0]]


def _less(flows: CircularFlows) -> None:
    """A smaller circulation that is consistent in itself."""
    flows.bilateral_first.cycles.pop()
    for share in flows.bilateral_first.shares:
        share.outside.units += share.longer.units
        share.longer.units = 0


ALTERATIONS: dict[str, tuple[Callable[[CircularFlows], object], str]] = {
    "inflow": (lambda f: f.positions[0].inflow.CopyFrom(f.gross.amount), "position.inflow"),
    "net": (lambda f: f.positions[1].net.CopyFrom(f.gross.amount), "position.net"),
    "in time": (
        lambda f: f.positions[1].returned_in_time.Clear(),
        "position.returned_in_time",
    ),
    "gross": (lambda f: setattr(f.gross.amount, "units", 1), "gross"),
    "undisclosed": (lambda f: setattr(f.gross, "undisclosed_count", 1), "gross.undisclosed_count"),
    "index": (
        lambda f: setattr(f.pure_maximum.circularity, "ppm", 5),
        "pure_maximum.circularity.ppm",
    ),
    "amount of a cycle": (
        lambda f: setattr(f.bilateral_first.cycles[0].amount, "units", 1),
        "bilateral_first.cycles.on_pairs",
    ),
    "a cycle too many": (
        lambda f: f.pure_maximum.cycles.add().CopyFrom(f.pure_maximum.cycles[0]),
        "pure_maximum.cycles.on_pairs",
    ),
    "another edge": (_carried_elsewhere, "pure_maximum.share.longer"),
    "another cycle": (_another_cycle, "bilateral_first.cycles.on_longer"),
    "a cycle from another party": (_unordered_cycle, "bilateral_first.malformed_cycles"),
    "a smaller circulation": (_less, "bilateral_first.share.longer"),
    "a position left out": (lambda f: f.positions.pop(), "position.inflow"),
}


async def test_an_altered_answer_is_named(read_models: ReadModels) -> None:
    await read_models.apply(log_of(TRIANGLE))
    honest = await answered(read_models, PartyLevel.PARTY_LEVEL_ENTITY)
    assert compared(honest) == []
    for alteration, (change, named) in ALTERATIONS.items():
        altered = deepcopy(honest)
        [cash] = [flows for flows in altered.flows if len(flows.bilateral_first.cycles) > 1]

        change(cash)

        found = {f"{wrong.key.section}.{wrong.key.name}" for wrong in compared(altered)}
        assert f"circular-flows.entity.{named}" in found, alteration


async def test_groups_have_flows_of_their_own(read_models: ReadModels) -> None:
    """What two parties of a group pay each other is no flow: a triangle becomes a pair."""
    await read_models.apply(log_of(TRIANGLE))
    answer = await answered(read_models, PartyLevel.PARTY_LEVEL_GROUP)

    own = added(log_of(TRIANGLE)).flows_at()

    of_groups = {k: v.value for k, v in own.items() if not k.section.startswith("circular-flows.e")}
    published = circular_flow_figures(answer, "circular-flows")
    assert differences(of_groups, published, len(TRIANGLE)) == []
    assert 700 in {
        cycle.amount.units for flows in answer.flows for cycle in flows.bilateral_first.cycles
    }


FINANCED = [
    *TRIANGLE[:-1],
    formed(planned_equity=money(1_000)),
    contributed(70_000),
    contributed(contribution="EQ-2", amount=None, amount_undisclosed=True),
    distributed(4_000),
    drawn(30_000),
    drawn(20_000, "DRAW-2"),
    repaid(12_000, interest=money(700)),
    leased(),
    rent(8_000),
    backstopped(),
    bought_unsold(2_500),
    granted(),
    vested("40", 2),
    exercised("40", amount=money(2_000)),
]
"""Every fact that finances, around a loop of three."""
NOTHING_RESTS_ON = {
    "spv_equity_contributed",
    "distribution_paid",
    "debt_drawn",
    "debt_repaid",
    "lease_payment_settled",
    "backstop_purchase_settled",
    "warrant_exercised",
}


@pytest.mark.parametrize(
    "position",
    [None]
    + [
        recorded.position
        for recorded in log_of(FINANCED)
        if recorded.event.WhichOneof("fact") in NOTHING_RESTS_ON
    ],
)
async def test_financing_by_a_second_fold(read_models: ReadModels, position: int | None) -> None:
    """Whole, and with one fact of it recorded in error."""
    events = FINANCED if position is None else [*FINANCED, reversed_entry(position)]
    own = {key: figure.value for key, figure in added(log_of(events)).flows_at().items()}

    await read_models.apply(log_of(events))
    groups = await answered(read_models, PartyLevel.PARTY_LEVEL_GROUP)
    entities = await answered(read_models, PartyLevel.PARTY_LEVEL_ENTITY)
    published = circular_flow_figures(groups, "circular-flows") | circular_flow_figures(
        entities, "circular-flows.entity"
    )

    assert not differences(own, published, len(events))
