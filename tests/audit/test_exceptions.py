"""Exceptions evaluated from the events alone agree with the published ones; alterations show."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, LiteralString

import pytest
from gigaledger.audit.recompute.comparison import Difference, differences
from gigaledger.audit.recompute.figure_sheet import FigureKey, Value
from gigaledger.audit.verify.exceptions import (
    exception_counts,
    exceptions,
    published_exceptions,
    published_reviews,
    reviews,
)
from gigaledger.audit.verify.published import EXCEPTIONS_PAGE
from gigaledger.common.quantities import date_from_message
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.projections.exceptions.fold import EXCEPTIONS
from gigaledger.projections.exceptions.queries import query_exceptions
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.projections_pb2 import QueryExceptionsRequest, QueryExceptionsResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.histories import EVENTS
from tests.audit.test_filters import INSTRUMENTS
from tests.facts import (
    claimed,
    credited,
    definitive,
    fact,
    invoiced,
    money,
    paid,
    parties,
    placed,
    received,
    refunded,
    reversed_entry,
    terms,
)
from tests.hypothesis_profiles import examples
from tests.instruments import formed
from tests.projections.conftest import ReadModels
from tests.projections.exception_cases import CASES, RATED, later
from tests.projections.log import Log, example_log
from tests.projections.test_exception_rules import (
    HISTORIES,
    REFERENCES,
    REVERSALS,
    adopted,
    any_history,
    before,
)
from tests.rules.test_properties import CENTS, FACTS, NUMBERS, UNITS

ANY_RULE = {
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
    "split_order_days": 30,
    "approval": 60_000,
    "working_hours_from": 8,
    "working_hours_to": 12,
    "round_amounts": [money(1000)],
}
CORRECTIONS = example_log("corrections")
SIDES = st.permutations(["SUP", "CUS", "THIRD"])
ACCOUNT = {"purchase_order": "", "buyer": "CUS", "supplier": "SUP"}
DAYS = st.integers(-3, 40).map(later)
MORE = st.one_of(
    st.builds(
        lambda kind, month: fact(kind, on=later(60), period=f"2026-0{month}"),
        st.sampled_from(["period_closed", "period_closed", "period_reopened"]),
        st.integers(1, 2),
    ),
    st.builds(lambda a, n: invoiced(a, f"T-{n}", **ACCOUNT), CENTS, NUMBERS),
    st.builds(lambda a, n: credited(a, f"TC-{n}", invoice=f"T-{n}", **ACCOUNT), CENTS, NUMBERS),
    st.builds(
        lambda a, n, m: paid(a, f"TP-{n}", purchase_order="", invoice=f"T-{m}"),
        *(CENTS, NUMBERS, NUMBERS),
    ),
    st.builds(
        lambda a, n: refunded(a, f"TR-{n}", purchase_order="", payment=f"TP-{n}"), CENTS, NUMBERS
    ),
    st.builds(
        lambda q, n, on, status: placed(q, purchase_order=f"PO-{n}", on=on, status=status),
        UNITS,
        st.integers(3, 6),
        DAYS,
        st.sampled_from(
            [AssertionStatus.ASSERTION_STATUS_FACT, AssertionStatus.ASSERTION_STATUS_ASSUMPTION]
        ),
    ),
    st.builds(
        lambda q, n, on: received(q, purchase_order=f"PO-{n}", on=on),
        *(UNITS, st.integers(3, 6), DAYS),
    ),
    st.builds(
        lambda a, ends, n, on: paid(a, f"PX-{n}", invoice="", payer=ends[0], payee=ends[1], on=on),
        *(CENTS, SIDES, NUMBERS, DAYS),
    ),
    st.builds(
        lambda kw, agreement, n: claimed(
            kw * 10_000, agreement=agreement, milestone=f"S{n}", site="SITE"
        ),
        *(UNITS, st.sampled_from(["AGR", "NEW", "LOI"]), NUMBERS),
    ),
    st.just(
        fact(
            "letter_of_intent_signed",
            agreement="LOI",
            terms=terms(type="AGREEMENT_TYPE_LETTER_OF_INTENT", binding=False),
        )
    ),
    st.builds(
        lambda position, agreed: fact(
            "external_confirmation_received", party="SUP", positions=[position], agreed=agreed
        ),
        st.integers(1, 40),
        st.booleans(),
    ),
)

ANYTHING = st.lists(
    st.one_of(EVENTS, MORE, MORE, INSTRUMENTS, REFERENCES, FACTS, REVERSALS),
    min_size=15,
    max_size=70,
)


def recorded(events: list[Any], *, policy: bool) -> Log:
    """What the ledger accepts of facts and of reversals of one of the last that stand."""
    log = Log()
    log.append(*parties("SUP", "CUS", "THIRD"))
    for event in [
        *([adopted(ANY_RULE)] if policy else []),
        definitive(),
        placed(),
        RATED,
        formed(),
    ]:
        log.append(event)
    for event in events:
        try:
            log.append(_reversal(log, event[1]) if isinstance(event, tuple) else event)
        except Refused:
            continue
    return log


def _reversal(log: Log, back: int) -> Event:
    wrong = {
        one.event.entry_reversed.position
        for one in log.events
        if one.event.WhichOneof("fact") == "entry_reversed"
    }
    status = [
        one
        for one in log.events
        if one.event.WhichOneof("fact") != "entry_reversed" and one.position not in wrong
    ]
    target = status[-back]
    return reversed_entry(target.position, date_from_message(target.event.effective_date))


async def answer(read_models: ReadModels, log: Log) -> QueryExceptionsResponse:
    """The published exceptions of a log, in one page."""
    await read_models.forget()
    await read_models.apply(log.events, EXCEPTIONS)
    async with read_models.snapshot("exceptions") as snapshot:
        request = QueryExceptionsRequest(page_size=EXCEPTIONS_PAGE)
        return await query_exceptions(snapshot, request)


def compared(log: Log, published: QueryExceptionsResponse) -> list[Difference]:
    counts = (published.policy, published.total_count, published.open_count)
    stated: dict[FigureKey, Value] = published_exceptions(published.exceptions) | exception_counts(
        *counts
    )
    stated |= published_reviews(published.exceptions)
    leaves = [event.SerializeToString() for event in log.events]
    ids = [item.exception for item in published.exceptions]
    own = exceptions(leaves) | reviews(leaves, ids)
    return differences(own, stated, len(log.events))


async def test_every_case_where_nothing_is_broken_where_it_is_and_where_it_is_cured(
    read_models: ReadModels,
) -> None:
    for case in CASES:
        log = before(case)
        assert compared(log, await answer(read_models, log)) == [], f"before {case}"
        log.append(case.breaks, at=case.at)
        assert compared(log, await answer(read_models, log)) == [], f"broken: {case}"
        for event in case.cure:
            log.append(event)
        assert compared(log, await answer(read_models, log)) == [], f"cured: {case}"


FEW = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FEW
@given(events=ANYTHING, policy=st.booleans())
async def test_an_honest_book_is_not_accused(
    read_models: ReadModels, events: list[Any], *, policy: bool
) -> None:
    log = recorded(events, policy=policy)

    assert compared(log, await answer(read_models, log)) == []


@FEW
@given(events=HISTORIES)
async def test_nor_is_a_book_of_many_reversals(read_models: ReadModels, events: list[Any]) -> None:
    log = any_history(events)

    assert compared(log, await answer(read_models, log)) == []


def _later(published: QueryExceptionsResponse) -> None:
    published.exceptions[1].arose_date.day += 1


ALTERATIONS: dict[str, Callable[[QueryExceptionsResponse], object]] = {
    "dropped": lambda published: published.exceptions.pop(),
    "invented": lambda published: published.exceptions.add().CopyFrom(published.exceptions[0]),
    "reopened": lambda published: published.exceptions[0].ClearField("cleared_date"),
    "cleared": lambda published: published.exceptions[2].cleared_date.CopyFrom(
        published.exceptions[1].cleared_date
    ),
    "another event": lambda published: published.exceptions[1].positions.append(1),
    "another day": _later,
    "another position": lambda published: setattr(published.exceptions[1], "arose_position", 3),
    "another time": lambda published: published.exceptions[1].arose_time.Clear(),
    "another subject": lambda published: setattr(published.exceptions[1], "subject", "parties/X"),
    "another rule": lambda published: setattr(published.exceptions[1], "rule", "SX-INV-02"),
    "less grave": lambda published: setattr(published.exceptions[1], "severity", 1),
    "another owner": lambda published: setattr(published.exceptions[1], "owner", "nobody"),
    "fewer open": lambda published: setattr(published, "open_count", 0),
    "another policy": lambda published: setattr(published, "policy", 2),
}


async def test_an_altered_answer_is_found(read_models: ReadModels) -> None:
    log = CORRECTIONS
    honest = await answer(read_models, log)
    assert compared(log, honest) == []
    for alteration, change in ALTERATIONS.items():
        altered = deepcopy(honest)

        change(altered)

        assert compared(log, altered), alteration


@pytest.mark.parametrize(
    ("lost", "missing"),
    [
        ("DELETE FROM book_main.exceptions_finding_1 WHERE rule = 'SX-PAY-02'", "SX-PAY-02"),
        (
            (
                "DELETE FROM book_main.exceptions_event_1"
                " WHERE fact_type = 'capacity_certification_reversed'"
            ),
            "SX-INV-01",
        ),
    ],
)
async def test_what_the_projection_lost_is_found(
    read_models: ReadModels, lost: LiteralString, missing: str
) -> None:
    """A finding, or a fact that is evaluated at query time: an exception is missing."""
    log = CORRECTIONS
    await answer(read_models, log)
    await read_models.connection.execute(lost)
    async with read_models.snapshot("exceptions") as snapshot:
        published = await query_exceptions(snapshot, QueryExceptionsRequest())

    names = {difference.key.name for difference in compared(log, published)}

    assert missing in names


async def test_who_looks_into_it_is_what_was_recorded(read_models: ReadModels) -> None:
    log = example_log("corrections")
    [first, *_] = (await answer(read_models, log)).exceptions
    log.append(
        fact("exception_opened", on=later(300), exception=first.exception, owner="carol"),
        fact("exception_closed", on=later(300), exception=first.exception, resolution="settled"),
    )

    published = await answer(read_models, log)

    assert (published.exceptions[0].owner, published.exceptions[0].resolution) == (
        "carol",
        "settled",
    )
    assert compared(log, published) == []
