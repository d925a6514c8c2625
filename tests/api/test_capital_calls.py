"""EvaluateCapitalCall agrees with the decision on the call itself."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import grpc
import pytest
from gigaledger.common.quantities import date_to_message
from gigaledger.v1.ledger_pb2 import (
    EvaluateCapitalCallRequest,
    EvaluateCapitalCallResponse,
    ListAttemptsRequest,
)
from google.type.money_pb2 import Money

from tests.api.calls import SECONDS, Caller, error_of
from tests.facts import START, called, certified, claimed, definitive, parties


def question(caller: Caller, **fields: Any) -> EvaluateCapitalCallRequest:
    return EvaluateCapitalCallRequest(
        **{"book": caller.book, "agreement": "AGR", "tranches": [1], **fields}
    )


def ask(caller: Caller, **fields: Any) -> EvaluateCapitalCallResponse:
    return caller.stub.EvaluateCapitalCall(question(caller, **fields), timeout=SECONDS)


@pytest.fixture
def agreed(caller: Caller) -> Caller:
    """A book in which 0.8 GW of the first tranche's 1 GW are certified."""
    caller.append(*parties("SUP", "CUS"), definitive(), claimed(), certified(800_000))
    return caller


def test_a_refusal_lists_the_remedies(agreed: Caller) -> None:
    before = ask(agreed, effective_date=date_to_message(START))
    agreed.append(certified(before.remedies[0].power_kw, "CERT-2"))
    after = ask(agreed, effective_date=date_to_message(START))
    agreed.append(called())

    assert not before.allowed
    assert [objection.rule for objection in before.objections] == ["HR-INV-02", "HR-INV-02"]
    (condition,) = before.tranches[0].conditions
    assert (condition.held, condition.certified_kw) == (False, 800_000)
    assert condition.terms.power_kw == 1_000_000
    assert [(cause.position, cause.document) for cause in condition.causes] == [(6, "CERT-1")]
    assert before.remedies[0].fact_type == "capacity_milestone_certified"
    assert before.remedies[0].description == (
        "certification of 200,000 kW more under agreement AGR"
    )
    assert after.allowed
    assert (after.committed.units, after.entitled.units, after.called.units) == (3000, 1000, 0)
    assert after.amount.units == after.available.units == 1000
    assert after.position == before.position + 1


def test_the_answer_is_that_of_a_call_that_is_only_validated(agreed: Caller) -> None:
    for more_kw, amount in ((0, 79_999), (200_000, 100_000), (0, 100_001)):
        if more_kw:
            agreed.append(certified(more_kw, "CERT-2"))
        call = called(amount)
        answer = ask(
            agreed,
            amount=call.capital_call_issued.amount,
            effective_date=call.effective_date,
            call=call.capital_call_issued.call,
        )
        request = agreed.request(call)
        request.validate_only = True
        if answer.allowed:
            agreed.stub.AppendEvents(request, timeout=SECONDS)
        else:
            error = error_of(partial(agreed.stub.AppendEvents, request, timeout=SECONDS))
            assert error.reason in {objection.rule for objection in answer.objections}
            assert len(error.fields) == len(answer.objections)


def test_an_evaluation_records_nothing(agreed: Caller) -> None:
    head = agreed.head()

    ask(agreed)
    ask(agreed, agreement="NONE")

    assert agreed.head() == head
    assert agreed.stub.ListAttempts(ListAttemptsRequest(parent=agreed.book)).attempts == []


def test_the_default_effective_date_is_today(agreed: Caller) -> None:
    today = dt.datetime.now(dt.UTC).date()

    answer = ask(agreed)

    given = answer.effective_date
    assert today <= dt.date(given.year, given.month, given.day) <= dt.datetime.now(dt.UTC).date()


def test_in_an_imported_book_it_is_the_day_of_the_head(agreed: Caller) -> None:
    recorded = dt.datetime(2026, 2, 3, 9, tzinfo=dt.UTC)
    caller = Caller.of_imported_book(agreed.stub, recorded)
    caller.append(*parties("SUP", "CUS"), definitive(), claimed(), certified())

    now, later = ask(caller), ask(caller, effective_date=date_to_message(dt.date(2029, 1, 1)))

    assert (now.allowed, now.effective_date) == (True, date_to_message(recorded.date()))
    assert later.allowed


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"agreement": ""}, ["agreement"]),
        ({"agreement": "no/name"}, ["agreement"]),
        ({"tranches": []}, ["tranches"]),
        ({"amount": Money(currency_code="USD", units=-1)}, ["amount"]),
        ({"amount": Money(currency_code="USD", nanos=1)}, ["amount"]),
        ({"book": "main"}, ["book"]),
    ],
)
def test_malformed_evaluations(agreed: Caller, fields: dict[str, Any], wrong: list[str]) -> None:
    error = error_of(lambda: ask(agreed, **fields))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == wrong


def test_an_evaluation_in_an_unknown_book(agreed: Caller) -> None:
    error = error_of(lambda: ask(agreed, book="books/none"))

    assert error.code is grpc.StatusCode.NOT_FOUND
