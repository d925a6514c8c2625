"""Three-way match: orders against receipts, invoices and payments.

SX-PO-01, SX-PO-02, SX-PO-04, SX-INVC-01 to SX-INVC-04, SX-PAY-01, SX-PAY-02, SX-PAY-03,
SX-CUT-04, and SX-DOC-01 for cancellations.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from gigaledger.common.invoices import recoverable_tax_minor
from gigaledger.common.quantities import (
    currency_exponent,
    decimal_from_message,
    money_from_message,
)
from gigaledger.exceptions.control_totals import (
    AMOUNT_BESIDE_PRICE,
    AMOUNT_BESIDE_PRICE_STATEMENT,
)
from gigaledger.exceptions.cut_off import (
    MOST_BEHIND,
    TAKEN_BACK_EARLY,
    TAKEN_BACK_EARLY_STATEMENT,
    BalanceByDay,
)
from gigaledger.exceptions.descriptions import amount_text, price_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import (
    Finding,
    PostingRule,
    Severity,
    SubjectRule,
    Topic,
)
from gigaledger.v1.common_pb2 import ContractKind
from gigaledger.v1.procurement_facts_pb2 import InvoiceLine

_CHIPS = ContractKind.CONTRACT_KIND_CHIP_PO


@dataclass(slots=True)
class _Line:
    quantity: int
    amount_minor: int | None
    cancelled: int = 0
    received: int = 0
    returned: int = 0

    def price_minor(self) -> Fraction | None:
        """Return the average price of one unit; None if it is undisclosed or of no units."""
        if self.amount_minor is None or self.quantity <= 0:
            return None
        return Fraction(self.amount_minor, self.quantity)


@dataclass(slots=True)
class _LineInvoiced:
    """Units of a line of the order that were invoiced, less those credited."""

    quantity: int = 0
    positions: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _PricedLine:
    """The price of an invoice line beside that of its order line, in minor units of the order."""

    position: int
    order_line: int
    quantity: int
    price_minor: Fraction
    order_price_minor: Fraction


@dataclass(slots=True)
class _Invoice:
    """An invoice; `order_minor` is its amount in the order's currency without recoverable tax."""

    position: int
    amount_minor: int
    order_minor: int
    open_minor: int
    rate: Fraction
    credited_minor: int = 0


@dataclass(slots=True)
class _Payment:
    """A lasting fault of a payment: paid beyond its invoice, or applied to none."""

    positions: tuple[int, ...]
    invoice: str
    excess_minor: int
    currency: str


