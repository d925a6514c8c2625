"""Purchases against investment: which facts count, for whom, and in which figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from gigaledger.common.quantities import money_from_message, money_to_message
from gigaledger.projections.shared.amounts import Amount
from gigaledger.projections.trade.fold import ROUND_TRIP
from gigaledger.projections.trade.round_trip import Measure, Movement, pairs_of, series_of
from gigaledger.projections.trade.round_trip_queries import query_round_trip
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import (
    MoneyFigure,
    PartyLevel,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
    RoundTripBalance,
    RoundTripBasis,
    RoundTripPair,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.facts import (
    START,
    called,
    cancelled,
    credited,
    definitive,
    fact,
    funded,
    invoiced,
    letter_of_intent,
    money,
    paid,
    parties,
    placed,
    received,
    refunded,
    reversed_entry,
    tax,
    terms,
)
from tests.projections.conftest import ReadModels
from tests.projections.log import log_of

BOTH = parties("SUP", "CUS")
GROUP = PartyLevel.PARTY_LEVEL_GROUP
ENTITY = PartyLevel.PARTY_LEVEL_ENTITY


async def answer(
    read_models: ReadModels,
    events: Sequence[Event],
    *,
    as_of: dt.date | None = None,
    statuses: Collection[str] = (),
    level: PartyLevel.ValueType = GROUP,
    supplier: str = "",
) -> QueryRoundTripResponse:
    await read_models.apply(log_of(events), ROUND_TRIP)
    return await ask(read_models, as_of=as_of, statuses=statuses, level=level, supplier=supplier)


async def ask(
    read_models: ReadModels,
    *,
    as_of: dt.date | None = None,
    statuses: Collection[str] = (),
    level: PartyLevel.ValueType = GROUP,
    supplier: str = "",
) -> QueryRoundTripResponse:
    request = QueryRoundTripRequest(level=level, supplier_investor=supplier)
    async with read_models.snapshot("round-trip", as_of=as_of, statuses=statuses) as snapshot:
        return await query_round_trip(snapshot, request)


async def only_pair(read_models: ReadModels, events: Sequence[Event]) -> RoundTripPair:
    [pair] = (await answer(read_models, events)).pairs
    return pair


def balance(pair: RoundTripPair, basis: str) -> RoundTripBalance:
    wanted = RoundTripBasis.Value(f"ROUND_TRIP_BASIS_{basis}")
    [found] = [entry for entry in pair.balances if entry.basis == wanted]
    return found


def minor(message: Any) -> int:
    """The amount of a Money, or of a figure of which nothing is undisclosed."""
    if isinstance(message, MoneyFigure):
        assert message.undisclosed_count == 0
        message = message.amount
    return money_from_message(message).amount_minor


def days(number: int) -> dt.date:
    return START + dt.timedelta(days=number)


async def test_each_basis_sets_a_stage_of_purchases_against_one_of_investment(
    read_models: ReadModels,
) -> None:
    pair = await only_pair(
        read_models,
        [
            *BOTH,
            definitive(tranches=[{"number": 1, "amount": money(300_000)}]),
            placed(100),
            invoiced(60_000),
            credited(10_000),
            paid(40_000),
            refunded(5_000),
            called(30_000),
            funded(20_000),
        ],
    )

    def parts(basis: str) -> tuple[int, int, int, int]:
        found = balance(pair, basis)
        return (
            minor(found.purchases),
            minor(found.investment),
            minor(found.net_balance),
            minor(found.recycled),
        )

    assert parts("COMMITMENT") == (100_000, 300_000, -200_000, 100_000)
    assert parts("ACCRUAL") == (50_000, 30_000, 20_000, 30_000)
    assert parts("CASH") == (35_000, 20_000, 15_000, 20_000)
    assert parts("ORDERED_AGAINST_FUNDED") == (100_000, 20_000, 80_000, 20_000)
    assert parts("INVOICED_AGAINST_FUNDED") == (50_000, 20_000, 30_000, 20_000)
    assert balance(pair, "CASH").ratio_purchases.ppm == 571_429
    assert balance(pair, "CASH").ratio_investment.ppm == 1_000_000


async def test_a_ratio_without_a_denominator_has_no_value(read_models: ReadModels) -> None:
    pair = await only_pair(read_models, [*BOTH, placed(), invoiced(), paid(10_000)])

    cash = balance(pair, "CASH")
    assert not cash.ratio_investment.HasField("ppm")
    assert minor(cash.ratio_investment.denominator) == 0
    assert cash.ratio_purchases.ppm == 0


async def test_a_letter_of_intent_commits_to_nothing(read_models: ReadModels) -> None:
    response = await answer(read_models, [*BOTH, letter_of_intent()])

    assert not response.pairs


async def test_a_commitment_lasts_until_the_agreement_ends(read_models: ReadModels) -> None:
    await read_models.apply(
        log_of(
            [
                *BOTH,
                definitive(),
                fact("agreement_terminated", agreement="AGR", on=days(10)),
            ]
        ),
        ROUND_TRIP,
    )

    async def committed(day: dt.date) -> list[int]:
        pairs = (await ask(read_models, as_of=day)).pairs
        return [minor(balance(pair, "COMMITMENT").investment) for pair in pairs]

    assert await committed(days(-1)) == []
    assert await committed(days(9)) == [300_000]
    assert await committed(days(10)) == [0]


async def test_amendments_and_cancellations_change_what_is_ordered_and_returns_do_not(
    read_models: ReadModels,
) -> None:
    amended = fact(
        "purchase_order_amended",
        purchase_order="PO-1",
        line=1,
        quantity_delta=20,
        amount_delta=money(8_000),
    )
    returned = fact("goods_returned", purchase_order="PO-1", line=1, quantity=30)
    pair = await only_pair(
        read_models, [*BOTH, placed(100), amended, received(90), returned, cancelled(30)]
    )

    # 120 units for USD 1,080.00: USD 9.00 on average.
    assert minor(pair.ordered) == 108_000 - 30 * 900
    assert minor(pair.received) == 60 * 900


async def test_goods_that_arrived_and_went_back_leave_nothing(read_models: ReadModels) -> None:
    """A price that is no whole number of cents is rounded to date, not day by day."""
    lines = [{"line": 1, "sku": "R", "quantity": 3, "amount": money(1_000)}]
    goods = [received(1, on=days(number)) for number in range(3)]
    await read_models.apply(
        log_of(
            [
                *BOTH,
                placed(lines=lines),
                *goods,
                fact("goods_returned", purchase_order="PO-1", line=1, quantity=3, on=days(3)),
            ]
        ),
        ROUND_TRIP,
    )

    found = [(await ask(read_models, as_of=days(number))).pairs[0].received for number in range(4)]
    assert [minor(figure) for figure in found] == [333, 667, 1_000, 0]


async def test_what_is_not_invoiced_is_looked_at_order_by_order(read_models: ReadModels) -> None:
    """An order that is invoiced ahead does not hide that another one is not."""
    second = placed(purchase_order="PO-2")
    pair = await only_pair(
        read_models,
        [
            *BOTH,
            placed(100),
            second,
            received(100),
            invoiced(40_000),
            invoiced(100_000, "INV-2", purchase_order="PO-2"),
        ],
    )

    assert minor(pair.received_not_invoiced) == 60_000


async def test_what_is_open_is_looked_at_invoice_by_invoice(read_models: ReadModels) -> None:
    pair = await only_pair(
        read_models,
        [
            *BOTH,
            placed(100),
            invoiced(50_000),
            invoiced(30_000, "INV-2"),
            paid(50_000),
            credited(20_000),
            paid(10_000, "PAY-2", invoice="INV-2"),
            refunded(5_000),
        ],
    )

    assert minor(pair.open_payable) == 20_000
    assert minor(pair.refund_due) == 15_000


async def test_a_recoverable_tax_is_owed_and_is_no_part_of_a_purchase(
    read_models: ReadModels,
) -> None:
    pair = await only_pair(
        read_models,
        [
            *BOTH,
            placed(100),
            received(60),
            invoiced(53_500, taxes=[tax(50_000, 3_000, "6"), tax(50_000, 500, recoverable=False)]),
            credited(10_600, taxes=[tax(10_000, 600, "6")]),
            paid(20_000),
        ],
    )

    assert minor(pair.invoiced) == 50_500 - 10_000
    assert minor(pair.recoverable_tax) == 3_000 - 600
    assert minor(pair.received_not_invoiced) == 60_000 - 40_500
    assert minor(pair.open_payable) == 53_500 - 10_600 - 20_000
    assert minor(balance(pair, "ACCRUAL").purchases) == 40_500
    assert minor(balance(pair, "CASH").purchases) == 20_000


async def test_tax_in_another_currency_than_the_order_is_left_out_of_what_is_invoiced(
    read_models: ReadModels,
) -> None:
    converted = {"document_amount": money(22_000), "rate": "0.5"}
    invoice = invoiced(amount=money(11_000, "EUR"), fx=converted)
    invoice.invoice_issued.taxes.add(
        taxable_amount=money_to_message(10_000, "EUR"),
        tax_amount=money_to_message(1_000, "EUR"),
        recoverable=True,
    )

    found = await answer(read_models, [*BOTH, placed(100), received(60), invoice])

    euros, dollars = found.pairs
    assert (euros.currency_code, minor(euros.invoiced), minor(euros.open_payable)) == (
        "EUR",
        10_000,
        11_000,
    )
    assert minor(dollars.received_not_invoiced) == 60_000 - 20_000


async def test_payments_that_name_no_invoice_are_unapplied(read_models: ReadModels) -> None:
    prepaid = fact(
        "prepayment_made",
        purchase_order="PO-1",
        payment="PRE-1",
        payer="CUS",
        payee="SUP",
        amount=money(7_000),
    )
    loose = paid(3_000, "PAY-2", purchase_order="", invoice="")
    back = refunded(1_000, payment="PAY-2", purchase_order="")
    pair = await only_pair(read_models, [*BOTH, placed(), prepaid, loose, back])

    assert minor(pair.paid) == 9_000
    assert minor(pair.unapplied_payments) == 9_000


async def test_an_invoice_without_an_order_counts_for_its_parties(read_models: ReadModels) -> None:
    invoice = invoiced(5_000, purchase_order="", supplier="SUP", buyer="CUS")
    payment = paid(2_000, purchase_order="")
    pair = await only_pair(read_models, [*BOTH, invoice, payment])

    assert (pair.supplier_investor, pair.customer_investee) == ("SUP", "CUS")
    assert minor(pair.invoiced) == 5_000
    assert minor(pair.open_payable) == 3_000


async def test_what_is_not_disclosed_is_not_zero(read_models: ReadModels) -> None:
    lines = [{"line": 1, "sku": "R", "quantity": 5, "amount_undisclosed": True}]
    unknown = fact(
        "capital_contribution_funded",
        agreement="AGR",
        contribution="FUND-9",
        payer="SUP",
        payee="CUS",
        amount_undisclosed=True,
    )
    pairs = (
        await answer(read_models, [*BOTH, definitive(), placed(lines=lines), received(2), unknown])
    ).pairs

    ordered = [pair.ordered.undisclosed_count for pair in pairs]
    received_ = [pair.received.undisclosed_count for pair in pairs]
    invested = {
        pair.currency_code: balance(pair, "CASH").investment.undisclosed_count for pair in pairs
    }
    assert sum(ordered) == 1
    assert sum(received_) == 1
    assert invested["USD"] == 1


async def test_investment_in_kind_is_no_cash(read_models: ReadModels) -> None:
    in_kind = funded(40_000, form="CONTRIBUTION_FORM_NON_CASH")
    returned = fact(
        "capital_returned",
        agreement="AGR",
        contribution="FUND-1",
        payer="CUS",
        payee="SUP",
        amount=money(15_000),
    )
    pair = await only_pair(read_models, [*BOTH, definitive(), in_kind, returned])

    assert minor(pair.invested_non_cash) == 25_000
    assert minor(balance(pair, "CASH").investment) == 0


async def test_capital_counts_whose_agreement_was_recorded_in_error(
    read_models: ReadModels,
) -> None:
    new = fact("definitive_agreement_executed", agreement="NEW", terms=terms(), supersedes=["AGR"])
    error = reversed_entry(4)
    pair = await only_pair(read_models, [*BOTH, definitive(), new, error, funded(40_000)])

    assert minor(balance(pair, "CASH").investment) == 40_000


async def test_a_document_in_another_currency_is_set_off_as_it_says(
    read_models: ReadModels,
) -> None:
    conversion = {"document_amount": money(10_000), "rate": "0.9"}
    invoice = invoiced(9_000, amount=money(9_000, "EUR"), fx=conversion)
    payment = paid(
        5_000, amount=money(5_000), fx={"document_amount": money(4_500, "EUR"), "rate": "1.1"}
    )
    [euros, dollars] = (
        await answer(read_models, [*BOTH, placed(100), received(20), invoice, payment])
    ).pairs

    assert (euros.currency_code, minor(euros.invoiced)) == ("EUR", 9_000)
    assert minor(euros.open_payable) == 4_500
    assert (dollars.currency_code, minor(dollars.paid)) == ("USD", 5_000)
    assert minor(dollars.received_not_invoiced) == 10_000


async def test_groups_meet_where_their_companies_do_not(read_models: ReadModels) -> None:
    """The company that buys and the one that is invested in are two of one group."""
    registered = [
        fact("party_registered", party=name, legal_name=name, group="OPEN")
        for name in ("BUYER", "ISSUER")
    ]
    members = [
        {"role": "ROLE_INVESTOR", "party": "SUP"},
        {"role": "ROLE_ISSUER", "party": "ISSUER"},
    ]
    moved = fact("group_membership_changed", party="BUYER", group="OTHER", on=days(10))
    events = [
        *parties("SUP"),
        *registered,
        definitive(parties=members),
        placed(buyer="BUYER"),
        invoiced(),
        paid(30_000, payer="BUYER"),
        funded(20_000, payee="ISSUER"),
        moved,
    ]
    before = await answer(read_models, events, as_of=days(9))
    after = await ask(read_models, as_of=days(10))
    entities = await ask(read_models, as_of=days(9), level=ENTITY)

    def recycled(response: QueryRoundTripResponse) -> dict[str, int]:
        return {
            pair.customer_investee: minor(balance(pair, "CASH").recycled) for pair in response.pairs
        }

    assert recycled(before) == {"OPEN": 20_000}
    assert recycled(after) == {"OPEN": 0, "OTHER": 0}
    assert recycled(entities) == {"BUYER": 0, "ISSUER": 0}


async def test_a_party_is_in_no_group_before_it_joins_one(read_models: ReadModels) -> None:
    joining = [
        fact("party_registered", party="CUS", legal_name="CUS", group="OPEN", on=days(10)),
        *parties("SUP"),
    ]
    before = await answer(
        read_models, [*joining, placed(), invoiced(), paid(30_000)], as_of=days(9)
    )
    after = await ask(read_models, as_of=days(10))

    assert [pair.customer_investee for pair in before.pairs] == ["CUS"]
    assert [pair.customer_investee for pair in after.pairs] == ["OPEN"]


async def test_what_moves_within_a_group_is_no_purchase(read_models: ReadModels) -> None:
    registered = [
        fact("party_registered", party=name, legal_name=name, group="ONE")
        for name in ("SUP", "CUS")
    ]
    response = await answer(read_models, [*registered, placed(), invoiced(), paid()])

    assert not response.pairs


async def test_an_answer_rests_on_the_facts_of_its_pairs_alone(read_models: ReadModels) -> None:
    planned = fact(
        "purchase_order_placed",
        purchase_order="PO-2",
        buyer="CUS",
        supplier="OTHER",
        contract_kind="CONTRACT_KIND_CHIP_PO",
        lines=[{"line": 1, "quantity": 1, "unit_price": money(100)}],
        status=AssertionStatus.ASSERTION_STATUS_PLAN,
    )
    await read_models.apply(log_of([*BOTH, *parties("OTHER"), placed(), planned]), ROUND_TRIP)

    everything = await ask(read_models)
    one = await ask(read_models, supplier="SUP")
    facts = await ask(read_models, statuses=["FACT"])
    assert everything.context.hypothetical
    assert not one.context.hypothetical
    assert [pair.supplier_investor for pair in one.pairs] == ["SUP"]
    assert [pair.supplier_investor for pair in facts.pairs] == ["SUP"]
    assert one.caveat


async def test_an_entry_recorded_in_error_does_not_count(read_models: ReadModels) -> None:
    pair = await only_pair(read_models, [*BOTH, placed(), invoiced(), paid(), reversed_entry(6)])

    assert minor(pair.paid) == 0
    assert minor(pair.open_payable) == 50_000


def _movement(measure: Measure, day: int, amount: int) -> Movement:
    return Movement(measure, "SUP", "CUS", "USD", days(day), Amount(amount), frozenset())


async def test_an_undisclosed_commitment_that_has_ended_is_missing_from_nothing(
    read_models: ReadModels,
) -> None:
    undisclosed = terms(investment_undisclosed=True, tranches=[])
    del undisclosed["investment_commitment"]
    signed = fact("definitive_agreement_executed", agreement="AGR", terms=undisclosed)
    ended = fact("agreement_terminated", agreement="AGR", on=days(10))

    await read_models.apply(log_of([*BOTH, signed, ended, placed()]), ROUND_TRIP)

    for day, missing in ((9, 1), (10, 0)):
        pairs = (await ask(read_models, as_of=days(day))).pairs
        found = [balance(pair, "COMMITMENT").investment.undisclosed_count for pair in pairs]
        assert sum(found) == missing


@given(
    st.lists(
        st.builds(
            _movement,
            st.sampled_from([Measure.PAID, Measure.FUNDED_CASH]),
            st.integers(0, 20),
            st.integers(1, 1_000),
        ),
        min_size=1,
    )
)
def test_balances_hold_together_whatever_moved(movements: list[Movement]) -> None:
    def until(measure: Measure, day: dt.date) -> int:
        return sum(
            movement.amount.minor
            for movement in movements
            if movement.measure is measure and movement.day <= day
        )

    [pair] = pairs_of(series_of(movements))
    cash = balance(pair.message(), "CASH")

    bought = until(Measure.PAID, days(20))
    invested = until(Measure.FUNDED_CASH, days(20))
    assert minor(cash.purchases) - minor(cash.investment) == minor(cash.net_balance)
    assert minor(cash.recycled) <= min(bought, invested)
    assert minor(cash.recycled) + abs(minor(cash.net_balance)) == max(bought, invested)
    assert minor(cash.peak_exposure) == max(
        0,
        *(
            until(Measure.FUNDED_CASH, days(day)) - until(Measure.PAID, days(day))
            for day in range(21)
        ),
    )


async def test_goods_of_a_line_that_was_amended_to_nothing(read_models: ReadModels) -> None:
    amendment = fact(
        "purchase_order_amended",
        purchase_order="PO-1",
        line=1,
        quantity_delta=-10,
        amount_delta=money(-10_000),
    )
    events = [*BOTH, placed(10), amendment, received(3)]

    pair = await only_pair(read_models, events)

    # Nothing states the value of the goods.
    assert minor(pair.ordered) == 0
    assert money_from_message(pair.received.amount).amount_minor == 0
    assert pair.received.undisclosed_count == 1


@pytest.mark.parametrize("block_events", [1, 1000])
async def test_sums_of_more_than_64_bits_are_exact(
    read_models: ReadModels, block_events: int
) -> None:
    """On one day and over days, from subtotals and from rows."""
    await read_models.connection.execute(
        "UPDATE book_main.projection_subtotal SET block_events = %s", (block_events,)
    )
    most = 2**63 - 1
    payments = [paid(most, f"PAY-{n}", invoice="", on=days(n // 2)) for n in range(5)]

    pair = await only_pair(read_models, [*BOTH, placed(), *payments])

    cents = pair.paid.amount
    assert 100 * cents.units + cents.nanos // 10**7 == 5 * most
