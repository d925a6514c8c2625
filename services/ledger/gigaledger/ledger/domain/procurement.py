"""Procurement: an order and the documents and payments that answer it.

What arrives, is invoiced or is paid is recorded whatever the rules say; only a reference to a
document that cannot be true is refused. Documents that name no order are kept in the trade account
of buyer and supplier, under the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gigaledger.common.invoices import recoverable_tax_minor
from gigaledger.ledger.domain.book_view import (
    BookView,
    NaturalKey,
    Violations,
    at_most,
    bank_keys,
    different,
    minor,
    repeated,
    same_currency,
    unknown,
    wrong_state,
)
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.field_forms import MAX_AMOUNT_MINOR
from gigaledger.ledger.domain.refusals import Rule, Violation
from google.type.money_pb2 import Money as MoneyMessage


@dataclass(slots=True)
class Line:
    """A line of an order, in units.

    Attributes:
        ordered: ordered with amendments, before cancellations.
        cancelled: cancelled.
        received: received, before returns: returned units are not open again.
        returned: returned.
    """

    ordered: int
    cancelled: int = 0
    received: int = 0
    returned: int = 0


@dataclass(slots=True)
class Document:
    """An invoice or a payment: what remains of it in minor units, and its currency."""

    remaining_minor: int
    currency: str


class TradeAccount:
    """State of the stream tradeAccounts/{buyer}:{supplier}: documents that name no order."""

    def __init__(self) -> None:
        self.invoices: dict[str, Document] = {}
        self.payments: dict[str, Document] = {}
        self._missing: list[str] = []

    @property
    def exists(self) -> bool:
        """A trade account is there as soon as something is recorded in it."""
        return bool(self.invoices or self.payments)

    def missing(self, what: str) -> None:
        """Note that a fact refers to something that does not stand any more."""
        self._missing.append(what)

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        for what in self._missing:
            yield wrong_state("position", f"facts recorded later depend on {what}")
        for number, invoice in self.invoices.items():
            if invoice.remaining_minor < 0:
                message = f"more of invoice {number} is credited than was invoiced"
                yield Violation(Rule.INVC_03, "position", message)
        for number, payment in self.payments.items():
            if payment.remaining_minor < 0:
                message = f"more of payment {number} is refunded than was paid"
                yield Violation(Rule.PAY_03, "position", message)


class PurchaseOrder(TradeAccount):
    """State of the stream purchaseOrders/{purchase_order}."""

    def __init__(self) -> None:
        super().__init__()
        self.placed = False
        self.acknowledged = False
        self.agreement = ""
        self.buyer = ""
        self.supplier = ""
        self.currency = ""
        self.lines: dict[int, Line] = {}

    @property
    def exists(self) -> bool:
        """Whether the order is placed."""
        return self.placed

    def line(self, number: int) -> Line:
        """Return a line; one without units if the order does not have it."""
        if number not in self.lines:
            self.missing(f"line {number}")
            self.lines[number] = Line(0)
        return self.lines[number]

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        yield from super().invariants()
        if not self.placed and (self.lines or self.invoices or self.payments or self.acknowledged):
            yield wrong_state("position", "facts recorded under the order depend on it")
        for number, line in self.lines.items():
            if line.ordered - line.cancelled < 0:
                message = f"more of line {number} is cancelled than was ordered"
                yield Violation(Rule.PO_02, "position", message)
            if line.returned > line.received:
                yield wrong_state("position", f"more of line {number} is returned than received")


def trade_account(buyer: str, supplier: str) -> str:
    """Return the stream of documents between two parties that name no order."""
    return f"tradeAccounts/{buyer}:{supplier}"


def invoice_stream(fact: object) -> str:
    """Return the stream of an invoice or a credit note."""
    return _order_or_account(fact, fact.buyer, fact.supplier)  # type: ignore[attr-defined]


def payment_stream(fact: object) -> str:
    """Return the stream of a payment."""
    return _order_or_account(fact, fact.payer, fact.payee)  # type: ignore[attr-defined]


def refund_stream(fact: object) -> str:
    """Return the stream of a refund, whose payee is the buyer."""
    return _order_or_account(fact, fact.payee, fact.payer)  # type: ignore[attr-defined]


def _order_or_account(fact: object, buyer: str, supplier: str) -> str:
    order: str = fact.purchase_order  # type: ignore[attr-defined]
    return f"purchaseOrders/{order}" if order else trade_account(buyer, supplier)


def invoice_keys(state: TradeAccount, entry: Entry) -> list[NaturalKey]:
    """Return the number of an invoice, unique for its supplier."""
    supplier = _supplier(state, entry)
    return [NaturalKey("invoice", (supplier, entry.fact.invoice), "invoice")]


def credit_note_keys(state: TradeAccount, entry: Entry) -> list[NaturalKey]:
    """Return the number of a credit note, unique for its supplier."""
    supplier = _supplier(state, entry)
    return [NaturalKey("credit note", (supplier, entry.fact.credit_note), "credit_note")]


def _supplier(state: TradeAccount, entry: Entry) -> str:
    return state.supplier if isinstance(state, PurchaseOrder) else entry.fact.supplier


def payment_keys(_state: object, entry: Entry) -> list[NaturalKey]:
    """Return the number of a payment, unique for its payer, and the bank's reference."""
    fact = entry.fact
    return [NaturalKey("payment", (fact.payer, fact.payment), "payment"), *bank_keys(_state, entry)]


