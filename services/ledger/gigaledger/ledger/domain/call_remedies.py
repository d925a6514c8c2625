"""Which event would change the answer to a call of capital. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from gigaledger.common.quantities import currency_exponent, date_from_message
from gigaledger.ledger.domain.book_view import minor
from gigaledger.ledger.domain.capital_calls import CallAssessment, entitled_with
from gigaledger.ledger.domain.entitlement import ConditionFinding
from gigaledger.v1.agreement_facts_pb2 import ConditionType
from google.type.money_pb2 import Money as MoneyMessage

if TYPE_CHECKING:
    from gigaledger.ledger.domain.agreement_state import Agreement


@dataclass(frozen=True, slots=True)
class Remedy:
    """An event that would change the answer, alone or together with others.

    Attributes:
        message: what has to happen.
        fact_type: name in `Event` of the fact that would record it; empty if only time passes.
        tranche: number of the tranche that it opens; 0 if none.
        condition: number of the condition in the tranche, from 1; 0 if none.
        power_kw: capacity to be certified; 0 if none.
        date: day to be reached; None if none.
        amount_minor: amount in minor units of the agreement; None if none.
    """

    message: str
    fact_type: str
    tranche: int = 0
    condition: int = 0
    power_kw: int = 0
    date: dt.date | None = None
    amount_minor: int | None = None


def remedies(
    state: Agreement,
    agreement: str,
    assessment: CallAssessment,
    tranches: Sequence[int],
    amount: MoneyMessage,
) -> Iterator[Remedy]:
    """Yield what would change the answer to a call that is refused.

    Nothing is yielded for an agreement that has ended: nothing under it can change that.

    Args:
        state: the agreement.
        agreement: its id.
        assessment: what the rule found.
        tranches: numbers of the tranches that are called.
        amount: how much is called.
    """
    if state.exists and not state.in_force:
        return
    if not state.definitive:
        message = "execution of a definitive agreement that binds"
        yield Remedy(message, "definitive_agreement_executed")
    elif not state.binding:
        yield Remedy("an amendment by which the agreement binds", "agreement_amended")
    if not state.exists:
        return
    if state.currency and amount.currency_code != state.currency:
        yield Remedy(f"a call in {state.currency}", "capital_call_issued")
    known = {finding.tranche.number for finding in assessment.ladder}
    for number in dict.fromkeys(tranches):
        if number not in known:
            message = f"an amendment that adds tranche {number}"
            yield Remedy(message, "agreement_amended", tranche=number)
    for number in dict.fromkeys(finding.tranche.number for finding in assessment.named):
        yield from _of_tranche(assessment, agreement, number)
    yield from _of_amount(state, agreement, assessment, amount)


def _of_tranche(assessment: CallAssessment, agreement: str, number: int) -> Iterator[Remedy]:
    finding = next(found for found in assessment.ladder if found.tranche.number == number)
    for condition in finding.conditions:
        if not condition.held:
            yield _of_condition(agreement, number, condition)
    if finding.expired:
        last = date_from_message(finding.tranche.expiry_date)
        message = f"an amendment by which tranche {number} expires later than {last}"
        yield Remedy(message, "agreement_amended", tranche=number)


def _of_condition(agreement: str, tranche: int, finding: ConditionFinding) -> Remedy:
    condition, number = finding.condition, finding.number
    if finding.certified_kw is not None:
        missing_kw = condition.power_kw - finding.certified_kw
        return Remedy(
            f"certification of {missing_kw:,} kW more under agreement {agreement}",
            "capacity_milestone_certified",
            tranche,
            number,
            power_kw=missing_kw,
        )
    if condition.type == ConditionType.CONDITION_TYPE_AGREEMENT_EXECUTED:
        message = "execution of a definitive agreement"
        return Remedy(message, "definitive_agreement_executed", tranche, number)
    if condition.type == ConditionType.CONDITION_TYPE_DATE_REACHED:
        day = date_from_message(condition.date)
        return Remedy(f"{day} reached", "", tranche, number, date=day)
    shown = condition.description or ConditionType.Name(condition.type).removeprefix(
        "CONDITION_TYPE_"
    ).lower().replace("_", " ")
    return Remedy(
        f"a document that shows condition {number} of tranche {tranche}: {shown}",
        "tranche_condition_satisfied",
        tranche,
        number,
    )


def _of_amount(
    state: Agreement, agreement: str, assessment: CallAssessment, amount: MoneyMessage
) -> Iterator[Remedy]:
    """Yield what is missing beyond the named tranches: entitlement or commitment."""
    if not amount.currency_code or amount.currency_code != state.currency:
        return
    needed = assessment.called_minor + minor(amount)
    named = {finding.tranche.number for finding in assessment.named}
    open_ = [f for f in assessment.ladder if f.entitled or f.tranche.number in named]
    if needed <= entitled_with(state, open_):
        return
    available = assessment.available_minor
    if available:
        message = f"a call of at most {_units(available, amount.currency_code)}"
        yield Remedy(message, "capital_call_issued", amount_minor=available)
    for finding in assessment.ladder:
        if finding in open_:
            continue
        yield from _of_tranche(assessment, agreement, finding.tranche.number)
        open_.append(finding)
        if needed <= entitled_with(state, open_):
            return
    commitment = minor(state.terms.investment_commitment)
    if not state.terms.investment_undisclosed and commitment < needed:
        missing = needed - commitment
        words = _units(missing, amount.currency_code)
        message = f"an amendment that raises the commitment by {words}"
        yield Remedy(message, "agreement_amended", amount_minor=missing)
        return
    missing = needed - entitled_with(state, open_)
    message = f"an amendment that adds {_units(missing, amount.currency_code)} to the tranches"
    yield Remedy(message, "agreement_amended", amount_minor=missing)


def _units(amount_minor: int, currency: str) -> str:
    exponent = currency_exponent(currency)
    return f"{currency} {Decimal(amount_minor).scaleb(-exponent):,.{exponent}f}"
