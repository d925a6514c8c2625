"""Every rule that flags, one by one, and laws of the register over any history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from gigaledger.common.quantities import date_from_message, instant_from_message
from gigaledger.exceptions.catalogue import RULES
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.register import ExceptionRecord, register_of
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.projections.engine.folding import enum_text
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facts import (
    START,
    allowance,
    authorised,
    certified,
    claimed,
    day,
    definitive,
    fact,
    funded,
    invoice_line,
    invoiced,
    issued,
    money,
    paid,
    parties,
    placed,
    received,
    reversed_entry,
    tax,
    terms,
)
from tests.hypothesis_profiles import examples
from tests.instruments import contributed, formed
from tests.projections.exception_cases import (
    BOUGHT,
    CASES,
    JANUARY_END,
    ORDERED,
    RATED,
    Case,
    later,
)
from tests.projections.log import Log, example
from tests.rules.test_properties import FACTS

PAGE = Path(__file__).parents[2] / "docs" / "exceptions.md"


def postings(events: Iterable[RecordedEvent]) -> list[Posting]:
    found = []
    for recorded in events:
        kind = recorded.event.WhichOneof("fact")
        assert kind is not None
        found.append(
            Posting(
                position=recorded.position,
                recorded_time=instant_from_message(recorded.recorded_time),
                effective_date=date_from_message(recorded.event.effective_date),
                status=enum_text(AssertionStatus, recorded.event.assertion_status),
                kind=kind,
                event=recorded.event,
                fact=getattr(recorded.event, kind),
            )
        )
    return found


def policy_of(held: Sequence[Posting]) -> Policy:
    policy = Policy()
    for posting in held:
        if posting.kind == "policy_adopted":
            policy = policy.followed_by(posting.fact)
    return policy


def exceptions(
    log: Log, code: str = "", evaluation_date: dt.date | None = None
) -> list[ExceptionRecord]:
    """The exceptions of a log, of one rule if one is named."""
    held = postings(log.events)
    rules = frozenset({code} if code else ())
    day = evaluation_date or max(posting.effective_date for posting in held)
    return register_of(held, policy_of(held), day, rules).exceptions


def adopted(thresholds: dict[str, Any]) -> Event:
    thresholds = dict(thresholds)
    approval = thresholds.pop("approval", None)
    limits = [money(approval)] if approval else []
    return fact("policy_adopted", policy=2, approval_thresholds=limits, exceptions=thresholds)


def before(case: Case) -> Log:
    log = Log()
    if case.policy:
        log.append(adopted(case.policy))
    for event in case.given:
        log.append(event)
    return log


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.name}")
def test_flags(case: Case) -> None:
    log = before(case)
    assert exceptions(log, case.code) == []

    log.append(case.breaks, at=case.at)
    [found] = exceptions(log, case.code)

    assert found.rule == case.code
    assert found.cleared_date is None
    assert found.description
    assert set(found.positions) <= {event.position for event in log.events}
    for event in case.cure:
        log.append(event)
    [after] = exceptions(log, case.code)
    assert after.id == found.id
    assert after.cleared_position == (log.events[-1].position if case.cure else None)


def test_an_invoice_that_adds_up_and_matches_its_order_is_no_exception() -> None:
    lines = [
        invoice_line(
            1, 50, "10", 49_901, allowance_charges=[allowance(100), allowance(1, charge=True)]
        ),
        {"line": 2, "amount": money(25_000), "description": "installation"},
    ]
    totals = {
        "line_extension_amount": money(74_901),
        "tax_exclusive_amount": money(76_401),
        "tax_inclusive_amount": money(82_704),
        "payable_rounding_amount": money(-4),
    }
    invoice = invoiced(
        82_700,
        lines=lines,
        allowance_charges=[allowance(500), allowance(2_000, charge=True)],
        taxes=[tax(76_401, 6_303, "8.25")],
        totals=totals,
    )
    log = Log()
    for event in [*ORDERED, received(80, receipt="R-9"), invoice]:
        log.append(event)

    assert [item for item in exceptions(log) if item.rule != "SX-CUT-02"] == []


@pytest.mark.parametrize(
    ("tolerance", "flagged"),
    [
        ({}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03", "SX-INVC-04"}),
        ({"quantity": 1}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03", "SX-INVC-04"}),
        ({"quantity": 2}, {"SX-INVC-01", "SX-INVC-04"}),
        ({"quantity_ppm": 19_999}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03", "SX-INVC-04"}),
        ({"quantity_ppm": 20_000}, {"SX-INVC-01", "SX-INVC-04"}),
        ({"prices": [money(4)]}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03", "SX-INVC-04"}),
        ({"prices": [money(5)]}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03"}),
        ({"price_ppm": 5_000}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03"}),
        ({"amounts": [money(2_509)]}, {"SX-PO-01", "SX-INVC-01", "SX-INVC-03", "SX-INVC-04"}),
        ({"amounts": [money(2_510)]}, {"SX-PO-01", "SX-INVC-03", "SX-INVC-04"}),
        ({"amounts": [money(9_999, "EUR")], "amount_ppm": 25_100},
         {"SX-PO-01", "SX-INVC-03", "SX-INVC-04"}),
    ],
)  # fmt: skip
def test_what_is_within_the_tolerance_of_the_policy_matches(
    tolerance: dict[str, Any], flagged: set[str]
) -> None:
    """102 of 100 units at 10.05 for 10.00: 1,025.10 for 1,000.00."""
    lines = [invoice_line(1, 102, "10.05", 102_510)]
    log = Log()
    log.append(adopted({"match_tolerance": tolerance}))
    for event in [*parties("SUP", "CUS"), placed(), received(102), invoiced(102_510, lines=lines)]:
        log.append(event)

    assert {item.rule for item in exceptions(log)} == flagged


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.code != "SX-INV-04"],
    ids=lambda case: f"{case.code} {case.name}",
)  # fmt: skip
def test_a_reversal_of_what_broke_it_clears_it(case: Case) -> None:
    log = before(case)
    log.append(case.breaks, at=case.at)
    position = log.events[-1].position
    [found] = exceptions(log, case.code)

    log.append(reversed_entry(position, date_from_message(case.breaks.effective_date)))
    after = {item.id: item for item in exceptions(log, case.code)}[found.id]

    assert after.cleared_position == (None if case.outlives else position + 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.name}")
def test_the_id_is_the_same_whatever_else_is_asked(case: Case) -> None:
    log = before(case)
    log.append(case.breaks, at=case.at)

    alone = [item.id for item in exceptions(log, case.code)]

    assert [item.id for item in exceptions(log) if item.rule == case.code] == alone


def test_reversed_soon_after_the_end_of_its_period() -> None:
    def reversed_on(days: int, recorded: dt.date = JANUARY_END) -> list[ExceptionRecord]:
        log = Log()
        log.append(*ORDERED)
        log.append(received(1, on=JANUARY_END), at=_noon(recorded))
        position = log.events[-1].position
        log.append(
            reversed_entry(position, JANUARY_END), at=_noon(JANUARY_END + dt.timedelta(days=days))
        )
        return exceptions(log, "SX-CUT-03")

    assert reversed_on(0) == []
    assert [item.positions for item in reversed_on(1)] == [(6, 7)]
    assert len(reversed_on(10)) == 1
    assert reversed_on(11) == []
    # An entry that was not in the books at the end of the period changes no figure shown there.
    assert reversed_on(5, recorded=JANUARY_END + dt.timedelta(days=2)) == []


def _noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


def test_reference_data_is_not_recorded_late() -> None:
    log = Log()
    for event in (*parties("SUP", "CUS"), RATED, authorised("1000"), placed()):
        log.append(event, at=_noon(later(365)))

    assert [item.positions for item in exceptions(log, "SX-CUT-02")] == [(6,)]


def test_parties_are_of_one_group_from_the_day_on_which_they_join_it() -> None:
    def between_group_companies(joined: dt.date) -> list[ExceptionRecord]:
        log = Log()
        for name in ("SUP", "CUS"):
            log.append(fact("party_registered", party=name, legal_name=name, group="G", on=joined))
        log.append(placed())
        return exceptions(log, "SX-REL-01")

    assert len(between_group_companies(START)) == 1
    assert between_group_companies(later(1)) == []


def test_every_rule_has_a_case_and_a_row_in_the_docs() -> None:
    assert {case.code for case in CASES} | {"SX-CUT-03"} == set(RULES)
    rows = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines()]
    documented = {row[0].strip("| `"): row[1:3] for row in rows if row[0].startswith("| `SX-")}
    assert documented == {
        code: [severity.name.lower(), statement] for code, (severity, statement) in RULES.items()
    }


def test_time_alone_breaks_and_heals() -> None:
    """Funded and not issued for more than 30 days; nothing is recorded on the 31st."""
    log = Log()
    for event in [*parties("SUP", "CUS"), definitive(), claimed(), certified(), funded()]:
        log.append(event)

    assert exceptions(log, "SX-INV-04", later(30)) == []
    [found] = exceptions(log, "SX-INV-04", later(60))
    assert (found.arose_date, found.arose_time) == (later(31), None)

    dated = [{"number": 1, "amount": money(100_000), "conditions": [
        {"type": "CONDITION_TYPE_DATE_REACHED", "date": {"year": 2026, "month": 1, "day": 20}}
    ]}]  # fmt: skip
    log = Log()
    for event in [*parties("SUP", "CUS"), definitive(tranches=dated), funded()]:
        log.append(event)
    [overfunded] = exceptions(log, "SX-INV-01", later(60))
    assert overfunded.cleared_date == dt.date(2026, 1, 20)
    assert overfunded.cleared_position is None


def test_one_rule_flags_money_before_during_and_after_an_agreement() -> None:
    log = Log()

    def flagged() -> list[tuple[str, str]]:
        found = [one for one in exceptions(log) if one.rule in {"SX-INV-01", "SX-INV-02"}]
        return sorted(
            (one.rule, "open" if one.cleared_position is None else "cleared") for one in found
        )

    letter = fact("letter_of_intent_signed", agreement="AGR", terms=terms(binding=False))
    log.append(*parties("SUP", "CUS"), letter, funded(500_000))
    assert flagged() == [("SX-INV-02", "open")]

    log.append(definitive())
    assert flagged() == [("SX-INV-01", "open"), ("SX-INV-02", "cleared")]

    log.append(fact("agreement_terminated", agreement="AGR"))
    assert flagged() == [("SX-INV-01", "cleared"), ("SX-INV-02", "cleared")]

    log.append(funded(1, "FUND-2"))
    assert flagged() == [
        ("SX-INV-01", "cleared"),
        ("SX-INV-02", "cleared"),
        ("SX-INV-02", "open"),
    ]


def test_an_undisclosed_commitment_is_not_zero() -> None:
    def overfunded(**terms: Any) -> list[ExceptionRecord]:
        log = Log()
        agreed = definitive(tranches=[], investment_commitment=None, **terms)
        for event in [*parties("SUP", "CUS"), agreed, funded(1)]:
            log.append(event)
        return exceptions(log, "SX-INV-01")

    assert overfunded(investment_undisclosed=True) == []
    assert len(overfunded()) == 1


def test_what_was_retired_under_a_certificate_in_error_bears_nothing_out() -> None:
    """Evaluated again without the certificate, less than nothing is certified for a while."""
    log = Log()
    basis = "POWER_BASIS_IT_CRITICAL_LOAD"
    for event in [*parties("SUP", "CUS"), RATED, definitive(), placed(agreement="AGR"), claimed()]:
        log.append(event)
    log.append(received(10), certified(100_000))
    certificate = log.events[-1].position
    log.append(
        fact("capacity_retired", agreement="AGR", milestone="M1", power_kw=1, power_basis=basis)
    )
    log.append(certified(100_000, "CERT-2"), reversed_entry(certificate), RATED)

    log.append(reversed_entry(log.events[-1].position))

    assert [item.cleared_date for item in exceptions(log, "SX-CAP-03")] == [later(0)]


def test_a_credit_after_payment_is_a_refund_due_and_no_exception() -> None:
    log = example("corrections")
    held = postings(log)
    found = register_of(held, Policy(), held[-1].recorded_date).exceptions

    assert not [item for item in found if item.rule in ("SX-PAY-01", "SX-INVC-01")]


def test_what_is_recorded_later_does_not_take_the_place_of_what_was_reversed() -> None:
    """A payment is evaluated against events recorded before it, also when it is evaluated again."""
    log = Log()
    for event in [adopted({"contemporaneous_days": 5, "new_cycles": True}), *BOUGHT]:
        log.append(event)
    log.append(funded(10_000))
    first = log.events[-1].position
    log.append(paid(10_000))
    log.append(funded(10_000, "FUND-2"))
    last = log.events[-1].position
    assert [(item.rule, item.arose_position) for item in _circular(log)] == [
        ("SX-RT-01", first + 1),
        ("SX-RT-04", first + 1),
        ("SX-RT-01", last),
    ]

    log.append(reversed_entry(first))

    standing = [item for item in _circular(log) if item.cleared_date is None]
    # The payment follows on no investment now; the investment after it closes the cycle.
    assert [(item.rule, item.arose_position, item.positions) for item in standing] == [
        ("SX-RT-01", last, (first + 1, last)),
        ("SX-RT-04", last + 1, (first + 1, last, last + 1)),
    ]


def _circular(log: Log) -> list[ExceptionRecord]:
    return [item for item in exceptions(log) if item.rule.startswith("SX-RT")]


HONEST_UNITS = st.lists(st.integers(1, 40), min_size=1, max_size=3)


@settings(max_examples=examples(30), deadline=None)
@given(HONEST_UNITS, st.integers(0, 20))
def test_an_honest_history_raises_nothing(parts: list[int], lag: int) -> None:
    """Ordered, received, invoiced and paid in step; claimed, certified, called, funded, issued."""
    log = Log()
    ordered = sum(parts)
    milestones = len(parts)
    tranches = [{"number": n, "amount": money(500_000), "conditions": [
        {"type": "CONDITION_TYPE_CAPACITY_CERTIFIED", "power_kw": 10_000 * sum(parts[:n])}
    ]} for n in range(1, milestones + 1)]  # fmt: skip
    log.append(*parties("SUP", "CUS"))
    if milestones == 1:
        # With several, racks are there before the certificate that they are for: SX-CAP-03.
        log.append(RATED)
    log.append(definitive(investment_commitment=money(500_000 * milestones), tranches=tranches))
    log.append(placed(ordered, agreement="AGR"))
    log.append(fact("share_class_authorised", issuer="CUS", share_class="COMMON",
                    authorised_shares={"value": "100000"}))  # fmt: skip
    for index, units in enumerate(parts, start=1):
        on = later(index * 25)
        milestone = {"milestone": f"M{index}", "on": on}
        log.append(received(units, on=on), claimed(10_000 * units, **milestone))
        log.append(certified(10_000 * units, f"CERT-{index}", **milestone))
        log.append(invoiced(1_000 * units, f"INV-{index}", on=on))
        log.append(paid(1_000 * units, f"PAY-{index}", invoice=f"INV-{index}",
                        on=on + dt.timedelta(days=lag)))  # fmt: skip
        log.append(fact("capital_call_issued", on=on, agreement="AGR", call=f"CALL-{index}",
                        tranches=[index], amount=money(500_000)))  # fmt: skip
        log.append(funded(500_000, f"FUND-{index}", call=f"CALL-{index}", tranches=[index], on=on))
        log.append(issued("1000", f"SEC-{index}", on=on + dt.timedelta(days=lag)))

    assert [item.description for item in exceptions(log, evaluation_date=later(120))] == []


EVERYTHING = adopted(
    {
        "unissued_days": 3,
        "valuation_age_days": 1,
        "hardware_tolerance_ppm": 1,
        "late_recording_days": 1,
        "reversal_after_period_days": 10,
        "contemporaneous_days": 5,
        "similar_amount_ppm": 500_000,
        "recycled_ratio_ppm": 1,
        "new_cycles": True,
        "lei_required": True,
        "third_party_evidence_required": True,
        "usual_actors": ["bob"],
    }
)


REFERENCES = st.one_of(
    st.builds(
        lambda party, group, on: fact("group_membership_changed", on=on, party=party, group=group),
        st.sampled_from(["SUP", "CUS"]),
        st.sampled_from(["G", "H"]),
        st.integers(0, 3).map(later),
    ),
    st.builds(
        lambda power_kw: fact(
            "rack_sku_rated",
            sku="R",
            rated_power_kw_numerator=power_kw,
            rated_power_kw_denominator=1,
            power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        ),
        st.integers(1, 20_000),
    ),
    st.builds(
        lambda day_: fact(
            "deployment_schedule_revised",
            agreement="AGR",
            points=[{"by_date": day(later(day_)), "cumulative_power_kw": 1_200_000}],
        ),
        st.integers(-3, 3),
    ),
    st.builds(
        lambda number_, amount: fact(
            "distribution_paid",
            vehicle="THIRD",
            distribution=f"D-{number_}",
            payee="CUS",
            amount=money(amount),
        ),
        st.integers(1, 2),
        st.integers(1, 100),
    ),
    st.builds(
        lambda number_, amount: contributed(amount, f"EQ-{number_}"),
        st.integers(1, 2),
        st.integers(1, 100),
    ),
    st.builds(
        lambda amount, number_, on: paid(amount, f"UN-{number_}", invoice="", on=on),
        st.integers(1, 60_000),
        st.integers(1, 9),
        st.integers(0, 4).map(later),
    ),
    st.builds(
        lambda amount, number_, on: funded(amount, f"C-{number_}", on=on),
        st.integers(1, 60_000),
        st.integers(1, 9),
        st.integers(0, 4).map(later),
    ),
    st.builds(
        lambda amount, number_: invoiced(amount, f"I-{number_}"),
        st.integers(1, 60_000),
        st.integers(1, 9),
    ),
    st.builds(
        lambda amount, number_, of: paid(amount, f"P-{number_}", invoice=f"I-{of}"),
        st.integers(1, 60_000),
        st.integers(1, 9),
        st.integers(1, 9),
    ),
)
REVERSALS = st.integers(1, 6).map(lambda back: ("reverse", back))
HISTORIES = st.lists(st.one_of(FACTS, REFERENCES, REFERENCES, REVERSALS), min_size=15, max_size=60)


def _standing(log: Log) -> list[RecordedEvent]:
    kinds = [event.event.WhichOneof("fact") for event in log.events]
    errors = {
        event.event.entry_reversed.position
        for event, kind in zip(log.events, kinds, strict=True)
        if kind == "entry_reversed"
    }
    return [
        event
        for event, kind in zip(log.events, kinds, strict=True)
        if kind != "entry_reversed" and event.position not in errors
    ]


def any_history(events: list[Any]) -> Log:
    """Whatever the ledger accepts, by a policy that tests every rule."""
    log = Log()
    opening = [*parties("SUP", "CUS", "THIRD"), definitive(), placed(agreement="AGR"), RATED]
    schedule = fact(
        "deployment_schedule_baselined",
        agreement="AGR",
        points=[{"by_date": day(later(-1)), "cumulative_power_kw": 1_200_000}],
    )
    for event in [EVERYTHING, *opening, schedule, formed(), claimed()]:
        log.append(event)
    for event in events:
        if isinstance(event, tuple):
            # One of the last that stand, so that more reversals are accepted.
            target = _standing(log)[-event[1]]
            event = reversed_entry(  # noqa: PLW2901
                target.position, date_from_message(target.event.effective_date)
            )
        try:
            log.append(event)
        except Refused:
            continue
    return log


@settings(max_examples=examples(30), deadline=None)
@given(HISTORIES)
def test_what_is_open_is_what_a_book_without_its_errors_has_open(events: list[Any]) -> None:
    """A reversed entry leaves nothing open behind it, but that it was posted and when."""
    log = any_history(events)
    held = postings(log.events)
    policy, evaluation_date = policy_of(held), later(30)
    errors = {p.fact.position for p in held if p.kind == "entry_reversed"}
    clean = [p for p in held if p.kind != "entry_reversed" and p.position not in errors]

    def standing(history: Sequence[Posting]) -> set[tuple[str, str, str]]:
        return {
            (item.rule, item.subject, item.description)
            for item in register_of(history, policy, evaluation_date).exceptions
            if item.cleared_date is None and not item.rule.startswith("SX-CUT")
        }

    assert standing(held) == standing(clean)


@settings(max_examples=examples(30), deadline=None)
@given(HISTORIES, st.data())
def test_what_is_known_later_does_not_change_what_was_known(
    events: list[Any], data: st.DataObject
) -> None:
    """An exception keeps its id, its subject and when it arose; one that was cleared stays so."""
    held = postings(any_history(events).events)
    cut = data.draw(st.integers(11, len(held)))
    policy = policy_of(held)
    day = max(posting.effective_date for posting in held)

    early = {item.id: item for item in register_of(held[:cut], policy, day).exceptions}
    late = {item.id: item for item in register_of(held, policy, day).exceptions}

    known = {item.id for item in late.values() if item.arose_position <= held[cut - 1].position}
    timed = "SX-INV-04"
    assert {i for i in early if not i.startswith(timed)} == {
        i for i in known if not i.startswith(timed)
    }
    for name, item in early.items():
        if not name.startswith(timed):
            assert (late[name].arose_date, late[name].subject) == (item.arose_date, item.subject)
            if item.cleared_position:
                assert late[name].cleared_position == item.cleared_position


def test_what_a_reversal_makes_late_is_flagged_claim_by_claim() -> None:
    """Without the first claim two others are of the power that was due before them."""
    log = Log()
    schedule = fact(
        "deployment_schedule_baselined",
        agreement="AGR",
        points=[{"by_date": day(later(-1)), "cumulative_power_kw": 500_000}],
    )
    for event in [*parties("SUP", "CUS"), definitive(), schedule]:
        log.append(event)
    for power_kw in (400_000, 200_000, 100_000):
        log.append(claimed(power_kw))
    first = log.events[-3].position
    assert [item.positions for item in exceptions(log, "SX-CAP-01")] == [(first,)]

    log.append(reversed_entry(first, later(0)))

    _, *others = exceptions(log, "SX-CAP-01")
    assert sorted(item.positions[0] for item in others) == [first + 1, first + 2]
    assert len({item.id for item in others}) == len(others)


def test_without_its_confirmation_a_fact_has_no_evidence_again() -> None:
    log = Log()
    opening = [adopted({"third_party_evidence_required": True}), *ORDERED, received(1)]
    for event in opening:
        log.append(event)
    goods = log.events[-1].position
    for _ in range(2):
        log.append(
            fact("external_confirmation_received", party="SUP", positions=[goods], agreed=True)
        )

    log.append(reversed_entry(goods + 1, later(0)))
    assert [item.cleared_position for item in exceptions(log, "SX-EVD-01")] == [goods + 1]
    log.append(reversed_entry(goods + 2, later(0)))

    _, again = exceptions(log, "SX-EVD-01")
    assert (again.arose_position, again.positions) == (goods + 4, (goods, goods + 4))
    assert again.cleared_position is None