def refund_keys(_state: object, entry: Entry) -> list[NaturalKey]:
    """Return the number of a refund, unique for its payer, and the bank's reference."""
    fact = entry.fact
    return [NaturalKey("refund", (fact.payer, fact.refund), "refund"), *bank_keys(_state, entry)]


def decide_placed(state: PurchaseOrder, entry: Entry, _given: BookView) -> Violations:
    """Decide on PurchaseOrderPlaced."""
    fact = entry.fact
    if state.exists:
        yield wrong_state("purchase_order", f"order {fact.purchase_order} is placed already")
    yield from different(fact, "buyer", "supplier")
    for number in repeated(line.line for line in fact.lines):
        message = f"line {number} is given more than once"
        yield Violation(Rule.FIELD_INVALID, "lines", message)
    currency = _order_currency(fact)
    for index, line in enumerate(fact.lines):
        path = f"lines[{index}]"
        if not (line.HasField("unit_price") or line.HasField("amount") or line.amount_undisclosed):
            message = "unit_price or amount is required, or say amount_undisclosed"
            yield Violation(Rule.TYPE_01, f"{path}.amount", message)
        for name in ("unit_price", "amount"):
            if line.HasField(name):
                yield from same_currency(
                    getattr(line, name), f"{path}.{name}", currency, "the order"
                )
        yield from _value_within_bounds(line.quantity, line.unit_price, f"{path}.unit_price")


def _value_within_bounds(quantity: int, unit_price: MoneyMessage, field: str) -> Violations:
    """Refuse units whose value at a price is beyond the largest amount (HR-TYPE-01)."""
    value = abs(quantity) * minor(unit_price)
    if value > MAX_AMOUNT_MINOR:
        message = f"times {quantity} units is {value} minor units; at most {MAX_AMOUNT_MINOR}"
        yield Violation(Rule.TYPE_01, field, message, {"amount_minor": str(value)})


def _order_currency(fact: object) -> str:
    for line in fact.lines:  # type: ignore[attr-defined]
        currency: str = line.amount.currency_code or line.unit_price.currency_code
        if currency:
            return currency
    return ""


def apply_placed(state: PurchaseOrder, entry: Entry) -> None:
    """Fold PurchaseOrderPlaced."""
    fact = entry.fact
    state.placed = True
    state.agreement, state.buyer, state.supplier = fact.agreement, fact.buyer, fact.supplier
    state.currency = _order_currency(fact)
    for line in fact.lines:
        state.lines[line.line] = Line(line.quantity)


def decide_acknowledged(state: PurchaseOrder, _entry: Entry, _given: BookView) -> Violations:
    """Decide on PurchaseOrderAcknowledged."""
    if state.acknowledged:
        yield wrong_state("purchase_order", "the order is acknowledged already")


def apply_acknowledged(state: PurchaseOrder, _entry: Entry) -> None:
    """Fold PurchaseOrderAcknowledged."""
    state.acknowledged = True


def decide_amended(state: PurchaseOrder, entry: Entry, _given: BookView) -> Violations:
    """Decide on PurchaseOrderAmended: HR-PO-02."""
    fact = entry.fact
    for name in ("unit_price", "amount_delta"):
        if fact.HasField(name):
            yield from same_currency(getattr(fact, name), name, state.currency, "the order")
    yield from _value_within_bounds(fact.quantity_delta, fact.unit_price, "unit_price")
    line = state.lines.get(fact.line)
    if line is None:
        yield from _unknown_line(state, entry)
        return
    after = line.ordered + fact.quantity_delta - line.cancelled
    if fact.quantity_delta < 0 and after < line.received:
        yield Violation(
            Rule.PO_02,
            "quantity_delta",
            f"leaves {after} units of line {fact.line}, but {line.received} were received",
            {"ordered_after": str(after), "received": str(line.received)},
        )


