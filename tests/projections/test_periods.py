"""Days, months, quarters and years of the calendar."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from gigaledger.projections.shared.periods import (
    MAX_PERIODS,
    DaysOutOfOrderError,
    Length,
    Period,
    TooManyPeriodsError,
    periods,
)
from hypothesis import given
from hypothesis import strategies as st


def test_quarters_from_the_middle_of_one_to_the_middle_of_another() -> None:
    assert periods(dt.date(2026, 5, 3), dt.date(2026, 11, 2), Length.QUARTER) == [
        Period(dt.date(2026, 4, 1), dt.date(2026, 6, 30)),
        Period(dt.date(2026, 7, 1), dt.date(2026, 9, 30)),
        Period(dt.date(2026, 10, 1), dt.date(2026, 11, 2)),
    ]


@pytest.mark.parametrize(
    ("length", "lasts"),
    [
        (Length.DAY, ["2028-02-28", "2028-02-29", "2028-03-01"]),
        (Length.MONTH, ["2028-02-29", "2028-03-01"]),
        (Length.QUARTER, ["2028-03-01"]),
        (Length.YEAR, ["2028-03-01"]),
    ],
)
def test_periods_end_with_the_calendar_and_the_last_day(length: Length, lasts: list[str]) -> None:
    found = periods(dt.date(2028, 2, 28), dt.date(2028, 3, 1), length)
    assert [period.last.isoformat() for period in found] == lasts


@given(
    day=st.dates(dt.date.min, dt.date(9999, 12, 31)),
    count=st.integers(0, 2000),
    length=st.sampled_from(Length),
)
def test_periods_cover_every_day_once(day: dt.date, count: int, length: Length) -> None:
    to_day = dt.date.fromordinal(min(day.toordinal() + count, dt.date.max.toordinal()))
    found = periods(day, to_day, length)
    assert found[0].first <= day <= found[0].last
    assert found[-1].last == to_day
    for before, after in pairwise(found):
        assert before.first <= before.last
        assert after.first.toordinal() == before.last.toordinal() + 1


def test_too_many_periods_and_days_out_of_order_are_refused() -> None:
    with pytest.raises(TooManyPeriodsError, match=str(MAX_PERIODS)):
        periods(dt.date(2000, 1, 1), dt.date(2026, 1, 1), Length.DAY)
    with pytest.raises(DaysOutOfOrderError, match="2026-01-02"):
        periods(dt.date(2026, 1, 2), dt.date(2026, 1, 1), Length.DAY)
