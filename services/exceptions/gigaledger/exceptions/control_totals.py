"""Rules about what a document states twice: SX-DOC-01 to SX-DOC-04.

A document that contradicts itself is recorded as it is, and figures follow its amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from gigaledger.common.quantities import (
    currency_exponent,
    decimal_from_message,
    money_from_message,
)
from gigaledger.exceptions.cut_off import position_subject
from gigaledger.exceptions.descriptions import amount_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, PostingRule, Severity
from gigaledger.v1.procurement_facts_pb2 import AllowanceCharge
from google.type.money_pb2 import Money as MoneyMessage

AMOUNT_BESIDE_PRICE = "SX-DOC-01"
AMOUNT_BESIDE_PRICE_STATEMENT = "an amount is not quantity times price"
"""A cancellation is compared with the line it cancels, by the three-way match."""


def find_amount_beside_price(
    posting: Posting, _context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find a line whose amount is not its quantity times its price (SX-DOC-01)."""
    texts = list(_lines_beside_price(posting))
    return Finding("; ".join(texts), (posting.position,)) if texts else None


def _lines_beside_price(posting: Posting) -> Iterator[str]:
    fact = posting.fact
    if posting.kind == "purchase_order_placed":
        for line in fact.lines:
            if line.HasField("amount") and line.HasField("unit_price"):
                yield from _difference(line.line, line.quantity, line.unit_price, line.amount)
    elif fact.HasField("amount_delta"):
        if fact.HasField("unit_price"):
            yield from _difference(
                fact.line, fact.quantity_delta, fact.unit_price, fact.amount_delta
            )
        elif fact.quantity_delta * money_from_message(fact.amount_delta).amount_minor < 0:
            amount = _text(fact.amount_delta)
            yield f"line {fact.line} changes by {fact.quantity_delta:+d} units, and by {amount}"


def _difference(
    line: int, quantity: int, unit_price: MoneyMessage, amount: MoneyMessage
) -> Iterator[str]:
    stated = money_from_message(amount)
    product_minor = quantity * money_from_message(unit_price).amount_minor
    if stated.amount_minor != product_minor:
        yield (
            f"the amount of line {line} is {_text(amount)}, and {quantity} units at"
            f" {_text(unit_price)} are {amount_text(product_minor, stated.currency)}"
        )


