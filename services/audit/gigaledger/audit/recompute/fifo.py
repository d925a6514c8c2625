"""How long a dollar takes to come back (domain rules, section 2.4): oldest first, day by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from gigaledger.audit.recompute.figure_sheet import Value, ten_places


class Matched(NamedTuple):
    """What went out, matched with what came back on the same day or later.

    Attributes:
        minor: what is matched, in minor units.
        unmatched_out: what went out and has not come back.
        unmatched_back: what came in that nothing had gone out for.
        dollar_days: each matched minor unit times the days that it took.
        longest_days: the longest of them; None where nothing is matched.
    """

    minor: int
    unmatched_out: int
    unmatched_back: int
    dollar_days: int
    longest_days: int | None

    @property
    def lag(self) -> Value:
        """The weighted lag in days, to ten places; empty where nothing is matched."""
        return ten_places(Fraction(self.dollar_days, self.minor)) if self.minor else ""


def matched(out: Mapping[dt.date, int], back: Mapping[dt.date, int]) -> Matched:
    """Match by the rule of first in, first out.

    Args:
        out: what went out on each day; negative where more was taken back.
        back: what came back.
    """
    waiting = dict(standing(out))
    minor = dollar_days = unmatched_back = 0
    longest: int | None = None
    for day, arriving in standing(back):
        left = arriving
        for went_out in [earlier for earlier in waiting if earlier <= day]:
            taken = min(left, waiting[went_out])
            if not taken:
                break
            left -= taken
            waiting[went_out] -= taken
            if not waiting[went_out]:
                del waiting[went_out]
            minor += taken
            days = (day - went_out).days
            dollar_days += taken * days
            longest = max(longest or 0, days)
        unmatched_back += left
    return Matched(minor, sum(waiting.values()), unmatched_back, dollar_days, longest)


def standing(by_day: Mapping[dt.date, int]) -> list[tuple[dt.date, int]]:
    """Return what of each day stands: what was taken back is taken from the latest before it.

    What is taken back before it was there waits for what comes.
    """
    standing: dict[dt.date, int] = {}
    owed = 0
    for day in sorted(by_day):
        owed -= by_day[day]
        if owed < 0:
            standing[day], owed = -owed, 0
            continue
        for earlier in sorted(standing, reverse=True):
            taken = min(owed, standing[earlier])
            standing[earlier] -= taken
            owed -= taken
    return [(day, minor) for day, minor in sorted(standing.items()) if minor]
