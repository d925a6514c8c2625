"""Agreements over time: which terms hold on a day, and whether they bind.

Changes apply in the order of effective date and then of position. A definitive agreement ends those
that it supersedes from its effective date on. A letter of intent never binds.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gigaledger.audit.recompute.history import Entry, View, by_time
from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.v1.agreement_facts_pb2 import AgreementTerms
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis, Role

_TERMS = ("letter_of_intent_signed", "definitive_agreement_executed", "agreement_amended")
_ENDS = ("agreement_superseded", "agreement_terminated", "agreement_expired")
_CHANGES = (*_TERMS, "agreement_novated", *_ENDS)
_PARTS = (Role.ROLE_INVESTOR, Role.ROLE_ISSUER, Role.ROLE_SUPPLIER, Role.ROLE_BUYER)


def layer_of(number: int) -> str:
    """Return the name of a layer of the supply chain; chip supply if none is stated."""
    stated = number or CapacityLayer.CAPACITY_LAYER_CHIP_SUPPLY
    return CapacityLayer.Name(stated).removeprefix("CAPACITY_LAYER_")  # type: ignore[arg-type]


def basis_of(number: int) -> str:
    """Return the name of a power basis."""
    return PowerBasis.Name(number).removeprefix("POWER_BASIS_")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Terms:
    """Terms of an agreement on a day.

    Attributes:
        stated: the terms of the latest document.
        position: position of that document; 0 if there is none.
        parties: the parties by role, after novations.
    """

    stated: AgreementTerms = field(default_factory=AgreementTerms)
    position: int = 0
    parties: Mapping[int, str] = field(default_factory=dict)

    @property
    def investor(self) -> str:
        """The investor; empty if none is named."""
        return self.parties.get(Role.ROLE_INVESTOR, "")

    @property
    def issuer(self) -> str:
        """The issuer; empty if none is named."""
        return self.parties.get(Role.ROLE_ISSUER, "")

    @property
    def currency(self) -> str:
        """The currency of the investment and its tranches; empty if none is stated."""
        stated = self.stated
        currencies = [
            getattr(stated, name).currency_code
            for name in ("investment_commitment", "contingent_commitment")
            if stated.HasField(name)
        ]
        return next(
            iter([*currencies, *(step.amount.currency_code for step in stated.tranches)]), ""
        )

    @property
    def commitment_minor(self) -> int:
        """The investment in minor units; 0 if no amount is stated."""
        return self._minor("investment_commitment")

    @property
    def contingent_minor(self) -> int:
        """The part of it that depends on events outside the tranches, in minor units."""
        return self._minor("contingent_commitment")

    def _minor(self, name: str) -> int:
        if not self.stated.HasField(name):  # type: ignore[arg-type]
            return 0
        return money_from_message(getattr(self.stated, name)).amount_minor

    def expired(self, evaluation_date: dt.date) -> bool:
        """Return whether the last day has passed."""
        last = self.stated
        return (
            last.HasField("expiry_date") and date_from_message(last.expiry_date) < evaluation_date
        )

    def weights(self, tranches: Iterable[int]) -> list[int]:
        """Return the amounts of tranches in minor units; 0 for one that the terms do not have."""
        amounts = {
            step.number: money_from_message(step.amount).amount_minor
            for step in self.stated.tranches
        }
        return [amounts.get(number, 0) for number in tranches]


@dataclass(frozen=True)
class AgreementStatus:
    """The status of an agreement on a day.

    Attributes:
        terms: its terms.
        definitive: whether it is more than a letter of intent.
        in_force: whether it has not ended, been superseded, or passed its last day.
        position: position of the event that gave it this status.
        day: effective date of that event.
    """

    terms: Terms
    definitive: bool
    in_force: bool
    position: int
    day: dt.date

    @property
    def binds(self) -> bool:
        """Whether the parties are bound."""
        return self.in_force and self.definitive and self.terms.stated.binding


class Agreement:
    """The changes of one agreement."""

    def __init__(self, changes: Iterable[Entry], successors: Iterable[Entry]) -> None:
        """Keep the changes.

        Args:
            changes: its own.
            successors: definitive agreements that supersede it.
        """
        self._changes = [(entry, entry.fact) for entry in sorted(changes, key=by_time)]
        self._successor = min(successors, key=by_time, default=None)

    def on(self, as_of_end: dt.date, evaluation_date: dt.date) -> AgreementStatus | None:
        """Return the status of the agreement; None before its first terms.

        Args:
            as_of_end: the last effective date that counts.
            evaluation_date: the day with which its last day is compared.
        """
        terms: Terms | None = None
        definitive = ended = False
        last: Entry | None = None
        for entry, fact in self._changes:
            if entry.day > as_of_end:
                break
            last = entry
            if entry.kind in _ENDS:
                ended = True
            elif entry.kind == "agreement_novated":
                terms = terms or Terms()
                parties = {**terms.parties, fact.role: fact.to_party}
                terms = Terms(terms.stated, entry.position, parties)
            else:
                parties = {party.role: party.party for party in fact.terms.parties}
                terms = Terms(fact.terms, entry.position, parties)
                if entry.kind != "agreement_amended":
                    ended = False
                    definitive = entry.kind == "definitive_agreement_executed"
        if terms is None or last is None:
            return None
        successor = self._successor
        if successor is not None and successor.day <= as_of_end:
            ended, last = True, max(last, successor, key=by_time)
        in_force = not ended and not terms.expired(evaluation_date)
        return AgreementStatus(terms, definitive, in_force, last.position, last.day)

    def terms_on(self, day: dt.date) -> Terms:
        """Return the terms on a day, or the first ones for a day before them."""
        day = max(day, self._changes[0][0].day)
        status = self.on(day, day)
        return status.terms if status else Terms()

    def days(self) -> set[dt.date]:
        """Return the days on which the status may change."""
        days = {entry.day for entry, _ in self._changes}
        for entry, fact in self._changes:
            if entry.kind in _TERMS and fact.terms.HasField("expiry_date"):
                last_day = date_from_message(fact.terms.expiry_date)
                if last_day < dt.date.max:
                    days.add(last_day + dt.timedelta(days=1))
        return days | ({self._successor.day} if self._successor else set())

    def supersedes(self, as_of_end: dt.date) -> set[str]:
        """Return the agreements whose place it has taken."""
        return {
            name
            for entry, fact in self._changes
            if entry.kind == "definitive_agreement_executed" and entry.day <= as_of_end
            for name in fact.supersedes
        }


class Agreements:
    """The agreements of a view, by the changes that count or by all that are known."""

    def __init__(self, view: View, *, counted: bool) -> None:
        changes: dict[str, list[Entry]] = defaultdict(list)
        successors: dict[str, list[Entry]] = defaultdict(list)
        for entry in view.counted(*_CHANGES) if counted else view.known(*_CHANGES):
            fact = entry.fact
            if entry.kind == "agreement_novated" and fact.role not in _PARTS:
                continue
            changes[fact.agreement].append(entry)
            if entry.kind == "definitive_agreement_executed":
                for name in set(fact.supersedes) - {fact.agreement}:
                    successors[name].append(entry)
        self.by_name = {
            name: Agreement(changes[name], successors[name]) for name in sorted(changes)
        }

    def predecessors(self, name: str, as_of_end: dt.date) -> set[str]:
        """Return the agreements whose place an agreement has taken by a day, directly or not."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            agreement = self.by_name.get(waiting.pop())
            new = agreement.supersedes(as_of_end) - found if agreement else set()
            found |= new
            waiting += sorted(new)
        return found - {name}