def apply_amended(state: PurchaseOrder, entry: Entry) -> None:
    """Fold PurchaseOrderAmended."""
    state.line(entry.fact.line).ordered += entry.fact.quantity_delta


def decide_cancelled(state: PurchaseOrder, entry: Entry, _given: BookView) -> Violations:
    """Decide on PurchaseOrderCancelled: HR-PO-04."""
    fact = entry.fact
    if fact.HasField("amount"):
        yield from same_currency(fact.amount, "amount", state.currency, "the order")
    line = state.lines.get(fact.line)
    if line is None:
        yield from _unknown_line(state, entry)
        return
    yield from at_most(
        Rule.PO_04,
        "quantity",
        fact.quantity,
        max(0, line.ordered - line.cancelled - line.received),
        f"what is open of line {fact.line}",
        "units",
    )


def apply_cancelled(state: PurchaseOrder, entry: Entry) -> None:
    """Fold PurchaseOrderCancelled."""
    state.line(entry.fact.line).cancelled += entry.fact.quantity


def decide_line_exists(state: PurchaseOrder, entry: Entry, _given: BookView) -> Violations:
    """Decide on ShipmentDespatched and GoodsReceived: more than was ordered can arrive."""
    if entry.fact.line not in state.lines:
        yield from _unknown_line(state, entry)


def _unknown_line(state: PurchaseOrder, entry: Entry) -> Violations:
    if state.exists:
        yield unknown("line", f"of order {entry.fact.purchase_order}, line", entry.fact.line)


def apply_despatched(state: PurchaseOrder, entry: Entry) -> None:
    """Fold ShipmentDespatched: goods under way change nothing that is decided on."""
    state.line(entry.fact.line)


def apply_received(state: PurchaseOrder, entry: Entry) -> None:
    """Fold GoodsReceived."""
    state.line(entry.fact.line).received += entry.fact.quantity


def decide_returned(state: PurchaseOrder, entry: Entry, _given: BookView) -> Violations:
    """Decide on GoodsReturned: goods that did not arrive cannot go back."""
    fact = entry.fact
    line = state.lines.get(fact.line)
    if line is None:
        yield from _unknown_line(state, entry)
        return
    what = f"what is received of line {fact.line} and not returned"
    rest = line.received - line.returned
    yield from at_most(Rule.STATE_01, "quantity", fact.quantity, rest, what, "units")


def apply_returned(state: PurchaseOrder, entry: Entry) -> None:
    """Fold GoodsReturned."""
    state.line(entry.fact.line).returned += entry.fact.quantity


def decide_invoice(state: TradeAccount, entry: Entry, _given: BookView) -> Violations:
    """Decide on InvoiceIssued: HR-INVC-04."""
    yield from _parts_of_document(entry)
    if isinstance(state, PurchaseOrder):
        yield from _parties_of_order(state, entry)
        yield from _in_currency(entry, state.currency, "the order")
    else:
        yield from _both_parties(entry)


def _parties_of_order(state: PurchaseOrder, entry: Entry) -> Violations:
    if not state.exists:
        return
    for name in ("supplier", "buyer"):
        given, known = getattr(entry.fact, name), getattr(state, name)
        if given and given != known:
            message = f"is {given}, but the order's {name} is {known}: record it without the order"
            yield Violation(Rule.ID_03, name, message, {name: given, f"order_{name}": known})


def _both_parties(entry: Entry) -> Violations:
    for name in ("supplier", "buyer"):
        if not getattr(entry.fact, name):
            message = "is required if no purchase_order is given"
            yield Violation(Rule.FIELD_REQUIRED, name, message)
    yield from different(entry.fact, "supplier", "buyer")


def _parts_of_document(entry: Entry) -> Violations:
    """Refuse lines and taxes that cannot be part of a document of its amount.

    Whether they add up to it is flagged and not refused: the document is what its issuer sent.
    """
    fact = entry.fact
    for number in repeated(line.line for line in fact.lines):
        yield Violation(Rule.FIELD_INVALID, "lines", f"line {number} is given more than once")
    for field, amount in _amounts_of_parts(fact):
        yield from same_currency(amount, field, fact.amount.currency_code, "the amount")
    recoverable_minor = recoverable_tax_minor(fact.taxes)
    if recoverable_minor > minor(fact.amount):
        message = (
            f"recoverable taxes are {recoverable_minor} minor units in all, and the amount is"
            f" {minor(fact.amount)}"
        )
        yield Violation(Rule.INVC_04, "taxes", message, {"tax_minor": str(recoverable_minor)})