def find_amount_beside_conversion(
    posting: Posting, _context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find an amount that is not the document's amount at the stated rate (SX-DOC-02).

    Either amount may be the rounded one, so a difference of one minor unit of the coarser one is
    accepted.
    """
    fact = posting.fact
    if not fact.HasField("fx"):
        return None
    rate = Fraction(fact.fx.rate)
    unit = _minor_unit(fact.amount)
    document_unit = _minor_unit(fact.fx.document_amount)
    amount = money_from_message(fact.amount).amount_minor * unit
    document_amount = money_from_message(fact.fx.document_amount).amount_minor * document_unit
    if abs(amount - document_amount * rate) <= max(unit, document_unit * rate):
        return None
    text = (
        f"{_text(fact.amount)} is stated as {_text(fact.fx.document_amount)}"
        f" at the rate {fact.fx.rate}"
    )
    return Finding(text, (posting.position,))


def _minor_unit(message: MoneyMessage) -> Fraction:
    return Fraction(1, 10 ** currency_exponent(message.currency_code))


def find_totals_beside_parts(
    posting: Posting, _context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find an invoice or credit note whose parts do not add up to its amount (SX-DOC-04).

    The totals are those of UBL 2.3: lines, less allowances and plus charges, plus taxes, plus
    rounding. An amount that is a product may be rounded by less than a minor unit.
    """
    texts = [*_lines_beside_units(posting.fact), *_taxes_beside_rates(posting.fact)]
    texts += _totals_beside_sums(posting.fact)
    return Finding("; ".join(texts), (posting.position,)) if texts else None


def _lines_beside_units(fact: Any) -> Iterator[str]:
    for line in fact.lines:
        if not line.HasField("unit_price") or not line.quantity:
            continue
        scale = 10 ** currency_exponent(line.amount.currency_code)
        product = line.quantity * Fraction(decimal_from_message(line.unit_price)) * scale
        expected = product + _net_charges_minor(line.allowance_charges)
        if abs(money_from_message(line.amount).amount_minor - expected) >= 1:
            yield (
                f"the amount of line {line.line} is {_text(line.amount)}, and {line.quantity} units"
                f" at {line.unit_price.value} with its allowances and charges are"
                f" {amount_text(round(expected), line.amount.currency_code)}"
            )


def _taxes_beside_rates(fact: Any) -> Iterator[str]:
    for tax in fact.taxes:
        if not tax.HasField("percent"):
            continue
        taxable_minor = money_from_message(tax.taxable_amount).amount_minor
        expected = taxable_minor * Fraction(decimal_from_message(tax.percent)) / 100
        if abs(money_from_message(tax.tax_amount).amount_minor - expected) >= 1:
            yield (
                f"tax of {tax.percent.value} % on {_text(tax.taxable_amount)} is"
                f" {_text(tax.tax_amount)}"
            )


def _totals_beside_sums(fact: Any) -> Iterator[str]:
    """Compare each total with the sum of the stated parts before it."""
    totals = fact.totals
    stated = {descriptor.name for descriptor, _ in totals.ListFields()}
    sum_minor: int | None = None
    if fact.lines:
        sum_minor = sum(money_from_message(line.amount).amount_minor for line in fact.lines)
    steps = (
        ("line_extension_amount", 0),
        ("tax_exclusive_amount", _net_charges_minor(fact.allowance_charges)),
        (
            "tax_inclusive_amount",
            sum(money_from_message(tax.tax_amount).amount_minor for tax in fact.taxes),
        ),
    )
    for name, added_minor in steps:
        if sum_minor is not None:
            sum_minor += added_minor
        if name in stated:
            yield from _beside_sum(name, getattr(totals, name), sum_minor)
            sum_minor = money_from_message(getattr(totals, name)).amount_minor
    if sum_minor is not None:
        if "payable_rounding_amount" in stated:
            sum_minor += money_from_message(totals.payable_rounding_amount).amount_minor
        yield from _beside_sum("amount", fact.amount, sum_minor)


def _beside_sum(name: str, total: MoneyMessage, sum_minor: int | None) -> Iterator[str]:
    if sum_minor is not None and money_from_message(total).amount_minor != sum_minor:
        parts = amount_text(sum_minor, total.currency_code)
        yield f"{name} is {_text(total)}, and its parts add up to {parts}"


def _net_charges_minor(parts: Iterable[AllowanceCharge]) -> int:
    """Return charges less allowances, in minor units."""
    return sum(
        (1 if part.charge else -1) * money_from_message(part.amount).amount_minor for part in parts
    )


def find_tranches_beside_commitment(
    posting: Posting, _context: RuleContext, _policy: Policy
) -> Finding | None:
    """Find terms whose tranches do not add up to the commitment (SX-DOC-03)."""
    terms = posting.fact.terms
    if not terms.tranches or not terms.HasField("investment_commitment"):
        return None
    commitment = money_from_message(terms.investment_commitment)
    tranches = [money_from_message(tranche.amount) for tranche in terms.tranches]
    total_minor = sum(tranche.amount_minor for tranche in tranches)
    if total_minor == commitment.amount_minor:
        return None
    text = (
        f"the tranches add up to {amount_text(total_minor, commitment.currency)}, and the"
        f" commitment is {_text(terms.investment_commitment)}"
    )
    return Finding(text, (posting.position,))


def _text(message: MoneyMessage) -> str:
    money = money_from_message(message)
    return amount_text(money.amount_minor, money.currency)


RULES = (
    PostingRule(
        AMOUNT_BESIDE_PRICE,
        Severity.WARNING,
        AMOUNT_BESIDE_PRICE_STATEMENT,
        frozenset({"purchase_order_placed", "purchase_order_amended"}),
        find_amount_beside_price,
        position_subject,
    ),
    PostingRule(
        "SX-DOC-02",
        Severity.WARNING,
        "a converted amount is not the amount at the stated rate",
        frozenset({"invoice_issued", "supplier_payment_settled", "prepayment_made"}),
        find_amount_beside_conversion,
        position_subject,
    ),
    PostingRule(
        "SX-DOC-04",
        Severity.WARNING,
        "the parts of an invoice do not add up to it",
        frozenset({"invoice_issued", "credit_note_issued"}),
        find_totals_beside_parts,
        position_subject,
    ),
    PostingRule(
        "SX-DOC-03",
        Severity.WARNING,
        "tranches do not add up to the commitment",
        frozenset(
            {"letter_of_intent_signed", "definitive_agreement_executed", "agreement_amended"}
        ),
        find_tranches_beside_commitment,
        position_subject,
    ),
)
