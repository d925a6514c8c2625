"""Asynchronous evaluation gives the findings of a register that applies all postings at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from gigaledger.common.quantities import date_from_message, instant_from_message
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.register import ExceptionRecord, register_of
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.projections.engine.snapshot import KnowledgePoint, Snapshot
from gigaledger.projections.exceptions.queries import page_cursor, query_exceptions
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import ExceptionFinding, QueryExceptionsRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.facts import (
    certified,
    claimed,
    credited,
    definitive,
    fact,
    invoiced,
    paid,
    parties,
    placed,
    received,
    refunded,
    reversed_entry,
    terms,
)
from tests.hypothesis_profiles import examples
from tests.projections.conftest import BY_NAME, ReadModels
from tests.projections.exception_cases import RATED, later
from tests.projections.log import Log
from tests.projections.test_exception_rules import adopted, policy_of, postings

SOME = st.integers(1, 3)
UNITS = st.integers(1, 12)
CENTS = st.integers(1, 12).map(lambda units: 1_000 * units)
ON = st.integers(-2, 9).map(later)
STATUSES = st.sampled_from(
    [AssertionStatus.ASSERTION_STATUS_FACT, AssertionStatus.ASSERTION_STATUS_ASSUMPTION]
)
ACCOUNT = {"purchase_order": "", "buyer": "CUS", "supplier": "SUP"}
PAYERS = st.sampled_from(["CUS", "CUS", "CUS", "THIRD"])
PARTIES = st.sampled_from(["SUP", "CUS"])


TRADE = st.one_of(
    st.builds(
        lambda q, n, agreement, on, status: placed(
            10 * q, purchase_order=f"PO-{n}", agreement=agreement, on=on, status=status
        ),
        *(UNITS, SOME, st.sampled_from(["AGR", "AGR", ""]), ON, STATUSES),
    ),
    st.builds(lambda q, n, on: received(q, purchase_order=f"PO-{n}", on=on), UNITS, SOME, ON),
    st.builds(
        lambda q, n, on: fact(
            "goods_returned", on=on, purchase_order=f"PO-{n}", line=1, quantity=q
        ),
        *(UNITS, SOME, ON),
    ),
    st.builds(
        lambda a, n, m, on: invoiced(a, f"I-{n}-{m}", purchase_order=f"PO-{n}", on=on),
        *(CENTS, SOME, SOME, ON),
    ),
    st.builds(
        lambda a, n, m, payer, on: paid(
            a, f"P-{n}-{m}", purchase_order=f"PO-{n}", invoice=f"I-{n}-{m}", payer=payer, on=on
        ),
        *(CENTS, SOME, SOME, PAYERS, ON),
    ),
    st.builds(lambda a, n, on: invoiced(a, f"T-{n}", on=on, **ACCOUNT), CENTS, SOME, ON),
    st.builds(
        lambda a, n, m, on: credited(a, f"TC-{n}", invoice=f"T-{m}", on=on, **ACCOUNT),
        *(CENTS, SOME, SOME, ON),
    ),
    st.builds(
        lambda a, n, m, on: paid(
            a, f"TP-{n}", purchase_order="", invoice=f"T-{m}" if m < 3 else "", on=on
        ),
        *(CENTS, SOME, SOME, ON),
    ),
    st.builds(
        lambda a, n, on: refunded(a, f"TR-{n}", purchase_order="", payment=f"TP-{n}", on=on),
        *(CENTS, SOME, ON),
    ),
)
OTHERS = st.one_of(
    st.builds(lambda q, on: claimed(10_000 * q, on=on), UNITS, ON),
    st.builds(lambda q, n, on: certified(10_000 * q, f"C-{n}", on=on), UNITS, SOME, ON),
    st.builds(
        lambda q, on: fact(
            "capacity_retired",
            on=on,
            agreement="AGR",
            milestone="M1",
            power_kw=1000 * q,
            power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        ),
        *(UNITS, ON),
    ),
    st.builds(
        lambda power_kw, on: fact(
            "rack_sku_rated",
            on=on,
            sku="R",
            rated_power_kw_numerator=10_000 * power_kw,
            rated_power_kw_denominator=3,
            power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        ),
        *(SOME, ON),
    ),
    st.builds(
        lambda kind, on, month: fact(kind, on=on, period=f"2026-0{month}"),
        *(st.sampled_from(["period_closed", "period_closed", "period_reopened"]), ON),
        st.integers(1, 2),
    ),
    st.builds(
        lambda party, group, on: fact("group_membership_changed", on=on, party=party, group=group),
        *(PARTIES, st.sampled_from(["G", "H"]), ON),
    ),
    st.builds(
        lambda on, status: fact(
            "agreement_amended", on=on, status=status, agreement="AGR", amendment=1, terms=terms()
        ),
        *(ON, STATUSES),
    ),
    st.sampled_from(
        [
            adopted({"late_recording_days": 3, "hardware_tolerance_ppm": 1}),
            adopted({"hardware_tolerance_ppm": 50_000, "usual_actors": ["bob"]}),
            adopted({"lei_required": True}),
            adopted({"contemporaneous_days": 5, "new_cycles": True}),
        ]
    ),
)
REVERSALS = st.integers(1, 8).map(lambda back: ("reverse", back))
HISTORIES = st.lists(
    st.one_of(TRADE, TRADE, TRADE, TRADE, OTHERS, OTHERS, REVERSALS), min_size=30, max_size=70
)
OPENING = [
    *parties("SUP", "CUS", "THIRD"),
    definitive(),
    RATED,
    claimed(),
    placed(agreement="AGR"),
    placed(
        purchase_order="PO-2",
        agreement="AGR",
        on=later(3),
        status=AssertionStatus.ASSERTION_STATUS_ASSUMPTION,
    ),
    invoiced(5_000, "T-1", **ACCOUNT),
    invoiced(50_000, "I-1-1"),
    certified(100_000),
    received(10),
]
CONTROL = ("period_closed", "period_reopened", "exception_opened", "exception_closed")


def any_log(events: list[Any]) -> Log:
    """Whatever the ledger accepts of it."""
    log = Log()
    for event in OPENING:
        log.append(event)
    for given_ in events:
        try:
            log.append(_reversal(log, given_) if isinstance(given_, tuple) else given_)
        except Refused:
            continue
    return log


def _reversal(log: Log, back: tuple[str, int]) -> Event:
    wrong = {event.event.entry_reversed.position for event in log.events}
    standing = [
        event
        for event in log.events
        if event.event.WhichOneof("fact") != "entry_reversed" and event.position not in wrong
    ]
    target = standing[-min(back[1], len(standing))]
    return reversed_entry(target.position, date_from_message(target.event.effective_date))


def _counts(posting: Posting, until: dt.date) -> bool:
    return posting.effective_date <= until or posting.kind in CONTROL


def _policy_at(held: list[Posting]) -> Policy:
    wrong = {posting.fact.position for posting in held if posting.kind == "entry_reversed"}
    return policy_of([posting for posting in held if posting.position not in wrong])


def expected(log: Log, position: int, as_of: dt.date | None) -> list[ExceptionRecord]:
    """The register of all that counts, by the policy that is known."""
    held = postings(log.events[:position])
    evaluation_date = as_of or held[-1].recorded_date
    counted = [posting for posting in held if _counts(posting, as_of or dt.date.max)]
    return register_of(counted, _policy_at(held), evaluation_date).exceptions


async def answered(snapshot: Snapshot, page_size: int) -> list[ExceptionFinding]:
    """All pages of the answer."""
    found: list[ExceptionFinding] = []
    request = QueryExceptionsRequest(page_size=page_size)
    while True:
        response = await query_exceptions(snapshot, request, page_cursor(request))
        found += response.exceptions
        if not response.next_page_token:
            assert response.total_count == len(found)
            assert response.open_count == sum(not f.HasField("cleared_date") for f in found)
            return found
        request.page_token = response.next_page_token


def comparison(found: ExceptionFinding) -> ExceptionRecord:
    """An answer as a register says it."""

    def at(name: str) -> Any:
        return getattr(found, name) if found.HasField(name) else None  # type: ignore[arg-type]

    def day(name: str) -> Any:
        return date_from_message(at(name)) if at(name) else None

    def time(name: str) -> Any:
        return instant_from_message(at(name)) if at(name) else None

    return ExceptionRecord(
        id=found.exception,
        rule=found.rule,
        subject=found.subject,
        description=found.description,
        positions=tuple(found.positions),
        arose_date=day("arose_date"),
        arose_position=found.arose_position,
        arose_time=time("arose_time"),
        cleared_date=day("cleared_date"),
        cleared_position=found.cleared_position or None,
        cleared_time=time("cleared_time"),
    )


async def _compared(
    read_models: ReadModels, log: Log, position: int, as_of: dt.date | None, page_size: int = 100
) -> list[ExceptionRecord]:
    """Compare an answer with a register, and return it."""
    event = log.events[position - 1]
    known = KnowledgePoint(position, instant_from_message(event.recorded_time))
    async with read_models.snapshot("exceptions", as_of, known=known) as snapshot:
        found = [comparison(one) for one in await answered(snapshot, page_size)]
    assert found == expected(log, position, as_of)
    return found


CHANGES_OF_WHAT_OTHERS_MEAN = {
    "groups": (
        [
            fact("group_membership_changed", party="SUP", group="G"),
            fact("group_membership_changed", party="CUS", group="G"),
            paid(1_000, "P-1", invoice="I-1-1", on=later(1)),
            paid(1_000, "P-2", invoice="I-1-1", on=later(-1)),
        ],
        2,
    ),
    "terms": (
        [
            fact(
                "agreement_amended",
                status=AssertionStatus.ASSERTION_STATUS_ASSUMPTION,
                agreement="AGR",
                amendment=1,
                terms=terms(),
            ),
            placed(purchase_order="PO-3", agreement="AGR", on=later(1)),
        ],
        1,
    ),
    "ratings": (
        [
            fact(
                "rack_sku_rated",
                sku="R",
                rated_power_kw_numerator=20_000,
                rated_power_kw_denominator=3,
                power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
            ),
            received(10, on=later(2)),
            received(1, on=later(1)),
        ],
        2,
    ),
    "refunds": (
        [
            paid(9_000, "TP-1", purchase_order="", invoice="T-1"),
            refunded(3_000, purchase_order="", payment="TP-1", on=later(1)),
            refunded(1_000, "REF-2", purchase_order="", payment="TP-1"),
        ],
        0,
    ),
}


@pytest.mark.parametrize("case", CHANGES_OF_WHAT_OTHERS_MEAN)
async def test_what_others_rest_on_is_recorded_and_reversed(
    read_models: ReadModels, case: str
) -> None:
    events, back = CHANGES_OF_WHAT_OTHERS_MEAN[case]
    log = any_log(events)
    target = log.events[-1 - back]
    log.append(reversed_entry(target.position, date_from_message(target.event.effective_date)))

    before, after = await _compared_everywhere(read_models, log)

    assert before != after


async def test_the_policy_that_is_known_judges_documents_recorded_before_it(
    read_models: ReadModels,
) -> None:
    log = any_log([received(1, on=later(-2)), adopted({"late_recording_days": 1})])

    before, after = await _compared_everywhere(read_models, log)

    assert {item.rule for item in after} - {item.rule for item in before} == {"SX-CUT-02"}


@pytest.mark.parametrize(("wrong", "right"), [("T-1", ""), ("", "T-1")])
async def test_a_refund_follows_the_payment_that_replaces_an_erroneous_one(
    read_models: ReadModels, wrong: str, right: str
) -> None:
    log = any_log(
        [
            paid(9_000, "TP-3", purchase_order="", invoice=wrong),
            ("reverse", 1),
            paid(12_000, "TP-3", purchase_order="", invoice=right),
            refunded(1_000, "TR-3", purchase_order="", payment="TP-3"),
        ]
    )

    _, after = await _compared_everywhere(read_models, log)

    unapplied = {item.description for item in after if item.rule == "SX-PAY-02"}
    assert ("USD 110.00 of payment TP-3 is unapplied" in unapplied) is (right == "")


async def _compared_everywhere(
    read_models: ReadModels, log: Log
) -> tuple[list[ExceptionRecord], list[ExceptionRecord]]:
    """Compare answers at all positions, and return those before and after the last event."""
    # One by one, so that the evaluation has no earlier events in memory.
    for event in log.events:
        await read_models.apply([event], BY_NAME["exceptions"])
    for event in log.events:
        for day in range(-2, 3):
            await _compared(read_models, log, event.position, later(day))
    last = len(log.events)
    before = await _compared(read_models, log, last - 1, None)
    return before, await _compared(read_models, log, last, None)


@settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=HISTORIES,
    segments=st.lists(st.integers(1, 20), max_size=4),
    block_events=st.integers(1, 7),
    questions=st.lists(
        st.tuples(st.floats(0, 1), st.one_of(st.none(), st.integers(-3, 10).map(later))),
        min_size=6,
        max_size=6,
    ),
    page_size=st.integers(1, 7),
)
async def test_verdicts_say_what_a_register_says(
    read_models: ReadModels,
    events: list[Any],
    segments: list[int],
    block_events: int,
    questions: list[tuple[float, dt.date | None]],
    page_size: int,
) -> None:
    """At any position, however the events came in, as of any day and of all days."""
    log = any_log(events)
    await read_models.forget()
    await read_models.connection.execute(
        "UPDATE book_main.projection_subtotal SET block_events = %s", (block_events,)
    )
    left = list(log.events)
    for count in (*segments, len(left)):
        if left[:count]:
            await read_models.apply(left[:count], BY_NAME["exceptions"])
            left = left[count:]
    for part, as_of in ((1.0, None), *questions):
        position = 1 + min(int(part * len(log.events)), len(log.events) - 1)
        await _compared(read_models, log, position, as_of, page_size)
