"""The formulas of the round trip (domain rules, section 2.3). Pure.

Purchases and investment are series of daily additions. A basis compares one series of a pair with
another.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from gigaledger.common.quantities import date_to_message
from gigaledger.projections.shared.agreements import History
from gigaledger.projections.shared.amounts import Amount, money, ratio, ten_places
from gigaledger.projections.trade.matching import Matching, Moved, match, peak_excess_minor
from gigaledger.v1.projections_pb2 import (
    RoundTripBalance,
    RoundTripBasis,
    RoundTripLot,
    RoundTripMatching,
    RoundTripPair,
)


class Measure(Enum):
    """A measure of a pair."""

    ORDERED = auto()
    RECEIVED = auto()
    INVOICED = auto()
    RECOVERABLE_TAX = auto()
    PAID = auto()
    COMMITTED = auto()
    CALLED = auto()
    FUNDED_CASH = auto()
    FUNDED_NON_CASH = auto()
    RECEIVED_NOT_INVOICED = auto()
    OPEN_PAYABLE = auto()
    REFUND_DUE = auto()
    UNAPPLIED = auto()


BASES = {
    RoundTripBasis.ROUND_TRIP_BASIS_COMMITMENT: (Measure.ORDERED, Measure.COMMITTED),
    RoundTripBasis.ROUND_TRIP_BASIS_ACCRUAL: (Measure.INVOICED, Measure.CALLED),
    RoundTripBasis.ROUND_TRIP_BASIS_CASH: (Measure.PAID, Measure.FUNDED_CASH),
    RoundTripBasis.ROUND_TRIP_BASIS_ORDERED_AGAINST_FUNDED: (Measure.ORDERED, Measure.FUNDED_CASH),
    RoundTripBasis.ROUND_TRIP_BASIS_INVOICED_AGAINST_FUNDED: (
        Measure.INVOICED,
        Measure.FUNDED_CASH,
    ),
}
"""Purchases and investment of each basis."""


@dataclass(frozen=True, slots=True)
class Source:
    """The event behind a movement.

    Attributes:
        position: of the event.
        recorded_time: when it was recorded.
        document: number of the document; empty if it has none.
    """

    position: int
    recorded_time: dt.datetime
    document: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """An amount between a customer (investee) and a supplier (investor).

    Attributes:
        day: the day on which it counts.
        statuses: statuses of the facts behind it.
        source: the event behind it; None if there are several.
    """

    measure: Measure
    supplier: str
    customer: str
    currency: str
    day: dt.date
    amount: Amount
    statuses: frozenset[str]
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Daily additions to a measure between a customer and a supplier.

    Attributes:
        days: minor units of the currency by day, numbered as by `toordinal`; negative if more was
            taken back.
        undisclosed: number of undisclosed amounts.
        statuses: statuses of the facts behind it.
    """

    measure: Measure
    supplier: str
    customer: str
    currency: str
    days: Mapping[int, int]
    undisclosed: int
    statuses: frozenset[str]


