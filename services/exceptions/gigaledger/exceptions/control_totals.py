"""Rules about what a document states twice: SX-DOC-01, SX-DOC-02 and SX-DOC-03.

A document that contradicts itself is recorded as it is, and figures follow its amount.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from gigaledger.common.quantities import currency_exponent, money_from_message
from gigaledger.exceptions.cut_off import position_subject
from gigaledger.exceptions.descriptions import amount_text
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.reference_data import RuleContext
from gigaledger.exceptions.rules import Finding, PostingRule, Severity
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
