"""Circulation in time (domain rules, section 2.5): a dollar cannot travel before it is paid. Pure.

The payment graph is expanded in time: a node for each party and day on which something moves, an
edge for each payment, and an edge from each day of a party to its next, on which money waits. How
much of what a party paid out came back to it is the maximum flow through it (Ford and Fulkerson,
Flows in Networks, 1962, chapter III). Within a day payments may follow each other in any order,
which makes it an upper bound. What came back to one party and to another may be the same dollars,
so the figures of several parties are never added up.

Days of a party are one node as long as nothing comes in after something went out: whatever came in
by then could go out on each of them. So years of payments make few nodes where most parties are
paid on some days and pay on others.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from services.projections.circular_flows.figures import FlowKind
from services.projections.round_trip.matching import Dated, after_taking_back

Stream = tuple[str, str, FlowKind]
"""Payer, payee, and what for."""


class DatedFlow(NamedTuple):
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
    streams: dict[Stream, list[Dated]] = defaultdict(list)
    for payer, payee, of_kind, day, amount_minor in flows:
        streams[payer, payee, of_kind].append(Dated(day, amount_minor))
    return returned_of_left(left_of(streams), origin, kind)


def left_of(streams: Mapping[Stream, Iterable[Dated]]) -> dict[Stream, list[Dated]]:
    """Return what is left of payments after what was taken back: positive, oldest first."""
    return {
        stream: after_taking_back(dated)
        for stream, dated in streams.items()
        if stream[0] != stream[1]
    }


def returned_of_left(
    streams: Mapping[Stream, Sequence[Dated]], origin: str, kind: FlowKind | None = None
) -> int:
    """Return the same as `returned_in_time`, of what is left after what was taken back."""
    # What the origin pays for something else starts no round trip, and passes nothing on.
    moving = {
        stream: dated
        for stream, dated in streams.items()
        if dated and (stream[0] != origin or kind in (None, stream[2]))
    }
    started = [dated[0].day for (payer, _, _), dated in moving.items() if payer == origin]
    if not started or not any(payee == origin for _, payee, _ in moving):
        return 0
    # Only here: the import takes longer than starting to serve, and most processes never ask.
    import networkx as nx  # noqa: PLC0415

    graph: nx.DiGraph[object] = nx.DiGraph()
    source, sink = object(), object()
    graph.add_nodes_from((source, sink))
    first_day = min(started)
    nodes = _nodes(moving, origin, first_day)
    capacity: dict[tuple[object, object], int] = defaultdict(int)
    for (payer, payee, _), dated in moving.items():
        for day, amount_minor in dated:
            if day >= first_day:
                start = source if payer == origin else (payer, nodes[payer][day])
                end = sink if payee == origin else (payee, nodes[payee][day])
                capacity[start, end] += amount_minor
    graph.add_edges_from(
        (start, end, {"capacity": most}) for (start, end), most in capacity.items()
    )
    for party, of_days in nodes.items():
        # An edge without a capacity takes anything: money may wait.
        ordered = sorted(set(of_days.values()))
        graph.add_edges_from(((party, node), (party, later)) for node, later in pairwise(ordered))
    value, _ = nx.maximum_flow(graph, source, sink)
    return int(value)


def _nodes(
    streams: Mapping[Stream, Sequence[Dated]], origin: str, first_day: dt.date
) -> dict[str, dict[dt.date, int]]:
    """Return the number of the node that each day of a party belongs to, for all but the origin."""
    paid: dict[str, set[dt.date]] = defaultdict(set)
    received: dict[str, set[dt.date]] = defaultdict(set)
    for (payer, payee, _), dated in streams.items():
        days = {item.day for item in dated if item.day >= first_day}
        paid[payer] |= days
        received[payee] |= days
    found: dict[str, dict[dt.date, int]] = {}
    for party in (paid.keys() | received.keys()) - {origin}:
        node, has_paid = 0, False
        of_days = found.setdefault(party, {})
        for day in sorted(paid[party] | received[party]):
            if has_paid and day in received[party]:
                node, has_paid = node + 1, False
            of_days[day] = node
            has_paid = has_paid or day in paid[party]
    return found
