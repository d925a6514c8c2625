"""How long a dollar takes to come back (domain rules, section 2.4): oldest first, day by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from gigaledger.audit.recompute.figure_sheet import Value, ten_places


class FifoMatch(NamedTuple):
    """Outgoing amounts matched with amounts that came back on the same day or later.

    Attributes:
        minor: matched amount, in minor units.
        unmatched_out: outgoing amounts that have not come back.
        unmatched_back: incoming amounts that no outgoing amount preceded.
        dollar_days: matched minor units times their days.
        longest_days: the longest lag; None if nothing is matched.
    """

    minor: int
    unmatched_out: int
    unmatched_back: int
    dollar_days: int
    longest_days: int | None

    @property
    def lag(self) -> Value:
        """The weighted lag in days, to ten places; empty if nothing is matched."""
        return ten_places(Fraction(self.dollar_days, self.minor)) if self.minor else ""


def fifo_match(out: Mapping[dt.date, int], back: Mapping[dt.date, int]) -> FifoMatch:
    """Match first in, first out.

    Args:
        out: outgoing amounts by day; negative if more was taken back.
        back: incoming amounts by day.
    """
    waiting = dict(net_by_day(out))
    minor = dollar_days = unmatched_back = 0
    longest: int | None = None
    for day, arriving in net_by_day(back):
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
    return FifoMatch(minor, sum(waiting.values()), unmatched_back, dollar_days, longest)


def net_by_day(by_day: Mapping[dt.date, int]) -> list[tuple[dt.date, int]]:
    """Return the remaining amount of each day, with refunds taken from the latest days before them.

    A refund that precedes its payment waits for the next amounts.
    """
    net: dict[dt.date, int] = {}
    owed = 0
    for day in sorted(by_day):
        owed -= by_day[day]
        if owed < 0:
            net[day], owed = -owed, 0
            continue
        for earlier in sorted(net, reverse=True):
            taken = min(owed, net[earlier])
            net[earlier] -= taken
            owed -= taken
    return [(day, minor) for day, minor in sorted(net.items()) if minor]
