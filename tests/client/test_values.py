"""Values, requests, errors and repeats, without a ledger."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from decimal import Decimal
from typing import Any

import gigaledger.client
import grpc
import pytest
from gigaledger.client import (
    FailedPreconditionError,
    HistoryDivergedError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    RetryPolicy,
    RuleViolatedError,
    Tls,
    UnauthenticatedError,
    UnavailableError,
    amount_of,
    calls,
    connect,
    event,
    facts,
    money,
    pipelines,
    queries,
    streams,
)
from gigaledger.client.errors import GigaledgerError, error_of_status
from gigaledger.client.requests import append_request
from gigaledger.client.retries import Backoff
from gigaledger.client.values import build, datetime_of, instant
from gigaledger.common.grpc.status import bad_request, error_info, error_status, retry_info
from gigaledger.v1 import audit_pb2, ledger_pb2, projections_pb2
from gigaledger.v1.common_pb2 import Evidence
from gigaledger.v1.control_facts_pb2 import PeriodClosed, PolicyAdopted
from google.rpc.error_details_pb2 import PreconditionFailure
from hypothesis import given
from hypothesis import strategies as st

DAY = dt.date(2026, 1, 5)
TOKEN = "a-token"  # noqa: S105 - of nobody


@given(units=st.integers(-(2**63) + 1, 2**63 - 1), nanos=st.integers(0, 999_999_999))
def test_money_is_exact(units: int, nanos: int) -> None:
    text = f"{units}.{nanos:09d}"
    message = money(text, "USD")
    assert amount_of(message) == Decimal(text)
    assert money(amount_of(message), "USD") == message


@given(st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_instants_are_exact(moment: dt.datetime) -> None:
    assert datetime_of(instant(moment)) == moment.astimezone(dt.UTC)


@pytest.mark.parametrize("amount", [10.5, 1.0, True, None, b"1"])
def test_an_amount_that_is_not_exact_is_refused(amount: Any) -> None:
    with pytest.raises(TypeError, match=r"^amount: .* use a Decimal, an int or a str"):
        money(amount, "USD")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("ten", "'ten' is not a decimal number"),
        ("NaN", "not a finite number"),
        (Decimal("Infinity"), "not a finite number"),
        ("0.0000000001", "more than nine decimal places"),
        (2**63, "exceeds 64 bits"),
    ],
)
def test_an_amount_out_of_range_is_refused(amount: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^amount: .*{words}"):
        money(amount, "USD")


def refused(**fields: Any) -> str:
    values: dict[str, Any] = {
        "agreement": "A",
        "security": "S",
        "share_class": "C",
        "shares": 1,
        "price_per_share": 1,
        "amount": money(1, "USD"),
    }
    with pytest.raises((TypeError, ValueError)) as caught:
        facts.equity_shares_issued(**{**values, **fields})
    return str(caught.value)


def test_a_value_of_another_type_is_refused_by_name() -> None:
    assert refused(shares=0.5) == (
        "EquitySharesIssued.shares: 0.5 is a float, which is not exact: use an int, a Decimal or "
        "a str"
    )
    assert refused(amount=5) == (
        "EquitySharesIssued.amount: 5 is not a Money: use money(amount, currency)"
    )
    assert refused(tranches=3) == "EquitySharesIssued.tranches: 3 is not a sequence"
    assert refused(tranches=[1.0]).startswith("EquitySharesIssued.tranches: 1.0 is a float")
    assert refused(security=7).startswith("EquitySharesIssued.security: ")


def test_a_day_is_no_datetime() -> None:
    with pytest.raises(TypeError, match=r"InvoiceIssued\.due_date: .* is not a datetime\.date"):
        facts.invoice_issued(
            invoice="I",
            amount=money(1, "USD"),
            due_date=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        )


def test_an_instant_has_a_time_zone() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        instant(dt.datetime(2026, 1, 5))  # noqa: DTZ001


def test_enums_go_by_name_or_number() -> None:
    for basis in ("IT_CRITICAL_LOAD", "POWER_BASIS_IT_CRITICAL_LOAD", 1):
        made: Any = facts.site_energised(site="S", power_kw=1, power_basis=basis)  # type: ignore[arg-type]
        assert made.power_basis == 1
    with pytest.raises(ValueError, match=r"'IT_LOAD' is not one of IT_CRITICAL_LOAD, FACILITY"):
        facts.site_energised(site="S", power_kw=1, power_basis="IT_LOAD")  # type: ignore[arg-type]


def test_fields_that_are_left_out_stay_unset() -> None:
    assert facts.policy_adopted(policy=2) == PolicyAdopted(policy=2)
    policy = facts.exception_policy(unissued_days=0)
    assert policy.HasField("unissued_days")
    assert not policy.HasField("valuation_age_days")
    with pytest.raises(TypeError, match="PeriodClosed has no field month"):
        build(PeriodClosed, month="2026-01")


def test_what_is_not_a_fact_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Evidence is not a fact of gigaledger\.v1\.Event"):
        event(Evidence(uri="x"))
    with pytest.raises(TypeError, match=r"facts\[0\]: 'party' is not a fact"):
        append_request("books/b", ["party"], {"effective_date": DAY})  # type: ignore[list-item]


def test_a_fact_without_fields_is_kept() -> None:
    request = append_request("books/b", [PeriodClosed()], {"effective_date": DAY})
    assert request.events[0].event.WhichOneof("fact") == "period_closed"


def test_questions() -> None:
    asked = queries.capacity(
        agreement="A",
        as_of=DAY,
        as_known=dt.datetime(2026, 1, 6, tzinfo=dt.UTC),
        statuses=["FACT", "PLAN"],
        min_position=7,
        max_wait=1.5,
    )
    assert list(asked.read.assertion_statuses) == [1, 3]
    assert asked.read.WhichOneof("as_known") == "as_known_time"
    assert queries.capacity(as_known=7).read.as_known_position == 7
    assert asked.read.max_wait.ToTimedelta() == dt.timedelta(seconds=1.5)
    assert queries.changes(asked, since=3).since_position == 3
    series = queries.series(asked, from_date=DAY, to_date=DAY, interval="QUARTER")
    assert (series.capacity, series.interval) == (asked, 3)
    with pytest.raises(TypeError, match="is not a question"):
        queries.series(queries.exceptions(), from_date=DAY, to_date=DAY)  # type: ignore[arg-type]


def failure(*violations: tuple[str, str, str]) -> PreconditionFailure:
    return PreconditionFailure(
        violations=[
            PreconditionFailure.Violation(type=rule, subject=field, description=text)
            for rule, field, text in violations
        ]
    )


def test_an_error_names_every_violation() -> None:
    info = error_info("HR-INV-02", {"field": "f[0]", "available": "USD 5", "amount": "USD 7"})
    details = [info, failure(("HR-INV-02", "f[0]", "too much"), ("HR-ID-03", "f[1]", "unknown"))]
    status = error_status(grpc.StatusCode.FAILED_PRECONDITION, "f[0]: (and 1 more)", details)
    error = error_of_status(status)
    assert isinstance(error, RuleViolatedError)
    assert (error.reason, error.field) == ("HR-INV-02", "f[0]")
    assert error.values == {"amount": "USD 7", "available": "USD 5"}
    assert error.retry_after is None
    error.request_id = "R-1"
    assert str(error) == (
        "HR-INV-02 f[0]: too much (amount=USD 7, available=USD 5)\n"
        "HR-ID-03 f[1]: unknown [request_id=R-1]"
    )


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", InvalidArgumentError),
        (grpc.StatusCode.FAILED_PRECONDITION, "RECORDED_TIME", FailedPreconditionError),
        (grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_DIVERGED", HistoryDivergedError),
        (grpc.StatusCode.UNAUTHENTICATED, "", UnauthenticatedError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "BOOK_BUSY", ResourceExhaustedError),
        (grpc.StatusCode.UNAVAILABLE, "PROJECTION_BEHIND", UnavailableError),
        (grpc.StatusCode.CANCELLED, "", UnavailableError),
        (grpc.StatusCode.DATA_LOSS, "TREE_DAMAGED", InternalError),
        (grpc.StatusCode.UNKNOWN, "", GigaledgerError),
    ],
)
def test_errors_by_code(code: grpc.StatusCode, reason: str, kind: type[GigaledgerError]) -> None:
    error = error_of_status(error_status(code, "what it says", [error_info(reason)]))
    assert type(error) is kind
    assert (error.code, str(error)) == (code, "what it says")


def error_of(code: grpc.StatusCode, *details: Any) -> GigaledgerError:
    return error_of_status(error_status(code, "", details))


def test_repeats_back_off_and_end() -> None:
    now = [0.0]
    policy = RetryPolicy(seconds=10, first_delay=1, longest_delay=4)
    backoff = Backoff(policy, clock=lambda: now[0], uniform=lambda _low, high: high)
    away = error_of(grpc.StatusCode.UNAVAILABLE)
    delays = []
    for _ in range(3):
        delays.append(backoff.delay_after(away))
        now[0] += delays[-1]
    assert delays == [1, 2, 4]
    with pytest.raises(UnavailableError):
        backoff.delay_after(away)
    backoff.reset()
    assert backoff.delay_after(away) == 1


def test_repeats_heed_advice() -> None:
    backoff = Backoff(RetryPolicy(first_delay=1), uniform=lambda _low, high: high)
    assert backoff.delay_after(error_of(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(3))) == 4
    refusal = error_of(grpc.StatusCode.INVALID_ARGUMENT, bad_request("f", "bad"))
    with pytest.raises(InvalidArgumentError):
        backoff.delay_after(refusal)


def test_a_token_is_not_sent_in_the_clear() -> None:
    with pytest.raises(ValueError, match=r"^token: would be sent to ledger:50051 in the clear"):
        connect("ledger:50051", token=TOKEN)
    connect("localhost:50051", projections="[::1]:50052", token=TOKEN).close()
    client = connect("ledger:50051", projections="p:1", tls=True, token=lambda: "now")
    assert client.connection.settings.metadata() == (("authorization", "Bearer now"),)
    client.close()


def test_addresses_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIGALEDGER_LEDGER_ADDRESS", "ledger:1")
    with connect() as client:
        made = client.connection.settings
        assert (made.ledger_address, made.projections_address) == ("ledger:1", "127.0.0.1:50052")
    with connect("other:1", projections="projections:2") as client:
        made = client.connection.settings
        assert (made.ledger_address, made.projections_address) == ("other:1", "projections:2")


def test_tls_and_credentials_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        connect(tls=Tls(), credentials=grpc.ssl_channel_credentials())


@pytest.mark.parametrize(
    "method",
    [
        f"{service.name}/{method.name}"
        for file in (ledger_pb2, projections_pb2, audit_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ],
)
def test_every_method_of_the_services_can_be_called(method: str) -> None:
    source = "".join(inspect.getsource(module) for module in (calls, streams, pipelines))
    name = method.partition("/")[2]
    assert re.search(rf'[/"]{name}"', source), method


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(gigaledger.client.Book) == public(gigaledger.client.AsyncBook)
    assert public(gigaledger.client.Client) == public(gigaledger.client.AsyncClient)


@pytest.mark.parametrize("name", gigaledger.client.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(gigaledger.client, name) is not None
