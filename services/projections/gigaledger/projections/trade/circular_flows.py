"""Circulation in the payment graph of any number of parties (domain rules, section 2.5). Pure.

A circulation is a part of the flows in which each party receives as much as it pays. The largest
one is a minimum-cost flow in which every unit earns (Ahuja, Magnanti, Orlin, Network Flows, 1993,
section 3.5 and chapter 11). Its value is unique, its edges need not be. Edges are in order of
payer, then payee; among all circulations of the largest value, the one chosen carries most on the
first edge, then on the second, and so on. It is therefore unique, whatever the order of the input
and whichever algorithm finds it. It is a reproducible allocation, and does not say which dollar
caused which payment.

Amounts are in minor units of one currency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from gigaledger.common.quantities import ratio_ppm
from gigaledger.projections.shared.amounts import split_in_proportion

Edge = tuple[str, str]
"""Payer and payee."""
_PAIR = 2


class FlowKind(Enum):
    """What money is paid for. The order of names is the order in which an edge is split."""

    DEBT = "DEBT"
    INVESTMENT = "INVESTMENT"
    LEASE = "LEASE"
    PURCHASE = "PURCHASE"


@dataclass(frozen=True, slots=True)
class Flow:
    """The amount that one party pays another for one kind of thing.

    Attributes:
        payer: a party or a group.
        payee: another one.
        kind: kind of the flow.
        amount_minor: amount paid less amount paid back; a negative one reduces other flows of the
            same payer, payee and kind.
    """

    payer: str
    payee: str
    kind: FlowKind
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """A closed walk that meets each of its parties once.

    Attributes:
        parties: in the direction of the money, from the first by name; the last pays the first.
        amount_minor: what each pays the next.
    """

    parties: tuple[str, ...]
    amount_minor: int

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Payer and payee."""
        return tuple(zip(self.parties, (*self.parties[1:], self.parties[0]), strict=True))

    @property
    def is_bilateral(self) -> bool:
        """Whether it is two parties that pay each other."""
        return len(self.parties) == _PAIR

    @property
    def volume_minor(self) -> int:
        """The sum of its flows."""
        return self.amount_minor * len(self.parties)


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Flows, decomposed into cycles and a rest.

    Attributes:
        flows: all edges, in order of payer and payee, with positive amounts.
        cycles: bilateral ones first, in order of their parties; the longer ones as they are found.
        rest: the remaining amount of each edge; acyclic.
    """

    flows: Mapping[Edge, int]
    cycles: tuple[Cycle, ...]
    rest: Mapping[Edge, int]

    @property
    def gross_minor(self) -> int:
        """The sum of all flows."""
        return sum(self.flows.values())

    @property
    def circulating_minor(self) -> int:
        """The sum of the circulating amounts of all edges."""
        return self.gross_minor - sum(self.rest.values())

    @property
    def bilateral_minor(self) -> int:
        """The part of it in cycles of two parties: twice what the two pay each other."""
        return sum(cycle.volume_minor for cycle in self.cycles if cycle.is_bilateral)

    @property
    def circularity_ppm(self) -> int | None:
        """The circularity index: circulating amount / all flows. None if there are no flows."""
        return ratio_ppm(self.circulating_minor, self.gross_minor)

    def on_cycles(self, edge: Edge) -> int:
        """Return how much of an edge lies on cycles."""
        return self.flows[edge] - self.rest[edge]


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a flow of one kind that lies on cycles.

    Attributes:
        bilateral_minor: the part on the cycle of the two parties alone.
        longer_minor: the part on longer cycles.
    """

    payer: str
    payee: str
    kind: FlowKind
    amount_minor: int
    bilateral_minor: int
    longer_minor: int

    @property
    def outside_minor(self) -> int:
        """The part that does not come back."""
        return self.amount_minor - self.bilateral_minor - self.longer_minor

    @property
    def ppm(self) -> int | None:
        """The share on cycles."""
        return ratio_ppm(self.amount_minor - self.outside_minor, self.amount_minor)


def edges_of(flows: Iterable[Flow]) -> dict[Edge, int]:
    """Return the flows between parties, in order of payer and payee.

    A payment of a party to itself is no flow. If more was paid back than paid, the rest flows the
    other way.
    """
    edges: dict[Edge, int] = defaultdict(int)
    for flow in _by_kind(flows):
        edges[flow.payer, flow.payee] += flow.amount_minor
    return dict(sorted(edges.items()))


def net_positions(edges: Mapping[Edge, int]) -> dict[str, int]:
    """Return inflow less outflow of each party, in order of name. No circulation changes it."""
    positions: dict[str, int] = defaultdict(int)
    for (payer, payee), amount in edges.items():
        positions[payer] -= amount
        positions[payee] += amount
    return dict(sorted(positions.items()))


def bilateral_first(edges: Mapping[Edge, int]) -> Decomposition:
    """Take out bilateral cycles, then the largest circulation of the rest.

    Its bilateral part equals the round trip of each pair. The total never exceeds that of
    `pure_maximum`.
    """
    flows = _canonical(edges)
    rest, pairs = _without_pairs(flows, flows)
    circulation = maximum_circulation(rest)
    rest = {edge: amount - circulation.get(edge, 0) for edge, amount in rest.items()}
    return Decomposition(flows, (*pairs, *_longer_cycles(circulation)), rest)


