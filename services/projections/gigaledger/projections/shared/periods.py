"""Days, months, quarters and years of the calendar. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_PERIODS = 4000
"""What one question may ask for."""
_MONTHS_PER_YEAR = 12


class Length(IntEnum):
    """How long a period is, in months; a day is none."""

    DAY = 0
    MONTH = 1
    QUARTER = 3
    YEAR = 12


@dataclass(frozen=True, slots=True)
class Period:
    """The days from one to another, both of them included."""

    first: dt.date
    last: dt.date


class DaysOutOfOrderError(ValueError):
    """The last day is before the first."""


class TooManyPeriodsError(ValueError):
    """More periods than one question may ask for."""


def periods(from_day: dt.date, to_day: dt.date, length: Length) -> list[Period]:
    """Return the periods from the one with a day to another day, which ends the last one.

    Raises:
        DaysOutOfOrderError: the days are not in order.
        TooManyPeriodsError: there are more than `MAX_PERIODS`.
    """
    if to_day < from_day:
        raise DaysOutOfOrderError(f"{to_day} is before {from_day}")
    found: list[Period] = []
    for first, last in _calendar(from_day, length):
        if first > to_day:
            break
        if len(found) == MAX_PERIODS:
            raise TooManyPeriodsError(f"there are more than {MAX_PERIODS} of them")
        found.append(Period(first, min(last, to_day)))
    return found


def _calendar(day: dt.date, length: Length) -> Iterator[tuple[dt.date, dt.date]]:
    """Yield first and last days of periods, from the one with a day to the end of the calendar."""
    if length is Length.DAY:
        for ordinal in range(day.toordinal(), dt.date.max.toordinal() + 1):
            yield dt.date.fromordinal(ordinal), dt.date.fromordinal(ordinal)
        return
    month = day.year * _MONTHS_PER_YEAR + (day.month - 1) // length * length
    while month < (dt.date.max.year + 1) * _MONTHS_PER_YEAR:
        yield _first_of(month), _last_of(month + length - 1)
        month += length


def _first_of(month: int) -> dt.date:
    return dt.date(month // _MONTHS_PER_YEAR, month % _MONTHS_PER_YEAR + 1, 1)


def _last_of(month: int) -> dt.date:
    if month + 1 == (dt.date.max.year + 1) * _MONTHS_PER_YEAR:
        return dt.date.max
    return _first_of(month + 1) - dt.timedelta(days=1)
