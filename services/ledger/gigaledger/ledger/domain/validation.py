"""Checks of form: what can be said of an event without looking into a book.

Which fields are required is read from the contract (`google.api.field_behavior`), so that the
contract and the checks cannot differ. The form of a value follows from its type and name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from zoneinfo import available_timezones

from gigaledger.common.quantities import (
    QuantityError,
    date_from_message,
    decimal_from_message,
    money_from_message,
)
from gigaledger.ledger.domain.catalogue import SYSTEM_FACTS
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.events_pb2 import Event
from google.api.field_behavior_pb2 import FieldBehavior, field_behavior
from google.api.resource_pb2 import resource_reference
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

MAX_TEXT_LENGTH = 4000
"""Characters of a text: a page, so that what is longer is attached as evidence."""
MAX_DOCUMENT_NUMBER_LENGTH = 128
SHA256_BYTES = 32
LEI_LENGTH = 20

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ID_RULE = "must be 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit"
_IDS = frozenset(
    {
        *("party", "buyer", "supplier", "payer", "payee", "issuer", "from_party", "to_party"),
        *("claimant", "certifier", "group", "agreement", "supersedes", "milestone"),
        *("purchase_order", "site", "sku", "share_class", "exception"),
        *("warrant", "holder", "vehicle", "debt", "lender", "borrower", "lease", "lessor"),
        *("lessee", "backstop", "grantor", "beneficiary", "guarantee", "guarantor", "debtor"),
        "creditor",
    }
)
"""Fields that are parts of stream names or of resource names."""
_DOCUMENT_NUMBERS = frozenset(
    {
        *("invoice", "credit_note", "payment", "refund", "bank_reference", "certificate", "call"),
        *("contribution", "security", "balance_security", "receipt", "despatch_advice"),
        *("exercise", "distribution", "drawing", "repayment", "demand"),
    }
)
"""Numbers given by others: any visible text."""
_SIGNED = frozenset({"amount_delta", "quantity_delta"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def malformed(event: Event) -> list[Violation]:
    """Return everything that is wrong with the form of an event; nothing where it is well formed.

    Fields are named from the event on, e.g. `capital_call_issued.amount`.
    """
    kind = event.WhichOneof("fact")
    if kind is None:
        return [Violation(Rule.FACT_REQUIRED, "fact", "no fact is given")]
    if kind in SYSTEM_FACTS:
        return [Violation(Rule.FACT_RESERVED, kind, "is recorded by the ledger alone")]
    found = list(_violations(event, ""))
    if event.request_id or event.policy:
        name = "request_id" if event.request_id else "policy"
        found.append(Violation(Rule.FIELD_INVALID, name, "is set by the ledger and must be empty"))
    if _has_unknown_fields(event):
        message = "holds fields that this version of the contract does not know"
        found.append(Violation(Rule.FIELD_INVALID, kind, message))
    return found


def references(fact: Message) -> Iterator[tuple[str, str, str]]:
    """Yield what a fact refers to: the field, the type of resource and its id.

    Which fields are references is read from the contract (`google.api.resource_reference`).
    """
    yield from _references(fact, "")


def _has_unknown_fields(event: Event) -> bool:
    known = Event()
    known.CopyFrom(event)
    known.DiscardUnknownFields()
    return known.ByteSize() != event.ByteSize()


def _references(message: Message, path: str) -> Iterator[tuple[str, str, str]]:
    for name, resource, repeated, nested in _reference_plan(message.DESCRIPTOR):
        value = getattr(message, name)
        values = enumerate(value) if repeated else ((None, value),)
        for index, item in values:
            place = f"{path}{name}" if index is None else f"{path}{name}[{index}]"
            if nested:
                yield from _references(item, f"{place}.")
            elif item:
                yield place, resource, item


@cache
def _reference_plan(descriptor: Descriptor) -> list[tuple[str, str, bool, bool]]:
    plan = []
    for field in descriptor.fields:
        resource = field.GetOptions().Extensions[resource_reference].type
        nested = field.message_type is not None and bool(_reference_plan(field.message_type))
        if resource or nested:
            plan.append((field.name, resource.split("/")[-1], field.is_repeated, nested))
    return plan


def _violations(message: Message, path: str) -> Iterator[Violation]:
    plan = _plan_of(message.DESCRIPTOR)
    given = message.ListFields()
    missing = plan.required.keys() - [field.name for field, _ in given]
    for name, required in plan.required.items() if missing else ():
        if name in missing:
            text = "at least one is required" if required.is_repeated else "is required"
            yield Violation(_missing_rule(required), path + name, text)
    for field, value in given:
        name = field.name
        check = plan.checks[name]
        if name in plan.repeated:
            for index, item in enumerate(value):
                yield from check(item, f"{path}{name}[{index}]")
        else:
            yield from check(value, path + name)
    for rule in plan.pairs:
        yield from rule(message, path)


def _missing_rule(field: FieldDescriptor) -> Rule:
    if field.name in ("power_basis", "gpu_basis"):
        return Rule.TYPE_03
    if field.message_type is not None and field.message_type.full_name == "google.type.Money":
        return Rule.TYPE_01
    return Rule.FIELD_REQUIRED


_Check = Callable[[Any, str], Iterable[Violation]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a type of message is checked for.

    Attributes:
        required: the fields that must be given, by name.
        repeated: names of those that are lists.
        checks: by the name of a field, the check of a value of it.
        pairs: checks of fields that only make sense together.
    """

    required: Mapping[str, FieldDescriptor]
    repeated: frozenset[str]
    checks: Mapping[str, _Check]
    pairs: Sequence[_Check]


