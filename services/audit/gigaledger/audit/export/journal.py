"""Plain-text accounting: one journal for hledger, one for beancount, with the same transactions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from gigaledger.audit.export.postings import Account, Posting, Transaction, transactions
from gigaledger.audit.recompute.history import History
from gigaledger.common.quantities import currency_exponent
from gigaledger.v1.events_pb2 import RecordedEvent

HLEDGER = "book.journal"
BEANCOUNT = "book.beancount"
_PLAIN = re.compile(r"[A-Z0-9][A-Za-z0-9-]*")
_HASH_DIGITS = 8


class JournalWriter:
    """Writes both journals when all events are known: a reversal changes days long before it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._history = History()

    def add(self, recorded: RecordedEvent) -> None:
        """Take the next event.

        Raises:
            HistoryError: its position is not the next one, or its fact is unknown.
        """
        self._history.add(recorded)

    def close(self) -> None:
        """Write the journals."""
        found = transactions(self._history)
        for name, lines in ((HLEDGER, hledger(found)), (BEANCOUNT, beancount(found))):
            with (self._folder / name).open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{line}\n" for line in lines)


def hledger(found: list[Transaction]) -> Iterator[str]:
    """Yield the lines of a journal for hledger; `hledger check --strict` accepts it."""
    for currency in _currencies(found):
        sample = f"{Decimal(1000).scaleb(0):.{currency_exponent(currency)}f}"
        yield f"commodity {sample if '.' in sample else sample + '.'} {currency}"
    for account in _account_names(found):
        yield f"account {account}"
    for one in found:
        yield ""
        yield f"{one.day.isoformat()} * {one.entry.kind}{' reversed' if one.reverses else ''}"
        yield f"    ; position: {one.position}, event_id: {one.entry.event_id}"
        if one.reverses:
            yield f"    ; reverses: {one.entry.position}"
        if one.entry.status != "FACT":
            yield f"    ; status: {one.entry.status}"
        yield from _posting_lines(one)


def beancount(found: list[Transaction]) -> Iterator[str]:
    """Yield the lines of a journal for beancount; `bean-check` accepts it."""
    yield 'option "title" "gigaledger"'
    for currency in _currencies(found):
        yield f'option "operating_currency" "{currency}"'
    if found:
        first = found[0].day.isoformat()
        for account in _account_names(found):
            yield f"{first} open {account}"
    for one in found:
        yield ""
        suffix = " reversed" if one.reverses else ""
        yield f'{one.day.isoformat()} * "{one.entry.kind}{suffix}"'
        yield f"  position: {one.position}"
        yield f'  event_id: "{one.entry.event_id}"'
        if one.reverses:
            yield f"  reverses: {one.entry.position}"
        if one.entry.status != "FACT":
            yield f'  status: "{one.entry.status}"'
        yield from _posting_lines(one)


def account_name(account: Account) -> str:
    """Return an account's name that both tools read, and that no other account has.

    They read no underscore: it becomes two hyphens. Other parts that they would not read are made
    readable and get a hash.
    """
    return ":".join(map(_part, account))


def _part(text: str) -> str:
    if _PLAIN.fullmatch(text) and "--" not in text:
        return text
    joined = text.replace("_", "--")
    if "-" not in text and _PLAIN.fullmatch(joined):
        return joined
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return f"X-{readable}-{digest}" if readable else f"X-{digest}"


def _posting_lines(one: Transaction) -> Iterator[str]:
    for posting in one.postings:
        yield f"    {account_name(posting.account)}  {_amount(posting)} {posting.currency}"


def _amount(posting: Posting) -> str:
    exponent = currency_exponent(posting.currency)
    return f"{Decimal(posting.amount_minor).scaleb(-exponent):.{exponent}f}"


def _currencies(found: list[Transaction]) -> list[str]:
    return sorted({posting.currency for one in found for posting in one.postings})


def _account_names(found: list[Transaction]) -> list[str]:
    return sorted({account_name(posting.account) for one in found for posting in one.postings})
