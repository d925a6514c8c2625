"""May this call be issued? Answered by the rules that the book would hold it to. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gigaledger.common.quantities import date_to_message, money_to_message
from gigaledger.ledger.domain.agreement_state import Agreement, Status
from gigaledger.ledger.domain.book import FUTURE_TOLERANCE, Book, Request
from gigaledger.ledger.domain.book_view import minor
from gigaledger.ledger.domain.call_remedies import Remedy, remedies
from gigaledger.ledger.domain.capital_calls import CallAssessment, assess
from gigaledger.ledger.domain.refusals import Refused, Rule, Violation
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from google.type.money_pb2 import Money as MoneyMessage

_EVENT = "events[0].event."
_FACT = "capital_call_issued."
_HYPOTHETICAL = frozenset(
    {AssertionStatus.ASSERTION_STATUS_PLAN, AssertionStatus.ASSERTION_STATUS_ASSUMPTION}
)


@dataclass(frozen=True, slots=True)
class CallQuestion:
    """A capital call under consideration.

    Attributes:
        agreement: id of the agreement.
        tranches: numbers of the tranches.
        call: number of the call notice.
        amount: the amount; that of the tranches if None.
        effective_date: when it takes effect; the day of the question if None.
    """

    agreement: str
    tranches: tuple[int, ...]
    call: str
    amount: MoneyMessage | None = None
    effective_date: dt.date | None = None

    def event(self, amount: MoneyMessage, day: dt.date) -> Event:
        """Return the call as a fact, without an approver."""
        event = Event(
            effective_date=date_to_message(day),
            assertion_status=AssertionStatus.ASSERTION_STATUS_FACT,
            actor="asking",
        )
        fact = event.capital_call_issued
        fact.agreement, fact.call = self.agreement, self.call
        fact.tranches.extend(self.tranches)
        fact.amount.CopyFrom(amount)
        return event


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The assessment of a capital call under consideration.

    Attributes:
        position: head of the book that answers.
        recorded_at: when its last entry was recorded.
        status: status of the agreement.
        currency: of the agreement; empty if none is agreed.
        effective_date: when the call would take effect.
        amount: the amount called.
        approval_required: whether the call must name an approver (HR-AUTH-01).
        assessment: findings of the rule of calls.
        objections: all violations that remain once the call is approved.
        remedies: events that would change the answer.
        hypothetical: whether the agreement depends on a PLAN or an ASSUMPTION.
    """

    position: int
    recorded_at: dt.datetime
    status: Status
    currency: str
    effective_date: dt.date
    amount: MoneyMessage
    approval_required: bool
    assessment: CallAssessment
    objections: tuple[Violation, ...]
    remedies: tuple[Remedy, ...]
    hypothetical: bool

    @property
    def allowed(self) -> bool:
        """Whether the book would accept the call, with an approval if one is required."""
        return not self.objections


def answer_call(book: Book, question: CallQuestion, now: dt.datetime) -> CallAnswer:
    """Assess a call, and leave the book unchanged.

    The call is tried on the book, like a request that is only validated. An imported book takes it
    as recorded on its day, or at the head if that is later.

    Args:
        book: at its head.
        question: the call.
        now: the server's clock; not used by an imported book.
    """
    stream = f"agreements/{question.agreement}"
    clock = book.clock(now)
    day = question.effective_date or clock.date()
    amount = question.amount or _amount_of(book.state(stream), question.tranches)
    recorded = None
    if book.imported:
        recorded = max(clock, dt.datetime.combine(day, dt.time(), dt.UTC))
    event = question.event(amount, day)
    objections = _objections(book, Request("asking", [event], [recorded]), now)
    approval = [found for found in objections if found.rule is Rule.AUTH_01]
    objections = [found for found in objections if found.rule is not Rule.AUTH_01]
    # The trial was folded into the state. From here on the state is that of the book again.
    state: Agreement = book.state(stream)
    assessment = assess(state, question.tranches, amount, day)
    found = []
    if objections:
        found = list(remedies(state, question.agreement, assessment, question.tranches, amount))
    if any(objection.rule is Rule.TIME_01 for objection in objections):
        first = day - FUTURE_TOLERANCE
        found.append(Remedy(f"{first} reached", "", date=first))
    return CallAnswer(
        position=book.position,
        recorded_at=book.recorded_at,
        status=state.status,
        currency=state.currency,
        effective_date=day,
        amount=amount,
        approval_required=bool(approval),
        assessment=assessment,
        objections=tuple(objections),
        remedies=tuple(dict.fromkeys(found)),
        hypothetical=any(
            entry.event.assertion_status in _HYPOTHETICAL for entry in book.standing(stream)
        ),
    )


def _amount_of(state: Agreement, tranches: tuple[int, ...]) -> MoneyMessage:
    """Return the sum of tranches; unset if no currency is agreed."""
    known = [state.tranche(number) for number in dict.fromkeys(tranches)]
    total = sum(minor(tranche.amount) for tranche in known if tranche is not None)
    return money_to_message(total, state.currency) if state.currency else MoneyMessage()


def _objections(book: Book, request: Request, now: dt.datetime) -> list[Violation]:
    try:
        book.try_out(request, now)
    except Refused as refused:
        return [
            Violation(
                found.rule,
                found.field.removeprefix(_EVENT).removeprefix(_FACT),
                found.message,
                found.values,
            )
            for found in refused.violations
        ]
    return []