@dataclass(slots=True)
class Pair:
    """All series between two parties or groups in one currency, summed up by measure."""

    supplier: str
    customer: str
    currency: str
    _moved: dict[Measure, Moved] = field(default_factory=dict)
    _undisclosed: Counter[Measure] = field(default_factory=Counter)

    def add(self, series: Series) -> None:
        """Add a series between the two."""
        moved = Moved(series.days)
        before = self._moved.get(series.measure)
        self._moved[series.measure] = before + moved if before else moved
        self._undisclosed[series.measure] += series.undisclosed

    def __contains__(self, measure: Measure) -> bool:
        """Return whether anything was added to a measure."""
        return measure in self._moved

    def moved(self, measure: Measure) -> Moved:
        """Return the additions to a measure."""
        return self._moved.get(measure) or _NOTHING

    def total(self, measure: Measure) -> Amount:
        """Return the sum of a measure."""
        return Amount(self.moved(measure).minor, self._undisclosed[measure])

    def peak_exposure_minor(self, purchases: Measure, investment: Measure) -> int:
        """Return the highest excess of investment over purchases at the end of any day."""
        return peak_excess_minor(self.moved(investment).standing, self.moved(purchases).standing)

    def message(self, *, include_lots: bool = False) -> RoundTripPair:
        """Return the pair of the contract, with the lots of its matchings or without."""

        def figure(measure: Measure) -> Amount:
            return self.total(measure)

        currency = self.currency
        return RoundTripPair(
            supplier_investor=self.supplier,
            customer_investee=self.customer,
            currency_code=currency,
            balances=[self._balance(basis, include_lots=include_lots) for basis in BASES],
            ordered=figure(Measure.ORDERED).figure(currency),
            received=figure(Measure.RECEIVED).figure(currency),
            invoiced=figure(Measure.INVOICED).figure(currency),
            paid=figure(Measure.PAID).figure(currency),
            received_not_invoiced=figure(Measure.RECEIVED_NOT_INVOICED).figure(currency),
            open_payable=figure(Measure.OPEN_PAYABLE).figure(currency),
            refund_due=figure(Measure.REFUND_DUE).figure(currency),
            unapplied_payments=figure(Measure.UNAPPLIED).figure(currency),
            invested_non_cash=figure(Measure.FUNDED_NON_CASH).figure(currency),
            recoverable_tax=figure(Measure.RECOVERABLE_TAX).figure(currency),
        )

    def _balance(self, basis: RoundTripBasis.ValueType, *, include_lots: bool) -> RoundTripBalance:
        bought, invested = BASES[basis]
        purchases, investment = self.total(bought), self.total(invested)
        ins, outs = self.moved(invested).left, self.moved(bought).left
        then_bought, then_invested = match(ins, outs), match(outs, ins)
        recycled_minor = max(0, min(purchases.minor, investment.minor))
        return RoundTripBalance(
            basis=basis,
            purchases=purchases.figure(self.currency),
            investment=investment.figure(self.currency),
            net_balance=money(purchases.minor - investment.minor, self.currency),
            recycled=money(recycled_minor, self.currency),
            ratio_investment=ratio(recycled_minor, investment.minor, self.currency),
            ratio_purchases=ratio(recycled_minor, purchases.minor, self.currency),
            peak_exposure=money(self.peak_exposure_minor(bought, invested), self.currency),
            invest_then_buy=self._matching(
                then_bought,
                then_bought.unmatched_first_minor,
                then_bought.unmatched_second_minor,
                include_lots=include_lots,
            ),
            buy_then_invest=self._matching(
                then_invested,
                then_invested.unmatched_second_minor,
                then_invested.unmatched_first_minor,
                include_lots=include_lots,
            ),
        )

    def _matching(
        self, found: Matching, investment_minor: int, purchases_minor: int, *, include_lots: bool
    ) -> RoundTripMatching:
        lag = found.lag_days
        return RoundTripMatching(
            matched=money(found.matched_minor, self.currency),
            unmatched_investment=money(investment_minor, self.currency),
            unmatched_purchases=money(purchases_minor, self.currency),
            weighted_lag_days="" if lag is None else ten_places(lag),
            longest_lag_days=found.longest_lag_days,
            lots=[
                RoundTripLot(
                    first_date=date_to_message(dt.date.fromordinal(lot.first_day)),
                    second_date=date_to_message(dt.date.fromordinal(lot.second_day)),
                    amount=money(lot.amount_minor, self.currency),
                    lag_days=lot.lag_days,
                )
                for lot in found.lots
            ]
            if include_lots
            else [],
        )


_NOTHING = Moved({})


def pairs_of(series: Iterable[Series]) -> list[Pair]:
    """Return the pairs between which something moved, in order of supplier, customer, currency."""
    pairs: dict[tuple[str, str, str], Pair] = {}
    for one in series:
        key = (one.supplier, one.customer, one.currency)
        pairs.setdefault(key, Pair(*key)).add(one)
    return [pairs[key] for key in sorted(pairs)]


def series_of(movements: Iterable[Movement]) -> list[Series]:
    """Return movements as series."""
    found: dict[tuple[Measure, str, str, str], list[Movement]] = defaultdict(list)
    for movement in movements:
        key = (movement.measure, movement.supplier, movement.customer, movement.currency)
        found[key].append(movement)
    return [_one_series(key, of_key) for key, of_key in found.items()]


def _one_series(key: tuple[Measure, str, str, str], movements: Sequence[Movement]) -> Series:
    days: Counter[int] = Counter()
    for movement in movements:
        days[movement.day.toordinal()] += movement.amount.minor
    return Series(
        *key,
        days=days,
        undisclosed=sum(movement.amount.undisclosed for movement in movements),
        statuses=frozenset().union(*(movement.statuses for movement in movements)),
    )


def commitments(
    history: History, statuses: frozenset[str], as_of_end: dt.date, evaluation_date: dt.date
) -> Iterator[Movement]:
    """Yield how the binding commitment of an agreement changed, day by day.

    Args:
        history: of the agreement.
        statuses: statuses of the facts that it rests on.
        as_of_end: the last effective date that counts.
        evaluation_date: the day to which its last day is compared.
    """

    def movement(terms_day: dt.date, amount: Amount, whose: tuple[str, str, str]) -> Movement:
        change = history.change_on(terms_day)
        source = Source(change.position, change.recorded_time, change.agreement)
        return Movement(Measure.COMMITTED, *whose, terms_day, amount, statuses, source)

    before, whose_before = Amount(), ("", "", "")
    for day in sorted(day for day in history.days() if day <= as_of_end):
        standing = history.on(day, min(day, evaluation_date))
        if standing is None:
            continue
        terms = standing.terms
        after = Amount(terms.commitment_minor or 0, int(terms.undisclosed))
        after = after if standing.binds else Amount()
        whose = (terms.investor, terms.issuer, terms.currency)
        if (after, whose) != (before, whose_before):
            if before != Amount():
                # An undisclosed commitment that ends is no longer missing.
                yield movement(day, Amount(-before.minor, -before.undisclosed), whose_before)
            if after != Amount():
                yield movement(day, after, whose)
            before, whose_before = after, whose
