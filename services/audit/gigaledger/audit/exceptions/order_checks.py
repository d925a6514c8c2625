"""What is watched of an order and its documents, and of documents without one.

SX-PO-01, SX-INVC-01, SX-INVC-02, SX-PAY-01, SX-PAY-02.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from gigaledger.audit.exceptions.postings import Posting, Standing, Thresholds
from gigaledger.audit.exceptions.rule_types import Broken, Family
from gigaledger.common.quantities import money_from_message
from gigaledger.v1.common_pb2 import ContractKind


def _minor(message: Any) -> int:
    return money_from_message(message).amount_minor


def _in_document(fact: Any) -> int:
    """Return an amount in the currency of the document that it is set against."""
    return _minor(fact.fx.document_amount if fact.HasField("fx") else fact.amount)


_MOST = 100
"""Of the receipts and invoices of an order, the latest are named."""


@dataclass(slots=True)
class _Line:
    """A line: units, and its amount where everything about it is told."""

    units: int
    minor: int | None
    cancelled: int = 0
    received: int = 0
    returned: int = 0


@dataclass(slots=True)
class _Invoice:
    """`open_minor` is what it still claims; `order_minor` its amount as the order counts it."""

    position: int
    minor: int
    order_minor: int
    open_minor: int
    credited_minor: int = 0


@dataclass(slots=True)
class _Payment:
    """`wrong_minor` is what was paid to no invoice, or beyond one, and has not come back."""

    position: int
    invoice: str
    minor: int
    document_minor: int
    wrong_minor: int = 0
    behind: tuple[int, ...] = ()


@dataclass
class Order:
    """An order with all that answers it; or a document that names none."""

    placed: int = 0
    goods: bool = False
    lines: dict[int, _Line] = field(default_factory=dict)
    receipts: list[int] = field(default_factory=list)
    cancelled_minor: int = 0
    invoices: dict[str, _Invoice] = field(default_factory=dict)
    invoiced_minor: int = 0
    payments: dict[str, _Payment] = field(default_factory=dict)
    wrong: dict[str, _Payment] = field(default_factory=dict)

    def add(self, posting: Posting, _standing: Standing) -> None:
        """Add the next posting."""
        fact = posting.fact
        match posting.kind:
            case "purchase_order_placed":
                self._place(posting)
            case "purchase_order_amended" if fact.line in self.lines:
                self._amend(fact, self.lines[fact.line])
            case "purchase_order_cancelled" if fact.line in self.lines:
                self._cancel(fact, self.lines[fact.line])
            case "goods_received" if fact.line in self.lines:
                self.lines[fact.line].received += fact.quantity
                self.receipts.append(posting.position)
            case "goods_returned" if fact.line in self.lines:
                self.lines[fact.line].returned += fact.quantity
                self.receipts.append(posting.position)
            case "invoice_issued":
                minor, order_minor = _minor(fact.amount), _in_document(fact)
                self.invoices[fact.invoice] = _Invoice(posting.position, minor, order_minor, minor)
                self.invoiced_minor += order_minor
            case "credit_note_issued" if fact.invoice in self.invoices:
                invoice, minor = self.invoices[fact.invoice], _minor(fact.amount)
                invoice.open_minor -= minor
                invoice.credited_minor += minor
                self.invoiced_minor -= invoice.order_minor * minor // invoice.minor
            case "supplier_payment_settled":
                self._pay(posting)
            case "supplier_refund_settled":
                self._refund(fact)

    def turning_days(self) -> Collection[dt.date]:
        """Return no days: time alone changes nothing."""
        return ()

    def _place(self, posting: Posting) -> None:
        self.placed = posting.position
        self.goods = posting.fact.contract_kind == ContractKind.CONTRACT_KIND_CHIP_PO
        for line in posting.fact.lines:
            minor = None
            if line.HasField("amount"):
                minor = _minor(line.amount)
            elif line.HasField("unit_price"):
                minor = line.quantity * _minor(line.unit_price)
            self.lines[line.line] = _Line(line.quantity, minor)

    @staticmethod
    def _amend(fact: Any, line: _Line) -> None:
        if line.minor is not None:
            if fact.HasField("amount_delta"):
                line.minor += _minor(fact.amount_delta)
            elif fact.HasField("unit_price"):
                line.minor += fact.quantity_delta * _minor(fact.unit_price)
            elif line.units:
                line.minor += line.minor * fact.quantity_delta // line.units
        line.units += fact.quantity_delta

    def _cancel(self, fact: Any, line: _Line) -> None:
        line.cancelled += fact.quantity
        if fact.HasField("amount"):
            self.cancelled_minor += _minor(fact.amount)
        elif line.minor is not None and line.units:
            self.cancelled_minor += line.minor * fact.quantity // line.units

    def _pay(self, posting: Posting) -> None:
        fact = posting.fact
        paid = _Payment(posting.position, fact.invoice, _minor(fact.amount), _in_document(fact))
        self.payments[fact.payment] = paid
        if not fact.invoice:
            paid.wrong_minor, paid.behind = paid.minor, (posting.position,)
        elif fact.invoice in self.invoices:
            invoice = self.invoices[fact.invoice]
            paid.wrong_minor = max(0, paid.document_minor - max(0, invoice.open_minor))
            paid.behind = (invoice.position, posting.position)
            invoice.open_minor -= paid.document_minor
        if paid.wrong_minor:
            self.wrong[fact.payment] = paid

    def _refund(self, fact: Any) -> None:
        """Take a refund off its payment, and off what its invoice has got."""
        paid = self.payments.get(fact.payment)
        if paid is None:
            return
        minor = _minor(fact.amount)
        if paid.invoice:
            minor = minor * paid.document_minor // paid.minor
        if paid.invoice in self.invoices:
            self.invoices[paid.invoice].open_minor += minor
        paid.wrong_minor -= minor
        if paid.wrong_minor <= 0:
            self.wrong.pop(fact.payment, None)

    def broken(self, _thresholds: Thresholds, _day: dt.date) -> Iterator[Broken]:
        """Yield which rules are broken."""
        for at, line in self.lines.items():
            if line.received - line.returned > line.units - line.cancelled:
                yield Broken("SX-PO-01", str(at), (self.placed, *self.receipts[-_MOST:]))
        for number, paid in self.wrong.items():
            yield Broken("SX-PAY-01" if paid.invoice else "SX-PAY-02", number, paid.behind)
        if self.placed:
            yield from self._three_way_match()
            return
        for number, invoice in self.invoices.items():
            if invoice.credited_minor < invoice.minor:
                yield Broken("SX-INVC-02", number, (invoice.position,))

    def _three_way_match(self) -> Iterator[Broken]:
        """SX-INVC-01: goods count as received also where they went back later."""
        if any(line.minor is None for line in self.lines.values()):
            return
        ordered = sum(line.minor or 0 for line in self.lines.values()) - self.cancelled_minor
        received = sum(
            Fraction((line.minor or 0) * line.received, line.units)
            for line in self.lines.values()
            if line.units > 0
        )
        # The value of goods is not a whole number of minor units: the next one is allowed.
        exceeded = {
            "ordered": self.invoiced_minor > ordered,
            "received": self.goods and self.invoiced_minor >= received + 1,
        }
        for what in [what for what, exceeds in exceeded.items() if exceeds]:
            answers = sorted([*self.receipts, *(i.position for i in self.invoices.values())])
            yield Broken("SX-INVC-01", what, (self.placed, *answers[-_MOST:]))


def _documents(posting: Posting, standing: Standing) -> Iterator[str]:
    fact = posting.fact
    if fact.purchase_order:
        yield f"purchaseOrders/{fact.purchase_order}"
        return
    if posting.kind == "supplier_payment_settled":
        buyer, supplier, invoice = fact.payer, fact.payee, fact.invoice
    elif posting.kind == "supplier_refund_settled":
        buyer, supplier = fact.payee, fact.payer
        paid = standing.latest("payment", (buyer, supplier, fact.payment), posting.position)
        invoice = paid.fact.invoice if paid is not None else ""
    else:
        buyer, supplier, invoice = fact.buyer, fact.supplier, fact.invoice
    document = f"invoices/{invoice}" if invoice else f"payments/{fact.payment}"
    yield f"tradeAccounts/{buyer}:{supplier}/{document}"


ORDERS = Family(
    rules=frozenset({"SX-PO-01", "SX-INVC-01", "SX-INVC-02", "SX-PAY-01", "SX-PAY-02"}),
    kinds=frozenset(
        {
            *("purchase_order_placed", "purchase_order_amended", "purchase_order_cancelled"),
            *("goods_received", "goods_returned", "invoice_issued", "credit_note_issued"),
            *("supplier_payment_settled", "supplier_refund_settled"),
        }
    ),
    subjects=_documents,
    new=lambda _name: Order(),
)
