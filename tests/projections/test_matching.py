"""FIFO matching: the worked days of the example, and what holds of any series."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest
from gigaledger.v1.events_pb2 import RecordedEvent
from hypothesis import given
from hypothesis import strategies as st

from services.projections.round_trip.matching import Dated, Lot, Matching, match
from services.quantities import date_from_message, money_from_message
from tests.projections.log import example


def _series(events: list[RecordedEvent], name: str, until: dt.date) -> list[Dated]:
    found = [recorded.event for recorded in events if recorded.event.WhichOneof("fact") == name]
    return [
        Dated(
            date_from_message(e.effective_date),
            money_from_message(getattr(e, name).amount).amount_minor,
        )
        for e in found
        if date_from_message(e.effective_date) <= until
    ]


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
    paid = _series(events, "supplier_payment_settled", day)
    funded = _series(events, "capital_contribution_funded", day)
    found = match(funded, paid) if days == "invest-then-buy" else match(paid, funded)
    assert found.matched_minor == matched
    assert found.weighted_days_minor == weighted
    assert found.lag_days == lag


_DAYS = st.integers(0, 20).map(lambda days: dt.date(2026, 1, 1) + dt.timedelta(days))
_ADDED = st.lists(st.builds(Dated, _DAYS, st.integers(1, 10**15)), max_size=12)
_ANY = st.lists(st.builds(Dated, _DAYS, st.integers(-(10**15), 10**15)), max_size=12)
_WINDOWS = st.none() | st.integers(0, 20)


@given(_ADDED, _ADDED, _WINDOWS)
def test_lots_and_what_is_unmatched_make_up_both_series(
    first: list[Dated], second: list[Dated], window: int | None
) -> None:
    found = match(first, second, window)
    assert found.matched_minor + found.unmatched_first_minor == sum(d.amount_minor for d in first)
    assert found.matched_minor + found.unmatched_second_minor == sum(d.amount_minor for d in second)
    assert all(0 <= lot.lag_days <= (20 if window is None else window) for lot in found.lots)
    assert all(lot.amount_minor > 0 for lot in found.lots)


@given(_ADDED, _ADDED)
def test_no_more_could_be_matched(first: list[Dated], second: list[Dated]) -> None:
    found = match(first, second)
    days = {item.day for item in (*first, *second)} | {dt.date(2027, 1, 1)}
    # Hall's condition: what stays unmatched is the worst shortage before some day.
    shortage = max(
        sum(d.amount_minor for d in second if d.day < day)
        - sum(d.amount_minor for d in first if d.day < day)
        for day in (*days, dt.date(2025, 1, 1))
    )
    assert found.unmatched_second_minor == shortage


@given(_ANY, _ANY, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    first: list[Dated], second: list[Dated], random: object
) -> None:
    one, other = list(first), list(second)
    random.shuffle(one)  # type: ignore[attr-defined]
    random.shuffle(other)  # type: ignore[attr-defined]
    assert _by_days(match(one, other)) == _by_days(match(first, second))


def _by_days(found: Matching) -> tuple[dict[tuple[dt.date, dt.date], int], int, int]:
    lots: dict[tuple[dt.date, dt.date], int] = {}
    for lot in found.lots:
        key = (lot.first_day, lot.second_day)
        lots[key] = lots.get(key, 0) + lot.amount_minor
    return lots, found.unmatched_first_minor, found.unmatched_second_minor


def test_what_was_refunded_is_the_latest() -> None:
    january, march, may = (dt.date(2026, month, 1) for month in (1, 3, 5))
    bought = [Dated(january, 10), Dated(march, 10), Dated(may, -15)]
    assert match(bought, [Dated(may, 8)]) == Matching((Lot(january, may, 5),), 0, 3)


def test_what_lies_too_long_stays_unmatched() -> None:
    january, march = dt.date(2026, 1, 1), dt.date(2026, 3, 1)
    assert match([Dated(january, 10)], [Dated(march, 4)], 30) == Matching((), 10, 4)
    with pytest.raises(ValueError, match="window_days: -1 is negative"):
        match([], [], -1)
