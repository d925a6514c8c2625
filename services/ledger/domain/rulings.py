"""What every decision is given, and the small rulings that decisions share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.type.money_pb2 import Money as MoneyMessage

from services.ledger.domain.refusals import Rule, Violation
from services.quantities import money_from_message

Violations = Iterator[Violation]


class State(Protocol):
    """What a stream has come to: the fold of its entries that are not reversed."""

    @property
    def exists(self) -> bool:
        """Whether the fact that opens the stream is recorded and stands."""

    def invariants(self) -> Violations:
        """Yield what must hold and does not. Nothing, as long as every fact was decided on."""


class Given(Protocol):
    """The rest of the book, as far as a decision may look at it."""

    def state(self, stream: str) -> Any:
        """Return the state of a stream, whether anything was recorded in it or not."""


@dataclass(frozen=True, slots=True)
class NaturalKey:
    """A number that the world gives a document, and that names it once in a book (HR-ID-02).

    Attributes:
        kind: what is numbered, e.g. "invoice".
        key: whose number, and the number.
        field: the field of the fact that holds the number.
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


def unknown(field: str, what: str, value: object) -> Violation:
    """Return the refusal of a reference to something that is not recorded (HR-ID-03)."""
    return Violation(Rule.ID_03, field, f"{what} {value} is not recorded", {field: str(value)})


def wrong_state(field: str, message: str, **values: str) -> Violation:
    """Return the refusal of a fact that the subject's state does not allow (HR-STATE-01)."""
    return Violation(Rule.STATE_01, field, message, values)


def minor(message: MoneyMessage) -> int:
    """Return the minor units of an amount that is known to be well formed; 0 where it is unset."""
    return money_from_message(message).amount_minor if message.currency_code else 0


_Item = TypeVar("_Item")


def repeated(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items that stand more than once, each once."""
    seen: dict[_Item, int] = {}
    for item in items:
        seen[item] = seen.get(item, 0) + 1
        if seen[item] == 2:  # noqa: PLR2004 - the second time
            yield item
