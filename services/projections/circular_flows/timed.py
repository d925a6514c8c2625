"""Circulation in time (domain rules, section 2.5): a dollar cannot travel before it is paid. Pure.

The payment graph is expanded in time: a node for each party and day on which something moves, an
edge for each payment, and an edge from each day of a party to its next, on which money waits. How
much of what a party paid out came back to it is the maximum flow through it (Ford and Fulkerson,
Flows in Networks, 1962, chapter III). Within a day payments may follow each other in any order,
which makes it an upper bound. What came back to one party and to another may be the same dollars,
so the figures of several parties are never added up.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from services.projections.circular_flows.figures import FlowKind
from services.projections.round_trip.matching import Dated, after_taking_back


@dataclass(frozen=True, slots=True)
class DatedFlow:
    """A payment in minor units of one currency; negative where it was refunded or returned."""

    payer: str
    payee: str
    kind: FlowKind
    day: dt.date
    amount_minor: int


def returned_in_time(flows: Iterable[DatedFlow], origin: str, kind: FlowKind | None = None) -> int:
    """Return how much of what a party paid can have come back to it, in minor units.

    What was taken back lowers the latest payments of the same payer, payee and kind.

    Args:
        flows: all payments.
        origin: the party that paid first and is paid last.
        kind: count only what it paid out for this; None for anything.
    """
    # Only here: the import takes longer than starting to serve, and most processes never ask.
    import networkx as nx  # noqa: PLC0415

    graph: nx.DiGraph[object] = nx.DiGraph()
    source, sink = object(), object()
    graph.add_nodes_from((source, sink))
    capacity: dict[tuple[object, object], int] = defaultdict(int)
    days: dict[str, set[dt.date]] = defaultdict(set)
    for flow in _kept(flows):
        # What the origin pays for something else starts no round trip, and passes nothing on.
        if flow.payer == flow.payee or (flow.payer == origin and kind not in (None, flow.kind)):
            continue
        start = source if flow.payer == origin else (flow.payer, flow.day)
        end = sink if flow.payee == origin else (flow.payee, flow.day)
        capacity[start, end] += flow.amount_minor
        for party in {flow.payer, flow.payee} - {origin}:
            days[party].add(flow.day)
    graph.add_edges_from(
        (start, end, {"capacity": most}) for (start, end), most in capacity.items()
    )
    for party, when in days.items():
        ordered = sorted(when)
        # An edge without a capacity takes anything: money may wait.
        graph.add_edges_from(((party, day), (party, later)) for day, later in pairwise(ordered))
    value, _ = nx.maximum_flow(graph, source, sink)
    return int(value)


def _kept(flows: Iterable[DatedFlow]) -> Iterator[DatedFlow]:
    """Yield what is left of payments after what was taken back: positive amounts."""
    series: dict[tuple[str, str, FlowKind], list[Dated]] = defaultdict(list)
    for flow in flows:
        series[flow.payer, flow.payee, flow.kind].append(Dated(flow.day, flow.amount_minor))
    for (payer, payee, kind), dated in series.items():
        for item in after_taking_back(dated):
            yield DatedFlow(payer, payee, kind, item.day, item.amount_minor)
