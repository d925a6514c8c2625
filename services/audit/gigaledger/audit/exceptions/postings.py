"""The postings of a book as rules that flag look at them: in order, and which of them stand."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gigaledger.common.quantities import date_from_message, instant_from_message, money_from_message
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.control_facts_pb2 import ExceptionPolicy
from gigaledger.v1.equity_facts_pb2 import ContributionForm
from gigaledger.v1.events_pb2 import Event, RecordedEvent

HYPOTHETICAL = frozenset({"PLAN", "ASSUMPTION"})
TERMS = ("letter_of_intent_signed", "definitive_agreement_executed", "agreement_amended")
SCHEDULES = ("deployment_schedule_baselined", "deployment_schedule_revised")
_PAID = frozenset(
    {
        *("capital_contribution_funded", "supplier_payment_settled", "prepayment_made"),
        *("lease_payment_settled", "backstop_purchase_settled"),
    }
)
CASH = _PAID | {"spv_equity_contributed", "distribution_paid", "debt_drawn"}
"""Facts of cash that moves, and does not go back."""
_DATED = _PAID | {"purchase_order_placed"}
CONFIRMATION = "external_confirmation_received"
MEMBERSHIPS = ("party_registered", "group_membership_changed")


@dataclass(frozen=True, slots=True)
class Posting:
    """A recorded fact.

    Attributes:
        position: place in the book.
        day: effective date.
        recorded: when it was recorded, in UTC.
        status: FACT, REPORTED, PLAN or ASSUMPTION.
        kind: the name of the fact.
        event: the event.
    """

    position: int
    day: dt.date
    recorded: dt.datetime
    status: str
    kind: str
    event: Event

    @property
    def fact(self) -> Any:
        """The message of the fact."""
        return getattr(self.event, self.kind)

    def has(self, field: str) -> bool:
        """Tell whether facts of this kind have a field."""
        return field in self.fact.DESCRIPTOR.fields_by_name


def posting_of(leaf: bytes) -> Posting:
    """Return the posting in the bytes of a recorded event."""
    recorded = RecordedEvent.FromString(leaf)
    event = recorded.event
    return Posting(
        recorded.position,
        date_from_message(event.effective_date),
        instant_from_message(recorded.recorded_time),
        AssertionStatus.Name(event.assertion_status).removeprefix("ASSERTION_STATUS_"),
        event.WhichOneof("fact") or "",
        event,
    )


class Thresholds:
    """The thresholds of rules: those of the latest policy that is known.

    Attributes:
        number: of the policy.
        approval: in minor units, by currency.
        stated: thresholds of rules.
    """

    def __init__(self) -> None:
        """Start with those that hold until a policy is adopted (docs/exceptions.md)."""
        self.number = 1
        self.approval: dict[str, int] = {}
        self.stated = ExceptionPolicy(
            unissued_days=30,
            hardware_tolerance_ppm=50_000,
            late_recording_days=30,
            reversal_after_period_days=10,
        )

    def adopt(self, policy: Any) -> None:
        """Take the policy that follows: thresholds whole, or those in force where it has none."""
        self.number = policy.policy
        self.approval = _by_currency(policy.approval_thresholds)
        if policy.HasField("exceptions"):
            self.stated = policy.exceptions

    def of(self, name: str) -> int | None:
        """Return a threshold; None where the policy does not state it."""
        return int(getattr(self.stated, name)) if self.stated.HasField(name) else None  # type: ignore[arg-type]

    @property
    def round_amounts(self) -> dict[str, int]:
        """Amounts of which a multiple is round, by currency."""
        return _by_currency(self.stated.round_amounts)


def _by_currency(amounts: Any) -> dict[str, int]:
    return {m.currency: m.amount_minor for m in map(money_from_message, amounts)}


def in_cash(fact: Any) -> bool:
    """Tell whether a contribution is of cash, and says how much."""
    in_kind = fact.form == ContributionForm.CONTRIBUTION_FORM_NON_CASH
    return bool(fact.HasField("amount")) and not in_kind


def cash_edges(posting: Posting) -> Iterator[tuple[str, str]]:
    """Yield who pays whom."""
    fact: Any = posting.fact
    match posting.kind:
        case "capital_contribution_funded" if not in_cash(fact):
            return
        case kind if kind in _PAID:
            yield fact.payer, fact.payee
        case "spv_equity_contributed":
            yield fact.payer, fact.vehicle
        case "distribution_paid":
            yield fact.vehicle, fact.payee
        case "debt_drawn":
            yield fact.lender, fact.borrower


class Standing:
    """The postings that stand, by what rules look up.

    Attributes:
        postings: by position.
        paid: by payer's and payee's group, the positions of what was paid, ascending.
    """

    def __init__(self) -> None:
        self.postings: dict[int, Posting] = {}
        self.paid: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._told: dict[tuple[str, Any], list[Posting]] = defaultdict(list)

    def add(self, posting: Posting) -> None:
        """Add the next posting."""
        self.postings[posting.position] = posting
        for key in _keys(posting):
            self._told[key].append(posting)
        for edge in self._edges(posting):
            self.paid[edge].append(posting.position)

    def remove(self, position: int) -> Posting | None:
        """Take a posting out that was recorded in error; return it, where it stands."""
        posting = self.postings.pop(position, None)
        for key in _keys(posting) if posting else ():
            self._told[key] = [one for one in self._told[key] if one is not posting]
        for edge in self._edges(posting) if posting else ():
            self.paid[edge].remove(position)
        return posting

    def _edges(self, posting: Posting) -> Iterator[tuple[str, str]]:
        for payer, payee in cash_edges(posting):
            yield self.group(payer, posting), self.group(payee, posting)

    def told(self, what: str, key: Any, known: int) -> Iterator[Posting]:
        """Yield what tells something by a position, the latest first."""
        for posting in reversed(self._told.get((what, key), ())):
            if posting.position <= known:
                yield posting

    def latest(self, what: str, key: Any, known: int) -> Posting | None:
        """Return what tells something last by a position."""
        return next(self.told(what, key, known), None)

    def is_confirmed(self, posting: Posting) -> bool:
        """Tell whether a counterparty confirmed a posting after it was recorded."""
        confirmations = self._told.get(("confirmation", posting.position), ())
        return any(one.position > posting.position for one in confirmations)

    def around(self, kinds: Iterable[str], day: dt.date, days: int) -> Iterator[Posting]:
        """Yield what is at most so many days before or after a day."""
        for away in range(-days, days + 1):
            for kind in kinds:
                yield from self._told.get(("day", (kind, day + dt.timedelta(days=away))), ())

    def order(self, posting: Posting) -> Posting | None:
        """Return the order that a posting names, as it was known then."""
        return self.latest("order", posting.fact.purchase_order, posting.position)

    def group(self, party: str, posting: Posting) -> str:
        """Return the group of a party on the day of a posting, by what was known then.

        The party itself where it has none; before its first membership, the first one.
        """
        known = sorted(
            self.told("member", party, posting.position), key=lambda one: (one.day, one.position)
        )
        by_then = [one for one in known if one.day <= posting.day] or known[:1]
        return (by_then[-1].fact.group if by_then else "") or party


def _keys(posting: Posting) -> Iterator[tuple[str, Any]]:
    """Yield what a posting tells of what."""
    if posting.kind in _DATED:
        yield "day", (posting.kind, posting.day)
    elif posting.kind == CONFIRMATION and posting.fact.agreed:
        for position in posting.fact.positions:
            yield "confirmation", position
    yield from _names(posting)


def _names(posting: Posting) -> Iterator[tuple[str, Any]]:
    fact, kind = posting.fact, posting.kind
    if kind == "purchase_order_placed":
        yield "order", fact.purchase_order
    elif kind == "supplier_payment_settled" and not fact.purchase_order:
        yield "payment", (fact.payer, fact.payee, fact.payment)
    elif kind in TERMS:
        yield "terms", fact.agreement
        if kind == "definitive_agreement_executed":
            yield "executed", fact.agreement
    elif kind in SCHEDULES:
        yield "schedule", fact.agreement
    elif kind == "capacity_milestone_claimed":
        yield "claim", fact.agreement
    elif kind == "capacity_milestone_planned" and fact.HasField("planned_date"):
        yield "planned", (fact.agreement, fact.milestone)
    elif kind == "capacity_milestone_certified":
        yield "certificate", (fact.agreement, fact.certifier, fact.certificate)
    elif kind == "rack_sku_rated":
        yield "rating", fact.sku
    elif kind in MEMBERSHIPS:
        yield "member", fact.party
