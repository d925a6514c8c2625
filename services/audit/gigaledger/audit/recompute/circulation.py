"""The largest circulation of payments, and money that returns in time (domain rules, 2.5). Pure.

A circulation is a part of all payments that can be left out without changing any net position. The
largest one is therefore what the cheapest payments with the same net positions leave over. This
module finds those by successive shortest paths (Ahuja, Magnanti, Orlin, Network Flows, 1993,
section 9.7), in exact integers of minor units of one currency.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

Edge = tuple[str, str]
"""Payer and payee."""


class Payment(NamedTuple):
    """A payment, or the rest of one, in minor units; positive."""

    payer: str
    payee: str
    day: dt.date
    amount_minor: int


class _Arc(NamedTuple):
    """One direction of an edge: a number that its reverse shares but for the last bit."""

    number: int
    to: str


def largest_circulation(edges: Mapping[Edge, int]) -> dict[Edge, int]:
    """Return the part of each edge that lies on the largest circulation.

    Of all largest circulations it is the one that carries most on the first edge, in order of payer
    and payee, then on the second, and so on.

    Args:
        edges: payments on each edge, at least 0.
    """
    outside = cheapest_with_same_positions(edges)
    return {edge: amount - outside[edge] for edge, amount in edges.items()}


def cheapest_with_same_positions(edges: Mapping[Edge, int]) -> dict[Edge, int]:
    """Return the payments of the least sum, on the same edges, that leave the same net positions.

    Of all that are, those with least on the first edge, then on the second, and so on.

    Args:
        edges: what may be paid at most on each edge, at least 0.
    """
    ordered = sorted(edges)
    arcs: dict[str, list[_Arc]] = defaultdict(list)
    room: list[int] = []
    cost: list[int] = []
    owed: dict[str, int] = defaultdict(int)
    for rank, (payer, payee) in enumerate(ordered):
        amount = edges[payer, payee]
        # A unit on an earlier edge outweighs all later edges, and a unit in all outweighs the edges
        # together: two answers differ by cycles with -1, 0 or 1 on each edge.
        price = (1 << len(ordered)) + (1 << len(ordered) - 1 - rank)
        arcs[payer].append(_Arc(2 * rank, payee))
        arcs[payee].append(_Arc(2 * rank + 1, payer))
        room += (amount, 0)
        cost += (price, -price)
        owed[payer] += amount
        owed[payee] -= amount
    # Prices at nodes keep the cost of every arc with room at 0 or more, so that Dijkstra's
    # algorithm finds the shortest paths (ibid.).
    at: dict[str, int] = defaultdict(int)
    while any(left > 0 for left in owed.values()):
        start = min(party for party, left in owed.items() if left > 0)
        reached, came = _shortest(start, arcs, room, cost, at)
        end = min(party for party in reached if owed[party] < 0)
        path: list[int] = []
        party = end
        while party != start:
            party, number = came[party]
            path.append(number)
        amount = min(owed[start], -owed[end], *(room[number] for number in path))
        for number in path:
            room[number] -= amount
            room[number ^ 1] += amount
        owed[start] -= amount
        owed[end] += amount
        farthest = max(reached.values())
        for party in arcs:
            at[party] += reached.get(party, farthest)
    return {edge: room[2 * rank + 1] for rank, edge in enumerate(ordered)}


def _shortest(
    start: str,
    arcs: Mapping[str, list[_Arc]],
    room: list[int],
    cost: list[int],
    at: Mapping[str, int],
) -> tuple[dict[str, int], dict[str, tuple[str, int]]]:
    """Return the distances of all that can be reached, in reduced costs, and how it was."""
    best = {start: 0}
    came: dict[str, tuple[str, int]] = {}
    reached: dict[str, int] = {}
    waiting = [(0, start)]
    while waiting:
        distance, party = heappop(waiting)
        if party in reached:
            continue
        reached[party] = distance
        for number, to in arcs[party]:
            if room[number] and to not in reached:
                longer = distance + cost[number] + at[party] - at[to]
                if to not in best or longer < best[to]:
                    best[to] = longer
                    came[to] = (party, number)
                    heappush(waiting, (longer, to))
    return reached, came


def returned_in_time(payments: Iterable[Payment], started: Iterable[Payment], origin: str) -> int:
    """Return the most of a party's payments that can have returned to it in the order of days.

    Within a day payments may follow each other in any order. Money that returned is traced to
    earlier payments day by day. A later path may undo an earlier one, so no order of tracing gives
    more (Ford and Fulkerson, Flows in Networks, 1962, chapter I).

    Args:
        payments: payments of others, to each other and to the party.
        started: payments of the party that start a way back.
        origin: the party.
    """
    rooms: _Rooms = defaultdict(lambda: defaultdict(int))
    days: dict[str, set[dt.date]] = defaultdict(set)
    arrived: dict[_Place, int] = defaultdict(int)
    total = 0
    for payment in started:
        rooms[payment.payee, payment.day][_PAID_OUT] += payment.amount_minor
        days[payment.payee].add(payment.day)
        total += payment.amount_minor
    for payment in payments:
        days[payment.payer].add(payment.day)
        if payment.payee == origin:
            arrived[payment.payer, payment.day] += payment.amount_minor
        else:
            place = (payment.payee, payment.day)
            rooms[place][payment.payer, payment.day] += payment.amount_minor
            days[payment.payee].add(payment.day)
    for party, when in days.items():
        for day, later in pairwise(sorted(when)):
            rooms[party, later][party, day] += total
    found = 0
    dead: set[_Place] = set()
    for place in sorted(arrived, key=lambda place: (place[1], place[0])):
        left = arrived[place]
        while left and (path := _traced(place, rooms, dead)):
            amount = min(left, *(rooms[end][start] for end, start in pairwise(path)))
            for end, start in pairwise(path):
                rooms[end][start] -= amount
                rooms[start][end] += amount
            left -= amount
            found += amount
    return found


_Place = tuple[str, dt.date]
"""A party on a day."""
_Rooms = dict[_Place, dict[_Place, int]]
"""Residual capacity into a place, by where it comes from."""
_PAID_OUT: _Place = ("", dt.date.min)
"""The source. No party has an empty name."""


def _traced(place: _Place, rooms: _Rooms, dead: set[_Place]) -> list[_Place]:
    """Return a path from the source to a place; empty if there is none.

    If there is none, no visited place can ever be reached again, because nothing with residual
    capacity leads into them. They are added to the dead.
    """
    if place in dead:
        return []
    seen = {place}
    path = [place]
    ways = [iter(rooms[place].items())]
    while path:
        for start, room in ways[-1]:
            if room and start not in seen and start not in dead:
                path.append(start)
                if start == _PAID_OUT:
                    return path
                seen.add(start)
                ways.append(iter(rooms[start].items()))
                break
        else:
            path.pop()
            ways.pop()
    dead |= seen
    return []
