"""Hardware of agreements: racks received against certified capacity (SX-CAP-03), by day. Pure.

An agreement has many receipts, and the rule looks at their sum. So the capacity of racks is kept
for each day on which something takes effect, and a posting adds to its own day and all later ones.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from gigaledger.exceptions.capacity_rules import (
    is_mismatched,
    mismatch_text,
    sku_received,
    units_received,
)
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.register import ExceptionRecord, exception_id
from gigaledger.projections.exceptions.bitemporal import FindingHistory, Records
from gigaledger.projections.exceptions.documents import HARDWARE, REVERSAL

GOODS = frozenset({"goods_received", "goods_returned"})
CERTIFICATE = "capacity_milestone_certified"
CERTIFICATES = frozenset({CERTIFICATE, "capacity_certification_reversed", "capacity_retired"})
RATING = "rack_sku_rated"
TOLERANCE = "hardware_tolerance_ppm"
"""The threshold of the rule."""


class CapacityDelta(NamedTuple):
    """The effect of a posting on an agreement from a day on.

    Attributes:
        agreement: the agreement.
        day: the first day.
        power_basis: number of the basis; 0 for racks without a rating.
        carried_kw: capacity of the racks, in kilowatts.
        receipts: number of receipts and returns; negative if they were recorded in error.
    """

    agreement: str
    day: dt.date
    power_basis: int
    carried_kw: Fraction
    receipts: int


class Ratings:
    """Ratings of racks."""

    def __init__(self) -> None:
        """Start without ratings."""
        self._postings: dict[str, list[Posting]] = defaultdict(list)

    def add(self, posting: Posting) -> None:
        """Add a rating, recorded after all before."""
        self._postings[posting.fact.sku].append(posting)

    def drop(self, position: int) -> None:
        """Remove a rating that was recorded in error."""
        for sku, held in self._postings.items():
            self._postings[sku] = [rating for rating in held if rating.position != position]

    def of(self, sku: str) -> Sequence[Posting]:
        """Return the ratings of a SKU in recorded order."""
        return self._postings[sku]


def deltas_of(
    posting: Posting, placed: Sequence[Posting], ratings: Ratings
) -> Iterator[CapacityDelta]:
    """Yield the effects of a receipt or a return on agreements.

    As of a day, its order and rating are the last ones recorded before it that take effect by that
    day.

    Args:
        posting: the receipt or the return.
        placed: the postings that placed its order; several if earlier ones were recorded in error.
        ratings: the ratings of racks.
    """
    comparison = [
        posting,
        *placed,
        *(r for p in placed for r in ratings.of(sku_received(posting, p))),
    ]
    before: CapacityDelta | None = None
    for day in sorted({max(one.effective_date, posting.effective_date) for one in comparison}):
        delta = _delta_as_of(day, posting, placed, ratings)
        if before is not None and (
            delta is None or delta[2:] != before[2:] or delta[0] != before[0]
        ):
            yield before._replace(day=day, carried_kw=-before.carried_kw, receipts=-1)
            before = None
        if before is None and delta is not None:
            yield delta
            before = delta


def _delta_as_of(
    day: dt.date, posting: Posting, placed: Sequence[Posting], ratings: Ratings
) -> CapacityDelta | None:
    order = _latest(placed, posting.position, day)
    if order is None or not order.fact.agreement:
        return None
    rating = _latest(ratings.of(sku_received(posting, order)), posting.position, day)
    if rating is None:
        return CapacityDelta(order.fact.agreement, day, 0, Fraction(0), 1)
    fact = rating.fact
    rated_kw = Fraction(fact.rated_power_kw_numerator, fact.rated_power_kw_denominator)
    carried_kw = units_received(posting) * rated_kw
    return CapacityDelta(order.fact.agreement, day, fact.power_basis, carried_kw, 1)


def _latest(postings: Iterable[Posting], position: int, day: dt.date) -> Posting | None:
    found = [p for p in postings if p.position <= position and p.effective_date <= day]
    return found[-1] if found else None


def reversed_deltas(deltas: Iterable[CapacityDelta]) -> list[CapacityDelta]:
    """Return the deltas that undo others."""
    return [
        delta._replace(carried_kw=-delta.carried_kw, receipts=-delta.receipts) for delta in deltas
    ]


class _Comparison(NamedTuple):
    """The figures of the last comparison."""

    certified_kw: int
    carried_kw: Fraction
    certificate: int


@dataclass(slots=True)
class _AsOf:
    """An agreement as of a day."""

    carried_kw: dict[int, Fraction] = field(default_factory=dict)
    receipts: dict[int, int] = field(default_factory=dict)
    certified_kw: dict[int, int] = field(default_factory=dict)
    certificate: int = 0
    records: Records = frozenset()
    open: dict[int, tuple[ExceptionRecord, _Comparison]] = field(default_factory=dict)

    def copy(self) -> _AsOf:
        """Return a copy that can diverge."""
        return _AsOf(
            dict(self.carried_kw),
            dict(self.receipts),
            dict(self.certified_kw),
            self.certificate,
            self.records,
            dict(self.open),
        )

    def add(self, delta: CapacityDelta) -> None:
        """Add racks."""
        basis = delta.power_basis
        self.carried_kw[basis] = self.carried_kw.get(basis, Fraction(0)) + delta.carried_kw
        self.receipts[basis] = self.receipts.get(basis, 0) + delta.receipts

    def certify(self, power_basis: int, power_kw: int, certificate: int) -> None:
        """Add certified capacity, with the position of the latest certificate."""
        self.certified_kw[power_basis] = self.certified_kw.get(power_basis, 0) + power_kw
        self.certificate = certificate

    def found(self, limit_ppm: int | None) -> dict[int, _Comparison]:
        """Return the mismatches by basis."""
        if limit_ppm is None or self.receipts.get(0, 0):
            return {}
        return {
            basis: _Comparison(certified_kw, self.carried_kw[basis], self.certificate)
            for basis, certified_kw in self.certified_kw.items()
            if self.receipts.get(basis, 0)
            and is_mismatched(certified_kw, self.carried_kw[basis], limit_ppm)
        }

    def restore(self, subject: str, records: Records, limit_ppm: int | None) -> None:
        """Resume from stored findings."""
        self.records = records
        standing = {record.id: record for record in records if record.cleared_date is None}
        for basis, comparison in self.found(limit_ppm).items():
            for record in standing.values():
                if record.id == exception_id(HARDWARE, record.arose_position, subject, str(basis)):
                    self.open[basis] = record, comparison

    def compare(self, subject: str, limit_ppm: int | None, cause: Posting) -> bool:
        """Compare mismatches with open findings; return whether any finding changed."""
        before = self.records
        found = self.found(limit_ppm)
        for basis in [basis for basis in self.open if basis not in found]:
            record, comparison = self.open.pop(basis)
            cleared = record._replace(
                description=mismatch_text(comparison.certified_kw, comparison.carried_kw),
                cleared_date=cause.effective_date,
                cleared_position=cause.position,
                cleared_time=cause.recorded_time,
            )
            self.records = self.records - {record} | {cleared}
        for basis, comparison in found.items():
            held = self.open.get(basis)
            record = held[0] if held else _raised(subject, basis, cause)
            positions = tuple(sorted({comparison.certificate, record.arose_position}))
            again = record._replace(positions=positions)
            if again not in self.records:
                self.records = self.records - {record} | {again}
            self.open[basis] = again, comparison
        return self.records != before


def _raised(subject: str, basis: int, cause: Posting) -> ExceptionRecord:
    return ExceptionRecord(
        id=exception_id(HARDWARE, cause.position, subject, str(basis)),
        rule=HARDWARE,
        subject=subject,
        # It changes with every receipt, so the query fills it in.
        description="",
        positions=(),
        arose_date=cause.effective_date,
        arose_position=cause.position,
        arose_time=cause.recorded_time,
    )


class Hardware:
    """The hardware of an agreement as of every day on which something of it takes effect."""

    def __init__(self, policy: Policy, agreement: str, history: FindingHistory) -> None:
        """Start without receipts and certificates.

        Args:
            policy: the thresholds.
            agreement: the agreement.
            history: its findings.
        """
        self.subject = subject_of(agreement)
        self.history = history
        self._limit_ppm = policy.threshold(TOLERANCE)
        self._days: list[dt.date] = []
        self._as_of: list[_AsOf] = []
        self._certificates: list[tuple[int, dt.date]] = []

    def restore(self, deltas: Iterable[CapacityDelta], certificates: Iterable[Posting]) -> None:
        """Resume from stored deltas.

        Args:
            deltas: capacity of racks by day.
            certificates: certificates, withdrawals and retirements that are not reversed.
        """
        # Include the days of entries recorded in error, because findings that they changed begin
        # there.
        for day in self.history.days():
            self._from(day)
        for delta in deltas:
            for state in self._from(delta.day):
                state.add(delta)
        for posting in certificates:
            self._certify(posting, 1)
        for day, state in zip(self._days, self._as_of, strict=True):
            state.restore(self.subject, self.history.as_of(day), self._limit_ppm)

    def receive(self, deltas: Sequence[CapacityDelta], cause: Posting) -> None:
        """Apply the deltas of a posting."""
        for delta in deltas:
            for state in self._from(delta.day):
                state.add(delta)
        self._evaluate(min(delta.day for delta in deltas), cause)

    def certify(self, posting: Posting, cause: Posting) -> None:
        """Apply a certificate, withdrawal or retirement, or its reversal."""
        self._certify(posting, -1 if cause.kind == REVERSAL else 1)
        self._evaluate(posting.effective_date, cause)

    def _certify(self, posting: Posting, sign: int) -> None:
        basis, power_kw = posting.fact.power_basis, sign * posting.fact.power_kw
        states = self._from(posting.effective_date)
        days = self._days[-len(states) :]
        if posting.kind != CERTIFICATE:
            for state in states:
                state.certify(basis, -power_kw, state.certificate)
        elif sign > 0:
            self._certificates.append((posting.position, posting.effective_date))
            for state in states:
                state.certify(basis, power_kw, posting.position)
        else:
            self._certificates.remove((posting.position, posting.effective_date))
            for day, state in zip(days, states, strict=True):
                latest = (at for at, since in reversed(self._certificates) if since <= day)
                state.certify(basis, power_kw, next(latest, 0))

    def _from(self, day: dt.date) -> list[_AsOf]:
        """Return the states as of a day and all later days."""
        at = bisect_left(self._days, day)
        if at == len(self._days) or self._days[at] != day:
            self._days.insert(at, day)
            self._as_of.insert(at, self._as_of[at - 1].copy() if at else _AsOf())
        return self._as_of[at:]

    def _evaluate(self, day: dt.date, cause: Posting) -> None:
        at = bisect_left(self._days, day)
        changed = [
            state.compare(self.subject, self._limit_ppm, cause) for state in self._as_of[at:]
        ]
        if any(changed):
            segments = zip(self._days[at:], self._as_of[at:], strict=True)
            self.history.set_from([(d, state.records) for d, state in segments], cause.position)


class AllHardware:
    """The hardware of all agreements, posting by posting."""

    def __init__(self, policy: Policy) -> None:
        """Start without postings."""
        self.ratings = Ratings()
        self.agreements: dict[str, Hardware] = {}
        self.policy = policy

    def under(self, agreement: str) -> Hardware:
        """Return the hardware of an agreement."""
        if agreement not in self.agreements:
            self.agreements[agreement] = Hardware(self.policy, agreement, FindingHistory())
        return self.agreements[agreement]

    def receive(self, posting: Posting, placed: Sequence[Posting]) -> list[CapacityDelta]:
        """Apply a receipt or a return, and return its deltas.

        Args:
            posting: the receipt or the return.
            placed: the postings that placed its order.
        """
        return self.add(list(deltas_of(posting, placed, self.ratings)), posting)

    def take_back(
        self, posting: Posting, placed: Sequence[Posting], reversal: Posting
    ) -> list[CapacityDelta]:
        """Undo a receipt or a return, and return the deltas of that."""
        return self.add(reversed_deltas(deltas_of(posting, placed, self.ratings)), reversal)

    def add(self, deltas: Sequence[CapacityDelta], cause: Posting) -> list[CapacityDelta]:
        """Apply deltas and return them."""
        by_agreement: dict[str, list[CapacityDelta]] = defaultdict(list)
        for delta in deltas:
            by_agreement[delta.agreement].append(delta)
        for agreement, of_agreement in by_agreement.items():
            self.under(agreement).receive(of_agreement, cause)
        return list(deltas)

    def certify(self, posting: Posting, cause: Posting) -> None:
        """Apply a certificate, withdrawal or retirement, or its reversal."""
        if posting.fact.agreement:
            self.under(posting.fact.agreement).certify(posting, cause)


def subject_of(agreement: str) -> str:
    """Return the subject of exceptions about an agreement."""
    return f"agreements/{agreement}"