def _amounts_of_parts(fact: Any) -> Iterator[tuple[str, MoneyMessage]]:
    """Yield the field and value of each amount that a document has beside its own."""
    for index, line in enumerate(fact.lines):
        yield f"lines[{index}].amount", line.amount
        for place, part in enumerate(line.allowance_charges):
            yield f"lines[{index}].allowance_charges[{place}].amount", part.amount
    for index, part in enumerate(fact.allowance_charges):
        yield f"allowance_charges[{index}].amount", part.amount
    for index, tax in enumerate(fact.taxes):
        yield f"taxes[{index}].taxable_amount", tax.taxable_amount
        yield f"taxes[{index}].tax_amount", tax.tax_amount
    for descriptor, total in fact.totals.ListFields():
        yield f"totals.{descriptor.name}", total


def _in_currency(entry: Entry, currency: str, document: str) -> Violations:
    """Accept the document's currency, or a conversion into it (HR-TYPE-02)."""
    fact = entry.fact
    if fact.HasField("fx"):
        converted = fact.fx.document_amount
        yield from same_currency(converted, "fx.document_amount", currency, document)
        if converted.currency_code == fact.amount.currency_code:
            message = f"is in {currency} like the amount: there is nothing to convert"
            yield Violation(Rule.TYPE_02, "fx.document_amount", message)
    else:
        yield from same_currency(fact.amount, "amount", currency, document)


def apply_invoice(state: TradeAccount, entry: Entry) -> None:
    """Fold InvoiceIssued."""
    amount = entry.fact.amount
    state.invoices[entry.fact.invoice] = Document(minor(amount), amount.currency_code)


def decide_credit_note(state: TradeAccount, entry: Entry, _given: BookView) -> Violations:
    """Decide on CreditNoteIssued: HR-INVC-03 and HR-INVC-04."""
    fact = entry.fact
    yield from _parts_of_document(entry)
    if not isinstance(state, PurchaseOrder):
        yield from _both_parties(entry)
    else:
        yield from _parties_of_order(state, entry)
    invoice = state.invoices.get(fact.invoice)
    if invoice is None:
        yield unknown("invoice", "invoice", fact.invoice)
        return
    yield from same_currency(fact.amount, "amount", invoice.currency, f"invoice {fact.invoice}")
    yield from at_most(
        Rule.INVC_03,
        "amount",
        minor(fact.amount),
        invoice.remaining_minor,
        f"what remains of invoice {fact.invoice}",
        f"minor units of {invoice.currency}",
    )


def apply_credit_note(state: TradeAccount, entry: Entry) -> None:
    """Fold CreditNoteIssued."""
    invoice = state.invoices.get(entry.fact.invoice)
    if invoice is None:
        state.missing(f"invoice {entry.fact.invoice}")
    else:
        invoice.remaining_minor -= minor(entry.fact.amount)


def decide_payment(state: TradeAccount, entry: Entry, _given: BookView) -> Violations:
    """Decide on SupplierPaymentSettled and PrepaymentMade: only on what they refer to."""
    fact = entry.fact
    yield from different(fact, "payer", "payee")
    invoice_number = getattr(fact, "invoice", "")
    if invoice_number:
        invoice = state.invoices.get(invoice_number)
        if invoice is None:
            yield unknown("invoice", "invoice", invoice_number)
        else:
            yield from _in_currency(entry, invoice.currency, f"invoice {invoice_number}")
    elif isinstance(state, PurchaseOrder):
        yield from _in_currency(entry, state.currency, "the order")


def apply_payment(state: TradeAccount, entry: Entry) -> None:
    """Fold SupplierPaymentSettled and PrepaymentMade."""
    fact = entry.fact
    invoice = getattr(fact, "invoice", "")
    if invoice and invoice not in state.invoices:
        state.missing(f"invoice {invoice}")
    state.payments[fact.payment] = Document(minor(fact.amount), fact.amount.currency_code)


def decide_refund(state: TradeAccount, entry: Entry, _given: BookView) -> Violations:
    """Decide on SupplierRefundSettled: HR-PAY-03."""
    fact = entry.fact
    yield from different(fact, "payer", "payee")
    payment = state.payments.get(fact.payment)
    if payment is None:
        yield unknown("payment", "payment", fact.payment)
        return
    yield from same_currency(fact.amount, "amount", payment.currency, f"payment {fact.payment}")
    yield from at_most(
        Rule.PAY_03,
        "amount",
        minor(fact.amount),
        payment.remaining_minor,
        f"what remains of payment {fact.payment}",
        f"minor units of {payment.currency}",
    )


def apply_refund(state: TradeAccount, entry: Entry) -> None:
    """Fold SupplierRefundSettled."""
    payment = state.payments.get(entry.fact.payment)
    if payment is None:
        state.missing(f"payment {entry.fact.payment}")
    else:
        payment.remaining_minor -= minor(entry.fact.amount)
