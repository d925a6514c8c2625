"""Circulation in time (domain rules, section 2.5): a dollar cannot travel before it is paid. Pure.

The payment graph is expanded in time: a node for each party and day with movements, an edge for
each payment, and an edge from each day of a party to its next, on which money waits. The amount
that came back to a party is the maximum flow through it (Ford and Fulkerson, Flows in Networks,
1962, chapter III). Within a day payments may follow each other in any order, which makes it an
upper bound. The dollars that came back to one party and to another may be the same, so the figures
of several parties are never added up.

Days of a party are one node as long as nothing comes in after something went out: everything
received by then could go out on each of them. Years of payments thus make few nodes if most parties
are paid on some days and pay on others. Days are numbered as by `datetime.date.toordinal`; the
beginnings of nodes are found by bisection, and the amounts paid between two nodes by running sums,
so that days in between take no time.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from gigaledger.projections.trade.circular_flows import FlowKind
from gigaledger.projections.trade.matching import Line, Moved

Stream = tuple[str, str, FlowKind]
"""Payer, payee, and what for."""


class DatedFlow(NamedTuple):
    """A payment in minor units of one currency; negative if it was refunded or returned."""

    payer: str
    payee: str
    kind: FlowKind
    day: dt.date
    amount_minor: int


def returned_in_time(flows: Iterable[DatedFlow], origin: str, kind: FlowKind | None = None) -> int:
    """Return how much of the payments of a party can have come back to it, in minor units.

    Reductions lower the latest payments of the same payer, payee and kind.

    Args:
        flows: all payments.
        origin: the party that pays first and is paid last.
        kind: count only its payments of this kind; None for any.
    """
    streams: dict[Stream, Counter[int]] = defaultdict(Counter)
    for payer, payee, of_kind, day, amount_minor in flows:
        streams[payer, payee, of_kind][day.toordinal()] += amount_minor
    left = {stream: Moved(days).left for stream, days in streams.items()}
    return returned_of_left(left, origin, kind)


def returned_of_left(
    streams: Mapping[Stream, Line], origin: str, kind: FlowKind | None = None
) -> int:
    """Return the same as `returned_in_time`, for payments without reductions."""
    # What the origin pays for something else starts no round trip, and passes nothing on.
    moving = {
        (payer, payee, of_kind): line
        for (payer, payee, of_kind), line in streams.items()
        if line.days and payer != payee and (payer != origin or kind in (None, of_kind))
    }
    started = [line.days[0] for (payer, _, _), line in moving.items() if payer == origin]
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
    for (payer, payee, _), line in moving.items():
        days = sorted({*nodes.get(payer, ()), *nodes.get(payee, ())})
        until_minor = [line.until_minor(day - 1) for day in days] + [line.total_minor]
        for day, (before_minor, after_minor) in zip(days, pairwise(until_minor), strict=True):
            if after_minor > before_minor:
                start = source if payer == origin else (payer, _node_of(nodes[payer], day))
                end = sink if payee == origin else (payee, _node_of(nodes[payee], day))
                capacity[start, end] += after_minor - before_minor
    graph.add_edges_from(
        (start, end, {"capacity": most}) for (start, end), most in capacity.items()
    )
    for party, of_party in nodes.items():
        # An edge without a capacity takes anything: money may wait.
        graph.add_edges_from(((party, node), (party, later)) for node, later in pairwise(of_party))
    value, _ = nx.maximum_flow(graph, source, sink)
    return int(value)


def _nodes(lines: Mapping[Stream, Line], origin: str, first_day: int) -> dict[str, list[int]]:
    """Return the first days of each party's nodes, which name them, for all but the origin."""
    paid: dict[str, list[Sequence[int]]] = defaultdict(list)
    received: dict[str, list[Sequence[int]]] = defaultdict(list)
    for (payer, payee, _), line in lines.items():
        paid[payer].append(line.days)
        received[payee].append(line.days)
    found: dict[str, list[int]] = {}
    for party in (paid.keys() | received.keys()) - {origin}:
        out, into = (sorted(chain.from_iterable(days[party])) for days in (paid, received))
        nodes = found[party] = [first_day]
        while (place := bisect_left(out, nodes[-1])) < len(out):
            place = bisect_right(into, out[place])
            if place == len(into):
                break
            nodes.append(into[place])
    return found


def _node_of(nodes: Sequence[int], day: int) -> int:
    return nodes[bisect_right(nodes, day) - 1]
