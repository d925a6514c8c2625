"""Agreements over time: terms and status on a day, by the changes up to it. Pure.

Changes apply in the order of effective date and then of position. A definitive agreement that
supersedes others ends them from its effective date on, and inherits the terms that they are
measured by.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

CHIP_SUPPLY = "CHIP_SUPPLY"
"""The layer of terms that state none."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a tranche. `power_kw` and `date` are set if the type needs them."""

    type: str
    power_kw: int = 0
    date: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Tranche:
    """A step of the investment; all of its conditions must hold."""

    number: int
    amount_minor: int
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """The complete terms of an agreement. Texts are empty if nothing is stated.

    Attributes:
        commitment_minor: the investment in minor units; None if the terms state no amount.
        undisclosed: whether there is an investment whose amount is not disclosed.
        contingent_minor: the part of it that depends on events outside the tranches.
        currency: of the investment and its tranches.
    """

    investor: str = ""
    issuer: str = ""
    supplier: str = ""
    buyer: str = ""
    binding: bool = False
    commitment_minor: int | None = None
    undisclosed: bool = False
    contingent_minor: int = 0
    currency: str = ""
    power_kw: int = 0
    power_basis: str = "UNSPECIFIED"
    capacity_layer: str = CHIP_SUPPLY
    latching: bool = False
    expiry_date: dt.date | None = None
    tranches: tuple[Tranche, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an agreement.

    Attributes:
        change: LETTER_OF_INTENT, DEFINITIVE, AMENDED, NOVATED, SUPERSEDED, TERMINATED or EXPIRED.
        terms: the new terms, whole, for the first three.
        supersedes: agreements whose place a DEFINITIVE takes.
        part: for NOVATED, the part that is handed over, as an attribute of `Terms`.
        to_party: for NOVATED, who plays it from now on.
    """

    position: int
    recorded_time: dt.datetime
    effective_date: dt.date
    assertion_status: str
    agreement: str
    change: str
    terms: Terms = field(default_factory=Terms)
    supersedes: tuple[str, ...] = ()
    part: str = ""
    to_party: str = ""


@dataclass(frozen=True, slots=True)
class AgreementStatus:
    """How an agreement stands on a day.

    Attributes:
        terms: its latest terms.
        definitive: whether it is more than a letter of intent.
        in_force: whether it is neither ended nor superseded nor past its last day.
    """

    terms: Terms
    definitive: bool
    in_force: bool

    @property
    def binds(self) -> bool:
        """Whether the parties are bound. A letter of intent never binds, whatever it says."""
        return self.in_force and self.definitive and self.terms.binding


class History:
    """The changes of one agreement.

    Args:
        changes: its own changes, at least one.
        superseded_by: the change by which another agreement superseded it; None if none did.
    """

    def __init__(self, changes: Iterable[Change], superseded_by: Change | None = None) -> None:
        self.changes = sorted(changes, key=lambda change: (change.effective_date, change.position))
        self._superseded_by = superseded_by
        self._superseded_on = superseded_by.effective_date if superseded_by else None

    @property
    def superseded_on(self) -> dt.date | None:
        """The day from which on another agreement supersedes it; None if none does."""
        return self._superseded_on

    def change_on(self, day: dt.date) -> Change:
        """Return the change in force on a day; the first change on days before it.

        If only time has passed since, it is the last change before that day.
        """
        changes = [change for change in self.changes if change.effective_date <= day]
        last = changes[-1] if changes else self.changes[0]
        by = self._superseded_by
        return by if by and last.effective_date <= by.effective_date <= day else last

    def on(
        self, as_of_end: dt.date, evaluation_date: dt.date | None = None
    ) -> AgreementStatus | None:
        """Return terms and status by the changes up to a day; None before the first terms.

        Args:
            as_of_end: the last effective date that counts.
            evaluation_date: the day with which the expiry date is compared; `as_of_end` if None.
        """
        terms: Terms | None = None
        definitive = ended = False
        for change in self.changes:
            if change.effective_date > as_of_end:
                break
            if change.change in ("LETTER_OF_INTENT", "DEFINITIVE"):
                terms, ended = change.terms, False
                definitive = change.change == "DEFINITIVE"
            elif change.change == "AMENDED":
                terms = change.terms
            elif change.change == "NOVATED":
                terms = replace(terms or Terms(), **{change.part: change.to_party})  # type: ignore[arg-type]
            else:
                ended = True
        if terms is None:
            return None
        superseded = self._superseded_on is not None and self._superseded_on <= as_of_end
        expired = terms.expiry_date is not None and terms.expiry_date < (
            evaluation_date or as_of_end
        )
        return AgreementStatus(terms, definitive, in_force=not (ended or superseded or expired))

    def terms_on(self, day: dt.date) -> Terms:
        """Return the terms on a day, or the first ones for a day before them."""
        status = self.on(max(day, self.changes[0].effective_date)) if self.changes else None
        return status.terms if status else Terms()

    def supersedes(self, as_of_end: dt.date) -> set[str]:
        """Return the agreements whose place this one has taken."""
        return {
            name
            for change in self.changes
            if change.effective_date <= as_of_end
            for name in change.supersedes
        }

    def days(self) -> set[dt.date]:
        """Return the days on which the standing may change."""
        days = {change.effective_date for change in self.changes}
        last_days = {change.terms.expiry_date for change in self.changes} - {None, dt.date.max}
        days |= {day + dt.timedelta(days=1) for day in last_days if day}
        return days | ({self._superseded_on} if self._superseded_on else set())


def histories(changes: Iterable[Change]) -> dict[str, History]:
    """Return the history of each agreement, in order of name."""
    own: dict[str, list[Change]] = defaultdict(list)
    superseded: dict[str, Change] = {}
    for change in changes:
        own[change.agreement].append(change)
        for name in set(change.supersedes) - {change.agreement}:
            earlier = superseded.setdefault(name, change)
            if change.effective_date < earlier.effective_date:
                superseded[name] = change
    return {name: History(own[name], superseded.get(name)) for name in sorted(own)}


def covered(by_agreement: Mapping[str, History], agreement: str) -> frozenset[str]:
    """Return an agreement and those that it supersedes, directly or not, on whatever day."""
    return predecessors(by_agreement, agreement, dt.date.max) | {agreement}


def predecessors(
    by_agreement: Mapping[str, History], agreement: str, as_of_end: dt.date
) -> frozenset[str]:
    """Return the agreements whose place an agreement has taken by a day, directly or not."""
    found: set[str] = set()
    waiting = {agreement}
    while waiting:
        history = by_agreement.get(waiting.pop())
        following = history.supersedes(as_of_end) - found if history else set()
        found |= following
        waiting |= following
    return frozenset(found - {agreement})
