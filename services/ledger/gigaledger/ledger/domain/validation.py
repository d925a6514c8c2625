"""Checks of form: what can be said of an event without looking into a book.

They are compiled from the contract, once for each type of message: required fields from
`google.api.field_behavior`, references from `google.api.resource_reference`, and what a value may
be from `gigaledger.v1.field_form`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from gigaledger.common.quantities import QuantityError, check_legal_tender, date_from_message
from gigaledger.ledger.domain.catalogue import SYSTEM_FACTS
from gigaledger.ledger.domain.field_forms import CHECKS, Check
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.field_rules_pb2 import field_form
from google.api.field_behavior_pb2 import FieldBehavior, field_behavior
from google.api.resource_pb2 import resource_reference
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.type.money_pb2 import Money

_MONEY = Money.DESCRIPTOR.full_name


def malformed(event: Event) -> list[Violation]:
    """Return everything that is wrong with the form of an event; nothing if it is well formed.

    Fields are named from the event on, e.g. `capital_call_issued.amount`.
    """
    kind = event.WhichOneof("fact")
    if kind is None:
        return [Violation(Rule.FACT_REQUIRED, "fact", "no fact is given")]
    if kind in SYSTEM_FACTS:
        return [Violation(Rule.FACT_RESERVED, kind, "is recorded by the ledger alone")]
    found = list(_violations(event))
    if event.request_id or event.policy:
        name = "request_id" if event.request_id else "policy"
        found.append(Violation(Rule.FIELD_INVALID, name, "is set by the ledger and must be empty"))
    return found or list(_tender_violations(event))


def references(fact: Message) -> Iterator[tuple[str, str, str]]:
    """Yield what a fact refers to: the field, the type of resource and its id."""
    for path, field, value in _marked(fact, "", _is_reference):
        if value:
            resource = field.GetOptions().Extensions[resource_reference].type
            yield path, resource.split("/")[-1], value


@dataclass(frozen=True, slots=True)
class _Field:
    """How a field of a message is checked.

    Attributes:
        name: its name.
        repeated: whether it is a list.
        required: 1 if it must be given, else 0.
        check: returns the violation of a value, if any; None if the field is a message or needs no
            check.
        nested: whether its values are messages of the contract.
    """

    name: str
    repeated: bool
    required: int
    check: Check | None
    nested: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """How messages of a type are checked.

    Attributes:
        fields: by number.
        required: the fields that must be given.
        pairs: checks of fields that depend on each other.
    """

    fields: Mapping[int, _Field]
    required: Sequence[FieldDescriptor]
    pairs: Sequence[Callable[[Any], Iterator[Violation]]]


def _violations(message: Message) -> Iterator[Violation]:
    plan = _plan_of(message.DESCRIPTOR)
    given = message.ListFields()
    if len(plan.required) != sum(plan.fields[field.number].required for field, _ in given):
        names = {field.name for field, _ in given}
        for missing in plan.required:
            if missing.name not in names:
                text = "at least one is required" if missing.is_repeated else "is required"
                yield Violation(_missing_rule(missing), missing.name, text)
    for descriptor, value in given:
        field = plan.fields[descriptor.number]
        if field.repeated:
            for index, item in enumerate(value):
                yield from _value_violations(field, item, f"[{index}]")
        elif field.nested:
            yield from _value_violations(field, value)
        elif field.check is not None:
            fault = field.check(value)
            if fault is not None:
                yield replace(fault, field=field.name)
    for rule in plan.pairs:
        yield from rule(message)


def _value_violations(field: _Field, value: Any, place: str = "") -> Iterator[Violation]:
    if field.nested:
        for violation in _violations(value):
            yield replace(violation, field=f"{field.name}{place}.{violation.field}")
    elif field.check is not None:
        fault = field.check(value)
        if fault is not None:
            yield replace(fault, field=f"{field.name}{place}")


def _missing_rule(field: FieldDescriptor) -> Rule:
    if field.name in ("power_basis", "gpu_basis"):
        return Rule.TYPE_03
    if field.message_type is not None and field.message_type.full_name == _MONEY:
        return Rule.TYPE_01
    return Rule.FIELD_REQUIRED


@cache
def _plan_of(descriptor: Descriptor) -> _Plan:
    fields = {field.number: _field_of(field) for field in descriptor.fields}
    return _Plan(
        fields=fields,
        required=[field for field in descriptor.fields if fields[field.number].required],
        pairs=list(_pairs_of(descriptor.fields_by_name)),
    )


def _field_of(field: FieldDescriptor) -> _Field:
    form = field.GetOptions().Extensions[field_form]
    check: Check | None = CHECKS[form] if form else None
    if field.enum_type is not None:
        check = partial(_check_enum, frozenset(field.enum_type.values_by_number))
    return _Field(
        name=field.name,
        repeated=field.is_repeated,
        required=int(_is_required(field)),
        check=check,
        nested=field.message_type is not None and check is None,
    )


def _check_enum(numbers: frozenset[int], value: int) -> Violation | None:
    if value in numbers:
        return None
    return Violation(Rule.FIELD_INVALID, "", f"{value} is not a value of this field")


def _is_required(field: FieldDescriptor) -> bool:
    return FieldBehavior.REQUIRED in field.GetOptions().Extensions[field_behavior]


def _pairs_of(
    fields: Mapping[str, FieldDescriptor],
) -> Iterator[Callable[[Any], Iterator[Violation]]]:
    for quantity, basis in (("power_kw", "power_basis"), ("gpu_count", "gpu_basis")):
        if quantity in fields and basis in fields and not _is_required(fields[basis]):
            yield partial(_check_basis, quantity, basis)
    for amount, undisclosed in (
        ("amount", "amount_undisclosed"),
        ("investment_commitment", "investment_undisclosed"),
    ):
        if undisclosed in fields:
            yield partial(_check_undisclosed, amount, undisclosed)


def _check_basis(quantity: str, basis: str, message: Any) -> Iterator[Violation]:
    if getattr(message, quantity) and not getattr(message, basis):
        yield Violation(Rule.TYPE_03, basis, f"is required with {quantity}")


def _check_undisclosed(amount: str, undisclosed: str, message: Any) -> Iterator[Violation]:
    if getattr(message, undisclosed) and message.HasField(amount):
        yield Violation(Rule.FIELD_INVALID, undisclosed, f"contradicts {amount}, which is given")


def _tender_violations(event: Event) -> Iterator[Violation]:
    """Yield amounts in currencies that were no legal tender on the event's effective date."""
    day = date_from_message(event.effective_date)
    for path, _, amount in _marked(event, "", _is_money):
        try:
            check_legal_tender(amount.currency_code, day)
        except QuantityError as error:
            yield Violation(Rule.TYPE_01, path, str(error))


def _is_reference(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[resource_reference].type)


def _is_money(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == _MONEY


_Marks = Callable[[FieldDescriptor], bool]


def _marked(
    message: Message, path: str, marks: _Marks
) -> Iterator[tuple[str, FieldDescriptor, Any]]:
    """Yield the values of a message's fields of some kind, at any depth, with their paths."""
    plan = _marked_fields(message.DESCRIPTOR, marks)
    if not plan:
        return
    for field, value in message.ListFields():
        if field.number not in plan:
            continue
        nested = plan[field.number]
        for index, item in enumerate(value) if field.is_repeated else ((None, value),):
            place = f"{path}{field.name}" if index is None else f"{path}{field.name}[{index}]"
            if nested:
                yield from _marked(item, f"{place}.", marks)
            else:
                yield place, field, item


@cache
def _marked_fields(descriptor: Descriptor, marks: _Marks) -> Mapping[int, bool]:
    """Return the numbers of the fields to look into, and whether each leads to them only."""
    plan: dict[int, bool] = {}
    for field in descriptor.fields:
        if marks(field):
            plan[field.number] = False
        elif field.message_type is not None and _marked_fields(field.message_type, marks):
            plan[field.number] = True
    return plan
