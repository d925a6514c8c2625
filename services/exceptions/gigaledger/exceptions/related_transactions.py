"""Rules about investments and purchases between the same groups, and about split orders.

SX-RT-01, SX-RT-02, SX-RT-04, SX-PO-03.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gigaledger.common.quantities import money_from_message
from gigaledger.exceptions.descriptions import amount_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import (
    Amount,
    RuleContext,
    cash_sides,
    in_cash,
    order_amounts,
)
from gigaledger.exceptions.rules import Finding, PostingRule, Severity

PPM = 1_000_000
_INVESTED = "capital_contribution_funded"
_PURCHASED = frozenset({"supplier_payment_settled", "prepayment_made"})


def _within(amounts: Sequence[Amount], posting: Posting, days: int) -> list[Amount]:
    """Return the amounts recorded up to a posting and within some days of it, its own included.

    Args:
        amounts: in order of day.
        posting: the posting.
        days: the distance in days, at most.
    """
    day = posting.effective_date
    window = dt.timedelta(days=days)
    first = bisect_left(amounts, day - window, key=lambda amount: amount.day)
    last = bisect_left(amounts, day + window + dt.timedelta(days=1), key=lambda amount: amount.day)
    return [amount for amount in amounts[first:last] if amount.position <= posting.position]


def _counterparts(posting: Posting, context: RuleContext, days: int) -> list[Amount]:
    """Return movements in the opposite direction between the same groups, close in time."""
    fact = posting.fact
    if posting.kind == _INVESTED and not in_cash(fact):
        return []
    back = context.group(fact.payee, posting), context.group(fact.payer, posting)
    lists = context.purchased if posting.kind == _INVESTED else context.invested
    currency = fact.amount.currency_code
    return [a for a in _within(lists.get(back, ()), posting, days) if a.currency == currency]


def find_contemporaneous(posting: Posting, context: RuleContext, policy: Policy) -> Finding | None:
    """Find an investment and purchases between the same groups within days (SX-RT-01)."""
    days = policy.threshold("contemporaneous_days")
    found = _counterparts(posting, context, days) if days is not None else []
    if not found:
        return None
    text = f"within {days} days of {len(found)} movements of money the other way round"
    return Finding(text, _positions(posting, found))


def find_similar(posting: Posting, context: RuleContext, policy: Policy) -> Finding | None:
    """Find nearly equal amounts among those close in time (SX-RT-02)."""
    days, limit = policy.threshold("contemporaneous_days"), policy.threshold("similar_amount_ppm")
    if days is None or limit is None:
        return None
    near = _counterparts(posting, context, days)
    if not near:
        return None
    minor = money_from_message(posting.fact.amount).amount_minor
    found = [a for a in near if abs(a.minor - minor) * PPM <= limit * max(a.minor, minor)]
    if not found:
        return None
    text = f"{amount_text(minor, found[0].currency)} went the other way round in nearly that amount"
    return Finding(text, _positions(posting, found))


def _positions(posting: Posting, amounts: Sequence[Amount]) -> tuple[int, ...]:
    return tuple(sorted({posting.position, *(amount.position for amount in amounts)}))


def find_new_cycle(posting: Posting, context: RuleContext, _policy: Policy) -> Finding | None:
    """Find the first payment in its direction that closes a cycle (SX-RT-04)."""
    for payer, payee in cash_sides(posting):
        edge = context.group(payer, posting), context.group(payee, posting)
        if min(context.paid.get(edge) or {posting.position}) != posting.position:
            continue
        path = _path(context, edge[1], edge[0], posting.position)
        if path:
            firsts = [min(context.paid[step]) for step in pairwise(path)]
            text = "money can go round: " + " -> ".join((edge[0], *path))
            return Finding(text, tuple(sorted({*firsts, posting.position})))
    return None


def now_first(reversed_posting: Posting, context: RuleContext) -> Iterator[int]:
    """Yield the payment that becomes the first in its direction when another is reversed."""
    for payer, payee in cash_sides(reversed_posting):
        edge = context.group(payer, reversed_posting), context.group(payee, reversed_posting)
        standing = context.paid.get(edge)
        if standing:
            yield min(standing)


def _path(context: RuleContext, start: str, end: str, known: int) -> list[str]:
    """Return a shortest path of payments up to a position, the first in order of names."""
    if start == end:
        return []
    before = {start: start}
    waiting = deque([start])
    while waiting:
        group = waiting.popleft()
        for following in sorted(context.paid_to.get(group, ())):
            if following not in before and min(context.paid[group, following]) <= known:
                before[following] = group
                waiting.append(following)
        if end in before:
            break
    if end not in before:
        return []
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


def find_split_orders(posting: Posting, context: RuleContext, policy: Policy) -> Finding | None:
    """Find orders that stay within the approval threshold and exceed it together (SX-PO-03)."""
    days = policy.threshold("split_order_days")
    fact = posting.fact
    if days is None:
        return None
    placed = context.orders_between.get((fact.buyer, fact.supplier), ())
    for currency in order_amounts(fact):
        limit = policy.approval_thresholds.get(currency)
        if limit is None:
            continue
        found = [
            amount
            for amount in _within(placed, posting, days)
            if amount.currency == currency and amount.minor <= limit
        ]
        total = sum(amount.minor for amount in found)
        if total > limit and any(amount.position == posting.position for amount in found):
            text = (
                f"{len(found)} orders within {days} days add up to {amount_text(total, currency)};"
                f" each is within the approval threshold of {amount_text(limit, currency)}"
            )
            return Finding(text, _positions(posting, found))
    return None


def _looks_around(policy: Policy) -> bool:
    return policy.threshold("contemporaneous_days") is not None


def _pair_subject(posting: Posting) -> str:
    return f"pairs/{posting.fact.payer}:{posting.fact.payee}"


def _cash_subject(posting: Posting) -> str:
    return "".join(f"pairs/{payer}:{payee}" for payer, payee in cash_sides(posting))


def _order_subject(posting: Posting) -> str:
    return f"purchaseOrders/{posting.fact.purchase_order}"


_BOTH = _PURCHASED | {_INVESTED}
RULES = (
    PostingRule(
        "SX-RT-01",
        Severity.NOTICE,
        "investment and purchase between the same groups, close in time",
        _BOTH,
        find_contemporaneous,
        _pair_subject,
        is_enabled=_looks_around,
    ),
    PostingRule(
        "SX-RT-02",
        Severity.WARNING,
        "investment and purchase of nearly the same amount, close in time",
        _BOTH,
        find_similar,
        _pair_subject,
        is_enabled=_looks_around,
    ),
    PostingRule(
        "SX-RT-04",
        Severity.NOTICE,
        "a new cycle of payments",
        _BOTH
        | {
            *("lease_payment_settled", "backstop_purchase_settled", "spv_equity_contributed"),
            *("distribution_paid", "debt_drawn"),
        },
        find_new_cycle,
        _cash_subject,
        is_enabled=lambda policy: policy.exceptions.new_cycles,
        reevaluate=now_first,
    ),
    PostingRule(
        "SX-PO-03",
        Severity.WARNING,
        "orders split under an approval threshold",
        frozenset({"purchase_order_placed"}),
        find_split_orders,
        _order_subject,
        is_enabled=lambda policy: policy.threshold("split_order_days") is not None,
    ),
)
