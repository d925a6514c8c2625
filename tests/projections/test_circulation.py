"""Circulation among any number of parties: the reference vectors, and what holds of any graph."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from gigaledger.projections.trade.circular_flows import (
    Decomposition,
    Edge,
    Flow,
    FlowKind,
    bilateral_first,
    edges_of,
    maximum_circulation,
    net_positions,
    pure_maximum,
    shares_of,
)
from gigaledger.projections.trade.timed import DatedFlow, returned_in_time
from hypothesis import given, settings
from hypothesis import strategies as st

_VECTORS = json.loads((Path(__file__).parent / "circulation_vectors.json").read_text("utf-8"))
_NAMED = {vector["id"]: vector for vector in _VECTORS}
_STATIC = [vector["id"] for vector in _VECTORS if "edges" in vector]


def _edges(vector: dict[str, Any]) -> dict[Edge, int]:
    return {(payer, payee): amount for payer, payee, amount in vector["edges"]}


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _dated(vector: dict[str, Any]) -> list[DatedFlow]:
    return [
        DatedFlow(
            payer,
            payee,
            FlowKind.INVESTMENT if payer == "NVDA" else FlowKind.PURCHASE,
            _day(day),
            amount,
        )
        for payer, payee, amount, day in vector["timed_edges"]
    ]


@pytest.mark.parametrize("name", _STATIC)
def test_reference_graphs(name: str) -> None:
    edges, expected = _edges(_NAMED[name]), _NAMED[name]["expected"]
    first, maximum = bilateral_first(edges), pure_maximum(edges)
    assert maximum.gross_minor == expected["gross"]
    assert net_positions(edges) == expected["net_positions"]
    assert first.bilateral_minor == expected["bilateral_first"]["two_cycle_volume"]
    assert first.bilateral_minor == 2 * expected["bilateral_recycled_total"]
    longer = first.circulating_minor - first.bilateral_minor
    assert longer == expected["bilateral_first"]["residual_max_circulation"]
    assert first.circulating_minor == expected["bilateral_first"]["total"]
    assert maximum.circulating_minor == expected["max_circulation"]
    assert maximum.circularity_ppm == expected["circularity_index_ppm"]


def test_the_triangle_is_one_cycle_and_two_edges_stay() -> None:
    edges = _edges(_NAMED["G1"])
    maximum, expected = pure_maximum(edges), _NAMED["G1"]["expected"]
    cycles = [{"path": list(c.parties), "amount": c.amount_minor} for c in maximum.cycles]
    assert cycles == expected["cycles"]
    assert maximum.rest == {(a, b): left for a, b, left in expected["residual_max"]}


def test_the_pure_maximum_puts_nothing_on_a_pair_that_buys_from_each_other() -> None:
    edges = _edges(_NAMED["G2"])
    pairs = {
        "|".join(cycle.parties): cycle.amount_minor
        for cycle in bilateral_first(edges).cycles
        if len(cycle.parties) == 2
    }
    expected = _NAMED["G2"]["expected"]["bilateral_pairs"]
    assert pairs == {"|".join(sorted(key.split("|"))): pair for key, pair in expected.items()}
    assert ("NVDA", "OPENAI") not in {cycle.parties for cycle in pure_maximum(edges).cycles}


@pytest.mark.parametrize("name", ["G3", "G4"])
def test_reference_graphs_in_time(name: str) -> None:
    flows, expected = _dated(_NAMED[name]), _NAMED[name]["expected"]
    edges = edges_of(Flow(f.payer, f.payee, f.kind, f.amount_minor) for f in flows)
    assert pure_maximum(edges).circulating_minor == expected["static_max_circulation"]
    in_time = returned_in_time(flows, "NVDA", FlowKind.INVESTMENT)
    assert in_time == expected["time_respecting_from_NVDA_investment"]


_PARTIES = "ABCDEF"
_AMOUNTS = st.integers(1, 10**16)
_GRAPHS = st.dictionaries(
    st.tuples(st.sampled_from(_PARTIES), st.sampled_from(_PARTIES)).filter(lambda e: e[0] != e[1]),
    st.one_of(_AMOUNTS, st.integers(1, 4)),
    max_size=20,
)


def _on_cycles(found: Decomposition) -> dict[Edge, int]:
    carried: dict[Edge, int] = defaultdict(int)
    for cycle in found.cycles:
        for edge in cycle.edges:
            carried[edge] += cycle.amount_minor
    return carried


def _is_acyclic(edges: Mapping[Edge, int]) -> bool:
    left = {edge for edge, amount in edges.items() if amount}
    while left:
        payers = {payer for payer, _ in left}
        ends = {(payer, payee) for payer, payee in left if payee not in payers}
        if not ends:
            return False
        left -= ends
    return True


def _can_grow(edges: Mapping[Edge, int], carried: Mapping[Edge, int]) -> bool:
    """Whether some cycle of free capacity adds more edges than it takes back (Bellman-Ford)."""
    steps = [(a, b, 1) for (a, b), most in edges.items() if carried[a, b] < most]
    steps += [(b, a, -1) for (a, b) in edges if carried[a, b]]
    gain = dict.fromkeys(_PARTIES, 0)
    for _ in _PARTIES:
        changed = False
        for start, end, one in steps:
            if gain[start] + one > gain[end]:
                gain[end], changed = gain[start] + one, True
        if not changed:
            return False
    return True


@settings(deadline=None)  # the first to run imports the library
@given(_GRAPHS)
def test_cycles_and_the_rest_make_up_all_flows(edges: dict[Edge, int]) -> None:
    for found in (bilateral_first(edges), pure_maximum(edges)):
        carried = _on_cycles(found)
        assert {edge: carried[edge] + found.rest[edge] for edge in edges} == edges
        assert set(carried) <= set(edges)
        assert net_positions(found.rest) == net_positions(edges)
        assert all(cycle.amount_minor > 0 for cycle in found.cycles)
        assert all(cycle.parties[0] == min(cycle.parties) for cycle in found.cycles)
        assert len(found.cycles) <= len(edges)
        assert _is_acyclic(found.rest)


@settings(deadline=None)  # the first to run imports the library
@given(_GRAPHS)
def test_no_circulation_is_larger(edges: dict[Edge, int]) -> None:
    maximum = maximum_circulation(edges)
    assert not _can_grow(edges, maximum)
    assert bilateral_first(edges).circulating_minor <= sum(maximum.values())


@settings(deadline=None)  # the first to run imports the library
@given(_GRAPHS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(edges: dict[Edge, int], random: Any) -> None:
    shuffled = list(edges.items())
    random.shuffle(shuffled)
    assert pure_maximum(dict(shuffled)) == pure_maximum(edges)
    assert bilateral_first(dict(shuffled)) == bilateral_first(edges)


_SMALL = st.dictionaries(
    st.sampled_from([(a, b) for a in "ABCD" for b in "ABCD" if a != b]),
    st.integers(1, 2),
    max_size=7,
)


@settings(deadline=None)  # the first to run imports the library
@given(_SMALL)
def test_of_all_largest_circulations_the_first_edges_carry_most(edges: dict[Edge, int]) -> None:
    ordered = sorted(edges)
    circulations = [
        amounts
        for amounts in itertools.product(*(range(edges[edge] + 1) for edge in ordered))
        if not any(net_positions(dict(zip(ordered, amounts, strict=True))).values())
    ]
    largest = max(circulations, key=lambda amounts: (sum(amounts), amounts))
    assert tuple(maximum_circulation(edges).values()) == largest


_FLOWS = st.lists(
    st.builds(
        Flow,
        payer=st.sampled_from("ABCD"),
        payee=st.sampled_from("ABCD"),
        kind=st.sampled_from(FlowKind),
        amount_minor=st.integers(-(10**12), 10**14),
    ),
    max_size=20,
)


@settings(deadline=None)  # the first to run imports the library
@given(_FLOWS)
def test_shares_add_up_to_each_edge_and_to_its_cycles(flows: list[Flow]) -> None:
    edges = edges_of(flows)
    for found in (bilateral_first(edges), pure_maximum(edges)):
        shares = shares_of(flows, found)
        paid: dict[Edge, int] = defaultdict(int)
        cyclic: dict[Edge, int] = defaultdict(int)
        for share in shares:
            assert share.bilateral_minor >= 0
            assert share.longer_minor >= 0
            assert share.outside_minor >= 0
            paid[share.payer, share.payee] += share.amount_minor
            cyclic[share.payer, share.payee] += share.bilateral_minor + share.longer_minor
        assert paid == edges
        assert {edge: cyclic[edge] for edge in edges} == {e: found.on_cycles(e) for e in edges}
        assert sum(share.bilateral_minor for share in shares) == found.bilateral_minor


@settings(deadline=None)  # the first to run imports the library
@given(_FLOWS)
def test_edges_keep_every_net_position(flows: list[Flow]) -> None:
    positions: dict[str, int] = defaultdict(int)
    for flow in flows:
        positions[flow.payer] -= flow.amount_minor
        positions[flow.payee] += flow.amount_minor
    found = net_positions(edges_of(flows))
    assert all(found.get(party, 0) == position for party, position in positions.items())


@settings(deadline=None)  # the first to run imports the library
@given(_GRAPHS, st.sampled_from(_PARTIES))
def test_on_one_day_time_is_no_limit_and_many_days_only_lower_it(
    edges: dict[Edge, int], origin: str
) -> None:
    day = dt.date(2026, 1, 1)
    at_once = [DatedFlow(a, b, FlowKind.PURCHASE, day, most) for (a, b), most in edges.items()]
    spread = [
        DatedFlow(f.payer, f.payee, f.kind, day + dt.timedelta(index % 5), f.amount_minor)
        for index, f in enumerate(at_once)
    ]
    paid = sum(most for (payer, _), most in edges.items() if payer == origin)
    received = sum(most for (_, payee), most in edges.items() if payee == origin)
    in_time = returned_in_time(spread, origin)
    assert 0 <= in_time <= returned_in_time(at_once, origin) <= min(paid, received)


def test_a_flow_is_positive_and_between_two_parties() -> None:
    with pytest.raises(ValueError, match="A pays A 5"):
        pure_maximum({("A", "A"): 5})
    with pytest.raises(ValueError, match="A pays B 0"):
        bilateral_first({("A", "B"): 0})


def test_what_was_refunded_brought_nothing_back() -> None:
    january, march = dt.date(2026, 1, 1), dt.date(2026, 3, 1)
    flows = [
        DatedFlow("A", "B", FlowKind.INVESTMENT, january, 10),
        DatedFlow("B", "A", FlowKind.PURCHASE, january, 6),
        DatedFlow("B", "A", FlowKind.PURCHASE, march, -2),
    ]
    assert returned_in_time(flows, "A", FlowKind.INVESTMENT) == 4


_DATED = st.lists(
    st.builds(
        DatedFlow,
        payer=st.sampled_from("ABC"),
        payee=st.sampled_from("ABC"),
        kind=st.sampled_from([FlowKind.INVESTMENT, FlowKind.PURCHASE]),
        day=st.integers(0, 8).map(lambda days: dt.date(2026, 1, 1) + dt.timedelta(days)),
        amount_minor=st.integers(1, 9),
    ),
    max_size=20,
)


@settings(deadline=None)  # the first to run imports the library
@given(_DATED, st.sampled_from([None, FlowKind.INVESTMENT]))
def test_days_that_are_one_node_change_nothing(
    flows: list[DatedFlow], kind: FlowKind | None
) -> None:
    """The graph of a node for each party and day."""
    graph: nx.DiGraph[object] = nx.DiGraph()
    capacity: dict[tuple[object, object], int] = defaultdict(int)
    for flow in flows:
        if flow.payer != flow.payee and (flow.payer != "A" or kind in (None, flow.kind)):
            start = "out" if flow.payer == "A" else (flow.payer, flow.day)
            end = "in" if flow.payee == "A" else (flow.payee, flow.day)
            capacity[start, end] += flow.amount_minor
    graph.add_nodes_from(("out", "in"))
    graph.add_edges_from((*edge, {"capacity": most}) for edge, most in capacity.items())
    days = sorted({flow.day for flow in flows})
    for party in "BC":
        graph.add_edges_from(
            ((party, day), (party, later)) for day, later in itertools.pairwise(days)
        )
    value, _ = nx.maximum_flow(graph, "out", "in")
    assert returned_in_time(flows, "A", kind) == value
