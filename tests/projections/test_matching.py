"""FIFO matching: the worked days of the example, and what holds of any series."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate

import pytest
from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.projections.trade.matching import Line, Lot, Moved, match, peak_excess_minor
from gigaledger.v1.events_pb2 import RecordedEvent
from hypothesis import given
from hypothesis import strategies as st

from tests.projections.log import example


def _left(events: list[RecordedEvent], name: str, until: dt.date) -> Line:
    days: Counter[int] = Counter()
    for event in (recorded.event for recorded in events):
        day = date_from_message(event.effective_date)
        if event.WhichOneof("fact") == name and day <= until:
            amount = money_from_message(getattr(event, name).amount)
            days[day.toordinal()] += amount.amount_minor
    return Moved(days).left


@pytest.mark.parametrize(
    ("until", "days", "matched", "weighted", "lag"),
    [
        ("2026-12-31", "invest-then-buy", 749000000000, 7490000000000, Fraction(10)),
        ("2026-12-31", "buy-then-invest", 1000000000000, 138000000000000, Fraction(138)),
        ("2027-12-31", "buy-then-invest", 4000000000000, 866110000000000, Fraction("216.5275")),
        ("2027-12-31", "invest-then-buy", 4000000000000, 55371000000000, Fraction("13.84275")),
    ],
)
def test_the_plan_carried_out(
    until: str, days: str, matched: int, weighted: int, lag: Fraction
) -> None:
    events = example("nvidia-openai-plan")
    day = dt.date.fromisoformat(until)
    paid = _left(events, "supplier_payment_settled", day)
    funded = _left(events, "capital_contribution_funded", day)
    found = match(funded, paid) if days == "invest-then-buy" else match(paid, funded)
    assert found.matched_minor == matched
    assert found.weighted_days_minor == weighted
    assert found.lag_days == lag


_ADDED = st.dictionaries(st.integers(0, 20), st.integers(1, 10**15), max_size=12)
_ANY = st.dictionaries(st.integers(0, 20), st.integers(-(10**15), 10**15), max_size=12)
_FEW = st.dictionaries(st.integers(0, 20), st.integers(-6, 6), max_size=12)


@given(_ADDED, _ADDED)
def test_lots_and_what_is_unmatched_make_up_both_series(
    first: dict[int, int], second: dict[int, int]
) -> None:
    found = match(Moved(first).left, Moved(second).left)
    lots = list(found.lots)
    assert sum(lot.amount_minor for lot in lots) == found.matched_minor
    assert found.matched_minor + found.unmatched_first_minor == sum(first.values())
    assert found.matched_minor + found.unmatched_second_minor == sum(second.values())
    assert all(0 <= lot.lag_days <= 20 for lot in lots)
    assert all(lot.amount_minor > 0 for lot in lots)


@given(_ADDED, _ADDED)
def test_no_more_could_be_matched(first: dict[int, int], second: dict[int, int]) -> None:
    found = match(Moved(first).left, Moved(second).left)
    # Hall's condition: what stays unmatched is the worst shortage before some day.
    shortage = max(
        sum(amount for added, amount in second.items() if added < day)
        - sum(amount for added, amount in first.items() if added < day)
        for day in range(22)
    )
    assert found.unmatched_second_minor == shortage


@given(_ANY, _ANY)
def test_what_is_said_of_lots_is_what_they_say(
    first: dict[int, int], second: dict[int, int]
) -> None:
    found = match(Moved(first).left, Moved(second).left)
    lots = list(found.lots)
    weighted = sum(lot.amount_minor * lot.lag_days for lot in lots)
    assert found.weighted_days_minor == weighted
    assert found.lag_days == (Fraction(weighted, found.matched_minor) if lots else None)
    assert found.longest_lag_days == max((lot.lag_days for lot in lots), default=None)


@given(_FEW, _FEW)
def test_dollars_are_matched_one_by_one(first: dict[int, int], second: dict[int, int]) -> None:
    """Each that comes with the oldest that waits, if any, whichever side has more days."""
    waiting = _dollars(first)
    pairs = Counter(
        (waiting.pop(0), day) for day in _dollars(second) if waiting and waiting[0] <= day
    )
    found = match(Moved(first).left, Moved(second).left)
    assert pairs == {(lot.first_day, lot.second_day): lot.amount_minor for lot in found.lots}
    assert list(found.lots) == sorted(found.lots)


def _dollars(days: dict[int, int]) -> list[int]:
    """The day of each dollar that is left after the latest ones were taken back."""
    left: list[int] = []
    owed = 0
    for day, amount in sorted(days.items()):
        left += [day] * amount
        owed -= min(amount, 0)
        while owed and left:
            left.pop()
            owed -= 1
    return left


@given(_FEW, _FEW)
def test_the_peak_is_the_worst_end_of_a_day(one: dict[int, int], other: dict[int, int]) -> None:
    peak = peak_excess_minor(Moved(one).standing, Moved(other).standing)
    ends = accumulate(one.get(day, 0) - other.get(day, 0) for day in range(21))
    assert peak == max(0, *ends)


@given(st.lists(_ANY, max_size=4))
def test_what_moved_adds_up(parts: list[dict[int, int]]) -> None:
    together = sum(map(Moved, parts), Moved({}))
    days = set().union(*parts)
    added = {day: sum(part.get(day, 0) for part in parts) for day in days}
    assert together.standing == _line(added.items())
    assert together.minor == sum(added.values())


def _line(dated: Iterable[tuple[int, int]]) -> Line:
    ordered = sorted((day, amount) for day, amount in dated if amount)
    days = [day for day, _ in ordered]
    return Line(days, list(accumulate((amount for _, amount in ordered), initial=0)))


def test_what_was_refunded_is_the_latest() -> None:
    january, march, may = (dt.date(2026, month, 1).toordinal() for month in (1, 3, 5))
    bought = Moved({january: 10, march: 10, may: -15})
    found = match(bought.left, Moved({may: 8}).left)
    assert list(found.lots) == [Lot(january, may, 5)]
    assert (found.unmatched_first_minor, found.unmatched_second_minor) == (0, 3)
