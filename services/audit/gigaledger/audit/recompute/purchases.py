"""Purchases, recomputed: ordered, received, invoiced, paid, and open items.

A document recorded in error still defines its number if no other does, so that facts recorded under
it are not lost.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from gigaledger.audit.recompute.figure_sheet import TracedSum, in_proportion
from gigaledger.audit.recompute.history import Entry, View, by_time
from gigaledger.common.quantities import money_from_message

_ORDERED = ("purchase_order_placed", "purchase_order_amended")
_PAYMENTS = ("supplier_payment_settled", "prepayment_made")
Line = tuple[str, int]
"""Number of an order, and number of the line in it."""
Document = tuple[str, str]
"""Account (an order, or buyer and supplier), and the number of a document in it."""


class Purchase(NamedTuple):
    """A purchase of a customer from a supplier.

    Attributes:
        measure: ordered, received, invoiced, recoverable_tax, paid, received_not_invoiced,
            open_payable, refund_due or unapplied_payments.
        day: the day on which it counts; None for open items.
        amount: the amount, with its events.
    """

    measure: str
    supplier: str
    customer: str
    currency: str
    day: dt.date | None
    amount: TracedSum


class _Order(NamedTuple):
    supplier: str
    buyer: str
    currency: str


class _Bill(NamedTuple):
    """An invoice. `order_minor` is its amount in the currency of its order."""

    supplier: str
    buyer: str
    currency: str
    amount_minor: int
    order_minor: int


class _Claim(NamedTuple):
    """An invoice, or a credit note with negative amounts.

    `tax_minor` is the recoverable tax in the amount, and `order_minor` the rest of the amount in
    the currency of the order.
    """

    entry: Entry
    order: str
    document: Document
    amount_minor: int
    tax_minor: int
    order_minor: int


class _Settled(NamedTuple):
    """A payment. `document_minor` is its amount in the currency of the document that it settles."""

    invoice: str
    amount_minor: int
    document_minor: int


class _Units(NamedTuple):
    """Units of a line that were ordered or received, with an amount if the fact states one."""

    entry: Entry
    quantity: int
    amount_minor: int | None
    undisclosed: bool = False


def purchases(view: View) -> Iterator[Purchase]:
    """Yield all purchases that count, and the open items."""
    orders = _orders(view)
    bills = _bills(view, orders)
    received: dict[str, TracedSum] = {}
    for purchase, order in _goods(view, orders):
        yield purchase
        if purchase.measure == "received":
            received[order] = received.get(order, _zero(view)) + purchase.amount
    claims = list(_claims(view, bills))
    for claim in claims:
        if claim.document in bills:
            bill = bills[claim.document]
            bought = _single(view, claim.entry, claim.amount_minor - claim.tax_minor)
            yield Purchase("invoiced", *bill[:3], claim.entry.day, bought)
            if claim.tax_minor:
                tax = _single(view, claim.entry, claim.tax_minor)
                yield Purchase("recoverable_tax", *bill[:3], claim.entry.day, tax)
    yield from _not_invoiced(view, orders, received, claims)
    open_: dict[Document, TracedSum] = defaultdict(lambda: _zero(view))
    for claim in claims:
        open_[claim.document].add(claim.entry.position, claim.entry.day, claim.amount_minor)
    for entry, purchase, document, document_minor in _cash(view):
        yield purchase
        if document[1]:
            open_[document].add(entry.position, entry.day, -document_minor)
        else:
            yield purchase._replace(measure="unapplied_payments")
    for document, rest in open_.items():
        if document in bills and rest.value:
            bill = bills[document]
            measure = "open_payable" if rest.value > 0 else "refund_due"
            amount = rest if rest.value > 0 else _zero(view) - rest
            yield Purchase(measure, *bill[:3], None, amount)


def _goods(view: View, orders: dict[str, _Order]) -> Iterator[tuple[Purchase, str]]:
    """Yield ordered and received amounts, each with its order number."""
    for (number, _), measure, entry, value in _valued(view):
        if number in orders:
            one = _single(view, entry, value.minor, value.undisclosed)
            yield Purchase(measure, *orders[number], entry.day, one), number


def _not_invoiced(
    view: View, orders: dict[str, _Order], received: dict[str, TracedSum], claims: list[_Claim]
) -> Iterator[Purchase]:
    """Yield the amount received and not invoiced of each order."""
    invoiced: dict[str, TracedSum] = defaultdict(lambda: _zero(view))
    for claim in claims:
        invoiced[claim.order].add(claim.entry.position, claim.entry.day, claim.order_minor)
    for number, value in received.items():
        # A credit note that is dated before its invoice adds nothing to receive.
        rest = (value - invoiced[number].at_least_zero()).at_least_zero()
        yield Purchase("received_not_invoiced", *orders[number], None, rest)


def _zero(view: View) -> TracedSum:
    return TracedSum(traced=view.traced)


def _single(view: View, entry: Entry, amount: int, undisclosed: int = 0) -> TracedSum:
    one = _zero(view)
    one.add(entry.position, entry.day, None if undisclosed and not amount else amount)
    one.undisclosed = undisclosed
    return one


def _minor(message: Any) -> int:
    return money_from_message(message).amount_minor


def _orders(view: View) -> dict[str, _Order]:
    def read(order: Any) -> tuple[str, _Order]:
        stated = (
            line.amount.currency_code or line.unit_price.currency_code for line in order.lines
        )
        currency = next(filter(None, stated), "")
        return order.purchase_order, _Order(order.supplier, order.buyer, currency)

    return view.latest(read, *_ORDERED[:1])


def _ordered(entry: Entry) -> Iterator[tuple[Line, _Units]]:
    """Yield the units that an order or an amendment adds to lines."""
    fact = entry.fact
    if entry.kind == "purchase_order_amended":
        amount: int | None = None
        if fact.HasField("amount_delta"):
            amount = _minor(fact.amount_delta)
        elif fact.HasField("unit_price"):
            amount = fact.quantity_delta * _minor(fact.unit_price)
        yield (fact.purchase_order, fact.line), _Units(entry, fact.quantity_delta, amount)
        return
    for line in fact.lines:
        amount = None
        if line.HasField("amount"):
            amount = _minor(line.amount)
        elif line.HasField("unit_price"):
            amount = line.quantity * _minor(line.unit_price)
        units = _Units(entry, line.quantity, amount, line.amount_undisclosed)
        yield (fact.purchase_order, line.line), units


class _Price(NamedTuple):
    """The average price of a line: an amount in minor units for a number of units."""

    amount_minor: int = 0
    quantity: int = 0

    def plus(self, units: _Units) -> _Price:
        """Return the price after units were ordered at a stated price."""
        return _Price(self.amount_minor + (units.amount_minor or 0), self.quantity + units.quantity)


class _Value(NamedTuple):
    """The value of units to date in minor units, and the number of facts without a known value."""

    minor: int = 0
    undisclosed: int = 0


class _Movement(NamedTuple):
    """A change of a line. A priced one changes the value of all units of the line."""

    measure: str
    units: _Units
    priced: bool


def _ever_priced(view: View) -> dict[Line, _Price | None]:
    """Return the average price of each line over all facts ever recorded.

    It is None for a line with anything undisclosed.
    """
    found: dict[Line, _Price | None] = {}
    for entry in view.recorded(*_ORDERED):
        for line, units in _ordered(entry):
            price = found.setdefault(line, _Price())
            if units.undisclosed or price is None:
                found[line] = None
            elif units.amount_minor is not None:
                found[line] = price.plus(units)
    return found


def _movements(view: View) -> dict[Line, list[_Movement]]:
    """Return orders, cancellations, receipts and returns of each line, by time."""
    lines: dict[Line, list[_Movement]] = defaultdict(list)
    for entry in view.counted(*_ORDERED):
        for line, units in _ordered(entry):
            lines[line].append(_Movement("ordered", units, units.amount_minor is not None))
    for entry in view.counted("purchase_order_cancelled"):
        fact = entry.fact
        amount = -_minor(fact.amount) if fact.HasField("amount") else None
        units = _Units(entry, -fact.quantity, amount)
        lines[fact.purchase_order, fact.line].append(_Movement("ordered", units, priced=False))
    for entry in view.counted("goods_received", "goods_returned"):
        fact = entry.fact
        sign = 1 if entry.kind == "goods_received" else -1
        units = _Units(entry, sign * fact.quantity, None)
        lines[fact.purchase_order, fact.line].append(_Movement("received", units, priced=False))
    for found in lines.values():
        found.sort(key=lambda movement: by_time(movement.units.entry))
    return lines


def _valued(view: View) -> Iterator[tuple[Line, str, Entry, _Value]]:
    """Yield the change in value of ordered and received units by each fact.

    Units without a stated amount have the average price of their line, over orders to date or,
    before the first order, over all that was ever ordered. The value to date is rounded.
    """
    ever_priced = _ever_priced(view)
    for line, movements in _movements(view).items():
        ever = ever_priced.get(line)
        price: _Price | None = None
        to_date = {"ordered": _ToDate(), "received": _ToDate()}
        for movement in movements:
            if movement.priced:
                price = (price or _Price()).plus(movement.units)
            to_date[movement.measure].add(movement.units)
            for measure, units in to_date.items():
                change = units.revalued(None if ever is None else price or ever)
                if measure == movement.measure or change != _Value():
                    yield line, measure, movement.units.entry, change


class _ToDate:
    """The ordered, or received, units of a line to date."""

    def __init__(self) -> None:
        self._stated_minor = 0
        self._quantity = 0
        self._unpriced = 0
        self._value = _Value()

    def add(self, units: _Units) -> None:
        """Add units, or an amount of their own."""
        if units.amount_minor is not None:
            self._stated_minor += units.amount_minor
            return
        self._quantity += units.quantity
        self._unpriced += 1

    def revalued(self, price: _Price | None) -> _Value:
        """Value all of it, and return by how much it is worth more than before."""
        before = self._value
        if price is not None and price.quantity > 0:
            worth = in_proportion(self._quantity, price.quantity, price.amount_minor)
            self._value = _Value(self._stated_minor + worth)
        else:
            self._value = _Value(self._stated_minor, self._unpriced)
        return _Value(
            self._value.minor - before.minor, self._value.undisclosed - before.undisclosed
        )


def _account(order: str, buyer: str, supplier: str) -> str:
    return order or f"{buyer}:{supplier}"


def _in_document(fact: Any) -> int:
    """Return an amount in the currency of the document that it is set against."""
    return _minor(fact.fx.document_amount if fact.HasField("fx") else fact.amount)


def _bills(view: View, orders: dict[str, _Order]) -> dict[Document, _Bill]:
    def read(invoice: Any) -> tuple[Document, _Bill]:
        order = orders.get(invoice.purchase_order, _Order("", "", ""))
        account = _account(invoice.purchase_order, invoice.buyer, invoice.supplier)
        bill = _Bill(
            invoice.supplier or order.supplier,
            invoice.buyer or order.buyer,
            invoice.amount.currency_code,
            _minor(invoice.amount),
            _in_document(invoice),
        )
        return (account, invoice.invoice), bill

    return view.latest(read, "invoice_issued")


def _claims(view: View, bills: dict[Document, _Bill]) -> Iterator[_Claim]:
    """Yield invoices and credit notes."""
    for entry in view.counted("invoice_issued", "credit_note_issued"):
        fact = entry.fact
        account = _account(fact.purchase_order, fact.buyer, fact.supplier)
        document = (account, fact.invoice)
        sign = 1 if entry.kind == "invoice_issued" else -1
        amount = sign * _minor(fact.amount)
        tax = sign * sum(_minor(part.tax_amount) for part in fact.taxes if part.recoverable)
        if entry.kind == "invoice_issued":
            order_minor = in_proportion(amount - tax, amount, _in_document(fact))
        elif document in bills:
            bill = bills[document]
            order_minor = in_proportion(amount - tax, bill.amount_minor, bill.order_minor)
        else:
            continue
        yield _Claim(entry, fact.purchase_order, document, amount, tax, order_minor)


def _cash(view: View) -> Iterator[tuple[Entry, Purchase, Document, int]]:
    """Yield payments and refunds, their documents, and their amounts in the document's currency.

    A refund takes back the settlement of the payment it refunds.
    """

    def read(payment: Any) -> tuple[Document, _Settled]:
        account = _account(payment.purchase_order, payment.payer, payment.payee)
        invoice = getattr(payment, "invoice", "")
        settled = _Settled(invoice, _minor(payment.amount), _in_document(payment))
        return (account, payment.payment), settled

    settled = view.latest(read, *_PAYMENTS)
    for entry in view.counted(*_PAYMENTS, "supplier_refund_settled"):
        fact = entry.fact
        customer, supplier, sign = fact.payer, fact.payee, 1
        if entry.kind == "supplier_refund_settled":
            customer, supplier, sign = fact.payee, fact.payer, -1
        account = _account(fact.purchase_order, customer, supplier)
        payment = settled.get((account, fact.payment))
        if payment is None:
            continue
        amount = sign * _minor(fact.amount)
        if sign > 0:
            document_minor = _in_document(fact)
        else:
            document_minor = in_proportion(amount, payment.amount_minor, payment.document_minor)
        one = _single(view, entry, amount)
        currency = fact.amount.currency_code
        purchase = Purchase("paid", supplier, customer, currency, entry.day, one)
        yield entry, purchase, (account, payment.invoice), document_minor
