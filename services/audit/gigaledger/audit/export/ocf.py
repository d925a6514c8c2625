"""Open Cap Format: the equity of one issuer, for capitalisation table tools.

OCF describes an issuer by securities: a partial transfer or cancellation closes a security and
issues a balance security for the rest. The book names one security per issuance, regardless of its
holders. So each issuance becomes a chain of securities, whose ids show their origin.

A supplement provides what the format requires and the book does not hold: when and where the issuer
was formed, whether a class is common or preferred, its seniority. Nothing is invented. Facts
without a place in the format are left out, and the comments of the manifest count them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from gigaledger.audit.export.manifest import ExportError
from gigaledger.audit.export.ocf_supplement import Supplement
from gigaledger.audit.recompute.figure_sheet import ten_places
from gigaledger.audit.recompute.history import History, View
from gigaledger.audit.recompute.terms import Agreements
from gigaledger.common.quantities import (
    currency_exponent,
    date_from_message,
    decimal_from_message,
    decimal_to_text,
    instant_from_message,
    money_from_message,
)
from gigaledger.v1.events_pb2 import RecordedEvent
from google.protobuf.message import Message
from google.type.money_pb2 import Money

VERSION = "1.2.1-alpha+main"
"""The version of the format that is written."""
MANIFEST = "Manifest.ocf.json"
_FILES = {
    "stakeholders_files": ("Stakeholders.ocf.json", "OCF_STAKEHOLDERS_FILE"),
    "stock_classes_files": ("StockClasses.ocf.json", "OCF_STOCK_CLASSES_FILE"),
    "transactions_files": ("Transactions.ocf.json", "OCF_TRANSACTIONS_FILE"),
}
_EMPTY = (
    "stock_plans_files",
    "stock_legend_templates_files",
    "vesting_terms_files",
    "valuations_files",
)
_SHARE_KINDS = frozenset(
    {
        "equity_shares_issued",
        "equity_issuance_rescinded",
        "shares_repurchased",
        "shares_transferred",
    }
)
_LEFT_OUT = {
    "valuation_determined": "valuations: the format knows those of 409A alone",
    "warrant_issued": "warrants: the format asks for a right of conversion that the book has not",
    "capital_contribution_funded": "capital funded: cash is no part of the format",
    "capital_returned": "capital returned: cash is no part of the format",
}


@dataclass(frozen=True, slots=True)
class _Fact:
    """A fact that the capitalisation table rests on."""

    position: int
    day: dt.date
    kind: str
    message: Any


@dataclass(slots=True)
class _Lot:
    """A current security: a number of shares of one holder."""

    security_id: str
    holder: str
    shares: Decimal


@dataclass(slots=True)
class _Issue:
    """An issuance of the book, and its current securities."""

    fact: Any
    number: int = 1
    lots: list[_Lot] = field(default_factory=list)

    def next_id(self) -> str:
        """Return the id of the next security of the chain."""
        self.number += 1
        return f"{self.fact.agreement}/{self.fact.security}/{self.number}"


class OcfWriter:
    """Writes the package of an issuer when all events are known."""

    def __init__(self, folder: Path, issuer: str, supplement: Supplement) -> None:
        """Write into a folder.

        Args:
            folder: the folder.
            issuer: id of the issuing party.
            supplement: the data that the book does not hold.
        """
        self._folder = folder
        self._issuer = issuer
        self._supplement = supplement
        self._history = History()
        self._facts: dict[int, _Fact] = {}
        self._reversed: set[int] = set()
        self._last: dt.datetime | None = None

    def add(self, recorded: RecordedEvent) -> None:
        """Take the next event.

        Raises:
            HistoryError: its position is not the next one, or its fact is unknown.
        """
        self._history.add(recorded)
        self._last = instant_from_message(recorded.recorded_time)
        event = recorded.event
        kind = event.WhichOneof("fact")
        if kind == "entry_reversed":
            self._reversed.add(event.entry_reversed.position)
        elif kind is not None and _concerns(kind):
            day = date_from_message(event.effective_date)
            message: Message = type(getattr(event, kind))()
            message.CopyFrom(getattr(event, kind))
            self._facts[recorded.position] = _Fact(recorded.position, day, kind, message)

    def close(self) -> None:
        """Write the package.

        Raises:
            ExportError: the issuer is not there, the supplement lacks something, or shares went
                from a holder who had fewer.
        """
        if self._last is None:
            raise ExportError("there is no event to write")
        last = self._last
        facts = [fact for at, fact in self._facts.items() if at not in self._reversed]
        names = {
            fact.message.party: fact.message.legal_name
            for fact in facts
            if fact.kind in ("party_registered", "party_amended") and fact.message.legal_name
        }
        if self._issuer not in names:
            raise ExportError(f"there is no party {self._issuer!r} in the book")
        table = _Table(self._issuer, Agreements(self._view(), counted=True))
        table.classes(facts, self._supplement)
        table.transactions([fact for fact in facts if fact.kind in _SHARE_KINDS])
        objects = {
            "stakeholders_files": [_stakeholder(party, names[party]) for party in table.holders],
            "stock_classes_files": table.stock_classes,
            "transactions_files": table.found,
        }
        self._write(objects, names[self._issuer], last, list(_comments(facts, self._issuer)))

    def _view(self) -> View:
        return View(self._history, self._history.position)

    def _write(
        self,
        objects: dict[str, list[dict[str, Any]]],
        legal_name: str,
        last: dt.datetime,
        comments: list[str],
    ) -> None:
        files: dict[str, list[dict[str, str]]] = {name: [] for name in _EMPTY}
        for name, (filename, file_type) in _FILES.items():
            text = _json({"file_type": file_type, "items": objects[name]})
            (self._folder / filename).write_text(text, "utf-8", newline="\n")
            # The format asks for MD5, which detects accidents; manifest.json has SHA-256.
            digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            files[name] = [{"filepath": filename, "md5": digest}]
        manifest = {
            "ocf_version": VERSION,
            "file_type": "OCF_MANIFEST_FILE",
            "issuer": {
                "object_type": "ISSUER",
                "id": self._issuer,
                "legal_name": legal_name,
                "formation_date": self._supplement.formation_date.isoformat(),
                "country_of_formation": self._supplement.country_of_formation,
            },
            "as_of": last.date().isoformat(),
            "generated_at": last.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "comments": comments,
            **files,
        }
        (self._folder / MANIFEST).write_text(_json(manifest), "utf-8", newline="\n")


class _Table:
    """The capitalisation table as it grows."""

    def __init__(self, issuer: str, agreements: Agreements) -> None:
        self._issuer = issuer
        self._agreements = agreements
        self._issues: dict[tuple[str, str], _Issue] = {}
        self.holders: dict[str, None] = {}
        self.stock_classes: list[dict[str, Any]] = []
        self.found: list[dict[str, Any]] = []

    def classes(self, facts: list[_Fact], supplement: Supplement) -> None:
        """Add the classes of shares, and later authorisations."""
        authorised: dict[str, Decimal] = defaultdict(Decimal)
        for fact in facts:
            if fact.kind != "share_class_authorised" or fact.message.issuer != self._issuer:
                continue
            name, shares = (
                fact.message.share_class,
                decimal_from_message(fact.message.authorised_shares),
            )
            authorised[name] += shares
            if authorised[name] != shares:
                self._transact(
                    fact,
                    "TX_STOCK_CLASS_AUTHORIZED_SHARES_ADJUSTMENT",
                    stock_class_id=name,
                    new_shares_authorized=decimal_to_text(authorised[name]),
                )
                continue
            stated = supplement.stock_class(name)
            self.stock_classes.append(
                {
                    "object_type": "STOCK_CLASS",
                    "id": name,
                    "name": name,
                    "class_type": stated.class_type,
                    "default_id_prefix": f"{name}-",
                    "initial_shares_authorized": decimal_to_text(shares),
                    "votes_per_share": fact.message.votes_per_share.value or "0",
                    "seniority": stated.seniority,
                }
            )

    def transactions(self, facts: list[_Fact]) -> None:
        """Add what happened to shares, in the order of recording."""
        for fact in facts:
            if fact.kind == "equity_shares_issued":
                terms = self._agreements.by_name[fact.message.agreement].terms_on(fact.day)
                if terms.issuer == self._issuer:
                    self._issued(fact, terms.investor)
                continue
            issue = self._issues.get((fact.message.agreement, fact.message.security))
            if issue is None:
                continue
            if fact.kind == "equity_issuance_rescinded":
                self._rescinded(fact, issue)
            elif fact.kind == "shares_repurchased":
                self._repurchased(fact, issue)
            else:
                self._transferred(fact, issue)

    def _issued(self, fact: _Fact, holder: str) -> None:
        issue = _Issue(fact.message)
        self._issues[fact.message.agreement, fact.message.security] = issue
        shares = decimal_from_message(fact.message.shares)
        self._lot(fact, issue, f"{fact.message.agreement}/{fact.message.security}", holder, shares)

    def _lot(
        self,
        fact: _Fact,
        issue: _Issue,
        security_id: str,
        holder: str,
        shares: Decimal,
        place: int | None = None,
    ) -> None:
        """Issue a security: the first of an issuance, or one that results from another.

        A balance security keeps the place of its predecessor.
        """
        issued = issue.fact
        money = money_from_message(issued.amount)
        issue.lots.insert(
            len(issue.lots) if place is None else place, _Lot(security_id, holder, shares)
        )
        self.holders.setdefault(holder)
        cost = {} if security_id.count("/") > 1 else {"cost_basis": _monetary(issued.amount)}
        self._transact(
            fact,
            "TX_STOCK_ISSUANCE",
            security_id=security_id,
            custom_id=security_id,
            stakeholder_id=holder,
            stock_class_id=issued.share_class,
            share_price={"amount": issued.price_per_share.value, "currency": money.currency},
            quantity=decimal_to_text(shares),
            stock_legend_ids=[],
            security_law_exemptions=[],
            **cost,
        )

    def _rescinded(self, fact: _Fact, issue: _Issue) -> None:
        shares = decimal_from_message(fact.message.shares)
        for lot, taken in self._taken(fact, issue, shares):
            if taken == lot.shares == decimal_from_message(issue.fact.shares):
                self._transact(
                    fact,
                    "TX_STOCK_RETRACTION",
                    security_id=lot.security_id,
                    reason_text="The issuance was rescinded in full.",
                )
                issue.lots.remove(lot)
                continue
            self._close(
                fact,
                issue,
                lot,
                taken,
                "TX_STOCK_CANCELLATION",
                quantity=decimal_to_text(taken),
                reason_text="The issuance was rescinded in part.",
            )

    def _repurchased(self, fact: _Fact, issue: _Issue) -> None:
        shares = decimal_from_message(fact.message.shares)
        money = money_from_message(fact.message.amount)
        price = Fraction(money.amount_minor, 10 ** currency_exponent(money.currency))
        paid = f"{money.currency} {decimal_to_text(_units(fact.message.amount))}"
        for lot, taken in self._taken(fact, issue, shares):
            self._close(
                fact,
                issue,
                lot,
                taken,
                "TX_STOCK_REPURCHASE",
                quantity=decimal_to_text(taken),
                price={
                    "amount": ten_places(price / Fraction(shares)),
                    "currency": money.currency,
                },
                comments=[f"Paid for {decimal_to_text(shares)} shares together: {paid}."],
            )

    def _transferred(self, fact: _Fact, issue: _Issue) -> None:
        shares = decimal_from_message(fact.message.shares)
        for lot, taken in self._taken(fact, issue, shares, fact.message.from_party):
            resulting = issue.next_id()
            self._close(
                fact,
                issue,
                lot,
                taken,
                "TX_STOCK_TRANSFER",
                quantity=decimal_to_text(taken),
                resulting_security_ids=[resulting],
            )
            self._lot(fact, issue, resulting, fact.message.to_party, taken)

    def _taken(
        self, fact: _Fact, issue: _Issue, shares: Decimal, holder: str = ""
    ) -> Iterator[tuple[_Lot, Decimal]]:
        """Yield the securities that shares are taken from, oldest first, and the number from each.

        Raises:
            ExportError: there are too few shares.
        """
        left = shares
        for lot in [lot for lot in issue.lots if holder in ("", lot.holder)]:
            if left:
                taken = min(left, lot.shares)
                left -= taken
                yield lot, taken
        if left:
            whose = f" of {holder}" if holder else ""
            raise ExportError(
                f"position {fact.position}: security {issue.fact.security!r} has "
                f"{decimal_to_text(shares - left)} shares{whose}, not {decimal_to_text(shares)}"
            )

    def _close(
        self, fact: _Fact, issue: _Issue, lot: _Lot, taken: Decimal, kind: str, **fields: Any
    ) -> None:
        """Close a security, and issue a balance security for the rest."""
        place = issue.lots.index(lot)
        issue.lots.remove(lot)
        left = lot.shares - taken
        balance = {"balance_security_id": issue.next_id()} if left else {}
        self._transact(fact, kind, security_id=lot.security_id, **fields, **balance)
        if left:
            self._lot(fact, issue, balance["balance_security_id"], lot.holder, left, place)

    def _transact(self, fact: _Fact, kind: str, **fields: Any) -> None:
        number = len(self.found) + 1
        self.found.append(
            {
                "object_type": kind,
                "id": f"{fact.position}-{number}",
                "date": fact.day.isoformat(),
                **fields,
            }
        )


def _concerns(kind: str) -> bool:
    parties = ("party_registered", "party_amended", "share_class_authorised")
    return kind in _SHARE_KINDS or kind in parties or kind in _LEFT_OUT


def _comments(facts: list[_Fact], issuer: str) -> Iterator[str]:
    yield (
        f"Securities of {issuer}. Their ids are AGREEMENT/SECURITY, and AGREEMENT/SECURITY/NUMBER "
        "for what was made of one."
    )
    counted = Counter(fact.kind for fact in facts if fact.kind in _LEFT_OUT)
    for kind, count in sorted(counted.items()):
        yield f"Left out: {count} {_LEFT_OUT[kind]}."


def _stakeholder(party: str, legal_name: str) -> dict[str, Any]:
    return {
        "object_type": "STAKEHOLDER",
        "id": party,
        "name": {"legal_name": legal_name},
        "stakeholder_type": "INSTITUTION",
        "issuer_assigned_id": party,
    }


def _units(message: Money) -> Decimal:
    money = money_from_message(message)
    return Decimal(money.amount_minor).scaleb(-currency_exponent(money.currency))


def _monetary(message: Money) -> dict[str, str]:
    return {"amount": decimal_to_text(_units(message)), "currency": message.currency_code}


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
