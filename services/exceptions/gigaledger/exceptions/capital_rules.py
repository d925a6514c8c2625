"""Rules about an agreement: SX-INV-01 to SX-INV-04, SX-CAP-05, and SX-CUT-04 for returns.

Entitlement follows the ledger's own rule: whole tranches whose conditions hold, at most the
commitment. Capacity that is withdrawn later counts only if the agreement latches.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.exceptions.cut_off import (
    TAKEN_BACK_EARLY,
    TAKEN_BACK_EARLY_STATEMENT,
    BalanceByDay,
)
from gigaledger.exceptions.descriptions import amount_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, Severity, SubjectRule, Topic
from gigaledger.v1.agreement_facts_pb2 import AgreementTerms, ConditionType, Tranche
from gigaledger.v1.common_pb2 import PowerBasis


@dataclass(slots=True)
class _Contribution:
    position: int
    remaining_minor: int | None
    currency: str
    called: bool
    under_binding: bool
    ended: bool


class Funding:
    """State of an agreement: its terms, its certified capacity, its capital."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.terms = AgreementTerms()
        self.definitive = False
        self.ended = False
        self.contributions: dict[str, _Contribution] = {}
        self.balances: dict[str, BalanceByDay] = defaultdict(BalanceByDay)
        self.issued_minor = 0
        self.uneven_since: dt.date | None = None
        self.issues: list[int] = []
        self.certificates: dict[int, int] = {}
        self._certified: list[tuple[dt.date, int, int]] = []
        self._satisfied: dict[tuple[int, int], dt.date] = {}
        self.changes: list[int] = []

    @property
    def binding(self) -> bool:
        """Whether the agreement is in force and binding."""
        return self.definitive and not self.ended and self.terms.binding

    @property
    def currency(self) -> str:
        """Currency of the investment; without an agreed one, that of the first contribution."""
        agreed = self.terms.investment_commitment.currency_code or (
            self.terms.tranches[0].amount.currency_code if self.terms.tranches else ""
        )
        return agreed or next((held.currency for held in self.contributions.values()), "")

    @property
    def funded_minor(self) -> int:
        """Contributions less returns, as far as disclosed."""
        return sum(held.remaining_minor or 0 for held in self.contributions.values())

    @property
    def undisclosed(self) -> bool:
        """Whether any contribution is undisclosed."""
        return any(held.remaining_minor is None for held in self.contributions.values())

    def limit_minor(self, day: dt.date) -> int | None:
        """Return what may be funded by a day: min(C, E), or C without tranches.

        None if it is undisclosed: unknown, which is not zero.
        """
        commitment = (
            money_from_message(self.terms.investment_commitment).amount_minor
            if (self.terms.HasField("investment_commitment"))
            else None
        )
        if not self.terms.tranches:
            return None if self.terms.investment_undisclosed else commitment or 0
        entitled = sum(
            money_from_message(tranche.amount).amount_minor
            for tranche in self.terms.tranches
            if self._holds(tranche, day)
        )
        return entitled if commitment is None else min(entitled, commitment)

    def _holds(self, tranche: Tranche, day: dt.date) -> bool:
        for index, condition in enumerate(tranche.conditions, start=1):
            if condition.type == ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED:
                holds = self._certified_kw(day) >= condition.power_kw
            elif condition.type == ConditionType.CONDITION_TYPE_AGREEMENT_EXECUTED:
                holds = self.definitive
            elif condition.type == ConditionType.CONDITION_TYPE_DATE_REACHED:
                holds = day >= date_from_message(condition.date)
            else:
                since = self._satisfied.get((tranche.number, index))
                holds = since is not None and since <= day
            if not holds:
                return False
        return True

    def days(self) -> Iterator[dt.date]:
        """Yield the days on which a dated condition comes true."""
        for tranche in self.terms.tranches:
            for condition in tranche.conditions:
                if condition.type == ConditionType.CONDITION_TYPE_DATE_REACHED:
                    yield date_from_message(condition.date)

    def _certified_kw(self, day: dt.date) -> int:
        by_day: Counter[dt.date] = Counter()
        for date, basis, power_kw in self._certified:
            if basis == self.terms.power_basis and date <= day:
                by_day[date] += power_kw
        levels = list(itertools.accumulate(by_day[date] for date in sorted(by_day)))
        if not levels:
            return 0
        return max(levels) if self.terms.latching else levels[-1]

    def apply(self, posting: Posting, _context: RuleContext) -> None:
        """Fold a posting."""
        fact = posting.fact
        match posting.kind:
            case "letter_of_intent_signed" | "definitive_agreement_executed" | "agreement_amended":
                self._apply_terms(posting)
            case "agreement_superseded" | "agreement_terminated" | "agreement_expired":
                self.ended = True
            case "tranche_condition_satisfied":
                key = (fact.tranche, fact.condition)
                day = posting.effective_date
                self._satisfied[key] = min(day, self._satisfied.get(key, day))
            case "capacity_milestone_certified":
                self.certificates[posting.position] = fact.power_basis
                self._change_capacity(posting, fact.power_kw)
            case "capacity_certification_reversed" | "capacity_retired":
                self._change_capacity(posting, -fact.power_kw)
            case "capital_contribution_funded":
                self._apply_contribution(posting)
            case "capital_returned":
                held = self.contributions.get(fact.contribution)
                if held is not None and held.remaining_minor is not None:
                    minor = money_from_message(fact.amount).amount_minor
                    held.remaining_minor -= minor
                    self.balances[fact.contribution].change(posting, -minor)
            case "equity_shares_issued":
                self.issued_minor += money_from_message(fact.amount).amount_minor
                self.issues.append(posting.position)
            case "equity_issuance_rescinded":
                self.issued_minor -= money_from_message(fact.amount).amount_minor
        self._keep_uneven(posting)

    def _apply_terms(self, posting: Posting) -> None:
        if self.subject != f"agreements/{posting.fact.agreement}":
            # Another agreement supersedes this one.
            self.ended = True
            return
        self.definitive |= posting.kind == "definitive_agreement_executed"
        self.terms = posting.fact.terms
        if self.binding:
            # What came too early is bound from now on, also after the end of the agreement.
            for held in self.contributions.values():
                held.under_binding |= not held.ended

    def _change_capacity(self, posting: Posting, power_kw: int) -> None:
        self._certified.append((posting.effective_date, posting.fact.power_basis, power_kw))
        self.changes.append(posting.position)

    def _apply_contribution(self, posting: Posting) -> None:
        fact = posting.fact
        money = money_from_message(fact.amount) if fact.HasField("amount") else None
        if money is not None:
            self.balances[fact.contribution].change(posting, money.amount_minor)
        self.contributions[fact.contribution] = _Contribution(
            posting.position,
            money.amount_minor if money else None,
            money.currency if money else "",
            called=bool(fact.call),
            under_binding=self.binding and not self._past_its_last_day(posting.effective_date),
            ended=self.ended or self._past_its_last_day(posting.effective_date),
        )

    def _past_its_last_day(self, day: dt.date) -> bool:
        terms = self.terms
        return terms.HasField("expiry_date") and date_from_message(terms.expiry_date) < day

    def _keep_uneven(self, posting: Posting) -> None:
        if self.undisclosed or self.funded_minor == self.issued_minor:
            self.uneven_since = None
        elif self.uneven_since is None:
            self.uneven_since = posting.effective_date