class Trade:
    """State of an order with its documents, or of an invoice or payment without an order."""

    def __init__(self, _subject: str) -> None:
        self.placed = 0
        self.goods = False
        self.currency = ""
        self.lines: dict[int, _Line] = {}
        self.receipts: list[int] = []
        self.receipt_numbers: dict[str, list[int]] = defaultdict(list)
        self.lines_invoiced: dict[int, _LineInvoiced] = defaultdict(_LineInvoiced)
        self.priced_lines: dict[str, _PricedLine] = {}
        self.invoiced: list[int] = []
        self.cancelled_minor = 0
        self.mispriced: dict[int, str] = {}
        self.balances: dict[str, BalanceByDay] = defaultdict(BalanceByDay)
        self.invoices: dict[str, _Invoice] = {}
        self.invoiced_minor = 0
        self.overpaid: dict[str, _Payment] = {}
        self.unapplied: dict[str, _Payment] = {}
        self._payments: dict[str, tuple[str, int, int]] = {}

    def apply(self, posting: Posting, _context: RuleContext) -> None:
        """Fold a posting."""
        fact = posting.fact
        match posting.kind:
            case "purchase_order_placed":
                self._place(posting)
            case "purchase_order_amended":
                self._amend(posting)
            case "purchase_order_cancelled":
                self._cancel(posting)
            case "goods_received" | "goods_returned" if fact.line in self.lines:
                line = self.lines[fact.line]
                self.receipts.append(posting.position)
                sign = 1 if posting.kind == "goods_received" else -1
                self._change(f"units of line {fact.line} received", posting, sign * fact.quantity)
                if posting.kind == "goods_received":
                    line.received += fact.quantity
                    if fact.receipt:
                        self.receipt_numbers[fact.receipt].append(posting.position)
                else:
                    line.returned += fact.quantity
            case "invoice_issued":
                self._invoice(posting)
            case "credit_note_issued":
                self._credit(posting)
            case "supplier_payment_settled":
                self._pay(posting)
            case "supplier_refund_settled":
                self._refund(posting)

    def _place(self, posting: Posting) -> None:
        self.placed = posting.position
        self.goods = posting.fact.contract_kind == _CHIPS
        for line in posting.fact.lines:
            amount: int | None = None
            if line.HasField("amount"):
                amount = money_from_message(line.amount).amount_minor
            elif line.HasField("unit_price"):
                amount = line.quantity * money_from_message(line.unit_price).amount_minor
            self.currency = self.currency or (
                line.amount.currency_code or line.unit_price.currency_code
            )
            self.lines[line.line] = _Line(line.quantity, amount)
            self._change(f"units of line {line.line} ordered", posting, line.quantity)

    def _amend(self, posting: Posting) -> None:
        fact, line = posting.fact, self.lines.get(posting.fact.line)
        if line is None:
            return
        if line.amount_minor is not None:
            if fact.HasField("amount_delta"):
                line.amount_minor += money_from_message(fact.amount_delta).amount_minor
            elif fact.HasField("unit_price"):
                price = money_from_message(fact.unit_price).amount_minor
                line.amount_minor += fact.quantity_delta * price
            elif line.quantity:
                line.amount_minor += line.amount_minor * fact.quantity_delta // line.quantity
        line.quantity += fact.quantity_delta
        self._change(f"units of line {fact.line} ordered", posting, fact.quantity_delta)

    def _cancel(self, posting: Posting) -> None:
        fact, line = posting.fact, self.lines.get(posting.fact.line)
        if line is not None:
            line.cancelled += fact.quantity
            self._change(f"units of line {fact.line} ordered", posting, -fact.quantity)
            value = None
            if line.amount_minor is not None and line.quantity:
                value = Fraction(line.amount_minor * fact.quantity, line.quantity)
            if fact.HasField("amount"):
                stated = money_from_message(fact.amount).amount_minor
                self.cancelled_minor += stated
                if value is not None and abs(stated - value) >= 1:
                    self.mispriced[posting.position] = (
                        f"{amount_text(stated, self.currency)} is cancelled with {fact.quantity}"
                        f" units of line {fact.line}, whose value is"
                        f" {amount_text(round(value), self.currency)}"
                    )
            elif value is not None:
                self.cancelled_minor += math.floor(value)

    def ordered_minor(self) -> int | None:
        """Return what is ordered less cancellations; None if a price is undisclosed."""
        amounts = [line.amount_minor for line in self.lines.values()]
        known = [amount for amount in amounts if amount is not None]
        return sum(known) - self.cancelled_minor if len(known) == len(amounts) else None

    def received_minor(self) -> int | None:
        """Return what was received, before returns, at the average price of its line."""
        value = Fraction(0)
        for line in self.lines.values():
            if line.amount_minor is None:
                return None
            if line.quantity > 0:
                value += Fraction(line.amount_minor * line.received, line.quantity)
        return -(-value.numerator // value.denominator)

    def _invoice(self, posting: Posting) -> None:
        fact = posting.fact
        minor = money_from_message(fact.amount).amount_minor
        converted = fact.fx.document_amount if fact.HasField("fx") else fact.amount
        rate = Fraction(money_from_message(converted).amount_minor, minor)
        order_minor = math.floor((minor - recoverable_tax_minor(fact.taxes)) * rate)
        self.invoiced.append(posting.position)
        self.invoices[fact.invoice] = _Invoice(posting.position, minor, order_minor, minor, rate)
        self._invoice_lines(posting, 1)
        for part in fact.lines:
            self._price(posting, part, rate)
        self.invoiced_minor += order_minor
        self._change(f"what invoice {fact.invoice} claims", posting, minor)

    def _invoice_lines(self, posting: Posting, sign: int) -> None:
        for part in posting.fact.lines:
            if part.order_line and part.quantity:
                invoiced = self.lines_invoiced[part.order_line]
                invoiced.quantity += sign * part.quantity
                invoiced.positions.append(posting.position)

    def _price(self, posting: Posting, part: InvoiceLine, rate: Fraction) -> None:
        """Note the price of an invoice line, if its order line has one at the time."""
        line = self.lines.get(part.order_line)
        order_price_minor = line.price_minor() if line else None
        if order_price_minor is None or not part.quantity:
            return
        if part.HasField("unit_price"):
            price = Fraction(decimal_from_message(part.unit_price))
            price_minor = price * 10 ** currency_exponent(part.amount.currency_code)
        else:
            price_minor = Fraction(money_from_message(part.amount).amount_minor, part.quantity)
        self.priced_lines[f"{posting.fact.invoice}/{part.line}"] = _PricedLine(
            posting.position,
            part.order_line,
            part.quantity,
            price_minor * rate,
            order_price_minor,
        )

    def _change(self, balance: str, posting: Posting, amount: int) -> None:
        self.balances[balance].change(posting, amount)

    def _credit(self, posting: Posting) -> None:
        invoice = self.invoices.get(posting.fact.invoice)
        if invoice is not None:
            minor = money_from_message(posting.fact.amount).amount_minor
            invoice.open_minor -= minor
            invoice.credited_minor += minor
            self._change(f"what invoice {posting.fact.invoice} claims", posting, -minor)
            bought_minor = minor - recoverable_tax_minor(posting.fact.taxes)
            self.invoiced_minor -= math.floor(bought_minor * invoice.rate)
            self._invoice_lines(posting, -1)

    def _pay(self, posting: Posting) -> None:
        fact = posting.fact
        converted = fact.fx.document_amount if fact.HasField("fx") else fact.amount
        paid, money = money_from_message(fact.amount), money_from_message(converted)
        self._payments[fact.payment] = (fact.invoice, money.amount_minor, paid.amount_minor)
        self._change(f"what was paid by {fact.payment}", posting, paid.amount_minor)
        if not fact.invoice:
            self.unapplied[fact.payment] = _Payment(
                (posting.position,), "", paid.amount_minor, paid.currency
            )
            return
        invoice = self.invoices.get(fact.invoice)
        if invoice is None:
            return
        excess = money.amount_minor - max(0, invoice.open_minor)
        invoice.open_minor -= money.amount_minor
        if excess > 0:
            positions = (invoice.position, posting.position)
            self.overpaid[fact.payment] = _Payment(positions, fact.invoice, excess, money.currency)

    def _refund(self, posting: Posting) -> None:
        fact = posting.fact
        minor = money_from_message(fact.amount).amount_minor
        invoice_number, document_minor, paid_minor = self._payments.get(fact.payment, ("", 0, 0))
        if paid_minor:
            self._change(f"what was paid by {fact.payment}", posting, -minor)
            # In the currency of the document, by the payment's conversion.
            minor = minor if not invoice_number else minor * document_minor // paid_minor
        if invoice_number in self.invoices:
            self.invoices[invoice_number].open_minor += minor
        for held in (self.overpaid, self.unapplied):
            if fact.payment in held:
                held[fact.payment].excess_minor -= minor
                if held[fact.payment].excess_minor <= 0:
                    del held[fact.payment]


def find_over_received(state: Trade, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find more units received, less returns, than ordered, less cancellations (SX-PO-01)."""
    for number, line in state.lines.items():
        ordered, received = line.quantity - line.cancelled, line.received - line.returned
        if received > ordered + policy.quantity_tolerance(ordered):
            text = f"{received} units of line {number} are received, and {ordered} are ordered"
            behind = state.receipts[-MOST_BEHIND:]
            yield Finding(text, (state.placed, *behind), str(number))


def find_taken_back_early(state: Trade, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find goods, claims and payments taken back before they were there (SX-CUT-04)."""
    for name, balance in state.balances.items():
        yield from balance.find_negative(name)


def find_mispriced_cancellations(state: Trade, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find cancellations whose amount is not that of the units, at the line's price (SX-DOC-01)."""
    for position, text in state.mispriced.items():
        yield Finding(text, (state.placed, position), str(position))


def find_overinvoiced(state: Trade, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find more invoiced, less credits, than received or ordered: three-way match (SX-INVC-01).

    Goods that were returned later still count as received: the credit that is due then does not
    make the invoice wrong.
    """
    if not state.placed:
        return
    limits = {"ordered": state.ordered_minor()}
    if state.goods:
        limits["received"] = state.received_minor()
    for what, limit in limits.items():
        if limit is None:
            continue
        if state.invoiced_minor > limit + policy.amount_tolerance(limit, state.currency):
            text = (
                f"{amount_text(state.invoiced_minor, state.currency)} is invoiced, and"
                f" {amount_text(limit, state.currency)} is {what}"
            )
            latest = state.invoiced[-MOST_BEHIND:] + state.receipts[-MOST_BEHIND:]
            behind = sorted(latest)[-MOST_BEHIND:]
            yield Finding(text, (state.placed, *behind), what)


def find_lines_overinvoiced(state: Trade, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find more units of a line invoiced, less credits, than ordered or received (SX-INVC-03)."""
    if not state.placed:
        return
    for number, invoiced in state.lines_invoiced.items():
        line = state.lines.get(number, _Line(0, None))
        limits = {"ordered": line.quantity - line.cancelled}
        if state.goods and number in state.lines:
            limits["received"] = line.received
        for what, limit in limits.items():
            if invoiced.quantity > limit + policy.quantity_tolerance(limit):
                text = (
                    f"{invoiced.quantity} units of line {number} are invoiced, and {limit} are"
                    f" {what}"
                )
                behind = sorted({state.placed, *invoiced.positions[-MOST_BEHIND:]})
                yield Finding(text, tuple(behind), f"{number} {what}")


def find_price_variances(state: Trade, policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find invoice lines at another price than their order line had (SX-INVC-04).

    A difference of less than a minor unit over the units of the line is due to rounding.
    """
    for name, priced in state.priced_lines.items():
        difference = abs(priced.price_minor - priced.order_price_minor)
        allowed = policy.price_tolerance(priced.order_price_minor, state.currency)
        if difference > allowed and difference * priced.quantity >= 1:
            text = (
                f"invoice line {name} has line {priced.order_line} at"
                f" {price_text(priced.price_minor, state.currency)}, and the order at"
                f" {price_text(priced.order_price_minor, state.currency)}"
            )
            yield Finding(text, (state.placed, priced.position), name)


def find_repeated_receipts(state: Trade, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find numbers of receipts that were recorded more than once (SX-PO-04)."""
    for number, positions in state.receipt_numbers.items():
        if len(positions) > 1:
            text = f"receipt {number} is recorded {len(positions)} times"
            yield Finding(text, tuple(positions[:MOST_BEHIND]), number)


def find_without_order(state: Trade, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find invoices without an order that are not credited in full (SX-INVC-02)."""
    if state.placed:
        return
    for number, invoice in state.invoices.items():
        if invoice.credited_minor < invoice.amount_minor:
            yield Finding(f"invoice {number} names no order", (invoice.position,), number)


def find_overpaid(state: Trade, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find payments above what their invoice claimed when they were applied (SX-PAY-01)."""
    for number, payment in state.overpaid.items():
        amount = amount_text(payment.excess_minor, payment.currency)
        text = f"payment {number} is {amount} above what invoice {payment.invoice} claimed"
        yield Finding(text, payment.positions, number)


def find_unapplied(state: Trade, _policy: Policy, _day: dt.date) -> Iterator[Finding]:
    """Find payments that settle no invoice and are not refunded (SX-PAY-02)."""
    for number, payment in state.unapplied.items():
        amount = amount_text(payment.excess_minor, payment.currency)
        yield Finding(f"{amount} of payment {number} is unapplied", payment.positions, number)


def find_dated_before_order(
    posting: Posting, context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find a document dated before its order (SX-PO-02)."""
    order = context.orders.get(posting.fact.purchase_order, posting.position)
    if order is None or posting.effective_date >= order.effective_date:
        return None
    text = f"dated {posting.effective_date}, and the order {order.effective_date}"
    return Finding(text, (order.position, posting.position))


def find_third_party(posting: Posting, context: RuleContext, _policy: Policy) -> Finding | None:
    """Find a payment on an order by or to a third party (SX-PAY-03)."""
    fact = posting.fact
    order = context.orders.get(fact.purchase_order, posting.position)
    if order is None:
        return None
    buyer, supplier = order.fact.buyer, order.fact.supplier
    if posting.kind == "supplier_refund_settled":
        buyer, supplier = supplier, buyer
    if (fact.payer, fact.payee) == (buyer, supplier):
        return None
    text = f"{fact.payer} pays {fact.payee} on an order of {order.fact.buyer} from"
    return Finding(f"{text} {order.fact.supplier}", (order.position, posting.position))


def _documents(posting: Posting, context: RuleContext) -> Iterator[str]:
    """Yield the order of a document, or the invoice or payment itself if it has none."""
    fact = posting.fact
    if fact.purchase_order:
        yield f"purchaseOrders/{fact.purchase_order}"
        return
    match posting.kind:
        case "supplier_payment_settled":
            buyer, supplier, invoice = fact.payer, fact.payee, fact.invoice
        case "supplier_refund_settled":
            buyer, supplier = fact.payee, fact.payer
            payment = buyer, supplier, fact.payment
            invoice = context.applied.get(payment, posting.position) or ""
        case _:
            buyer, supplier, invoice = fact.buyer, fact.supplier, fact.invoice
    document = f"invoices/{invoice}" if invoice else f"payments/{fact.payment}"
    yield f"tradeAccounts/{buyer}:{supplier}/{document}"


def _order(posting: Posting) -> str:
    return f"purchaseOrders/{posting.fact.purchase_order}"


RULES = (
    PostingRule(
        "SX-PO-02",
        Severity.WARNING,
        "dated before its order",
        frozenset(
            {
                *("purchase_order_amended", "purchase_order_cancelled"),
                *("goods_received", "goods_returned", "invoice_issued"),
            }
        ),
        find_dated_before_order,
        _order,
    ),
    PostingRule(
        "SX-PAY-03",
        Severity.WARNING,
        "paid by or to a third party",
        frozenset({"supplier_payment_settled", "prepayment_made", "supplier_refund_settled"}),
        find_third_party,
        _order,
    ),
)
TOPIC = Topic(
    kinds=frozenset(
        {
            *("purchase_order_placed", "purchase_order_amended", "purchase_order_cancelled"),
            *("goods_received", "goods_returned", "invoice_issued", "credit_note_issued"),
            *("supplier_payment_settled", "supplier_refund_settled"),
        }
    ),
    subjects=_documents,
    new_state=Trade,
    rules=(
        SubjectRule(
            TAKEN_BACK_EARLY,
            Severity.WARNING,
            TAKEN_BACK_EARLY_STATEMENT,
            find_taken_back_early,
        ),
        SubjectRule(
            AMOUNT_BESIDE_PRICE,
            Severity.WARNING,
            AMOUNT_BESIDE_PRICE_STATEMENT,
            find_mispriced_cancellations,
        ),
        SubjectRule("SX-PO-01", Severity.WARNING, "more received than ordered", find_over_received),
        SubjectRule(
            "SX-INVC-01",
            Severity.WARNING,
            "more invoiced than received or ordered",
            find_overinvoiced,
        ),
        SubjectRule(
            "SX-INVC-03",
            Severity.WARNING,
            "more units of a line invoiced than received or ordered",
            find_lines_overinvoiced,
        ),
        SubjectRule(
            "SX-INVC-04", Severity.WARNING, "invoiced at another price", find_price_variances
        ),
        SubjectRule(
            "SX-PO-04", Severity.WARNING, "a receipt number comes twice", find_repeated_receipts
        ),
        SubjectRule("SX-INVC-02", Severity.WARNING, "invoice without an order", find_without_order),
        SubjectRule("SX-PAY-01", Severity.WARNING, "paid more than was invoiced", find_overpaid),
        SubjectRule("SX-PAY-02", Severity.WARNING, "payment to no invoice", find_unapplied),
    ),
)
