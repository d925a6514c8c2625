"""What is watched of parties and pairs, and of payments between groups.

SX-LEI-01, SX-RT-01 to SX-RT-04, SX-PO-03.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from gigaledger.audit.exceptions.postings import (
    CASH,
    Posting,
    Standing,
    Thresholds,
    cash_edges,
    in_cash,
)
from gigaledger.audit.exceptions.rule_types import Broken, Check, Family
from gigaledger.common.quantities import money_from_message, ratio_ppm

_INVESTED = "capital_contribution_funded"
_PAYMENTS = ("supplier_payment_settled", "prepayment_made")
_BOTH = frozenset({_INVESTED, *_PAYMENTS})
_RETURNS = ("capital_returned", "supplier_refund_settled")
_PPM = 1_000_000


@dataclass
class Party:
    """A party, and its Legal Entity Identifier."""

    registered: int = 0
    lei: str = ""

    def add(self, posting: Posting, _standing: Standing) -> None:
        """Add the next posting."""
        if posting.kind == "party_registered":
            self.registered = posting.position
        self.lei = posting.fact.lei or self.lei

    def turning_days(self) -> Collection[dt.date]:
        """Return no days."""
        return ()

    def broken(self, thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield a party without an identifier (SX-LEI-01)."""
        if thresholds.stated.lei_required and self.registered and not self.lei:
            yield Broken("SX-LEI-01", "", (self.registered,))