@cache
def _plan_of(descriptor: Descriptor) -> _Plan:
    fields = descriptor.fields
    return _Plan(
        required={field.name: field for field in fields if _is_required(field)},
        repeated=frozenset(field.name for field in fields if field.is_repeated),
        checks={field.name: _check_of(field) for field in fields},
        pairs=list(_pairs_of(descriptor.fields_by_name)),
    )


def _is_required(field: FieldDescriptor) -> bool:
    return FieldBehavior.REQUIRED in field.GetOptions().Extensions[field_behavior]


def _pairs_of(fields: Mapping[str, FieldDescriptor]) -> Iterator[_Check]:
    for quantity, basis in (("power_kw", "power_basis"), ("gpu_count", "gpu_basis")):
        if quantity in fields and basis in fields and not _is_required(fields[basis]):
            yield partial(_check_basis, quantity, basis)
    for amount, undisclosed in (
        ("amount", "amount_undisclosed"),
        ("investment_commitment", "investment_undisclosed"),
    ):
        if undisclosed in fields:
            yield partial(_check_undisclosed, amount, undisclosed)


def _check_basis(quantity: str, basis: str, message: Any, path: str) -> Iterator[Violation]:
    if getattr(message, quantity) and not getattr(message, basis):
        yield Violation(Rule.TYPE_03, path + basis, f"is required with {quantity}")


def _check_undisclosed(
    amount: str, undisclosed: str, message: Any, path: str
) -> Iterator[Violation]:
    if getattr(message, undisclosed) and message.HasField(amount):
        yield Violation(
            Rule.FIELD_INVALID, path + undisclosed, f"contradicts {amount}, which is given"
        )


def _check_of(field: FieldDescriptor) -> _Check:  # noqa: PLR0911
    if field.message_type is not None:
        name = field.message_type.full_name
        if name == "google.type.Money":
            return _check_signed_money if field.name in _SIGNED else _check_money
        if name == "google.type.Date":
            return _check_date
        if name == "google.type.Decimal":
            return _check_decimal
        return lambda value, path: _violations(value, f"{path}.")
    if field.enum_type is not None:
        return _enum_check(frozenset(field.enum_type.values_by_number))
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_check(field.name)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _check_sha256
    if field.type == FieldDescriptor.TYPE_BOOL or field.name in _SIGNED:
        return _accept
    return _check_count


def _accept(_value: object, _path: str) -> Iterable[Violation]:
    return ()


def _check_money(value: Any, path: str) -> Iterator[Violation]:
    try:
        money = money_from_message(value)
    except QuantityError as error:
        yield Violation(Rule.TYPE_01, path, str(error))
        return
    if money.amount_minor <= 0:
        message = f"must be more than 0, not {money.amount_minor} minor units"
        yield Violation(Rule.TYPE_01, path, message, {"amount_minor": str(money.amount_minor)})


