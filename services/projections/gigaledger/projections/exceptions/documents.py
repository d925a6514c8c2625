"""Documents: the postings of one, evaluated by the rules that need no other document. Pure.

A document is an order with everything that answers it, or an invoice or payment without an order.
Documents are many and short. Rules about them depend on their own postings and on some reference
data: the terms of their agreement, the groups of their parties, closed periods.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from gigaledger.exceptions.catalogue import RULES
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting, fields_of
from gigaledger.exceptions.register import Register
from gigaledger.projections.exceptions.bitemporal import FindingHistory, Records
from gigaledger.v1.events_pb2 import RecordedEvent

ORDERS, ACCOUNTS = "purchaseOrders/", "tradeAccounts/"
"""Prefixes of the streams of documents."""
REVERSAL = "entry_reversed"
PLACED = "purchase_order_placed"
PERIODS = frozenset({"period_closed", "period_reopened"})
"""Facts that count regardless of their date, because they concern the whole book."""
MEMBERSHIPS = frozenset({"party_registered", "group_membership_changed"})
TERMS = frozenset({"letter_of_intent_signed", "definitive_agreement_executed", "agreement_amended"})
REFERENCES = PERIODS | MEMBERSHIPS | TERMS
"""Facts that rules about a document look up."""

ACROSS = frozenset({"SX-EVD-01", "SX-PO-03", "SX-RT-01", "SX-RT-02", "SX-RT-03", "SX-RT-04"})
"""Rules that look across documents, or at third-party evidence. They are off unless a policy
enables them."""
HARDWARE = "SX-CAP-03"
"""The rule that compares receipts of many orders with certificates."""
WITHIN = frozenset(RULES) - ACROSS - {HARDWARE}
"""Rules that are evaluated document by document."""

CACHED_DAYS = 16
"""Number of days, besides the latest, for which registers of a document are cached. Facts that take
effect a few days before they are recorded then cost little more than others."""

_Known = tuple[Posting, bool]
"""A posting, and whether rules evaluate it."""
_SIDES = ("buyer", "supplier", "payer", "payee")


def document_of(recorded: RecordedEvent) -> tuple[str, str]:
    """Return the document of an event, and the payment that the event settles by.

    Both are empty for events outside of documents. A reversal, and a refund without an order, do
    not name their document: a reversal has only its stream, and such a refund only the payment that
    it pays back.
    """
    stream = recorded.stream
    if stream.startswith(ORDERS):
        return stream, ""
    if not stream.startswith(ACCOUNTS):
        return "", ""
    kind = recorded.event.WhichOneof("fact") or ""
    fact = getattr(recorded.event, kind)
    if kind == REVERSAL:
        return stream, ""
    invoice = getattr(fact, "invoice", "")
    payment = f"{stream}/payments/{fact.payment}" if "payment" in fields_of(kind) else ""
    document = f"{stream}/invoices/{invoice}" if invoice else payment
    return document, payment if kind == "supplier_payment_settled" else ""


def referenced_entities(posting: Posting) -> set[str]:
    """Return the names of parties and agreements that rules about a posting look up."""
    fields = fields_of(posting.kind)
    found = {f"parties/{getattr(posting.fact, side)}" for side in _SIDES if side in fields}
    if "agreement" in fields:
        found.add(f"agreements/{posting.fact.agreement}")
    return found - {"parties/", "agreements/"}


def reference_key(posting: Posting) -> str | None:
    """Return the name that reference data concerns: empty for all, None for other facts."""
    if posting.kind in PERIODS:
        return ""
    if posting.kind in MEMBERSHIPS:
        return f"parties/{posting.fact.party}"
    if posting.kind in TERMS:
        return f"agreements/{posting.fact.agreement}"
    return None


class References:
    """Reference data of a book in recorded order, with its reversals."""

    def __init__(self) -> None:
        """Start without postings."""
        self._about: dict[int, str] = {}
        self._postings: dict[str, list[Posting]] = defaultdict(list)

    def add(self, posting: Posting) -> str | None:
        """Add a posting; return the name that it concerns: empty for all, None if none."""
        if posting.kind == REVERSAL:
            about = self._about.get(posting.fact.position)
        else:
            about = reference_key(posting)
        if about is not None:
            self._about[posting.position] = about
            self._postings[about].append(posting)
        return about

    def about(self, names: Iterable[str]) -> list[Posting]:
        """Return the postings that concern some names, or all."""
        return [posting for name in ("", *names) for posting in self._postings[name]]


class Document:
    """A document: its postings and its findings."""

    def __init__(
        self,
        policy: Policy,
        references: References,
        postings: Iterable[Posting] = (),
        history: FindingHistory | None = None,
    ) -> None:
        """Start from postings that are evaluated already.

        Args:
            policy: the thresholds.
            references: reference data up to the next posting.
            postings: the postings of the document, in order.
            history: its findings.
        """
        # Names of parties and agreements; postings that placed the order and are not reversed.
        self.names: set[str] = set()
        self.placed: list[Posting] = []
        self.history = history or FindingHistory()
        self._policy = policy
        self._references = references
        self._own = list(postings)
        for posting in self._own:
            self.names |= referenced_entities(posting)
            self._place(posting)
        self._begin()

    def _begin(self) -> None:
        """Build the registers from the known postings."""
        known = [(posting, True) for posting in self._own]
        known += [(posting, False) for posting in self._references.about(self.names)]
        self._known = sorted(known, key=lambda one: one[0].position)
        self._days = sorted(set(map(_day, self._known)))
        self._latest = _AsOf(self._policy, self._known)
        self._earlier: dict[dt.date, _AsOf] = {}

    def apply(self, posting: Posting) -> None:
        """Evaluate the next posting of the document."""
        names = referenced_entities(posting)
        if not names <= self.names:
            # Reference data of newly named parties has to be looked up as well.
            self.names |= names
            self._begin()
        self._own.append(posting)
        self._place(posting)
        self._take(posting, evaluated=True)

    def apply_reference(self, posting: Posting) -> None:
        """Apply reference data, or its reversal."""
        if posting.kind == REVERSAL:
            self._take(posting, evaluated=False)
            return
        # It applies to what is recorded from here on and changes no earlier finding.
        known = posting, False
        self._known.append(known)
        self._add_day(_day(known))
        self._latest.feed(*known)
        for day, earlier in self._earlier.items():
            if _day(known) <= day:
                earlier.feed(*known)

    def adopt_policy(self, policy: Policy, position: int) -> None:
        """Evaluate the whole document by another policy, from a position on."""
        other = Document(policy, References())
        for posting, evaluated in self._known:
            if evaluated:
                other._take(posting, evaluated=True)
            else:
                other.apply_reference(posting)
        self.history.set_from(other.history.segments(), position)
        self._policy, self._latest, self._earlier = policy, other._latest, other._earlier

    @property
    def has_begun(self) -> bool:
        """Whether any of its postings is recorded."""
        return bool(self._own)

    def _place(self, posting: Posting) -> None:
        if posting.kind == PLACED:
            self.placed.append(posting)
        elif posting.kind == REVERSAL:
            wrong = posting.fact.position
            self.placed = [placed for placed in self.placed if placed.position != wrong]

    def _take(self, posting: Posting, *, evaluated: bool) -> None:
        known = posting, evaluated
        day = _day(known)
        self._known.append(known)
        self._add_day(day)
        first, last = bisect_left(self._days, day), len(self._days) - 1
        # If it takes effect before postings recorded earlier, the registers as of each day from its
        # own on diverge.
        for at in range(first, last):
            self._change_as_of(self._days[at], self._days[at + 1], known)
        cleared, raised = self._latest.feed(*known)
        self.history.change(self._days[last], None, cleared, raised, posting.position)

    def _change_as_of(self, day: dt.date, end_day: dt.date, known: _Known) -> None:
        earlier = self._earlier.get(day)
        if earlier is not None:
            cleared, raised = earlier.feed(*known)
        else:
            earlier = _AsOf(self._policy, [one for one in self._known if _day(one) <= day])
            self._earlier[day] = earlier
            if len(self._earlier) > CACHED_DAYS:
                del self._earlier[min(self._earlier)]
            before, after = self.history.as_of(day), frozenset(earlier.findings.values())
            cleared, raised = before - after, after - before
        self.history.change(day, end_day, cleared, raised, known[0].position)

    def _add_day(self, day: dt.date) -> None:
        at = bisect_left(self._days, day)
        if at == len(self._days) or self._days[at] != day:
            self._days.insert(at, day)


class _AsOf:
    """The register of a document as of a day."""

    def __init__(self, policy: Policy, known: Iterable[_Known]) -> None:
        self._register = Register(policy, WITHIN)
        for posting, evaluated in known:
            self._register.feed(posting, evaluated=evaluated)
        self.findings = {record.id: record for record in self._register.changed()}

    def feed(self, posting: Posting, evaluated: bool) -> tuple[Records, Records]:  # noqa: FBT001
        """Apply a posting; return the findings that were cleared and those that were raised."""
        self._register.feed(posting, evaluated=evaluated)
        changed = {record.id: record for record in self._register.changed()}
        before = {self.findings[name] for name in changed.keys() & self.findings.keys()}
        after = set(changed.values())
        self.findings |= changed
        return frozenset(before - after), frozenset(after - before)


def _day(known: _Known) -> dt.date:
    posting, _ = known
    return dt.date.min if posting.kind in PERIODS else posting.effective_date