@dataclass
class Pair:
    """An investor-supplier and an investee-customer: what moved in cash, by currency."""

    bought: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    invested: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    latest: dict[str, int] = field(default_factory=dict)

    def add(self, posting: Posting, _standing: Standing) -> None:
        """Add the next posting."""
        if not posting.fact.HasField("amount"):
            return
        money = money_from_message(posting.fact.amount)
        sign = -1 if posting.kind in _RETURNS else 1
        if posting.kind in (*_PAYMENTS, "supplier_refund_settled"):
            self.bought[money.currency] += sign * money.amount_minor
        elif posting.kind == "capital_returned" or in_cash(posting.fact):
            self.invested[money.currency] += sign * money.amount_minor
        self.latest[money.currency] = posting.position

    def turning_days(self) -> Collection[dt.date]:
        """Return no days."""
        return ()

    def broken(self, thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield purchases of which much could have come from the supplier (SX-RT-03)."""
        limit = thresholds.of("recycled_ratio_ppm")
        for currency, bought in self.bought.items():
            if limit is None or bought <= 0:
                continue
            share = ratio_ppm(min(bought, self.invested.get(currency, 0)), bought)
            if share is not None and share > limit:
                yield Broken("SX-RT-03", currency, (self.latest[currency],))


def _parties(posting: Posting, _standing: Standing) -> Iterator[str]:
    yield f"parties/{posting.fact.party}"


def _pairs(posting: Posting, standing: Standing) -> Iterator[str]:
    payer, payee = _groups(posting, standing)
    if posting.kind in (_INVESTED, "supplier_refund_settled"):
        yield f"pairs/{payer}:{payee}"
    else:
        yield f"pairs/{payee}:{payer}"


def _groups(posting: Posting, standing: Standing) -> tuple[str, str]:
    fact = posting.fact
    return standing.group(fact.payer, posting), standing.group(fact.payee, posting)


def _moves(posting: Posting) -> bool:
    """Tell whether a posting is an investment or a purchase in cash."""
    return posting.kind in _BOTH and (posting.kind != _INVESTED or in_cash(posting.fact))


def _other_way_round(posting: Posting, standing: Standing, thresholds: Thresholds) -> list[Posting]:
    """Return what moved before it within days the other way round, between the same groups."""
    days = thresholds.of("contemporaneous_days")
    if days is None or not _moves(posting):
        return []
    kinds = _PAYMENTS if posting.kind == _INVESTED else (_INVESTED,)
    currency = posting.fact.amount.currency_code
    back = _groups(posting, standing)[::-1]
    return [
        one
        for one in standing.around(kinds, posting.day, days)
        if one.position < posting.position
        and _moves(one)
        and one.fact.amount.currency_code == currency
        and _groups(one, standing) == back
    ]


def _behind(posting: Posting, found: list[Posting]) -> tuple[int, ...] | None:
    return (posting.position, *(one.position for one in found)) if found else None


def _contemporaneous(
    posting: Posting, standing: Standing, thresholds: Thresholds
) -> tuple[int, ...] | None:
    """SX-RT-01: investment and purchases between the same groups within days."""
    return _behind(posting, _other_way_round(posting, standing, thresholds))


def _similar(
    posting: Posting, standing: Standing, thresholds: Thresholds
) -> tuple[int, ...] | None:
    """SX-RT-02: of nearly the same amount."""
    limit = thresholds.of("similar_amount_ppm")
    if limit is None:
        return None
    found = _other_way_round(posting, standing, thresholds)
    minor = money_from_message(posting.fact.amount).amount_minor if found else 0

    def alike(one: Posting) -> bool:
        other = money_from_message(one.fact.amount).amount_minor
        return abs(other - minor) * _PPM <= limit * max(other, minor)

    return _behind(posting, [one for one in found if alike(one)])


def _new_cycle(
    posting: Posting, standing: Standing, thresholds: Thresholds
) -> tuple[int, ...] | None:
    """SX-RT-04: the first payment of its direction, where money could come back already."""
    if not thresholds.stated.new_cycles:
        return None
    for payer, payee in cash_edges(posting):
        start, end = standing.group(payee, posting), standing.group(payer, posting)
        if start == end or standing.paid[end, start][0] != posting.position:
            continue
        path = _way(standing, start, end, posting.position)
        if path:
            return (*(standing.paid[step][0] for step in pairwise(path)), posting.position)
    return None


def _way(standing: Standing, start: str, end: str, known: int) -> list[str]:
    """Return a shortest way of payments known by a position; of several the first by name."""
    ways = {start: [start]}
    at = [start]
    while at and end not in ways:
        reached: list[str] = []
        for group in at:
            following = sorted(
                payee
                for (payer, payee), positions in standing.paid.items()
                if payer == group and positions and positions[0] <= known
            )
            for payee in following:
                if payee not in ways:
                    ways[payee] = [*ways[group], payee]
                    reached.append(payee)
        at = reached
    return ways.get(end, [])


def _directions(posting: Posting) -> str:
    return "".join(f"pairs/{payer}:{payee}" for payer, payee in cash_edges(posting))


def _pair(posting: Posting) -> str:
    return f"pairs/{posting.fact.payer}:{posting.fact.payee}"


def _placed(posting: Posting) -> dict[str, int]:
    """Return the amounts of an order as placed, by currency, as far as they are told."""
    amounts: dict[str, int] = defaultdict(int)
    for line in posting.fact.lines:
        if line.HasField("amount"):
            money = money_from_message(line.amount)
            amounts[money.currency] += money.amount_minor
        elif line.HasField("unit_price"):
            money = money_from_message(line.unit_price)
            amounts[money.currency] += line.quantity * money.amount_minor
    return amounts


def _split(posting: Posting, standing: Standing, thresholds: Thresholds) -> tuple[int, ...] | None:
    """SX-PO-03: orders within days, each within the approval threshold, beyond it together."""
    days = thresholds.of("split_order_days")
    if days is None:
        return None
    sides = (posting.fact.buyer, posting.fact.supplier)
    near = [
        one
        for one in standing.around((posting.kind,), posting.day, days)
        if one.position <= posting.position and (one.fact.buyer, one.fact.supplier) == sides
    ]
    for currency, own in _placed(posting).items():
        limit = thresholds.approval.get(currency)
        if limit is None or own > limit:
            continue
        amounts = {one.position: _placed(one).get(currency) for one in near}
        found = {at: minor for at, minor in amounts.items() if minor is not None and minor <= limit}
        if sum(found.values()) > limit:
            return tuple(found)
    return None


CHECKS = (
    Check("SX-RT-01", _BOTH, _contemporaneous, _pair),
    Check("SX-RT-02", _BOTH, _similar, _pair),
    Check("SX-RT-04", CASH, _new_cycle, _directions, grows=CASH),
    Check(
        "SX-PO-03",
        frozenset({"purchase_order_placed"}),
        _split,
        lambda posting: f"purchaseOrders/{posting.fact.purchase_order}",
    ),
)
PARTIES = Family(
    rules=frozenset({"SX-LEI-01"}),
    kinds=frozenset({"party_registered", "party_amended"}),
    subjects=_parties,
    new=lambda _name: Party(),
)
PAIRS = Family(
    rules=frozenset({"SX-RT-03"}),
    kinds=_BOTH | frozenset(_RETURNS),
    subjects=_pairs,
    new=lambda _name: Pair(),
)
