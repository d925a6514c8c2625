"""The answer before a call equals the ledger's decision on the call."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gigaledger.common.quantities import money_to_message
from gigaledger.ledger.domain.book import Request
from gigaledger.ledger.domain.call_questions import CallAnswer, CallQuestion, answer_call
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.v1.common_pb2 import AssertionStatus
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facts import (
    START,
    called,
    certified,
    claimed,
    day,
    definitive,
    fact,
    letter_of_intent,
    money,
    parties,
    reversed_entry,
    terms,
)
from tests.hypothesis_profiles import examples
from tests.rules.ledger import MemoryLedger
from tests.rules.refusals import NOW
from tests.rules.test_properties import FACTS

DAYS = st.integers(-5, 200).map(lambda days: START + dt.timedelta(days=days))
GIGAWATTS = st.integers(1, 1_500_000)


def opening(**changes: Any) -> list[Any]:
    """An agreement whose second tranche waits for a day and a document as well."""
    ladder = terms()["tranches"]
    ladder[1]["conditions"] += [
        {"type": "CONDITION_TYPE_DATE_REACHED", "date": day(START + dt.timedelta(days=100))},
        {"type": "CONDITION_TYPE_REGULATORY_APPROVAL", "description": "clearance"},
    ]
    ladder[2]["expiry_date"] = day(START + dt.timedelta(days=300))
    return [*parties("SUP", "CUS"), definitive(tranches=ladder, **changes)]


def ledger_of(*events: Any) -> MemoryLedger:
    ledger = MemoryLedger(NOW)
    ledger.append(*events)
    return ledger


def ask(
    ledger: MemoryLedger,
    *tranches: int,
    amount_minor: int | None = None,
    on: dt.date = START,
    call: str = "CALL-NEW",
) -> CallAnswer:
    amount = None if amount_minor is None else money_to_message(amount_minor, "USD")
    return answer_call(ledger.book, CallQuestion("AGR", tranches, call, amount, on), ledger.now)


OPENINGS = st.one_of(
    st.builds(
        lambda latching, binding: opening(latching=latching, binding=binding),
        st.booleans(),
        st.sampled_from([True, True, True, False]),
    ).map(lambda facts: [*facts, claimed(3_000_000), certified(1_200_000, "CERT-0")]),
    st.just([*parties("SUP", "CUS"), letter_of_intent()]),
)
HISTORIES = st.lists(
    st.one_of(
        FACTS,
        st.builds(
            lambda kw, number, on: certified(kw, f"CERT-{number}", on=on),
            GIGAWATTS,
            st.integers(1, 9),
            DAYS,
        ),
        GIGAWATTS.map(lambda kw: claimed(kw * 3)),
        st.builds(lambda n: called(100_000, f"CALL-{n}"), st.integers(1, 3)),
        DAYS.map(
            lambda on: fact(
                "tranche_condition_satisfied", on=on, agreement="AGR", tranche=2, condition=3
            )
        ),
        st.builds(
            lambda minor: fact(
                "policy_adopted",
                policy=1,
                approval_thresholds=[money(minor)],
            ),
            st.integers(1, 300_000),
        ),
        st.integers(3, 30).map(reversed_entry),
    ),
    max_size=25,
)


@settings(max_examples=examples(60), deadline=None)
@given(
    history=HISTORIES,
    start=OPENINGS,
    tranches=st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True),
    amount=st.one_of(st.none(), st.integers(1, 320_000)),
    on=DAYS,
    call=st.sampled_from(["CALL-1", "CALL-NEW"]),
)
def test_the_answer_is_what_the_ledger_decides(
    history: list[Any],
    start: list[Any],
    tranches: list[int],
    amount: int | None,
    on: dt.date,
    call: str,
) -> None:
    ledger = MemoryLedger(NOW)
    for event in [*start, *history]:
        try:
            ledger.append(event)
        except Refused:
            continue
    head = ledger.book.position

    answer = ask(ledger, *tranches, amount_minor=amount, on=on, call=call)

    minor = 100_000 * len(set(tranches) & {1, 2, 3}) if amount is None else amount
    event = called(minor, call, tranches=tranches, on=on)
    decisions = {}
    for approver in ("", "carol"):
        event.approver = approver
        try:
            ledger.book.try_out(Request("r", [event], [None]), ledger.now)
            decisions[approver] = True
        except Refused:
            decisions[approver] = False
    assert answer.allowed == decisions["carol"]
    assert (answer.allowed and not answer.approval_required) == decisions[""]
    assert bool(answer.objections) == (not answer.allowed)
    assert ledger.book.position == head
    so_far = ledger.book.state("agreements/AGR").equity.called_minor
    assert answer.assessment.called_minor == so_far


def test_what_stands_against_the_threshold_and_by_which_certificates() -> None:
    ledger = ledger_of(*opening(), claimed(), certified(600_000), certified(400_000, "CERT-2"))

    (first,) = ask(ledger, 1).assessment.named
    answer = ask(ledger, 2, on=START + dt.timedelta(days=99))

    (condition,) = first.conditions
    assert (condition.held, condition.certified_kw) == (True, 1_000_000)
    assert [(c.position, c.document, c.power_kw) for c in condition.causes] == [
        (6, "CERT-1", 600_000),
        (7, "CERT-2", 400_000),
    ]
    assert {objection.rule.code for objection in answer.objections} == {"HR-INV-02"}
    assert [remedy.message for remedy in answer.remedies][:3] == [
        "certification of 1,000,000 kW more under agreement AGR",
        "2026-04-15 reached",
        "a document that shows condition 3 of tranche 2: clearance",
    ]


def test_what_changes_the_answer_changes_it() -> None:
    ledger = ledger_of(*opening(), claimed(), certified(200_000))
    (remedy,) = ask(ledger, 1).remedies

    ledger.append(certified(remedy.power_kw, "CERT-2"))

    assert remedy.fact_type == "capacity_milestone_certified"
    assert ask(ledger, 1).allowed


def test_what_remains_available() -> None:
    ledger = ledger_of(*opening(), claimed(), certified(), called(70_000))

    answer = ask(ledger, 1, amount_minor=40_000)

    assessment = answer.assessment
    assert assessment.committed_minor == 300_000
    assert (assessment.entitled_minor, assessment.called_minor) == (100_000, 70_000)
    assert assessment.available_minor == 30_000
    assert [objection.field for objection in answer.objections] == ["amount"]
    assert answer.remedies[0].message == "a call of at most USD 300.00"
    assert answer.remedies[1].message == "certification of 1,000,000 kW more under agreement AGR"
    assert ask(ledger, 1, amount_minor=30_000).allowed


def test_a_letter_of_intent_and_an_agreement_that_has_ended() -> None:
    intended = ask(ledger_of(*parties("SUP", "CUS"), letter_of_intent()), 1)
    ended = ask(ledger_of(*opening(), fact("agreement_terminated", agreement="AGR")), 1)

    assert [o.rule.code for o in intended.objections] == ["HR-INV-01"]
    assert intended.remedies[0].fact_type == "definitive_agreement_executed"
    assert intended.assessment.committed_minor == 0
    assert [o.rule.code for o in ended.objections] == ["HR-INV-01"]
    assert ended.remedies == ()


def test_what_is_not_in_the_agreement_or_too_late_or_in_another_currency() -> None:
    late = START + dt.timedelta(days=301)
    ledger = MemoryLedger(dt.datetime.combine(late, dt.time(12), dt.UTC))
    ledger.append(*opening(), claimed(3_000_000), certified(3_000_000))

    unknown, expired = ask(ledger, 4), ask(ledger, 3, on=late)
    foreign = answer_call(
        ledger.book, CallQuestion("AGR", (1,), "C", money_to_message(5, "EUR"), START), ledger.now
    )
    nobody = answer_call(ledger.book, CallQuestion("NONE", (1,), "C"), ledger.now)

    assert [r.message for r in unknown.remedies] == ["an amendment that adds tranche 4"]
    assert [r.message for r in expired.remedies] == [
        f"an amendment by which tranche 3 expires later than {START + dt.timedelta(days=300)}"
    ]
    assert "a call in USD" in [remedy.message for remedy in foreign.remedies]
    assert "HR-ID-03" in [objection.rule.code for objection in nobody.objections]


def test_a_latched_entitlement_rests_on_what_was_certified_when_it_was_reached() -> None:
    history = [claimed(), certified(), _withdrawn(500_000)]
    latched, current = (ledger_of(*opening(latching=kept), *history) for kept in (True, False))
    later = START + dt.timedelta(days=1)

    (kept,) = ask(latched, 1, on=later).assessment.named
    (lost,) = ask(current, 1, on=later).assessment.named

    assert (kept.entitled, kept.conditions[0].certified_kw) == (True, 1_000_000)
    assert [cause.document for cause in kept.conditions[0].causes] == ["CERT-1"]
    assert (lost.entitled, lost.conditions[0].certified_kw) == (False, 500_000)
    assert [cause.power_kw for cause in lost.conditions[0].causes] == [1_000_000, -500_000]


def test_an_answer_that_rests_on_a_plan_is_hypothetical() -> None:
    planned = certified(status=AssertionStatus.ASSERTION_STATUS_PLAN)
    ledger = ledger_of(*opening(), claimed())

    before, position = ask(ledger, 1), ledger.record(planned)
    resting = ask(ledger, 1)
    ledger.append(reversed_entry(position))

    assert (before.hypothetical, resting.hypothetical) == (False, True)
    assert not ask(ledger, 1).hypothetical


def _withdrawn(power_kw: int) -> Any:
    return fact(
        "capacity_certification_reversed",
        on=START + dt.timedelta(days=1),
        agreement="AGR",
        certificate="CERT-1",
        power_kw=power_kw,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
    )
