"""Facts as double entries, in the books of each party.

Movements come from the second fold, so the account balances equal its figures:

| account                             | balance                                         |
| Assets:B:Inventory:S                | received by B from S                            |
| Liabilities:B:Received:S            | received less invoiced, as a liability          |
| Liabilities:B:Payables:S            | invoiced with tax less paid, as a liability     |
| Assets:B:Tax:S                      | recoverable tax, which B gets back              |
| Liabilities:S:Tax:B                 | the same, which S passes on                     |
| Income:S:Sales:B                    | invoiced less credit notes, as income           |
| Assets:S:Receivables:B              | invoiced with tax less paid                     |
| Assets:B:Cash:Purchases:S           | paid less refunded, as an outflow               |
| Assets:S:Cash:Sales:B               | the same as an inflow                           |
| Assets:I:Investments:X              | funded in any form less returned                |
| Assets:I:Cash:Investments:X         | funded in cash less returned, as an outflow     |
| Assets:X:Cash:Capital:I             | the same as an inflow                           |
| Assets:I:In-Kind:X, Assets:X:In-Kind:I | invested in kind, at fair value              |
| Equity:X:Capital:I                  | funded, not yet issued                          |
| Equity:X:Shares:I                   | issued less rescinded                           |
| Equity:Memo:Ordered:B:S             | ordered (and a contra account)                  |
| Equity:Memo:Called:I:X              | called less returned (and a contra account)     |
| Equity:Memo:Committed:I:X           | binding commitment (and a contra account)       |

A reversal is a counter-entry with the effective date of its original. Undisclosed amounts have no
posting.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gigaledger.audit.recompute.accounts import shares_of
from gigaledger.audit.recompute.history import Entry, History, View
from gigaledger.audit.recompute.purchases import Purchase, purchases
from gigaledger.audit.recompute.round_trip import capital_movements, commitment_movements
from gigaledger.audit.recompute.terms import Agreements

Account = tuple[str, ...]
"""The parts of an account's name, e.g. ("Assets", "CUS", "Inventory", "SUP")."""
_OPEN = frozenset({"received_not_invoiced", "open_payable", "refund_due", "unapplied_payments"})


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount on an account, in minor units of a currency: positive for a debit."""

    account: Account
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """The postings of an event on a day.

    Attributes:
        day: effective date.
        position: position of the event; of the reversal for a counter-entry.
        entry: the event that the amounts come from.
        reverses: whether it is a counter-entry.
        postings: they add up to zero in each currency.
    """

    day: dt.date
    position: int
    entry: Entry
    reverses: bool
    postings: tuple[Posting, ...]


def transactions(history: History) -> list[Transaction]:
    """Return all transactions, in order of day and position."""
    view = View(history, history.position, traced=True)
    found = _posted(view, [*_movements(view), *commitment_movements(view)])
    # A reversed event is posted as recorded, and once more with opposite signs.
    everything = View(history, history.position, traced=True, reversals=False)
    for one in _posted(everything, _movements(everything)):
        reversed_at = history.reversed_at(one.entry.position)
        if reversed_at is not None:
            counter = tuple(replace(item, amount_minor=-item.amount_minor) for item in one.postings)
            found.append(one)
            found.append(replace(one, position=reversed_at, reverses=True, postings=counter))
    return sorted(found, key=lambda one: (one.day, one.position))


def _movements(view: View) -> Iterator[Purchase]:
    yield from (one for one in purchases(view) if one.measure not in _OPEN)
    yield from capital_movements(view)
    agreements = Agreements(view, counted=False).by_name
    for name, movement in shares_of(view):
        terms = agreements[name].terms_on(movement.entry.day)
        yield Purchase(
            movement.entry.kind,
            terms.investor,
            terms.issuer,
            movement.currency or terms.currency,
            movement.entry.day,
            movement.as_sum(),
        )


def _posted(view: View, movements: list[Purchase] | Iterator[Purchase]) -> list[Transaction]:
    postings: dict[tuple[dt.date, int], list[Posting]] = defaultdict(list)
    for movement in movements:
        for part in movement.amount.parts or ():
            if part.amount:
                postings[part.day, part.position] += [
                    Posting(account, sign * int(part.amount), movement.currency)
                    for account, sign in _accounts(movement, view.history.entry(part.position))
                ]
    return [
        Transaction(day, position, view.history.entry(position), reverses=False, postings=tuple(p))
        for (day, position), p in postings.items()
    ]


def _accounts(movement: Purchase, entry: Entry) -> list[tuple[Account, int]]:  # noqa: PLR0911 - one for each measure
    """Return the accounts that a movement is posted to: 1 for a debit, -1 for a credit."""
    one, other = movement.supplier, movement.customer
    match movement.measure:
        case "ordered":
            return _memo("Ordered", other, one)
        case "committed":
            return _memo("Committed", one, other)
        case "called":
            return _memo("Called", one, other)
        case "received":
            return [
                (("Assets", other, "Inventory", one), 1),
                (("Liabilities", other, "Received", one), -1),
            ]
        case "invoiced":
            return [
                (("Liabilities", other, "Received", one), 1),
                (("Liabilities", other, "Payables", one), -1),
                (("Assets", one, "Receivables", other), 1),
                (("Income", one, "Sales", other), -1),
            ]
        case "recoverable_tax":
            return [
                (("Assets", other, "Tax", one), 1),
                (("Liabilities", other, "Payables", one), -1),
                (("Assets", one, "Receivables", other), 1),
                (("Liabilities", one, "Tax", other), -1),
            ]
        case "paid":
            return [
                (("Liabilities", other, "Payables", one), 1),
                (("Assets", other, "Cash", "Purchases", one), -1),
                (("Assets", one, "Cash", "Sales", other), 1),
                (("Assets", one, "Receivables", other), -1),
            ]
        case "funded_cash":
            return [
                (("Assets", one, "Investments", other), 1),
                (("Assets", one, "Cash", "Investments", other), -1),
                (("Assets", other, "Cash", "Capital", one), 1),
                (("Equity", other, "Capital", one), -1),
            ]
        case "funded_non_cash":
            return [
                (("Assets", one, "Investments", other), 1),
                (("Assets", one, "In-Kind", other), -1),
                (("Assets", other, "In-Kind", one), 1),
                (("Equity", other, "Capital", one), -1),
            ]
    return _share_accounts(movement, entry)


def _share_accounts(movement: Purchase, entry: Entry) -> list[tuple[Account, int]]:
    investor, issuer = movement.supplier, movement.customer
    match movement.measure:
        case "equity_shares_issued" | "equity_issuance_rescinded":
            sign = 1 if movement.measure == "equity_shares_issued" else -1
            return [
                (("Equity", issuer, "Capital", investor), sign),
                (("Equity", issuer, "Shares", investor), -sign),
            ]
        case "shares_repurchased":
            return [
                (("Equity", issuer, "Repurchased", investor), 1),
                (("Assets", issuer, "Cash", "Repurchases", investor), -1),
                (("Assets", investor, "Cash", "Repurchases", issuer), 1),
                (("Assets", investor, "Investments", issuer, "Repurchased"), -1),
            ]
        case _:
            fact = entry.fact
            return [
                (("Assets", fact.to_party, "Investments", issuer, "Secondary"), 1),
                (("Assets", fact.to_party, "Cash", "Secondary", fact.from_party), -1),
                (("Assets", fact.from_party, "Cash", "Secondary", fact.to_party), 1),
                (("Assets", fact.from_party, "Investments", issuer, "Secondary"), -1),
            ]


def _memo(name: str, one: str, other: str) -> list[tuple[Account, int]]:
    return [
        (("Equity", "Memo", name, one, other), 1),
        (("Equity", "Memo", f"{name}-Contra", one, other), -1),
    ]