def pure_maximum(edges: Mapping[Edge, int]) -> Decomposition:
    """Take out the largest circulation, however long its cycles: the upper bound."""
    flows = _canonical(edges)
    circulation = maximum_circulation(flows)
    rest = {edge: amount - circulation[edge] for edge, amount in flows.items()}
    longer, pairs = _without_pairs(circulation, circulation)
    return Decomposition(flows, (*pairs, *_longer_cycles(longer)), rest)


def maximum_circulation(edges: Mapping[Edge, int]) -> dict[Edge, int]:
    """Return the circulation of the largest sum that goes through edges, by edge.

    Args:
        edges: what flows at most on each edge.
    """
    if not edges:
        return {}
    # Only here: the import takes longer than starting to serve, and most processes never ask.
    import networkx as nx  # noqa: PLC0415

    graph: nx.DiGraph[str] = nx.DiGraph()
    ordered = sorted(edges)
    # Powers of two make the order of preference strict: two circulations differ by cycles on which
    # each edge has a coefficient of -1, 0 or 1, so that the first edge on which they differ
    # outweighs all later ones, and the number of units outweighs them all.
    for rank, (payer, payee) in enumerate(reversed(ordered)):
        weight = -(1 << len(ordered)) - (1 << rank)
        graph.add_edge(payer, payee, capacity=edges[payer, payee], weight=weight)
    _, flow = nx.network_simplex(graph)
    return {(payer, payee): flow[payer][payee] for payer, payee in ordered}


def shares_of(flows: Iterable[Flow], decomposition: Decomposition) -> list[Share]:
    """Return how much of each flow lies on cycles, in order of payer, payee and kind.

    What circulates on an edge is shared out among the kinds of payment on it in proportion to their
    amounts, by largest remainder.
    """
    bilateral: dict[Edge, int] = defaultdict(int)
    for cycle in decomposition.cycles:
        if cycle.is_bilateral:
            for edge in cycle.edges:
                bilateral[edge] += cycle.amount_minor
    by_edge: dict[Edge, list[Flow]] = defaultdict(list)
    for flow in _by_kind(flows):
        by_edge[flow.payer, flow.payee].append(flow)
    shares: list[Share] = []
    for edge, parts in sorted(by_edge.items()):
        amounts = [part.amount_minor for part in parts]
        on_cycles = split_in_proportion(decomposition.on_cycles(edge), amounts)
        on_pairs = split_in_proportion(bilateral[edge], on_cycles)
        shares += [
            Share(*edge, part.kind, part.amount_minor, pair, cyclic - pair)
            for part, cyclic, pair in zip(parts, on_cycles, on_pairs, strict=True)
        ]
    return shares


def _by_kind(flows: Iterable[Flow]) -> list[Flow]:
    """Return one flow of a positive amount for each payer, payee and kind, in that order."""
    sums: dict[tuple[str, str, FlowKind], int] = defaultdict(int)
    for flow in flows:
        if flow.payer != flow.payee:
            sums[flow.payer, flow.payee, flow.kind] += flow.amount_minor
    found = [
        Flow(payer, payee, kind, amount) if amount > 0 else Flow(payee, payer, kind, -amount)
        for (payer, payee, kind), amount in sums.items()
        if amount
    ]
    merged: dict[tuple[str, str, FlowKind], int] = defaultdict(int)
    for flow in found:
        merged[flow.payer, flow.payee, flow.kind] += flow.amount_minor
    keys = sorted(merged, key=lambda key: (key[0], key[1], key[2].value))
    return [Flow(*key, merged[key]) for key in keys]


def _canonical(edges: Mapping[Edge, int]) -> dict[Edge, int]:
    for (payer, payee), amount in edges.items():
        if payer == payee or amount <= 0:
            message = (
                f"edges: {payer} pays {payee} {amount}; a flow is positive, between two parties"
            )
            raise ValueError(message)
    return dict(sorted(edges.items()))


def _without_pairs(
    edges: Mapping[Edge, int], order: Iterable[Edge]
) -> tuple[dict[Edge, int], list[Cycle]]:
    """Return edges without what pairs pay each other, and the pairs."""
    rest = dict(edges)
    pairs: list[Cycle] = []
    for payer, payee in order:
        amount = min(edges[payer, payee], edges.get((payee, payer), 0))
        if payer < payee and amount:
            pairs.append(Cycle((payer, payee), amount))
            rest[payer, payee] -= amount
            rest[payee, payer] -= amount
    return rest, pairs


def _longer_cycles(circulation: Mapping[Edge, int]) -> list[Cycle]:
    """Decompose a circulation into at most as many cycles as it has edges.

    Each walk starts on the first remaining edge and continues on the first remaining edge until it
    returns to a party that it has visited. That closes a cycle, and empties an edge.
    """
    left = {edge: amount for edge, amount in sorted(circulation.items()) if amount}
    cycles: list[Cycle] = []
    while left:
        walk = [next(iter(left))[0]]
        while True:
            following = next(payee for payer, payee in left if payer == walk[-1])
            if following in walk:
                break
            walk.append(following)
        parties = walk[walk.index(following) :]
        start = parties.index(min(parties))
        cycle = Cycle((*parties[start:], *parties[:start]), 0)
        amount = min(left[edge] for edge in cycle.edges)
        cycles.append(Cycle(cycle.parties, amount))
        for edge in cycle.edges:
            left[edge] -= amount
            if not left[edge]:
                del left[edge]
    return cycles
