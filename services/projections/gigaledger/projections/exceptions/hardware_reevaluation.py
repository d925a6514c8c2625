"""Re-evaluation of hardware from the beginning of the book. Pure."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.projections.exceptions.documents import PLACED
from gigaledger.projections.exceptions.hardware import (
    CERTIFICATES,
    GOODS,
    AllHardware,
    CapacityDelta,
    Ratings,
    deltas_of,
    reversed_deltas,
)


def reevaluate(
    policy: Policy, postings: Iterable[tuple[Posting, Posting | None]]
) -> tuple[AllHardware, list[CapacityDelta]]:
    """Evaluate the hardware of a book from its beginning.

    Args:
        policy: the thresholds.
        postings: all postings about hardware in recorded order, each reversal with its target.

    Returns:
        The hardware of all agreements, and the deltas of the last posting.
    """
    found = AllHardware(policy)
    placed: dict[str, list[Posting]] = defaultdict(list)
    goods: dict[int, Posting] = {}
    deltas: list[CapacityDelta] = []
    for posting, target in postings:
        about = target or posting
        order = placed[about.fact.purchase_order] if about.kind in {PLACED, *GOODS} else []
        deltas = []
        if about.kind == PLACED:
            if target is None:
                order.append(posting)
            else:
                order.remove(target)
        elif about.kind in CERTIFICATES:
            found.certify(about, posting)
        elif about.kind in GOODS:
            if target is None:
                goods[posting.position] = posting
                deltas = found.receive(posting, order)
            else:
                del goods[target.position]
                deltas = found.take_back(target, order, posting)
        elif target is None:
            found.ratings.add(posting)
        else:
            before = _all_moves(goods.values(), placed, found.ratings)
            found.ratings.drop(target.position)
            after = _all_moves(goods.values(), placed, found.ratings)
            deltas = found.add(_differences(before, after), posting)
    return found, deltas


def _all_moves(
    goods: Iterable[Posting], placed: Mapping[str, Sequence[Posting]], ratings: Ratings
) -> list[CapacityDelta]:
    return [
        delta
        for posting in goods
        for delta in deltas_of(posting, placed[posting.fact.purchase_order], ratings)
    ]


def _differences(
    before: Iterable[CapacityDelta], after: Iterable[CapacityDelta]
) -> list[CapacityDelta]:
    """Return the deltas that turn one sum into another."""
    carried_kw: dict[tuple[str, dt.date, int], Fraction] = defaultdict(Fraction)
    receipts: dict[tuple[str, dt.date, int], int] = defaultdict(int)
    for delta in (*after, *reversed_deltas(before)):
        carried_kw[delta[:3]] += delta.carried_kw
        receipts[delta[:3]] += delta.receipts
    return [
        CapacityDelta(*key, carried_kw[key], receipts[key])
        for key in sorted(carried_kw)
        if carried_kw[key] or receipts[key]
    ]
