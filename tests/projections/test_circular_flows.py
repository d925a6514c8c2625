"""Circular flows as answered: from facts, as of a day, since a day, for groups and entities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from gigaledger.common.quantities import money_from_message
from gigaledger.projections.trade.circular_flow_queries import CAVEAT, query_circular_flows
from gigaledger.projections.trade.fold import ROUND_TRIP
from gigaledger.projections.trade.round_trip_queries import query_round_trip
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import (
    CircularFlows,
    FlowKind,
    PartyLevel,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    QueryRoundTripRequest,
    RoundTripBasis,
)
from google.type.money_pb2 import Money

from tests.facts import START, definitive, fact, funded, money, parties
from tests.instruments import contributed, distributed, drawn, formed, leased, rent, repaid
from tests.projections.conftest import ReadModels
from tests.projections.log import log_of

CASH = RoundTripBasis.ROUND_TRIP_BASIS_CASH
DAY = dt.timedelta(days=1)


def prepaid(payment: str, payer: str, payee: str, amount_minor: int, on: dt.date) -> Event:
    return fact(
        "prepayment_made",
        payment=payment,
        payer=payer,
        payee=payee,
        amount=money(amount_minor),
        on=on,
    )


# SUP puts 1,000.00 into CUS, CUS pays a cloud 3,000.00, the cloud buys for 2,400.00 from SUP.
TRIANGLE = [
    *parties("SUP", "CUS", "CLOUD"),
    definitive(),
    funded(100_000, on=START + DAY),
    prepaid("P1", "CUS", "CLOUD", 300_000, START + 2 * DAY),
    prepaid("P2", "CLOUD", "SUP", 240_000, START + 3 * DAY),
]


async def ask(
    read_models: ReadModels,
    events: Sequence[Event],
    *,
    as_of: dt.date | None = None,
    from_day: dt.date = dt.date.min,
    level: PartyLevel.ValueType = PartyLevel.PARTY_LEVEL_GROUP,
) -> QueryCircularFlowsResponse:
    await read_models.apply(log_of(events), ROUND_TRIP)
    async with read_models.snapshot("round-trip", as_of=as_of) as snapshot:
        request = QueryCircularFlowsRequest(level=level)
        return await query_circular_flows(snapshot, request, from_day)


def cash(answer: QueryCircularFlowsResponse) -> CircularFlows:
    (flows,) = [flows for flows in answer.flows if flows.basis == CASH]
    return flows


def minor(message: Money) -> int:
    return money_from_message(message).amount_minor


async def test_a_loop_of_three_that_no_pair_shows(read_models: ReadModels) -> None:
    answer = await ask(read_models, TRIANGLE)
    flows = cash(answer)
    assert minor(flows.gross.amount) == 640_000
    for found in (flows.bilateral_first, flows.pure_maximum):
        assert [(list(c.parties), minor(c.amount)) for c in found.cycles] == [
            (["CLOUD", "SUP", "CUS"], 100_000)
        ]
        assert minor(found.circulating) == 300_000
        assert found.circularity.ppm == 468_750
        assert [
            (s.payer, s.payee, minor(s.amount), minor(s.longer), minor(s.outside))
            for s in found.shares
        ] == [
            ("CLOUD", "SUP", 240_000, 100_000, 140_000),
            ("CUS", "CLOUD", 300_000, 100_000, 200_000),
            ("SUP", "CUS", 100_000, 100_000, 0),
        ]
    assert {p.party: minor(p.net) for p in flows.positions} == {
        "CLOUD": 60_000,
        "CUS": -200_000,
        "SUP": 140_000,
    }
    assert {p.party: minor(p.returned_in_time) for p in flows.positions}["SUP"] == 100_000
    assert answer.caveat == CAVEAT


async def test_as_of_a_day_before_the_loop_closes(read_models: ReadModels) -> None:
    flows = cash(await ask(read_models, TRIANGLE, as_of=START + 2 * DAY))
    assert not flows.pure_maximum.cycles
    assert minor(flows.pure_maximum.outside) == 400_000


async def test_since_a_day_after_the_investment(read_models: ReadModels) -> None:
    flows = cash(await ask(read_models, TRIANGLE, from_day=START + 2 * DAY))
    assert not flows.pure_maximum.cycles
    assert minor(flows.gross.amount) == 540_000


async def test_what_moves_within_a_group_is_no_flow(read_models: ReadModels) -> None:
    grouped = fact("group_membership_changed", party="CLOUD", group="CUS")
    flows = cash(await ask(read_models, [*TRIANGLE[:3], grouped, *TRIANGLE[3:]]))
    (pair,) = flows.pure_maximum.cycles
    assert (list(pair.parties), minor(pair.amount)) == (["CUS", "SUP"], 100_000)
    assert minor(flows.pure_maximum.bilateral) == 200_000


async def test_currencies_are_never_added(read_models: ReadModels) -> None:
    euros = fact(
        "prepayment_made",
        payment="P3",
        payer="CUS",
        payee="SUP",
        amount={"currency_code": "EUR", "units": 5},
        on=START + DAY,
    )
    answer = await ask(read_models, [*TRIANGLE, euros])
    gross = {
        flows.currency_code: minor(flows.gross.amount)
        for flows in answer.flows
        if flows.basis == CASH
    }
    assert gross == {"EUR": 500, "USD": 640_000}


async def test_a_vehicle_that_passes_the_money_of_a_supplier_back_to_it(
    read_models: ReadModels,
) -> None:
    """The supplier's equity and a bank's loan buy the supplier's chips; the customer pays rent."""
    bank = {"lender": "CLOUD", "borrower": "THIRD"}
    flows = cash(
        await ask(
            read_models,
            [
                *parties("SUP", "CUS", "CLOUD", "THIRD"),
                formed(),
                contributed(200_000, on=START),
                drawn(1_250_000, on=START + DAY, **bank),
                prepaid("P1", "THIRD", "SUP", 1_400_000, START + 2 * DAY),
                leased(on=START + 2 * DAY),
                rent(60_000, on=START + 3 * DAY),
                repaid(50_000, interest=money(8_000), on=START + 4 * DAY),
                distributed(1_000, on=START + 4 * DAY),
            ],
        )
    )

    found = flows.pure_maximum
    assert [(s.payer, s.payee, FlowKind.Name(s.kind), minor(s.amount)) for s in found.shares] == [
        ("CLOUD", "THIRD", "FLOW_KIND_DEBT", 1_200_000),
        ("CUS", "THIRD", "FLOW_KIND_LEASE", 60_000),
        ("SUP", "THIRD", "FLOW_KIND_INVESTMENT", 200_000),
        ("THIRD", "CLOUD", "FLOW_KIND_DEBT", 8_000),
        ("THIRD", "SUP", "FLOW_KIND_INVESTMENT", 1_000),
        ("THIRD", "SUP", "FLOW_KIND_PURCHASE", 1_400_000),
    ]
    assert [(list(c.parties), minor(c.amount)) for c in found.cycles] == [
        (["CLOUD", "THIRD"], 8_000),
        (["SUP", "THIRD"], 200_000),
    ]
    assert {p.party: minor(p.net) for p in flows.positions} == {
        "CLOUD": -1_192_000,
        "CUS": -60_000,
        "SUP": 1_201_000,
        "THIRD": 51_000,
    }
    assert {p.party: minor(p.returned_in_time) for p in flows.positions}["SUP"] == 200_000


