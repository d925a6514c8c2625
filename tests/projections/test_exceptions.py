"""Exceptions of the example books, from PostgreSQL, as of any date and as known at any position."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.quantities import date_from_message
from gigaledger.projections.engine.snapshot import TooManyEventsError
from gigaledger.projections.exceptions.queries import (
    UnknownRuleError,
    page_cursor,
    query_exceptions,
)
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.projections_pb2 import (
    ExceptionFinding,
    ExceptionSeverity,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
)

from tests.facts import fact, funded, paid, reversed_entry
from tests.projections.conftest import ReadModels
from tests.projections.exception_cases import BOUGHT
from tests.projections.log import Log, example, log_of
from tests.projections.test_exception_rules import adopted

CORRECTIONS = example("corrections")
CRITICAL = ExceptionSeverity.EXCEPTION_SEVERITY_CRITICAL


async def ask(
    models: ReadModels,
    request: QueryExceptionsRequest | None = None,
    *,
    as_of: dt.date | None = None,
    known: int | None = None,
    statuses: tuple[str, ...] = (),
) -> QueryExceptionsResponse:
    async with models.snapshot("exceptions", as_of, statuses) as snapshot:
        if known is not None:
            snapshot.scope = replace(snapshot.scope, position=known)
        request = request or QueryExceptionsRequest()
        return await query_exceptions(snapshot, request, page_cursor(request))


def life(item: ExceptionFinding) -> tuple[str, str, str, str]:
    """Rule, and when it arose and was cleared: on business dates, and when that was recorded."""
    arose = date_from_message(item.arose_date).isoformat()
    cleared = "open"
    if item.HasField("cleared_date"):
        cleared = date_from_message(item.cleared_date).isoformat()
    recorded = item.cleared_time.ToDatetime().date().isoformat() if item.cleared_position else ""
    return item.rule, arose, cleared, recorded


async def test_the_corrections_have_the_five_exceptions_expected_of_them(
    read_models: ReadModels,
) -> None:
    await read_models.apply(CORRECTIONS)

    response = await ask(read_models)

    assert [life(item) for item in response.exceptions] == [
        ("SX-CAP-02", "2026-04-05", "2026-04-20", "2026-04-20"),
        ("SX-INV-01", "2026-07-01", "2026-08-01", "2026-08-01"),
        ("SX-CUT-01", "2026-08-20", "open", ""),
        ("SX-PAY-02", "2026-08-20", "2026-08-20", "2026-09-10"),
        ("SX-CUT-01", "2026-08-20", "open", ""),
    ]
    recorded = [item.arose_time.ToDatetime().date() for item in response.exceptions[2:]]
    assert recorded == [dt.date(2026, 9, 5), dt.date(2026, 9, 5), dt.date(2026, 9, 10)]
    assert (response.total_count, response.open_count, response.policy) == (5, 2, 1)
    assert response.exceptions[1].severity == CRITICAL
    assert "USD 500,000,000.00" in response.exceptions[1].description
    assert response.context.hypothetical


@pytest.mark.parametrize(
    ("as_of", "description"),
    [
        ("2026-06-30", None),
        ("2026-07-17", "USD 1,000,000,000.00 is funded beyond"),
        ("2026-07-18", "USD 500,000,000.00 is funded beyond"),
    ],
)
async def test_overfunded_as_of_a_date(
    read_models: ReadModels, as_of: str, description: str | None
) -> None:
    await read_models.apply(CORRECTIONS)
    only = QueryExceptionsRequest(rules=["SX-INV-01"])

    found = (await ask(read_models, only, as_of=dt.date.fromisoformat(as_of))).exceptions

    assert [item.description[: len(description or "")] for item in found] == (
        [description] if description else []
    )
    assert not any(item.HasField("cleared_date") for item in found)


async def test_as_known_at_a_position_is_what_a_shorter_log_says(read_models: ReadModels) -> None:
    await read_models.apply(CORRECTIONS)
    later = {
        known: (await ask(read_models, known=known)).exceptions
        for known in (13, 24, 25, 28, 30, 31)
    }

    for known, found in later.items():
        await read_models.forget()
        await read_models.apply(CORRECTIONS[:known])
        assert (await ask(read_models)).exceptions == found


async def test_the_plan_shows_racks_that_wait_for_their_certificate(
    read_models: ReadModels,
) -> None:
    """On 2028-06-30 the racks received carry 7.5 GW, and 6.25 GW are certified."""
    await read_models.apply(example("nvidia-openai-plan"))

    response = await ask(read_models, as_of=dt.date(2028, 6, 30))

    assert {item.rule for item in response.exceptions} == {"SX-CAP-03"}
    [standing] = [item for item in response.exceptions if not item.HasField("cleared_date")]
    assert "6,250,000 kW are certified" in standing.description
    assert "7,500,000 kW" in standing.description


async def test_pages_add_up_and_open_ones_alone(read_models: ReadModels) -> None:
    await read_models.apply(CORRECTIONS)
    whole = list((await ask(read_models)).exceptions)

    paged: list[ExceptionFinding] = []
    request = QueryExceptionsRequest(page_size=2)
    while True:
        response = await ask(read_models, request)
        assert response.total_count == len(whole)
        paged += response.exceptions
        if not response.next_page_token:
            break
        request.page_token = response.next_page_token
    standing = await ask(read_models, QueryExceptionsRequest(open_only=True))

    assert paged == whole
    assert {item.rule for item in standing.exceptions} == {"SX-CUT-01"}
    async with read_models.snapshot("exceptions") as snapshot:
        with pytest.raises(TooManyEventsError, match="more than 4 events"):
            await query_exceptions(snapshot, QueryExceptionsRequest(), most_events=4)
    with pytest.raises(UnknownRuleError, match="SX-INV-01"):
        await ask(read_models, QueryExceptionsRequest(rules=["SX-NONE"]))
    with pytest.raises(InvalidArgumentError):
        await ask(read_models, QueryExceptionsRequest(page_token="x"))  # noqa: S106 - no secret
    first = await ask(read_models, QueryExceptionsRequest(page_size=2))
    of_another = QueryExceptionsRequest(open_only=True, page_token=first.next_page_token)
    with pytest.raises(InvalidArgumentError, match="another request"):
        await ask(read_models, of_another)


async def test_the_policy_that_is_known_judges_the_whole_history(read_models: ReadModels) -> None:
    contemporaneous = adopted({"contemporaneous_days": 10})
    log = log_of([*BOUGHT, paid(), funded(), contemporaneous])
    await read_models.apply(log)
    only = QueryExceptionsRequest(rules=["SX-RT-01"])
    unchanged = adopted({})
    assert unchanged.policy_adopted.HasField("exceptions")

    before = await ask(read_models, only, known=len(log) - 1)
    after = await ask(read_models, only)

    assert (before.policy, list(before.exceptions)) == (1, [])
    assert after.policy == 2
    assert [item.positions for item in after.exceptions] == [[len(log) - 2, len(log) - 1]]


async def test_the_register_of_reviews_stands_beside_the_finding(read_models: ReadModels) -> None:
    log = Log()
    for event in [*BOUGHT, funded()]:
        log.append(event)
    await read_models.apply(log.events)
    only = QueryExceptionsRequest(rules=["SX-INV-03"])
    [found] = (await ask(read_models, only)).exceptions
    log.append(
        fact("exception_opened", exception=found.exception, rule=found.rule, description="no call",
             owner="audit"),
        fact("exception_closed", exception=found.exception, resolution="the call came later"),
    )  # fmt: skip
    await read_models.forget()
    await read_models.apply(log.events)

    [reviewed] = (await ask(read_models, only)).exceptions

    assert (reviewed.owner, reviewed.resolution) == ("audit", "the call came later")
    # What people make of it does not clear it: the facts do.
    assert not reviewed.HasField("cleared_date")


async def test_a_reversal_counts_whatever_status_it_was_given(read_models: ReadModels) -> None:
    events = [*BOUGHT, funded()]
    reversal = reversed_entry(len(events) + 1)
    reversal.assertion_status = AssertionStatus.ASSERTION_STATUS_REPORTED
    await read_models.apply(log_of([*events, reversal]))

    response = await ask(
        read_models, QueryExceptionsRequest(rules=["SX-INV-03"]), statuses=("FACT",)
    )

    assert [item.cleared_position for item in response.exceptions] == [len(events) + 2]
