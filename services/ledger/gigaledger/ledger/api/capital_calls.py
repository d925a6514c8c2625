"""EvaluateCapitalCall: from the request to the question, and from the answer to the response."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from gigaledger.common.grpc.errors import InvalidArgumentError
from gigaledger.common.quantities import (
    QuantityError,
    date_from_message,
    date_to_message,
    instant_to_message,
    money_to_message,
)
from gigaledger.ledger.domain.call_questions import CallAnswer, CallQuestion
from gigaledger.ledger.domain.call_remedies import Remedy
from gigaledger.ledger.domain.entitlement import ConditionFinding, TrancheFinding
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.ledger.domain.validation import malformed
from gigaledger.v1.ledger_pb2 import (
    CallCause,
    CallConditionFinding,
    CallObjection,
    CallRemedy,
    CallTrancheFinding,
    EvaluateCapitalCallRequest,
    EvaluateCapitalCallResponse,
)
from google.type.money_pb2 import Money

_FACT = "capital_call_issued."
_SOME_DAY = dt.date(2000, 1, 1)
_ANY_AMOUNT = Money(currency_code="USD", units=1)
"""Amount used to check the other fields, if the question names none."""


def question_of(request: EvaluateCapitalCallRequest, call: str) -> CallQuestion:
    """Return what a request asks.

    Args:
        request: the request.
        call: number of a call notice that is not taken.

    Raises:
        InvalidArgumentError: the effective date is none.
        Refused: another field does not have the form that the call would need.
    """
    day = None
    if request.HasField("effective_date"):
        try:
            day = date_from_message(request.effective_date)
        except QuantityError as error:
            raise InvalidArgumentError("effective_date", str(error)) from error
    question = CallQuestion(
        agreement=request.agreement,
        tranches=tuple(request.tranches),
        call=request.call or call,
        amount=request.amount if request.HasField("amount") else None,
        effective_date=day,
    )
    event = question.event(question.amount or _ANY_AMOUNT, day or _SOME_DAY)
    found = [replace(v, field=v.field.removeprefix(_FACT)) for v in malformed(event)]
    if found:
        raise Refused(found)
    return question


def call_response(answer: CallAnswer) -> EvaluateCapitalCallResponse:
    """Return an answer as the contract has it."""
    assessment, currency = answer.assessment, answer.currency
    return EvaluateCapitalCallResponse(
        allowed=answer.allowed,
        position=answer.position,
        recorded_time=instant_to_message(answer.recorded_at),
        effective_date=date_to_message(answer.effective_date),
        amount=answer.amount if answer.amount.currency_code else None,
        approval_required=answer.approval_required,
        committed=_money(assessment.committed_minor, currency),
        entitled=_money(assessment.entitled_minor, currency),
        called=_money(assessment.called_minor, currency),
        available=_money(assessment.available_minor, currency),
        tranches=[_tranche(finding) for finding in assessment.named],
        objections=[
            CallObjection(rule=v.rule.code, field=v.field, message=v.message)
            for v in answer.objections
        ],
        remedies=[_remedy(remedy, currency) for remedy in answer.remedies],
        hypothetical=answer.hypothetical,
    )


def _money(amount_minor: int | None, currency: str) -> Money | None:
    return (
        None if amount_minor is None or not currency else money_to_message(amount_minor, currency)
    )


def _tranche(finding: TrancheFinding) -> CallTrancheFinding:
    tranche = finding.tranche
    return CallTrancheFinding(
        tranche=tranche.number,
        amount=tranche.amount,
        entitled=finding.entitled,
        expired=finding.expired,
        expiry_date=tranche.expiry_date if tranche.HasField("expiry_date") else None,
        conditions=[_condition(condition) for condition in finding.conditions],
    )


def _condition(finding: ConditionFinding) -> CallConditionFinding:
    return CallConditionFinding(
        condition=finding.number,
        terms=finding.condition,
        held=finding.held,
        certified_kw=finding.certified_kw,
        causes=[
            CallCause(
                position=cause.position,
                effective_date=date_to_message(cause.effective_date),
                document=cause.document,
                power_kw=cause.power_kw,
            )
            for cause in finding.causes
        ],
    )


def _remedy(remedy: Remedy, currency: str) -> CallRemedy:
    return CallRemedy(
        description=remedy.message,
        fact_type=remedy.fact_type,
        tranche=remedy.tranche,
        condition=remedy.condition,
        power_kw=remedy.power_kw,
        date=date_to_message(remedy.date) if remedy.date else None,
        amount=_money(remedy.amount_minor, currency),
    )
