"""Every rule that refuses a request, over gRPC."""

from __future__ import annotations

import grpc
import pytest
from gigaledger.ledger.api.errors import MAX_NAMED_VIOLATIONS
from gigaledger.ledger.domain.refusals import Kind, Rule
from gigaledger.v1.ledger_pb2 import ListAttemptsRequest, StreamCheck
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure

from tests.api.calls import Caller, error_of
from tests.facts import certified, parties, placed, received
from tests.rules.refusals import CASES, CERTIFIED, NOW, Case

STATUS = {
    Kind.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.DUPLICATE: grpc.StatusCode.ALREADY_EXISTS,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
}
RULES = {rule.code: rule for rule in Rule}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.name}")
def test_refuses(stub: LedgerServiceStub, case: Case) -> None:
    caller = Caller.of_imported_book(stub, NOW)
    if case.given:
        caller.append(*case.given)
    before = len(caller.read())

    error = caller.refused(case.refused)

    info = error.detail(ErrorInfo)
    assert error.code is STATUS[RULES[info.reason].kind]
    assert info.domain == "gigaledger"
    assert info.metadata["field"].startswith("events[0].event.")
    assert info.reason in error.message
    if error.code is grpc.StatusCode.INVALID_ARGUMENT:
        named = {v.reason: v.field for v in error.detail(BadRequest).field_violations}
    else:
        named = {v.type: v.subject for v in error.detail(PreconditionFailure).violations}
    assert case.code in named
    assert len(caller.read()) == before
    assert caller.stub.ListAttempts(ListAttemptsRequest(parent=caller.book)).attempts[0].rules


def test_refusals_carry_their_values(caller: Caller) -> None:
    caller.append(*CERTIFIED)

    info = caller.refused(certified(5, "CERT-2")).detail(ErrorInfo)

    assert info.reason == "HR-CAP-01"
    assert info.metadata["value"] == "1000005"
    assert info.metadata["limit"] == "1000000"


def test_outdated_checks(caller: Caller) -> None:
    caller.append(*parties("SUP", "CUS"), placed())
    checks = [
        StreamCheck(stream="purchaseOrders/PO-1", version=0),
        StreamCheck(stream="parties/SUP", version=1),
        StreamCheck(stream="parties/CUS", exists=False),
    ]

    error = caller.refused(received(1), checks=checks)

    assert error.code is grpc.StatusCode.ABORTED
    assert error.reason == "HR-SEQ-01"
    assert error.fields == ["checks[0]", "checks[2]"]


def test_every_malformed_field_is_named_at_once(caller: Caller) -> None:
    first, second = parties("SUP", "CUS")
    first.actor = ""
    second.ClearField("effective_date")
    second.party_registered.lei = "WRONG"

    error = caller.refused(first, second)

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == [
        "events[0].event.actor",
        "events[1].event.effective_date",
        "events[1].event.party_registered.lei",
    ]


@pytest.mark.parametrize("stream", ["", "nowhere", "parties/\0", "parties/", "a" * 256, "é/x"])
def test_checks_of_invalid_streams(caller: Caller, stream: str) -> None:
    error = caller.refused(*parties("SUP"), checks=[StreamCheck(stream=stream, version=0)])

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == ["checks[0].stream"]


def test_refusals_are_listed(caller: Caller) -> None:
    caller.refused(received(1))
    malformed = received(1)
    malformed.actor = ""
    caller.refused(malformed)

    attempts = caller.stub.ListAttempts(ListAttemptsRequest(parent=caller.book)).attempts

    assert [list(attempt.rules) for attempt in attempts] == [["FIELD_REQUIRED"], ["HR-ID-03"]]
    assert [attempt.actor for attempt in attempts] == ["", "alice"]
    assert attempts[0].number > attempts[1].number


def test_a_request_with_very_many_violations(caller: Caller) -> None:
    """However much is wrong, the answer reaches the caller: metadata is limited."""
    events = parties(*("\0" * 60_000 for _ in range(3)), *(f"P{n}" for n in range(900)))
    for event in events:
        event.actor = ""
        event.party_registered.lei = "WRONG" * 10
        event.party_registered.legal_name = "x" * 10_000

    error = caller.refused(*events)

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(error.fields) == MAX_NAMED_VIOLATIONS
    assert "more)" in error.message


@pytest.mark.parametrize("text", ["\0", "\0" * 3000, "\N{PILE OF POO}" * 3000, "\u202e"])
def test_refusals_of_unstorable_texts(caller: Caller, text: str) -> None:
    event = received(1)
    event.actor = text
    request = caller.request(event)
    request.request_id = text

    error = error_of(lambda: caller.stub.AppendEvents(request))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in error.fields
    (attempt,) = caller.stub.ListAttempts(ListAttemptsRequest(parent=caller.book)).attempts
    assert attempt.actor[0] == text[0].replace("\0", "\N{SYMBOL FOR NULL}")
