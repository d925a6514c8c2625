"""Answers about circular flows.

They are made of the movements of the round trip, so both agree about every pair: purchases flow
from customer to supplier, investments from investor to issuer. On the cash basis there is financing
besides, which is part of no round trip.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gigaledger.projections.engine.folding import enum_number
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.shared.amounts import Amount, money, ratio
from gigaledger.projections.trade.circular_flows import (
    Decomposition,
    Flow,
    FlowKind,
    bilateral_first,
    edges_of,
    pure_maximum,
    shares_of,
)
from gigaledger.projections.trade.financing import Financing, read_financing
from gigaledger.projections.trade.matching import Line, Moved
from gigaledger.projections.trade.round_trip import BASES, Measure, Pair, pairs_of
from gigaledger.projections.trade.round_trip_queries import read_groups, read_series
from gigaledger.projections.trade.timed import Stream, returned_of_left
from gigaledger.projections.trade.vehicles import read_vehicles
from gigaledger.v1.projections_pb2 import (
    CircularFlows,
    FlowCycle,
    FlowDecomposition,
    FlowPosition,
    FlowShare,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    RoundTripBasis,
)
from gigaledger.v1.projections_pb2 import FlowKind as KindMessage

CAVEAT = (
    "Upper bound, not causation: money is fungible. The volume is unique; which cycles carry it is"
    " a reproducible allocation, and not unique. No legal set-off is meant."
)
"""Belongs beside every figure of an answer."""


async def query_circular_flows(
    snapshot: Snapshot, request: QueryCircularFlowsRequest, from_day: dt.date
) -> QueryCircularFlowsResponse:
    """Answer QueryCircularFlows.

    Args:
        snapshot: a snapshot of the projection of the round trip.
        request: the level of parties.
        from_day: the first day that counts.
    """
    counted = {measure for measures in BASES.values() for measure in measures}
    groups = await read_groups(snapshot, request.level)
    series = [
        one for one in await read_series(snapshot, groups, from_day) if one.measure in counted
    ]
    for one in series:
        snapshot.add_provenance(one.statuses)
    financing = [
        paid for paid in await read_financing(snapshot, groups) if paid.flow.day >= from_day
    ]
    snapshot.add_provenance(paid.assertion_status for paid in financing)
    vehicles = await read_vehicles(snapshot, groups, from_day)
    return QueryCircularFlowsResponse(
        context=snapshot.context(),
        # A large graph takes a while, in which others are answered.
        flows=await asyncio.to_thread(_all_flows, pairs_of(series), financing),
        caveat=CAVEAT,
        vehicles=vehicles,
    )


@dataclass(slots=True)
class _Graph:
    """All payments in one currency, by payer, payee and kind."""

    streams: dict[Stream, Moved] = field(default_factory=dict)
    undisclosed: int = 0

    def add(self, stream: Stream, moved: Moved, undisclosed: int) -> None:
        """Add payments."""
        before = self.streams.get(stream)
        self.streams[stream] = before + moved if before else moved
        self.undisclosed += undisclosed

    def flows(self) -> list[Flow]:
        """Return the total paid."""
        return [Flow(*stream, moved.minor) for stream, moved in self.streams.items()]


def _all_flows(pairs: Sequence[Pair], financing: Sequence[Financing]) -> list[CircularFlows]:
    found: list[CircularFlows] = []
    for basis, (purchases, investment) in BASES.items():
        graphs: dict[str, _Graph] = defaultdict(_Graph)
        for pair in pairs:
            streams: dict[Measure, Stream] = {
                purchases: (pair.customer, pair.supplier, FlowKind.PURCHASE),
                investment: (pair.supplier, pair.customer, FlowKind.INVESTMENT),
            }
            for measure, stream in streams.items():
                if measure in pair and pair.currency:
                    undisclosed = pair.total(measure).undisclosed
                    graphs[pair.currency].add(stream, pair.moved(measure), undisclosed)
        if basis == RoundTripBasis.ROUND_TRIP_BASIS_CASH:
            for (currency, stream), payments in _by_stream(financing).items():
                days: Counter[int] = Counter()
                for paid in payments:
                    days[paid.flow.day.toordinal()] += paid.flow.amount_minor
                undisclosed = sum(paid.undisclosed for paid in payments)
                graphs[currency].add(stream, Moved(days), undisclosed)
        found += [_flows(graphs[currency], basis, currency) for currency in sorted(graphs)]
    return found


def _by_stream(
    financing: Iterable[Financing],
) -> dict[tuple[str, Stream], list[Financing]]:
    found: dict[tuple[str, Stream], list[Financing]] = defaultdict(list)
    for paid in financing:
        payer, payee, kind, _, _ = paid.flow
        found[paid.currency, (payer, payee, kind)].append(paid)
    return found


def _flows(graph: _Graph, basis: RoundTripBasis.ValueType, currency: str) -> CircularFlows:
    flows = graph.flows()
    edges = edges_of(flows)
    first, maximum = bilateral_first(edges), pure_maximum(edges)
    left = {stream: moved.left for stream, moved in graph.streams.items()}
    answer = CircularFlows(
        basis=basis,
        currency_code=currency,
        bilateral_first=_decomposition(first, flows, currency),
        pure_maximum=_decomposition(maximum, flows, currency),
        positions=[
            _position(party, edges, left, currency)
            for party in sorted({party for edge in edges for party in edge})
        ],
    )
    answer.gross.CopyFrom(Amount(maximum.gross_minor, graph.undisclosed).figure(currency))
    return answer


def _decomposition(found: Decomposition, flows: Iterable[Flow], currency: str) -> FlowDecomposition:
    return FlowDecomposition(
        circulating=money(found.circulating_minor, currency),
        bilateral=money(found.bilateral_minor, currency),
        outside=money(found.gross_minor - found.circulating_minor, currency),
        circularity=ratio(found.circulating_minor, found.gross_minor, currency),
        cycles=[
            FlowCycle(parties=cycle.parties, amount=money(cycle.amount_minor, currency))
            for cycle in found.cycles
        ],
        shares=[
            FlowShare(
                payer=share.payer,
                payee=share.payee,
                kind=enum_number(KindMessage, share.kind.value),
                amount=money(share.amount_minor, currency),
                bilateral=money(share.bilateral_minor, currency),
                longer=money(share.longer_minor, currency),
                outside=money(share.outside_minor, currency),
                ratio=ratio(share.amount_minor - share.outside_minor, share.amount_minor, currency),
            )
            for share in shares_of(flows, found)
        ],
    )


def _position(
    party: str,
    edges: dict[tuple[str, str], int],
    left: Mapping[Stream, Line],
    currency: str,
) -> FlowPosition:
    inflow = sum(amount for (_, payee), amount in edges.items() if payee == party)
    outflow = sum(amount for (payer, _), amount in edges.items() if payer == party)
    in_time = returned_of_left(left, party, FlowKind.INVESTMENT)
    return FlowPosition(
        party=party,
        inflow=money(inflow, currency),
        outflow=money(outflow, currency),
        net=money(inflow - outflow, currency),
        returned_in_time=money(in_time, currency),
    )
