"""Capital calls: the rule that decides on them, and its findings. Pure.

`assess` is the one rule (HR-INV-01, HR-INV-02). A violation in its findings refuses a call; a
question before money moves gets all findings.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gigaledger.ledger.domain.book_view import (
    BookView,
    Violations,
    at_most,
    minor,
    same_currency,
    unknown,
    wrong_state,
)
from gigaledger.ledger.domain.entitlement import (
    TrancheFinding,
    at_most_committed,
    entitlement,
    find_tranches,
)
from gigaledger.ledger.domain.refusals import Rule, Violation
from google.type.money_pb2 import Money as MoneyMessage

if TYPE_CHECKING:
    from gigaledger.ledger.domain.agreement_state import Agreement
    from gigaledger.ledger.domain.entries import Entry


@dataclass(frozen=True, slots=True)
class CallAssessment:
    """Findings of the rule about a call on a day. Amounts are in minor units of the agreement.

    Attributes:
        committed_minor: the most that the investor is bound to invest; None if not disclosed.
        entitled_minor: the tranches whose conditions hold, at most the commitment; 0 if the
            agreement does not bind.
        called_minor: sum of all calls so far.
        ladder: findings about each tranche of the agreement.
        named: those of them that the call names.
        violations: violations that refuse the call.
    """

    committed_minor: int | None
    entitled_minor: int
    called_minor: int
    ladder: tuple[TrancheFinding, ...]
    named: tuple[TrancheFinding, ...]
    violations: tuple[Violation, ...]

    @property
    def available_minor(self) -> int:
        """What may still be called."""
        return max(0, self.entitled_minor - self.called_minor)


def assess(
    state: Agreement, tranches: Sequence[int], amount: MoneyMessage, day: dt.date
) -> CallAssessment:
    """Return what the rule finds of a call.

    Args:
        state: the agreement.
        tranches: numbers of the tranches that are called.
        amount: how much is called.
        day: when the call takes effect.
    """
    ladder = find_tranches(state, day)
    by_number = {finding.tranche.number: finding for finding in reversed(ladder)}
    undisclosed = state.terms.investment_undisclosed
    commitment = minor(state.terms.investment_commitment) if state.binding else 0
    return CallAssessment(
        committed_minor=None if undisclosed else commitment,
        entitled_minor=entitlement(state, ladder) if state.binding else 0,
        called_minor=state.equity.called_minor,
        ladder=ladder,
        named=tuple(by_number[n] for n in dict.fromkeys(tranches) if n in by_number),
        violations=tuple(_violations(state, tranches, amount, day, ladder)),
    )


def _violations(
    state: Agreement,
    tranches: Sequence[int],
    amount: MoneyMessage,
    day: dt.date,
    ladder: tuple[TrancheFinding, ...],
) -> Iterator[Violation]:
    if state.exists and not state.binding:
        message = f"capital is called under an agreement that is {state.status.value}"
        if state.in_force:
            message += " and does not bind"
        yield Violation(Rule.INV_01, "agreement", message, {"status": state.status.name})
        return
    yield from same_currency(amount, "amount", state.currency, "the agreement")
    by_number = {finding.tranche.number: finding for finding in reversed(ladder)}
    for index, number in enumerate(tranches):
        field = f"tranches[{index}]"
        finding = by_number.get(number)
        if finding is None:
            yield unknown(field, "tranche", number)
        elif not finding.entitled:
            message = f"tranche {number} is not entitled on {day}: its conditions do not hold"
            yield Violation(Rule.INV_02, field, message, {"tranche": str(number), "date": str(day)})
        elif finding.expired:
            yield wrong_state(field, f"tranche {number} has expired", tranche=str(number))
    yield from at_most(
        Rule.INV_02,
        "amount",
        state.equity.called_minor + minor(amount),
        entitlement(state, ladder),
        "the lesser of commitment and entitlement, counting what is called already",
        f"minor units of {amount.currency_code}",
    )


def decide_call(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapitalCallIssued: HR-INV-01 and HR-INV-02."""
    fact = entry.fact
    yield from assess(state, fact.tranches, fact.amount, entry.effective_date).violations


def apply_call(state: Agreement, entry: Entry) -> None:
    """Fold CapitalCallIssued."""
    state.equity.calls[entry.fact.call] = entry.fact.amount.currency_code
    state.equity.called_minor += minor(entry.fact.amount)


def entitled_with(state: Agreement, findings: Sequence[TrancheFinding]) -> int:
    """Return what would be entitled if these tranches were, in minor units."""
    return at_most_committed(state, sum(minor(finding.tranche.amount) for finding in findings))
