"""Investment: committed, entitled, called, funded and issued amounts, and the rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from gigaledger.common.quantities import money_from_message
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.projections.investment.figures import (
    Evidence,
    Figures,
    Recorded,
    figures_of,
    split_amount,
    split_shares,
)
from gigaledger.projections.investment.queries import query_investment
from gigaledger.projections.shared.agreements import AgreementStatus, Condition, Terms, Tranche
from gigaledger.projections.shared.amounts import Amount
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from gigaledger.v1.projections_pb2 import (
    InvestmentFigures,
    MoneyFigure,
    QueryInvestmentResponse,
    TrancheFigures,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.facts import (
    authorised,
    called,
    certified,
    claimed,
    definitive,
    fact,
    funded,
    issued,
    letter_of_intent,
    money,
    number,
    parties,
    reversed_entry,
    terms,
)
from tests.projections.conftest import ReadModels
from tests.projections.log import Log

RECORDED = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
"""When the facts of these tests are recorded: after all of their effective dates."""
JANUARY, FEBRUARY, MARCH, APRIL = (dt.date(2026, month, 20) for month in (1, 2, 3, 4))
PLAN = AssertionStatus.ASSERTION_STATUS_PLAN


def log_of(*events: Event) -> Log:
    """A log with SUP, CUS and THIRD, a million shares of CUS, and more facts."""
    log = Log()
    log.append(*parties("SUP", "CUS", "THIRD"), authorised("1000000"), at=RECORDED)
    for event in events:
        log.append(event)
    return log


async def investment(
    read_models: ReadModels,
    as_of: dt.date | None = None,
    agreement: str = "",
    statuses: Sequence[str] = (),
) -> QueryInvestmentResponse:
    """What the query answers."""
    async with read_models.snapshot("investment", as_of, statuses) as snapshot:
        return await query_investment(snapshot, agreement)


async def answer(
    read_models: ReadModels, log: Log, as_of: dt.date | None = None
) -> InvestmentFigures:
    """The figures of the one agreement of a log."""
    await read_models.apply(log.events)
    (figures,) = (await investment(read_models, as_of)).agreements
    return figures


def known(figure: MoneyFigure) -> int:
    """An amount in minor units of which nothing is missing."""
    assert figure.undisclosed_count == 0
    return money_from_message(figure.amount).amount_minor


def values(figures: InvestmentFigures | TrancheFigures, *names: str) -> list[int]:
    """Amounts of figures by their names."""
    return [known(getattr(figures, name)) for name in names]


def withdrawn(power_kw: int, certificate: str = "CERT-1", **fields: Any) -> Event:
    """A certification is withdrawn."""
    return fact(
        "capacity_certification_reversed",
        agreement="AGR",
        certificate=certificate,
        power_kw=power_kw,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        **fields,
    )


def returned(amount_minor: int, contribution: str = "FUND-1", **fields: Any) -> Event:
    """Capital goes back from CUS to SUP."""
    return fact(
        "capital_returned",
        agreement="AGR",
        contribution=contribution,
        payer="CUS",
        payee="SUP",
        amount=money(amount_minor),
        **fields,
    )


def of_security(kind: str, shares: str, security: str = "SEC-1", **fields: Any) -> Event:
    """Something happens to shares that were issued at USD 5.00."""
    return fact(
        kind,
        **{
            "agreement": "AGR",
            "security": security,
            "shares": number(shares),
            "amount": money(int(shares) * 500),
            **fields,
        },
    )


def amended(on: dt.date, amendment: int = 1, **changes: Any) -> Event:
    """AGR has other terms."""
    return fact(
        "agreement_amended",
        agreement="AGR",
        amendment=amendment,
        terms=terms(**changes),
        on=on,
    )


def ladder(*conditions: dict[str, Any]) -> list[dict[str, Any]]:
    """One tranche of USD 1,000.00 with conditions."""
    return [{"number": 1, "amount": money(100_000), "conditions": list(conditions)}]


CAPACITY = {"type": "CONDITION_TYPE_CAPACITY_CERTIFIED", "power_kw": 1_000_000}
EXECUTED = {"type": "CONDITION_TYPE_AGREEMENT_EXECUTED"}
FROM_MARCH = {
    "type": "CONDITION_TYPE_DATE_REACHED",
    "date": {"year": 2026, "month": 3, "day": 1},
}
APPROVAL = {"type": "CONDITION_TYPE_REGULATORY_APPROVAL"}
APPROVED = fact("tranche_condition_satisfied", agreement="AGR", tranche=1, condition=2, on=FEBRUARY)


async def test_a_letter_of_intent_is_indicative_and_never_committed(
    read_models: ReadModels,
) -> None:
    log = log_of(
        fact("letter_of_intent_signed", agreement="AGR", terms=terms(binding=True)),
        claimed(),
        certified(),
    )

    figures = await answer(read_models, log)

    assert values(figures, "indicative", "committed", "entitled") == [300_000, 0, 0]
    assert (figures.investor, figures.issuer) == ("SUP", "CUS")
    tranches = (await investment(read_models)).tranches
    assert [tranche.entitled for tranche in tranches] == [False, False, False]


async def test_a_definitive_agreement_ends_the_letter_that_it_supersedes(
    read_models: ReadModels,
) -> None:
    log = log_of(
        letter_of_intent(),
        fact(
            "definitive_agreement_executed",
            agreement="DEAL",
            terms=terms(),
            supersedes=["AGR"],
            on=MARCH,
            status=AssertionStatus.ASSERTION_STATUS_ASSUMPTION,
        ),
    )
    await read_models.apply(log.events)

    before = await investment(read_models, FEBRUARY)
    assert [(line.agreement, known(line.indicative)) for line in before.agreements] == [
        ("AGR", 300_000)
    ]
    assert not before.context.hypothetical

    after = await investment(read_models, MARCH, "DEAL")
    assert [
        (line.agreement, *values(line, "indicative", "committed")) for line in after.agreements
    ] == [("AGR", 0, 0), ("DEAL", 0, 300_000)]
    assert {tranche.agreement for tranche in after.tranches} == {"DEAL"}

    # That the letter has ended is known from the assumed agreement alone.
    letter = await investment(read_models, MARCH, "AGR")
    assert [line.agreement for line in letter.agreements] == ["AGR"]
    assert letter.context.hypothetical


async def test_whole_tranches_are_entitled_and_the_pro_rata_part_is_shown_beside(
    read_models: ReadModels,
) -> None:
    log = log_of(definitive(), claimed(1_600_001), certified(1_600_001))

    figures = await answer(read_models, log)

    assert values(figures, "committed", "entitled", "entitled_pro_rata") == [
        300_000,
        100_000,
        160_000,
    ]
    tranches = (await investment(read_models)).tranches
    assert [tranche.entitled for tranche in tranches] == [True, False, False]


async def test_capacity_above_what_was_agreed_entitles_to_nothing_more(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(investment_commitment=money(250_000)), claimed(4_000_000), certified(4_000_000)
    )

    figures = await answer(read_models, log)

    assert values(figures, "committed", "entitled", "entitled_pro_rata") == [250_000] * 3


async def test_capacity_on_another_basis_does_not_entitle(read_models: ReadModels) -> None:
    gross: dict[str, Any] = {"power_basis": "POWER_BASIS_FACILITY_GROSS"}
    log = log_of(definitive(), claimed(**gross), certified(**gross))

    figures = await answer(read_models, log)

    assert values(figures, "entitled", "entitled_pro_rata") == [0, 0]


@pytest.mark.parametrize(("latching", "entitled"), [(False, 0), (True, 100_000)])
async def test_an_entitlement_outlives_a_withdrawal_only_where_it_latches(
    read_models: ReadModels, *, latching: bool, entitled: int
) -> None:
    log = log_of(
        definitive(latching=latching),
        claimed(),
        certified(on=FEBRUARY),
        withdrawn(1_000_000, on=MARCH),
    )
    await read_models.apply(log.events)

    found = {
        day: known((await investment(read_models, day)).agreements[0].entitled)
        for day in (JANUARY, FEBRUARY, MARCH)
    }

    assert found == {JANUARY: 0, FEBRUARY: 100_000, MARCH: entitled}


async def test_what_was_withdrawn_before_the_day_ended_did_not_latch(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(latching=True),
        claimed(),
        certified(on=FEBRUARY),
        withdrawn(1_000_000, on=FEBRUARY),
    )

    assert known((await answer(read_models, log)).entitled) == 0


@pytest.mark.parametrize(
    ("conditions", "entitled_from"),
    [
        ([], JANUARY),
        ([EXECUTED], JANUARY),
        ([EXECUTED, FROM_MARCH], dt.date(2026, 3, 1)),
        ([EXECUTED, APPROVAL], FEBRUARY),
        ([CAPACITY, APPROVAL], MARCH),
        ([APPROVAL, APPROVAL], None),
    ],
)
async def test_a_tranche_is_entitled_from_the_day_on_which_all_conditions_hold(
    read_models: ReadModels, conditions: list[dict[str, Any]], entitled_from: dt.date | None
) -> None:
    events = [
        fact(
            "definitive_agreement_executed",
            agreement="AGR",
            terms=terms(tranches=ladder(*conditions)),
            on=JANUARY,
        ),
        claimed(on=JANUARY),
        certified(on=MARCH),
    ]
    if APPROVAL in conditions:
        events.append(APPROVED)
    await read_models.apply(log_of(*events).events)

    days = [JANUARY, FEBRUARY, dt.date(2026, 2, 28), dt.date(2026, 3, 1), MARCH]
    found = [(await investment(read_models, day)).tranches[0].entitled for day in days]

    assert found == [entitled_from is not None and day >= entitled_from for day in days]


@pytest.mark.parametrize(
    "events",
    [
        [definitive(), claimed(2_000_000), certified(2_000_000)],
        [definitive(), claimed(), certified(), withdrawn(1)],
        [definitive(latching=True), claimed(), certified(), withdrawn(1, on=FEBRUARY)],
        [definitive(investment_commitment=money(60_000)), claimed(), certified()],
        [definitive(tranches=ladder(EXECUTED, APPROVAL)), APPROVED],
        [definitive(tranches=ladder(FROM_MARCH))],
        [definitive(tranches=ladder(CAPACITY, FROM_MARCH), latching=True), claimed(), certified()],
        [definitive(binding=False), claimed(), certified()],
        [definitive(), claimed(), certified(), called(40_000)],
        [definitive(), claimed(), certified(), amended(FEBRUARY, tranches=ladder(CAPACITY))],
        [
            definitive(
                investment_commitment=money(0), investment_undisclosed=True, tranches=ladder()
            )
        ],
    ],
)
async def test_what_is_available_to_call_is_what_the_ledger_lets_be_called(
    read_models: ReadModels, events: list[Event]
) -> None:
    log = log_of(*events)
    await read_models.apply(log.events)
    (line,) = (await investment(read_models, APRIL)).agreements
    available = money_from_message(line.available_to_call.amount).amount_minor

    with pytest.raises(Refused):
        log.append(called(available + 1, call="ABOVE", on=APRIL))
    if available:
        log.append(called(available, call="ALL", on=APRIL))
        await read_models.apply(log.events[-1:])
        (line,) = (await investment(read_models, APRIL)).agreements
        assert money_from_message(line.available_to_call.amount).amount_minor == 0


async def test_capital_is_shown_by_form_and_what_remains_counts_all_of_it(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(),
        claimed(2_000_000),
        certified(2_000_000),
        called(150_000),
        funded(90_000),
        funded(30_000, "FUND-2", form="CONTRIBUTION_FORM_NON_CASH"),
        returned(10_000),
    )

    figures = await answer(read_models, log)

    assert values(
        figures, "called", "funded_gross_cash", "funded_gross_non_cash", "returned", "funded"
    ) == [150_000, 90_000, 30_000, 10_000, 110_000]
    assert values(
        figures, "remaining_commitment", "available_to_call", "unfunded_entitlement", "overfunded"
    ) == [190_000, 50_000, 90_000, 0]


async def test_money_beyond_the_entitlement_is_overfunded(read_models: ReadModels) -> None:
    log = log_of(definitive(), claimed(), certified(), funded(120_000))

    figures = await answer(read_models, log)

    assert values(figures, "unfunded_entitlement", "overfunded", "remaining_commitment") == [
        0,
        20_000,
        180_000,
    ]


async def test_a_contribution_that_is_not_disclosed_is_unknown_and_not_zero(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(),
        claimed(),
        certified(),
        funded(40_000, tranches=[1]),
        fact(
            "capital_contribution_funded",
            agreement="AGR",
            contribution="FUND-2",
            payer="SUP",
            payee="CUS",
            amount_undisclosed=True,
            tranches=[1, 2],
        ),
    )
    await read_models.apply(log.events)

    response = await investment(read_models)

    (figures,) = response.agreements
    for name, amount_minor, missing in [
        ("committed", 300_000, 0),
        ("entitled", 100_000, 0),
        ("funded_gross_cash", 40_000, 1),
        ("funded", 40_000, 1),
        ("remaining_commitment", 260_000, 1),
        ("unfunded_entitlement", 60_000, 1),
        ("overfunded", 0, 1),
    ]:
        figure = getattr(figures, name)
        assert money_from_message(figure.amount).amount_minor == amount_minor, name
        assert figure.undisclosed_count == missing, name
    assert [tranche.funded.undisclosed_count for tranche in response.tranches] == [1, 1, 0]
    assert response.totals[0].funded == figures.funded


async def test_a_commitment_that_is_not_disclosed_leaves_what_follows_from_it_unknown(
    read_models: ReadModels,
) -> None:
    undisclosed = terms(investment_undisclosed=True, tranches=[])
    del undisclosed["investment_commitment"]
    log = log_of(
        fact("definitive_agreement_executed", agreement="AGR", terms=undisclosed), funded(40_000)
    )

    figures = await answer(read_models, log)

    # The terms state no currency: that of the contribution is the only one.
    assert figures.currency_code == "USD"
    assert known(figures.funded) == 40_000
    for name in ("committed", "entitled", "remaining_commitment", "overfunded"):
        assert getattr(figures, name).undisclosed_count == 1, name


async def test_where_nothing_tells_the_currency_there_is_no_amount(
    read_models: ReadModels,
) -> None:
    undisclosed = terms(investment_undisclosed=True, tranches=[])
    del undisclosed["investment_commitment"]
    log = log_of(fact("definitive_agreement_executed", agreement="AGR", terms=undisclosed))

    figures = await answer(read_models, log)

    assert figures.currency_code == ""
    assert figures.committed.undisclosed_count == 1
    assert not figures.committed.HasField("amount")


async def test_each_currency_has_figures_of_its_own(read_models: ReadModels) -> None:
    euros: dict[str, Any] = {
        "investment_commitment": money(200_000, "EUR"),
        "tranches": [{"number": 1, "amount": money(200_000, "EUR")}],
    }
    log = log_of(
        definitive(),
        claimed(),
        certified(),
        funded(100_000, tranches=[1]),
        amended(MARCH, **euros),
        funded(50_000, "FUND-2", tranches=[1], amount=money(50_000, "EUR"), on=APRIL),
    )
    await read_models.apply(log.events)

    response = await investment(read_models)

    assert [
        (line.currency_code, *values(line, "committed", "entitled", "funded"))
        for line in response.agreements
    ] == [("EUR", 200_000, 200_000, 50_000), ("USD", 0, 0, 100_000)]
    assert [total.currency_code for total in response.totals] == ["EUR", "USD"]
    assert [known(tranche.funded) for tranche in response.tranches] == [50_000]


async def test_totals_add_up_agreements_and_net_nothing_between_them(
    read_models: ReadModels,
) -> None:
    other = [
        fact("definitive_agreement_executed", agreement="OTHER", terms=terms()),
        claimed(agreement="OTHER"),
        certified(agreement="OTHER"),
        funded(130_000, agreement="OTHER"),
    ]
    log = log_of(definitive(), claimed(2_000_000), certified(2_000_000), *other)
    await read_models.apply(log.events)

    response = await investment(read_models)

    assert [line.agreement for line in response.agreements] == ["AGR", "OTHER"]
    (total,) = response.totals
    assert (total.agreement, total.investor, total.issuer) == ("", "", "")
    assert values(total, "committed", "entitled", "funded") == [600_000, 300_000, 130_000]
    assert values(total, "unfunded_entitlement", "overfunded") == [200_000, 30_000]


async def test_agreements_without_an_investment_are_left_out(read_models: ReadModels) -> None:
    supply = terms(type="AGREEMENT_TYPE_SUPPLY", tranches=[])
    del supply["investment_commitment"]
    log = log_of(
        fact("definitive_agreement_executed", agreement="AGR", terms=supply, status=PLAN),
        claimed(),
        certified(),
    )
    await read_models.apply(log.events)

    response = await investment(read_models)

    assert (len(response.agreements), len(response.totals)) == (0, 0)
    assert not response.context.assertion_statuses


async def test_an_ended_agreement_commits_to_nothing(read_models: ReadModels) -> None:
    log = log_of(
        definitive(contingent_commitment=money(50_000)),
        claimed(),
        certified(),
        fact("agreement_terminated", agreement="AGR", on=MARCH),
    )
    await read_models.apply(log.events)
    names = ("committed", "contingent", "entitled", "entitled_pro_rata", "available_to_call")

    before, after = [await investment(read_models, day) for day in (FEBRUARY, MARCH)]

    assert values(before.agreements[0], *names) == [300_000, 50_000, 100_000, 100_000, 100_000]
    assert values(after.agreements[0], *names) == [0, 0, 0, 0, 0]
    assert len(after.tranches) == 0


async def test_the_investor_is_who_plays_the_part_on_the_day(read_models: ReadModels) -> None:
    novated = fact(
        "agreement_novated",
        agreement="AGR",
        role="ROLE_INVESTOR",
        from_party="SUP",
        to_party="THIRD",
        on=MARCH,
    )
    await read_models.apply(log_of(definitive(), novated).events)

    found = [
        (await investment(read_models, day)).agreements[0].investor for day in (FEBRUARY, MARCH)
    ]

    assert found == ["SUP", "THIRD"]


async def test_what_several_tranches_share_is_split_in_proportion_to_their_amounts(
    read_models: ReadModels,
) -> None:
    steps = [
        {"number": 1, "amount": money(100_000)},
        {"number": 2, "amount": money(200_000)},
    ]
    log = log_of(
        definitive(tranches=steps),
        called(100_001, tranches=[1, 2]),
        # Names no tranche: it is for those of the call.
        funded(100_001, call="CALL-1"),
        returned(50_000),
        issued("200", tranches=[2, 1]),
        of_security("equity_issuance_rescinded", "50"),
    )
    await read_models.apply(log.events)

    one, two = (await investment(read_models)).tranches

    assert values(one, "called", "funded") == [33_334, 16_667]
    assert values(two, "called", "funded") == [66_667, 33_334]
    assert (one.shares, two.shares) == ("50", "100")
    assert (one.price_per_share, two.price_per_share) == ("5", "5")


async def test_a_split_keeps_the_amounts_that_tranches_had_on_the_day(
    read_models: ReadModels,
) -> None:
    def steps(first: int, second: int) -> list[dict[str, Any]]:
        amounts = enumerate((first, second), start=1)
        return [{"number": step, "amount": money(amount)} for step, amount in amounts]

    log = log_of(
        definitive(tranches=steps(100_000, 200_000)),
        called(30_000, tranches=[1, 2], on=FEBRUARY),
        amended(MARCH, tranches=steps(200_000, 100_000)),
        called(30_000, "CALL-2", tranches=[1, 2], on=APRIL),
    )
    await read_models.apply(log.events)

    response = await investment(read_models)

    assert [known(tranche.called) for tranche in response.tranches] == [30_000, 30_000]


async def test_shares_are_those_issued_less_rescinded_and_repurchased(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(),
        issued("200", tranches=[1]),
        issued(
            "100",
            "SEC-2",
            tranches=[1],
            price_per_share=number("8.00"),
            amount=money(80_000),
        ),
        of_security("equity_issuance_rescinded", "60"),
        of_security("shares_repurchased", "40", amount=money(90_000)),
    )

    figures = await answer(read_models, log)

    # 1,000.00 + 800.00 - 300.00; the price of shares bought back does not undo an issuance.
    assert known(figures.issued) == 150_000
    assert figures.shares_outstanding == "200"
    assert figures.average_price == "7.5"
    tranche = (await investment(read_models)).tranches[0]
    assert (tranche.shares, tranche.price_per_share) == ("200", "6.5")


async def test_without_shares_there_is_no_price(read_models: ReadModels) -> None:
    log = log_of(
        definitive(),
        issued("200", tranches=[1]),
        of_security("equity_issuance_rescinded", "200"),
    )

    figures = await answer(read_models, log)

    assert (figures.shares_outstanding, figures.average_price) == ("0", "")
    tranche = (await investment(read_models)).tranches[0]
    assert (tranche.shares, tranche.price_per_share) == ("0", "")


async def test_what_holders_pay_each_other_does_not_reach_the_issuer(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(),
        issued("200"),
        of_security("shares_transferred", "80", from_party="SUP", to_party="THIRD"),
    )

    figures = await answer(read_models, log)

    assert values(figures, "secondary", "funded", "issued") == [40_000, 0, 100_000]
    assert figures.shares_outstanding == "200"


async def test_only_facts_of_the_statuses_asked_for_count(read_models: ReadModels) -> None:
    log = log_of(definitive(), claimed(), certified(status=PLAN), funded(10_000))
    await read_models.apply(log.events)

    everything = await investment(read_models)
    facts = await investment(read_models, statuses=["FACT"])

    assert values(everything.agreements[0], "entitled", "funded") == [100_000, 10_000]
    assert everything.context.hypothetical
    assert values(facts.agreements[0], "entitled", "funded") == [0, 10_000]
    assert list(facts.context.assertion_statuses) == [AssertionStatus.ASSERTION_STATUS_FACT]
    assert not facts.context.hypothetical


async def test_facts_under_terms_that_do_not_count_are_shown_with_no_commitment(
    read_models: ReadModels,
) -> None:
    planned = fact(
        "definitive_agreement_executed", agreement="AGR", terms=terms(), status=PLAN, on=MARCH
    )
    await read_models.apply(log_of(planned, funded(10_000)).events)

    for response in (
        await investment(read_models, statuses=["FACT"]),
        await investment(read_models, FEBRUARY),
    ):
        (figures,) = response.agreements
        assert values(figures, "committed", "funded") == [0, 10_000]
        assert (figures.investor, figures.issuer) == ("SUP", "CUS")
        assert not response.context.hypothetical


async def test_an_entry_made_in_error_counts_until_it_is_reversed(
    read_models: ReadModels,
) -> None:
    log = log_of(definitive(), funded(70_000))
    await read_models.apply(log.events)
    (before,) = (await investment(read_models)).agreements

    log.append(reversed_entry(len(log.events)))
    await read_models.apply(log.events[-1:])
    (after,) = (await investment(read_models)).agreements

    assert (known(before.funded), known(after.funded)) == (70_000, 0)


async def test_what_refers_to_an_entry_made_in_error_still_counts(
    read_models: ReadModels,
) -> None:
    log = log_of(
        definitive(),
        issued("200", tranches=[1]),
        funded(70_000, tranches=[1]),
        of_security("equity_issuance_rescinded", "50"),
        returned(20_000),
    )
    events = log.events
    issuance, contribution = (events[-number].position for number in (4, 3))
    # The ledger refuses such reversals. The projection bears with them all the same.
    for position in (issuance, contribution):
        reversal = RecordedEvent()
        reversal.CopyFrom(events[-1])
        reversal.position += 1
        reversal.event.CopyFrom(reversed_entry(position))
        events.append(reversal)
    await read_models.apply(events)

    response = await investment(read_models)

    (figures,) = response.agreements
    assert values(figures, "returned", "funded", "issued") == [20_000, -20_000, -25_000]
    assert figures.shares_outstanding == "-50"
    assert figures.average_price == ""
    first = response.tranches[0]
    assert (known(first.funded), first.shares, first.price_per_share) == (-20_000, "-50", "")


async def test_a_query_for_an_agreement_that_is_not_known_answers_nothing(
    read_models: ReadModels,
) -> None:
    await read_models.apply(log_of(definitive()).events)

    response = await investment(read_models, agreement="NONE")

    assert not response.agreements
    assert response.context.position


amounts = st.builds(Amount, st.integers(0, 10**15), st.integers(0, 2))
tranches = st.lists(st.integers(1, 10**13), max_size=5).map(
    lambda minors: tuple(
        Tranche(step, minor, (Condition("CAPACITY_CERTIFIED", step),))
        for step, minor in enumerate(minors, start=1)
    )
)
standings = st.builds(
    AgreementStatus,
    st.builds(
        Terms,
        binding=st.booleans(),
        commitment_minor=st.none() | st.integers(0, 10**14),
        undisclosed=st.booleans(),
        power_kw=st.integers(0, 10),
        latching=st.booleans(),
        tranches=tranches,
    ),
    definitive=st.booleans(),
    in_force=st.booleans(),
)
evidences = st.builds(
    Evidence,
    evaluation_date=st.just(APRIL),
    certified=st.fixed_dictionaries(
        {"UNSPECIFIED": st.dictionaries(st.dates(), st.integers(-10, 10), max_size=5)}
    ),
)
recordings = st.builds(
    Recorded,
    called=amounts,
    funded_gross_cash=amounts,
    funded_gross_non_cash=amounts,
    returned=amounts,
)
all_figures = st.builds(figures_of, st.none() | standings, evidences, recordings)


@given(all_figures)
def test_capital_is_not_missing_and_beyond_at_once(figures: Figures) -> None:
    assert 0 in (figures.unfunded_entitlement.minor, figures.overfunded.minor)
    assert (
        figures.funded + figures.unfunded_entitlement - figures.overfunded
    ).minor == figures.entitled.minor


@given(all_figures)
def test_no_more_can_be_called_than_is_committed_and_entitled(figures: Figures) -> None:
    assert 0 <= figures.available_to_call.minor <= figures.entitled.minor
    if not figures.committed.undisclosed:
        assert figures.entitled.minor <= figures.committed.minor
        assert figures.available_to_call.minor <= figures.committed.minor
    assert figures.entitled_pro_rata is None or (
        0 <= figures.entitled_pro_rata.minor <= figures.committed.minor
    )


@given(all_figures)
def test_what_is_intended_is_not_committed(figures: Figures) -> None:
    assert Amount() in (figures.indicative, figures.committed)


@given(amounts, tranches)
def test_a_split_amount_adds_up(amount: Amount, steps: tuple[Tranche, ...]) -> None:
    parts = split_amount(amount, [step.number for step in steps], Terms(tranches=steps))

    assert sum(part.minor for part in parts.values()) == (amount.minor if steps else 0)
    assert {part.undisclosed for part in parts.values()} <= {amount.undisclosed}
    weight = sum(step.amount_minor for step in steps)
    for step in steps:
        exact = Fraction(amount.minor * step.amount_minor, weight)
        assert abs(parts[step.number].minor - exact) < 1


@given(st.decimals(-(10**9), 10**9, places=3), st.integers(1, 5))
def test_split_shares_add_up_and_keep_their_places(shares: Any, count: int) -> None:
    numbers = list(range(1, count + 1))

    parts = split_shares(Fraction(shares), numbers, Terms())

    assert sum(parts.values()) == Fraction(shares)
    if shares == int(shares):
        assert all(part.denominator == 1 for part in parts.values())
