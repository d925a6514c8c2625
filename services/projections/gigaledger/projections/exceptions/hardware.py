"""Racks received under an agreement against what is certified (SX-CAP-03), as of every day. Pure.

Receipts of an agreement are many, and the rule looks at their sum. So what they carry is kept for
each day on which something takes effect, and each posting adds to all days from its own on.
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
    """What a posting adds to an agreement from a day on.

    Attributes:
        agreement: the agreement.
        day: from which on it counts.
        power_basis: number of the basis; 0 for what nobody rated.
        carried_kw: what racks carry.
        receipts: number of receipts and returns; negative where they were recorded in error.
    """

    agreement: str
    day: dt.date
    power_basis: int
    carried_kw: Fraction
    receipts: int


class Ratings:
    """What racks are rated at."""

    def __init__(self) -> None:
        """Start with nothing rated."""
        self._postings: dict[str, list[Posting]] = defaultdict(list)

    def add(self, posting: Posting) -> None:
        """Take in a rating, recorded after all before."""
        self._postings[posting.fact.sku].append(posting)

    def drop(self, position: int) -> None:
        """Take out a rating that was recorded in error."""
        for sku, held in self._postings.items():
            self._postings[sku] = [rating for rating in held if rating.position != position]

    def of(self, sku: str) -> Sequence[Posting]:
        """Return the ratings of a SKU in the order in which they were recorded."""
        return self._postings[sku]


def deltas_of(
    posting: Posting, placed: Sequence[Posting], ratings: Ratings
) -> Iterator[CapacityDelta]:
    """Yield what a receipt or a return adds to agreements.

    As of a day it is of the order, and rated as it is, that was recorded last before it and takes
    effect by that day.

    Args:
        posting: the receipt or the return.
        placed: how its order was placed; several times, where it was recorded in error before.
        ratings: what racks are rated at.
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
    """Return what takes moves back."""
    return [
        delta._replace(carried_kw=-delta.carried_kw, receipts=-delta.receipts) for delta in deltas
    ]


class _Comparison(NamedTuple):
    """What was so when it was last looked at."""

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
        """Return the same, to go another way."""
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
        """Add what is certified, of which the latest certificate is at a position."""
        self.certified_kw[power_basis] = self.certified_kw.get(power_basis, 0) + power_kw
        self.certificate = certificate

    def found(self, limit_ppm: int | None) -> dict[int, _Comparison]:
        """Return what is out of line, by basis."""
        if limit_ppm is None or self.receipts.get(0, 0):
            return {}
        return {
            basis: _Comparison(certified_kw, self.carried_kw[basis], self.certificate)
            for basis, certified_kw in self.certified_kw.items()
            if self.receipts.get(basis, 0)
            and is_mismatched(certified_kw, self.carried_kw[basis], limit_ppm)
        }

    def restore(self, subject: str, records: Records, limit_ppm: int | None) -> None:
        """Go on with what was said."""
        self.records = records
        standing = {record.id: record for record in records if record.cleared_date is None}
        for basis, comparison in self.found(limit_ppm).items():
            for record in standing.values():
                if record.id == exception_id(HARDWARE, record.arose_position, subject, str(basis)):
                    self.open[basis] = record, comparison

    def judge(self, subject: str, limit_ppm: int | None, cause: Posting) -> bool:
        """Compare what is out of line with what was; tell whether that changes any verdict."""
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
        # It changes with every receipt: whoever asks is told how things stand.
        description="",
        positions=(),
        arose_date=cause.effective_date,
        arose_position=cause.position,
        arose_time=cause.recorded_time,
    )


class Hardware:
    """An agreement, as of every day on which something of it takes effect."""

    def __init__(self, policy: Policy, agreement: str, history: FindingHistory) -> None:
        """Start with nothing received or certified.

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
        """Go on from what was judged already.

        Args:
            deltas: what racks carry, by day.
            certificates: those that stand, and what took from them.
        """
        # Also the days of what was an error: verdicts that it changed still tell of them.
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
        """Take in what a posting adds."""
        for delta in deltas:
            for state in self._from(delta.day):
                state.add(delta)
        self._evaluate(min(delta.day for delta in deltas), cause)

    def certify(self, posting: Posting, cause: Posting) -> None:
        """Take in a certificate or what takes from one; or take it back, by its reversal."""
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
        """Return what is so from a day on."""
        at = bisect_left(self._days, day)
        if at == len(self._days) or self._days[at] != day:
            self._days.insert(at, day)
            self._as_of.insert(at, self._as_of[at - 1].copy() if at else _AsOf())
        return self._as_of[at:]

    def _evaluate(self, day: dt.date, cause: Posting) -> None:
        at = bisect_left(self._days, day)
        changed = [state.judge(self.subject, self._limit_ppm, cause) for state in self._as_of[at:]]
        if any(changed):
            segments = zip(self._days[at:], self._as_of[at:], strict=True)
            self.history.set_from([(d, state.records) for d, state in segments], cause.position)


class AllHardware:
    """All agreements of a book, posting by posting."""

    def __init__(self, policy: Policy) -> None:
        """Start with nothing recorded."""
        self.ratings = Ratings()
        self.agreements: dict[str, Hardware] = {}
        self.policy = policy

    def under(self, agreement: str) -> Hardware:
        """Return an agreement."""
        if agreement not in self.agreements:
            self.agreements[agreement] = Hardware(self.policy, agreement, FindingHistory())
        return self.agreements[agreement]

    def receive(self, posting: Posting, placed: Sequence[Posting]) -> list[CapacityDelta]:
        """Take in a receipt or a return, and return what it adds.

        Args:
            posting: the receipt or the return.
            placed: how its order was placed.
        """
        return self.add(list(deltas_of(posting, placed, self.ratings)), posting)

    def take_back(
        self, posting: Posting, placed: Sequence[Posting], reversal: Posting
    ) -> list[CapacityDelta]:
        """Take a receipt or a return back, and return what that adds."""
        return self.add(reversed_deltas(deltas_of(posting, placed, self.ratings)), reversal)

    def add(self, deltas: Sequence[CapacityDelta], cause: Posting) -> list[CapacityDelta]:
        """Take in what a posting adds, and return it."""
        by_agreement: dict[str, list[CapacityDelta]] = defaultdict(list)
        for delta in deltas:
            by_agreement[delta.agreement].append(delta)
        for agreement, of_agreement in by_agreement.items():
            self.under(agreement).receive(of_agreement, cause)
        return list(deltas)

    def certify(self, posting: Posting, cause: Posting) -> None:
        """Take in a certificate or what takes from one; or take it back, by its reversal."""
        if posting.fact.agreement:
            self.under(posting.fact.agreement).certify(posting, cause)


def subject_of(agreement: str) -> str:
    """Return what an exception about an agreement is about."""
    return f"agreements/{agreement}"