def find_overfunded(state: Funding, _policy: Policy, day: dt.date) -> Iterator[Finding]:
    """Find funding beyond commitment and entitlement (SX-INV-01)."""
    if not state.binding:
        return
    funded, limit = state.funded_minor, state.limit_minor(day)
    if limit is not None and funded > limit:
        text = (
            f"{amount_text(funded - limit, state.currency)} is funded beyond the"
            f" {amount_text(limit, state.currency)} that commitment and entitlement allow"
        )
        positions = [held.position for held in state.contributions.values()]
        yield Finding(text, tuple(sorted({*positions, *state.changes})))


def find_on_another_basis(state: Funding, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find certificates on another power basis than the agreement's terms (SX-CAP-05)."""
    agreed = state.terms.power_basis
    for position, basis in state.certificates.items():
        if agreed and basis != agreed:
            text = (
                f"certified as {_basis_text(basis)}, and the agreement is in {_basis_text(agreed)}"
            )
            yield Finding(text, (position,), str(position))


def _basis_text(basis: int) -> str:
    name = PowerBasis.Name(PowerBasis.ValueType(basis))
    return name.removeprefix("POWER_BASIS_").replace("_", " ").lower()


def find_returned_early(state: Funding, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find capital returned before it was contributed (SX-CUT-04)."""
    for number, balance in state.balances.items():
        yield from balance.find_negative(f"contribution {number}")


def find_unbound(state: Funding, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find contributions under an agreement that was not binding or had ended (SX-INV-02)."""
    for number, held in state.contributions.items():
        if not held.under_binding and held.remaining_minor != 0:
            why = "had ended" if held.ended else "did not bind"
            yield Finding(
                f"{number} is funded although the agreement {why}", (held.position,), number
            )


def find_uncalled(state: Funding, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find contributions that answer no call (SX-INV-03)."""
    for number, held in state.contributions.items():
        if not held.called and held.remaining_minor != 0:
            yield Finding(f"{number} is funded without a call", (held.position,), number)


def find_uneven(state: Funding, policy: Policy, day: dt.date) -> Iterator[Finding]:
    """Find capital funded but not issued, or issued but not funded, for too long (SX-INV-04)."""
    days = policy.threshold("unissued_days")
    since = state.uneven_since
    if days is None or since is None or (day - since).days <= days:
        return
    funded, issued = state.funded_minor, state.issued_minor
    kind = "funded and not issued" if funded > issued else "issued and not funded"
    amount = amount_text(abs(funded - issued), state.currency) if state.currency else "an amount"
    positions = {held.position for held in state.contributions.values()} | set(state.issues)
    yield Finding(
        f"{amount} is {kind} for more than {days} days, since {since}",
        tuple(sorted(positions)),
        since=since + dt.timedelta(days=days + 1),
    )


def _subjects(posting: Posting, _context: RuleContext) -> Iterator[str]:
    yield f"agreements/{posting.fact.agreement}"
    if posting.kind == "definitive_agreement_executed":
        yield from (f"agreements/{name}" for name in posting.fact.supersedes)


TOPIC = Topic(
    kinds=frozenset(
        {
            *("letter_of_intent_signed", "definitive_agreement_executed", "agreement_amended"),
            *("agreement_superseded", "agreement_terminated", "agreement_expired"),
            *("tranche_condition_satisfied", "capacity_milestone_certified"),
            *("capacity_certification_reversed", "capacity_retired"),
            *("capital_contribution_funded", "capital_returned"),
            *("equity_shares_issued", "equity_issuance_rescinded"),
        }
    ),
    subjects=_subjects,
    new_state=Funding,
    rules=(
        SubjectRule(
            TAKEN_BACK_EARLY,
            Severity.WARNING,
            TAKEN_BACK_EARLY_STATEMENT,
            find_returned_early,
        ),
        SubjectRule(
            "SX-CAP-05",
            Severity.WARNING,
            "certified on another power basis than agreed",
            find_on_another_basis,
        ),
        SubjectRule(
            "SX-INV-01",
            Severity.CRITICAL,
            "funded beyond commitment and entitlement",
            find_overfunded,
        ),
        SubjectRule(
            "SX-INV-02", Severity.CRITICAL, "funded under no binding agreement", find_unbound
        ),
        SubjectRule("SX-INV-03", Severity.WARNING, "funded without a call", find_uncalled),
        SubjectRule(
            "SX-INV-04",
            Severity.WARNING,
            "funded not issued, or issued not funded, for long",
            find_uneven,
        ),
    ),
    days=Funding.days,
)