def _check_signed_money(value: Any, path: str) -> Iterator[Violation]:
    try:
        money_from_message(value)
    except QuantityError as error:
        yield Violation(Rule.TYPE_01, path, str(error))


def _check_date(value: Any, path: str) -> Iterator[Violation]:
    try:
        date_from_message(value)
    except QuantityError as error:
        yield Violation(Rule.FIELD_INVALID, path, str(error))


def _check_decimal(value: Any, path: str) -> Iterator[Violation]:
    try:
        number = decimal_from_message(value)
    except QuantityError as error:
        yield Violation(Rule.FIELD_INVALID, path, str(error))
        return
    if number < 0:
        yield Violation(Rule.FIELD_INVALID, path, f"must not be negative, is {number}")


def _check_count(value: int, path: str) -> Iterator[Violation]:
    if value < 0:
        yield Violation(Rule.FIELD_INVALID, path, f"must not be negative, is {value}")


def _check_sha256(value: bytes, path: str) -> Iterator[Violation]:
    if len(value) != SHA256_BYTES:
        yield Violation(Rule.FIELD_INVALID, path, f"must be 32 bytes, is {len(value)}")


def _enum_check(numbers: frozenset[int]) -> _Check:
    def check(value: int, path: str) -> Iterator[Violation]:
        if value not in numbers:
            yield Violation(Rule.FIELD_INVALID, path, f"{value} is not a value of this field")

    return check


def _text_check(name: str) -> _Check:  # noqa: PLR0911
    if name in _IDS:
        return _check_id
    if name in _DOCUMENT_NUMBERS:
        return _check_document_number
    if name == "lei":
        return _check_lei
    if name == "period":
        return _check_period
    if name == "rate":
        return _check_rate
    if name == "effective_time_zone":
        return _check_time_zone
    return _check_text


def _check_id(value: str, path: str) -> Iterator[Violation]:
    if not _ID.fullmatch(value):
        yield Violation(Rule.FIELD_INVALID, path, f"{value!r} {_ID_RULE}", {"value": value[:100]})


def _check_document_number(value: str, path: str) -> Iterator[Violation]:
    if len(value) > MAX_DOCUMENT_NUMBER_LENGTH or not value.isprintable() or value != value.strip():
        message = f"must be at most {MAX_DOCUMENT_NUMBER_LENGTH} visible characters"
        yield Violation(Rule.FIELD_INVALID, path, message)


def _check_text(value: str, path: str) -> Iterator[Violation]:
    if len(value) > MAX_TEXT_LENGTH:
        message = f"must be at most {MAX_TEXT_LENGTH} characters, is {len(value)}"
        yield Violation(Rule.FIELD_INVALID, path, message)
    if _CONTROL.search(value):
        message = "must hold no control characters but tabs and line ends"
        yield Violation(Rule.FIELD_INVALID, path, message)


def _check_period(value: str, path: str) -> Iterator[Violation]:
    if not _PERIOD.fullmatch(value):
        yield Violation(Rule.FIELD_INVALID, path, f"{value!r} must be a month as YYYY-MM")


def _check_rate(value: str, path: str) -> Iterator[Violation]:
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,10})?", value) or not value.strip("0."):
        yield Violation(Rule.FIELD_INVALID, path, f"{value!r} must be a positive decimal number")


def _check_time_zone(value: str, path: str) -> Iterator[Violation]:
    if value not in _time_zones():
        yield Violation(Rule.FIELD_INVALID, path, f"{value!r} is not an IANA time zone")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _check_lei(value: str, path: str) -> Iterator[Violation]:
    if not is_lei(value):
        message = f"{value!r} is not 20 letters and digits whose check digits match (ISO 17442)"
        yield Violation(Rule.ID_04, path, message, {"lei": value[:100]})


def is_lei(text: str) -> bool:
    """Tell whether a text is a Legal Entity Identifier: ISO 17442, check digits by mod 97-10."""
    if len(text) != LEI_LENGTH or not re.fullmatch(r"[A-Z0-9]{18}[0-9]{2}", text):
        return False
    return int("".join(str(int(character, 36)) for character in text)) % 97 == 1
