"""Warrants, vehicles and support: worked examples from public facts, and laws that always hold."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from gigaledger.common.quantities import money_from_message
from gigaledger.ledger.domain.folding import fold
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facts import fact, money, number, parties, reversed_entry
from tests.hypothesis_profiles import examples
from tests.instruments import (
    EXERCISE,
    VESTING,
    backstopped,
    bought_unsold,
    contributed,
    demanded,
    distributed,
    drawn,
    exercised,
    formed,
    granted,
    guaranteed,
    lapsed,
    leased,
    rent,
    repaid,
    satisfied,
    vested,
)
from tests.rules.ledger import MemoryLedger
from tests.rules.refusals import NOW
from tests.rules.test_properties import contents, streams_of

SIGNED = dt.date(2025, 10, 5)


def _amd_warrant() -> list[Event]:
    """AMD's warrant for OpenAI OpCo (AMD 8-K of 2025-10-05, Exhibit 4.1).

    How the shares split over the tranches is not disclosed, so the tranches state none.
    """
    return [
        *parties("AMD", "OPENAI_OPCO"),
        fact(
            "warrant_issued",
            on=SIGNED,
            warrant="AMD-OPENAI",
            issuer="AMD",
            holder="OPENAI_OPCO",
            shares=number("160000000"),
            exercise_price=number("0.01"),
            exercise_cost=money(160_000_000),
            tranches=[
                {
                    "number": 1,
                    "vesting_conditions": [
                        {"type": "CONDITION_TYPE_CAPACITY_DELIVERED", "power_kw": 1_000_000}
                    ],
                    "exercise_conditions": [
                        {
                            "type": "CONDITION_TYPE_OTHER_DOCUMENTED",
                            "description": "technical and commercial conditions",
                        }
                    ],
                },
                {
                    "number": 2,
                    "vesting_conditions": [
                        {"type": "CONDITION_TYPE_CAPACITY_PURCHASED", "power_kw": 6_000_000},
                        {"type": "CONDITION_TYPE_STOCK_PRICE", "price": number("600")},
                    ],
                },
            ],
        ),
    ]


def _of_warrant(kind: str, on: dt.date, **fields: Any) -> Event:
    return fact(kind, on=on, warrant="AMD-OPENAI", **fields)


def test_the_warrant_of_amd_for_openai_costs_one_point_six_million() -> None:
    ledger = MemoryLedger(NOW)
    ledger.append(*_amd_warrant())

    terms = ledger.book.state("warrants/AMD-OPENAI").terms

    assert money_from_message(terms.exercise_cost).amount_minor == 160_000_000
    a_cent_less = _amd_warrant()[-1]
    a_cent_less.warrant_issued.warrant = "OTHER"
    a_cent_less.warrant_issued.exercise_cost.units -= 1
    codes = {violation.rule.code for violation in ledger.refused(a_cent_less)}
    assert codes == {"HR-INV-06"}


def test_delivered_is_not_purchased_and_vested_is_not_exercisable() -> None:
    ledger = MemoryLedger(NOW)
    ledger.append(*_amd_warrant())
    first, later = dt.date(2026, 3, 1), dt.date(2026, 4, 1)
    documented: dict[str, Any] = {"tranche": 1, "condition": 1}
    shares = {"tranche": 1, "shares": number("10000000")}
    exercise = {"exercise": "EX-1", "shares": number("10000000"), "amount": money(10_000_000)}

    # Purchases are a condition of the second tranche: they vest nothing of the first.
    ledger.record(
        _of_warrant("warrant_condition_satisfied", first, tranche=2, condition=1, gate=VESTING)
    )
    refused = ledger.refused(_of_warrant("warrant_tranche_vested", first, **shares))
    assert [violation.rule.code for violation in refused] == ["HR-STATE-01"]

    ledger.record(_of_warrant("warrant_condition_satisfied", first, gate=VESTING, **documented))
    ledger.record(_of_warrant("warrant_tranche_vested", first, **shares))
    refused = ledger.refused(_of_warrant("warrant_exercised", first, **exercise))
    assert [violation.rule.code for violation in refused] == ["HR-WAR-02"]

    ledger.record(_of_warrant("warrant_condition_satisfied", later, gate=EXERCISE, **documented))
    assert ledger.refused(_of_warrant("warrant_exercised", first, **exercise))
    ledger.record(_of_warrant("warrant_exercised", later, **exercise))
    warrant = ledger.book.state("warrants/AMD-OPENAI")
    assert warrant.exercisable(later) == 0
    assert warrant.exercised == Decimal(10_000_000)


def test_the_vehicle_for_xai_as_reported_and_as_closed() -> None:
    """The plan of 2025-10-07 (USD 7.5bn equity, NVIDIA up to 2bn, and up to 12.5bn debt) and the
    closing of 2026-01-07 (USD 5.4bn; NVIDIA's part is not disclosed; leased triple-net)."""
    ledger = MemoryLedger(NOW)
    plan, closing = dt.date(2025, 10, 7), dt.date(2026, 1, 7)
    ledger.append(*parties("NVDA", "VCI", "XAI_LESSEE"))
    ledger.append(
        fact(
            "spv_formed",
            on=plan,
            status=AssertionStatus.ASSERTION_STATUS_REPORTED,
            vehicle="VCI",
            planned_equity=money(750_000_000_000),
            planned_debt=money(1_250_000_000_000),
            use_of_proceeds=[{"payee": "NVDA", "share_ppm": 1_000_000, "purpose": "GPUs"}],
        ),
        fact(
            "spv_equity_contributed",
            on=closing,
            vehicle="VCI",
            contribution="NVDA-LP",
            payer="NVDA",
            amount_undisclosed=True,
        ),
        fact(
            "lease_commenced",
            on=closing,
            lease="VCI-XAI",
            lessor="VCI",
            lessee="XAI_LESSEE",
            lease_kind="LEASE_KIND_TRIPLE_NET",
            term_months=60,
            amount_undisclosed=True,
        ),
    )

    assert [entry.stream for entry in ledger.entries[-3:]] == [
        "vehicles/VCI",
        "vehicles/VCI",
        "leases/VCI-XAI",
    ]
    contradiction = fact(
        "spv_equity_contributed",
        vehicle="VCI",
        contribution="LP-2",
        payer="NVDA",
        amount=money(1),
        amount_undisclosed=True,
    )
    assert {violation.rule.code for violation in ledger.refused(contradiction)} == {"FIELD_INVALID"}


def test_facts_concern_the_parties_of_what_they_follow_on() -> None:
    """Readers who filter by a party find what does not name it itself."""
    ledger = MemoryLedger(NOW)
    ledger.append(*parties("SUP", "CUS", "THIRD"), granted(), formed(), drawn(), guaranteed())
    ledger.append(vested("40", 2), distributed(), repaid(), demanded())

    concerned = [accepted.parties for accepted in ledger.book.pending[-4:]]

    assert concerned == [
        ("CUS", "SUP"),
        ("SUP", "THIRD"),
        ("SUP", "THIRD"),
        ("CUS", "SUP", "THIRD"),
    ]


NUMBERS = st.integers(1, 3)
SHARES = st.integers(1, 60).map(str)
CENTS = st.integers(1, 200)
DAYS = st.integers(0, 3).map(lambda days: dt.date(2026, 1, 5) + dt.timedelta(days=days))
FACTS = st.one_of(
    st.builds(lambda gate, on: satisfied(gate, on=on), st.sampled_from([VESTING, EXERCISE]), DAYS),
    st.builds(lambda s, t, on: vested(s, t, on=on), SHARES, st.integers(1, 2), DAYS),
    st.builds(lambda s, n, on: exercised(s, f"EX-{n}", on=on), SHARES, NUMBERS, DAYS),
    st.integers(0, 2).map(lapsed),
    st.builds(lambda a, n: drawn(a, f"DRAW-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: repaid(a, f"REPAY-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: contributed(a, f"EQ-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: distributed(a, f"DIST-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: rent(a, f"PAY-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: bought_unsold(a, f"PAY-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: demanded(a, f"DEM-{n}"), CENTS, NUMBERS),
    st.sampled_from([granted(), formed(), leased(), backstopped(), guaranteed()]),
    st.builds(reversed_entry, st.integers(2, 40), DAYS),
)
STEPS = st.lists(st.lists(FACTS, min_size=1, max_size=3), max_size=40)


@settings(max_examples=examples(50), deadline=None)
@given(STEPS)
def test_what_is_accepted_keeps_every_bound_and_folds_alike(steps: list[list[Event]]) -> None:
    ledger = MemoryLedger(NOW)
    ledger.append(*parties("SUP", "CUS", "THIRD"), granted(), drawn())
    for step in steps:
        head = ledger.book.position
        try:
            ledger.append(*step)
        except Refused:
            assert ledger.book.position == head

    warrant, debt = ledger.book.state("warrants/W"), ledger.book.state("debts/D")
    assert warrant.exercised <= sum(warrant.vested.values(), Decimal(0)) <= 100
    assert debt.repaid_minor <= debt.drawn_minor
    for stream, entries in streams_of(ledger).items():
        assert list(ledger.book.state(stream).invariants()) == []
        assert contents(ledger.book.state(stream)) == contents(fold(stream, entries))


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(FACTS, max_size=25))
def test_reversing_everything_from_the_end_leaves_nothing(events: list[Event]) -> None:
    ledger = MemoryLedger(NOW)
    ledger.append(*parties("SUP", "CUS", "THIRD"))
    opening = ledger.book.position
    for event in [granted(), drawn(), formed(), leased(), backstopped(), guaranteed(), *events]:
        try:
            ledger.append(event)
        except Refused:
            continue
    for entry in reversed([e for e in ledger.entries if e.position > opening]):
        standing = {e.fact.position for e in ledger.entries if e.kind == "entry_reversed"}
        if entry.kind != "entry_reversed" and entry.position not in standing:
            ledger.record(reversed_entry(entry.position, entry.effective_date))

    for stream in ("warrants/W", "vehicles/THIRD", "debts/D", "leases/L", "backstops/B"):
        assert not ledger.book.state(stream).exists