async def test_repaid_since_a_day_flows_from_the_borrower(read_models: ReadModels) -> None:
    events = [*parties("SUP", "THIRD"), drawn(500), repaid(300, on=START + 2 * DAY)]
    (share,) = cash(await ask(read_models, events, from_day=START + DAY)).pure_maximum.shares
    assert (share.payer, share.payee, minor(share.amount)) == ("THIRD", "SUP", 300)


async def test_financing_is_no_round_trip(read_models: ReadModels) -> None:
    await read_models.apply(log_of([*parties("SUP", "THIRD"), drawn(500)]), ROUND_TRIP)
    async with read_models.snapshot("round-trip") as snapshot:
        answer = await query_round_trip(snapshot, QueryRoundTripRequest())
    assert not answer.pairs


async def test_a_vehicle_is_looked_through_only_where_its_spending_is_stated(
    read_models: ReadModels,
) -> None:
    """What a contribution states goes before what the vehicle does; what states nothing is left."""
    half = [{"payee": "SUP", "share_ppm": 500_000}]
    third = [{"payee": "SUP", "share_ppm": 333_333}, {"payee": "CLOUD", "share_ppm": 100_000}]
    answer = await ask(
        read_models,
        [
            *parties("SUP", "CUS", "CLOUD", "THIRD"),
            formed(planned_equity=money(1), use_of_proceeds=half),
            contributed(1_000),
            contributed(100, "EQ-2", payer="CUS", use_of_proceeds=third),
            contributed(contribution="EQ-3", amount=None, amount_undisclosed=True),
            drawn(501, lender="CLOUD"),
            drawn(400, "DRAW-2", lender="CLOUD", use_of_proceeds=third),
            distributed(10_000),
            drawn(7_000, debt="D2", lender="SUP", borrower="CUS"),
        ],
    )
    assert [
        (
            capital.payee,
            minor(capital.equity.amount),
            capital.equity.undisclosed_count,
            minor(capital.debt.amount),
            minor(capital.own_equity.amount),
            minor(capital.own_debt.amount),
            capital.own_of_capital.ppm,
        )
        for capital in answer.vehicles
    ] == [
        # 100 and 400 at a tenth, 400 of them its own.
        ("CLOUD", 10, 0, 40, 0, 40, 800_000),
        # 1,000 at a half and 100 at a third, 501 at a half and 400 at a third: rounded once.
        ("SUP", 533, 1, 384, 500, 0, 545_256),
    ]


async def test_a_vehicle_that_states_nothing_is_where_the_money_stays(
    read_models: ReadModels,
) -> None:
    answer = await ask(read_models, [*parties("SUP", "THIRD"), formed(), contributed(1_000)])
    assert not answer.vehicles
