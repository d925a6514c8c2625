"""What every decision is given, and the small rulings that decisions share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gigaledger.common.quantities import currency_exponent, decimal_from_message, money_from_message
from gigaledger.ledger.domain.refusals import Rule, Violation
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money as MoneyMessage

if TYPE_CHECKING:
    from gigaledger.ledger.domain.entries import Entry

Violations = Iterator[Violation]


class State(Protocol):
    """State of a stream: the fold of its entries that are not reversed."""

    @property
    def exists(self) -> bool:
        """Whether the fact that opens the stream is recorded and stands."""

    def invariants(self) -> Violations:
        """Yield what must hold and does not. Nothing, as long as every fact was decided on."""


class BookView(Protocol):
    """The rest of the book, as far as a decision may look at it."""

    def state(self, stream: str) -> Any:
        """Return the state of a stream, whether anything was recorded in it or not."""


@dataclass(frozen=True, slots=True)
class NaturalKey:
    """A number that others give a document, unique in a book (HR-ID-02).

    Attributes:
        kind: kind of document, e.g. "invoice".
        key: who gave the number, and the number.
        field: field of the fact that holds the number.
    """

    kind: str
    key: tuple[str, ...]
    field: str = dataclasses.field(compare=False)


def same_currency(given: MoneyMessage, field: str, currency: str, document: str) -> Violations:
    """Refuse an amount that is not in the currency of its document (HR-TYPE-02)."""
    if currency and given.currency_code != currency:
        yield Violation(
            Rule.TYPE_02,
            field,
            f"is in {given.currency_code}, but {document} is in {currency}",
            {"currency": given.currency_code, "document_currency": currency},
        )


def at_most(
    rule: Rule, field: str, amount: int | Any, limit: int | Any, what: str, unit: str
) -> Violations:
    """Refuse a quantity above a limit, naming both."""
    if amount > limit:
        yield Violation(
            rule,
            field,
            f"{amount} {unit} is more than {what}: {limit} {unit}",
            {"value": str(amount), "limit": str(limit), "unit": unit},
        )


def different(fact: Any, one: str, other: str) -> Violations:
    """Refuse a fact whose two sides are the same legal entity (HR-ID-05)."""
    if getattr(fact, one) and getattr(fact, one) == getattr(fact, other):
        party = getattr(fact, one)
        yield Violation(Rule.ID_05, other, f"{one} and {other} are both {party}", {"party": party})


def positive(number: DecimalMessage, field: str) -> Violations:
    """Refuse a number that is not more than 0."""
    if decimal_from_message(number) <= 0:
        yield Violation(Rule.FIELD_INVALID, field, "must be more than 0")


def amount_of_shares(
    amount: MoneyMessage, field: str, shares: DecimalMessage, price: tuple[DecimalMessage, str]
) -> Violations:
    """Refuse an amount that is not that of the shares, but for a residual below one (HR-INV-06).

    Shares may be given for nothing: at a price of 0 the amount is 0.

    Args:
        amount: the amount.
        field: the field that holds it.
        shares: how many; in the field `shares`.
        price: of one share in units of the amount's currency, and the field that holds it.
    """
    number, each = decimal_from_message(shares), decimal_from_message(price[0])
    yield from positive(shares, "shares")
    given = Decimal(minor(amount)).scaleb(-currency_exponent(amount.currency_code))
    residual = given - number * each
    if not 0 <= residual < each and (residual or each):
        message = (
            f"{given} - {number} shares x {each} leaves {residual}, "
            f"which is not from 0 to below one share price"
        )
        yield Violation(Rule.INV_06, field, message, {"residual": str(residual)})


def amount_disclosed(fact: Any) -> Violations:
    """Refuse a fact without an amount that does not say that it is undisclosed (HR-TYPE-01)."""
    if not fact.HasField("amount") and not fact.amount_undisclosed:
        yield Violation(Rule.TYPE_01, "amount", "is required, or say amount_undisclosed")


def bank_keys(_state: object, entry: Entry) -> list[NaturalKey]:
    """Return the bank's reference of a movement of cash, if it is known."""
    reference = entry.fact.bank_reference
    return [NaturalKey("bank reference", (reference,), "bank_reference")] if reference else []


def unknown(field: str, what: str, value: object) -> Violation:
    """Return the refusal of a reference to something that is not recorded (HR-ID-03)."""
    return Violation(Rule.ID_03, field, f"{what} {value} is not recorded", {field: str(value)})


def wrong_state(field: str, message: str, **values: str) -> Violation:
    """Return the refusal of a fact that the subject's state does not allow (HR-STATE-01)."""
    return Violation(Rule.STATE_01, field, message, values)


def minor(message: MoneyMessage) -> int:
    """Return the minor units of an amount that is known to be well formed; 0 if it is unset."""
    return money_from_message(message).amount_minor if message.currency_code else 0


_Item = TypeVar("_Item")


def repeated(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items that stand more than once, each once."""
    seen: dict[_Item, int] = {}
    for item in items:
        seen[item] = seen.get(item, 0) + 1
        if seen[item] == 2:  # noqa: PLR2004 - the second time
            yield item
