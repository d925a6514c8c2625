"""Answers about circular flows.

They rest on the movements of the round trip, so that both say the same of every pair: what a
customer buys flows to the supplier, what an investor puts in flows to the issuer.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence

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

from services.projections.amounts import money, ratio, total
from services.projections.circular_flows.figures import (
    Decomposition,
    Flow,
    FlowKind,
    bilateral_first,
    edges_of,
    pure_maximum,
    shares_of,
)
from services.projections.circular_flows.timed import DatedFlow, returned_in_time
from services.projections.facts import enum_number
from services.projections.reading import Reader
from services.projections.round_trip.figures import BASES, Movement
from services.projections.round_trip.queries import read_movements

CAVEAT = (
    "Upper bound, not causation: money is fungible. The volume is unique; which cycles carry it is"
    " a reproducible allocation, and not unique. No legal set-off is meant."
)
"""Belongs beside every figure of an answer."""


async def query_circular_flows(
    reader: Reader, request: QueryCircularFlowsRequest, from_day: dt.date
) -> QueryCircularFlowsResponse:
    """Answer QueryCircularFlows.

    Args:
        reader: a snapshot of the projection of the round trip.
        request: the level at which parties are looked at.
        from_day: the first day that counts.
    """
    counted = {measure for measures in BASES.values() for measure in measures}
    movements = [
        movement
        for movement in await read_movements(reader, request.level)
        if movement.measure in counted and movement.day >= from_day
    ]
    for movement in movements:
        reader.rests_on(movement.statuses)
    return QueryCircularFlowsResponse(
        context=reader.context(),
        # A large graph takes a while, in which others are answered.
        flows=await asyncio.to_thread(_all_flows, movements),
        caveat=CAVEAT,
    )


def _all_flows(movements: Sequence[Movement]) -> list[CircularFlows]:
    found: list[CircularFlows] = []
    for basis, (purchases, investment) in BASES.items():
        kinds = {purchases: FlowKind.PURCHASE, investment: FlowKind.INVESTMENT}
        by_currency: dict[str, list[Movement]] = defaultdict(list)
        for movement in movements:
            if movement.measure in kinds and movement.currency:
                by_currency[movement.currency].append(movement)
        for currency, moved in sorted(by_currency.items()):
            flows = [_flow(movement, kinds[movement.measure]) for movement in moved]
            answer = _flows(flows, basis, currency)
            answer.gross.undisclosed_count = total(item.amount for item in moved).undisclosed
            found.append(answer)
    return found


def _flow(movement: Movement, kind: FlowKind) -> DatedFlow:
    ends = (movement.customer, movement.supplier)
    payer, payee = ends if kind == FlowKind.PURCHASE else reversed(ends)
    return DatedFlow(payer, payee, kind, movement.day, movement.amount.minor)


def _flows(
    dated: Sequence[DatedFlow], basis: RoundTripBasis.ValueType, currency: str
) -> CircularFlows:
    flows = [Flow(item.payer, item.payee, item.kind, item.amount_minor) for item in dated]
    edges = edges_of(flows)
    first, maximum = bilateral_first(edges), pure_maximum(edges)
    answer = CircularFlows(
        basis=basis,
        currency_code=currency,
        bilateral_first=_decomposition(first, flows, currency),
        pure_maximum=_decomposition(maximum, flows, currency),
        positions=[
            _position(party, edges, dated, currency)
            for party in sorted({party for edge in edges for party in edge})
        ],
    )
    answer.gross.amount.CopyFrom(money(maximum.gross_minor, currency))
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
    party: str, edges: dict[tuple[str, str], int], dated: Sequence[DatedFlow], currency: str
) -> FlowPosition:
    inflow = sum(amount for (_, payee), amount in edges.items() if payee == party)
    outflow = sum(amount for (payer, _), amount in edges.items() if payer == party)
    in_time = returned_in_time(dated, party, FlowKind.INVESTMENT)
    return FlowPosition(
        party=party,
        inflow=money(inflow, currency),
        outflow=money(outflow, currency),
        net=money(inflow - outflow, currency),
        returned_in_time=money(in_time, currency),
    )
