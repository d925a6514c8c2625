"""Purchases, recomputed: what was ordered, received, invoiced and paid, and what stands open.

A document that was recorded in error still tells what its number stands for, where no other does:
so nothing that was recorded under it drops out.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from services.audit.history import Entry, View, by_time
from services.audit.sums import Sum, in_proportion
from services.quantities import money_from_message

_ORDERED = ("purchase_order_placed", "purchase_order_amended")
_PAYMENTS = ("supplier_payment_settled", "prepayment_made")
Line = tuple[str, int]
"""Number of an order, and number of the line in it."""
Document = tuple[str, str]
"""Account (an order, or buyer and supplier), and the number of a document in it."""


class Purchase(NamedTuple):
    """Something bought by a customer from a supplier.

    Attributes:
        measure: ordered, received, invoiced, paid, received_not_invoiced, open_payable, refund_due
            or unapplied_payments.
        day: on which it was added; for what stands open, none.
        amount: what it adds, with the events behind it.
    """

    measure: str
    supplier: str
    customer: str
    currency: str
    day: dt.date | None
    amount: Sum


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
    """An invoice, or a credit note with negative amounts; `order_minor` as for `_Bill`."""

    entry: Entry
    order: str
    document: Document
    amount_minor: int
    order_minor: int


class _Settled(NamedTuple):
    """A payment. `document_minor` is its amount in the currency of what it was applied to."""

    invoice: str
    amount_minor: int
    document_minor: int


class _Units(NamedTuple):
    """Units of a line that were ordered, or received; an amount where the fact states one."""

    entry: Entry
    quantity: int
    amount_minor: int | None
    undisclosed: bool = False


def purchases(view: View) -> Iterator[Purchase]:
    """Yield all purchases that count, and what stands open."""
    orders = _orders(view)
    bills = _bills(view, orders)
    received: dict[str, Sum] = {}
    for purchase, order in _goods(view, orders):
        yield purchase
        if purchase.measure == "received":
            received[order] = received.get(order, _zero(view)) + purchase.amount
    claims = list(_claims(view, bills))
    for claim in claims:
        if claim.document in bills:
            one = _single(view, claim.entry, claim.amount_minor)
            yield Purchase("invoiced", *bills[claim.document][:3], claim.entry.day, one)
    yield from _not_invoiced(view, orders, received, claims)
    open_: dict[Document, Sum] = defaultdict(lambda: _zero(view))
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
    """Yield what was ordered and received, each with the number of its order."""
    for (number, _), measure, units, amount in _valued(view):
        if number in orders:
            one = _single(view, units.entry, amount)
            yield Purchase(measure, *orders[number], units.entry.day, one), number


def _not_invoiced(
    view: View, orders: dict[str, _Order], received: dict[str, Sum], claims: list[_Claim]
) -> Iterator[Purchase]:
    """Yield, order by order, what was received and not invoiced."""
    invoiced: dict[str, Sum] = defaultdict(lambda: _zero(view))
    for claim in claims:
        invoiced[claim.order].add(claim.entry.position, claim.entry.day, claim.order_minor)
    for number, value in received.items():
        rest = (value - invoiced[number]).at_least_zero()
        yield Purchase("received_not_invoiced", *orders[number], None, rest)


def _zero(view: View) -> Sum:
    return Sum(traced=view.traced)


def _single(view: View, entry: Entry, amount: int | None) -> Sum:
    one = _zero(view)
    one.add(entry.position, entry.day, amount)
    return one


def _minor(message: Any) -> int:
    return money_from_message(message).amount_minor


def _orders(view: View) -> dict[str, _Order]:
    def read(order: Any) -> tuple[str, _Order]:
        told = (line.amount.currency_code or line.unit_price.currency_code for line in order.lines)
        currency = next(filter(None, told), "")
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


def _prices(view: View) -> dict[Line, tuple[int, int]]:
    """Return the average price of each line: an amount in minor units, for so many units.

    By what counts, or else by all that was ever recorded. A line of which anything is not disclosed
    has no price.
    """
    told: dict[Line, list[_Units]] = defaultdict(list)
    for entry in view.recorded(*_ORDERED):
        for line, units in _ordered(entry):
            if units.amount_minor is not None or units.undisclosed:
                told[line].append(units)
    prices = {}
    for line, all_units in told.items():
        if any(units.undisclosed for units in all_units):
            continue
        counted = [u for u in all_units if view.knows(u.entry) and view.counts(u.entry)]
        chosen = counted or all_units
        quantity = sum(units.quantity for units in chosen)
        if quantity > 0:
            prices[line] = (sum(u.amount_minor or 0 for u in chosen), quantity)
    return prices


def _valued(view: View) -> Iterator[tuple[Line, str, _Units, int | None]]:
    """Yield what was ordered and received, valued in minor units; None where nothing tells.

    Units without an amount of their own have the average price of their line. The value to date is
    rounded, and each fact has the difference that it makes to it.
    """
    lines: dict[tuple[Line, str], list[_Units]] = defaultdict(list)
    for entry in view.counted(*_ORDERED):
        for line, units in _ordered(entry):
            lines[line, "ordered"].append(units)
    for entry in view.counted("purchase_order_cancelled"):
        fact = entry.fact
        amount = -_minor(fact.amount) if fact.HasField("amount") else None
        line = (fact.purchase_order, fact.line)
        lines[line, "ordered"].append(_Units(entry, -fact.quantity, amount))
    for entry in view.counted("goods_received", "goods_returned"):
        fact = entry.fact
        sign = 1 if entry.kind == "goods_received" else -1
        line = (fact.purchase_order, fact.line)
        lines[line, "received"].append(_Units(entry, sign * fact.quantity, None))
    prices = _prices(view)
    for (line, measure), found in lines.items():
        to_date = 0
        for units in sorted(found, key=lambda units: by_time(units.entry)):
            amount = units.amount_minor
            if amount is None and line in prices:
                price, quantity = prices[line]
                before = in_proportion(to_date, quantity, price)
                to_date += units.quantity
                amount = in_proportion(to_date, quantity, price) - before
            yield line, measure, units, amount


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
        amount = _minor(fact.amount)
        if entry.kind == "invoice_issued":
            yield _Claim(entry, fact.purchase_order, document, amount, _in_document(fact))
        elif document in bills:
            bill = bills[document]
            order_minor = in_proportion(-amount, bill.amount_minor, bill.order_minor)
            yield _Claim(entry, fact.purchase_order, document, -amount, order_minor)


def _cash(view: View) -> Iterator[tuple[Entry, Purchase, Document, int]]:
    """Yield payments and refunds, the document they apply to, and their amount in its currency.

    A refund applies to what the payment applied to that goes back.
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
