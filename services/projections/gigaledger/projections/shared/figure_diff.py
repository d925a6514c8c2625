"""Figures of answers by name, so that two answers can be compared figure by figure.

The names are those by which the audit explains figures: the part of the answer and the field, such
as "investment.funded" or "round-trip.cash.net_balance". The subject of a figure completes its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from gigaledger.common.quantities import date_from_message, decimal_to_text, money_from_message
from gigaledger.projections.shared.amounts import units
from gigaledger.v1.projections_pb2 import (
    FigureChange,
    FigureSubject,
    MoneyFigure,
    RatioFigure,
    ReadContext,
)
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

About = tuple[tuple[str, str], ...]
"""Fields and values, in the order of the contract."""


@dataclass(frozen=True, slots=True, order=True)
class FigureKey:
    """A figure: its name and what it is about."""

    figure: str
    about: About = ()

    def subjects(self) -> list[FigureSubject]:
        """Return what it is about, as the contract has it."""
        return [FigureSubject(field=name, value=value) for name, value in self.about]


@dataclass(frozen=True, slots=True)
class FigureValue:
    """The value of a figure: a number in a unit, or a text."""

    value: Decimal | str
    unit: str = ""

    @property
    def text(self) -> str:
        """The value as the contract has it."""
        return self.value if isinstance(self.value, str) else decimal_to_text(self.value)


@dataclass(frozen=True, slots=True)
class _Part:
    """A repeated part of an answer.

    Attributes:
        name: prefix of the names of its figures.
        about: fields that identify the subject of its figures.
        name_field: a field whose value becomes part of the names of its figures as well.
    """

    name: str
    about: tuple[str, ...] = ()
    name_field: str = ""


_LAYER = ("capacity_layer", "power_basis")
_PARTS = {
    "CapacityFigures": _Part("capacity", _LAYER),
    "CapacityBreakdown": _Part("capacity.breakdown", (*_LAYER, "agreement", "site", "platform")),
    "DeliveredHardware": _Part("capacity.hardware", ("sku",)),
    "CompletionForecast": _Part("capacity.forecast", _LAYER),
    "MilestoneProgress": _Part("capacity.milestone", ("agreement", "milestone", "power_basis")),
    "ScheduleProgress": _Part("capacity.schedule", ("agreement", "point")),
    "HardwarePlace": _Part("capacity.place", ("power_basis", "site", "platform")),
    "GpuQuantity": _Part("gpus", ("gpu_basis",)),
    "InvestmentFigures": _Part("investment", ("agreement", "currency_code")),
    "TrancheFigures": _Part("investment.tranche", ("agreement", "tranche")),
    "TrancheTimeline": _Part("investment.timeline", ("agreement", "tranche")),
    "RoundTripPair": _Part(
        "round-trip", ("supplier_investor", "customer_investee", "currency_code")
    ),
    "RoundTripBalance": _Part("", name_field="basis"),
    "CircularFlows": _Part("circular-flows", ("currency_code",), name_field="basis"),
    "FlowShare": _Part("share", ("payer", "payee", "kind")),
    "FlowPosition": _Part("position", ("party",)),
}
_TOTALS = _Part("investment.total", ("currency_code",))
_LISTS = frozenset({"EntitlementCause", "FlowCycle", "RoundTripLot"})
"""Parts that are no figures: their subjects differ from answer to answer."""
_SHARES = frozenset({"shares", "shares_outstanding"})
_PRICES = frozenset({"average_price", "price_per_share"})
_DAYS = frozenset({"weighted_lag_days", "longest_lag_days"})
_DECIMALS = _SHARES | _PRICES | _DAYS
"""Fields whose texts are decimal numbers."""
PRECISION = 100
"""Digits that no sum of the contract reaches."""


def figures_of(answer: Message) -> dict[FigureKey, FigureValue]:
    """Return the figures of an answer."""
    return dict(_figures(answer, "", ()))


def _figures(
    message: Message, prefix: str, about: About, name_field: str = ""
) -> Iterator[tuple[FigureKey, FigureValue]]:
    currency = getattr(message, "currency_code", "") or dict(about).get("currency_code", "")
    skipped = {name_field, *(name for name, _ in about)}
    for field in message.DESCRIPTOR.fields:
        if field.name in skipped or field.message_type is ReadContext.DESCRIPTOR:
            continue
        value = getattr(message, field.name)
        if field.is_repeated:
            if field.message_type is not None and field.message_type.name not in _LISTS:
                for item in value:
                    yield from _part(field, item, prefix, about)
        elif field.has_presence and not message.HasField(field.name):
            continue
        elif isinstance(value, Message):
            yield from _composed(value, _joined(prefix, field.name), about)
        else:
            found = _scalar(field, value, currency)
            if found is not None:
                yield FigureKey(_joined(prefix, field.name), about), found


def _part(
    field: Any, item: Message, prefix: str, about: About
) -> Iterator[tuple[FigureKey, FigureValue]]:
    part = _TOTALS if field.name == "totals" else _PARTS[item.DESCRIPTOR.name]
    name = _joined(prefix, part.name)
    if part.name_field:
        name = _joined(name, _text(item, part.name_field).lower())
    more = tuple((key, _text(item, key)) for key in part.about)
    yield from _figures(item, name, about + more, part.name_field)


def _composed(value: Message, name: str, about: About) -> Iterator[tuple[FigureKey, FigureValue]]:
    match value:
        case Money():
            if value.currency_code:
                yield FigureKey(name, about), _money(value)
        case MoneyFigure():
            if value.amount.currency_code:
                yield FigureKey(name, about), _money(value.amount)
            undisclosed = FigureValue(Decimal(value.undisclosed_count), "facts")
            yield FigureKey(f"{name}.undisclosed_count", about), undisclosed
        case RatioFigure():
            if value.HasField("ppm"):
                yield FigureKey(f"{name}.ppm", about), FigureValue(Decimal(value.ppm), "ppm")
        case Date():
            yield FigureKey(name, about), FigureValue(date_from_message(value).isoformat())
        case _:
            yield from _figures(value, name, about)


def _money(message: Money) -> FigureValue:
    money = money_from_message(message)
    return FigureValue(units(money.amount_minor, money.currency), money.currency)


def _scalar(field: Any, value: Any, currency: str) -> FigureValue | None:
    """Return a plain value: a number if it is one, else its text; None if it is empty."""
    if isinstance(value, bool):
        return FigureValue("yes" if value else "no")
    if field.enum_type is not None:
        return FigureValue(_enum_text(field, value))
    if isinstance(value, int):
        return FigureValue(Decimal(value), _unit_of(field.name, currency))
    if not value:
        return None
    if field.name in _DECIMALS:
        return FigureValue(Decimal(value), _unit_of(field.name, currency))
    return FigureValue(value)


def _unit_of(name: str, currency: str) -> str:
    if name in _SHARES:
        return "shares"
    if name in _DAYS:
        return "days"
    if name in _PRICES:
        return currency
    for ending, unit in (("_kw", "kW"), ("_kw_per_quarter", "kW"), ("_ppm", "ppm")):
        if name.endswith(ending):
            return unit
    return ""


def _text(message: Message, name: str) -> str:
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    return _enum_text(field, value) if field.enum_type is not None else str(value)


def _enum_text(field: Any, value: int) -> str:
    values = field.enum_type.values_by_number
    return str(values[value].name.removeprefix(values[0].name.removesuffix("UNSPECIFIED")))


def _joined(*names: str) -> str:
    return ".".join(name for name in names if name)


def changes_between(
    before: Mapping[FigureKey, FigureValue], after: Mapping[FigureKey, FigureValue]
) -> list[FigureChange]:
    """Return the figures that differ, in order of name and subject.

    A figure of zero and a missing figure are equal.
    """
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new or (_is_nothing(old) and _is_nothing(new)):
            continue
        known = new or old
        found.append(
            FigureChange(
                figure=key.figure,
                about=key.subjects(),
                unit=known.unit if known else "",
                before=old.text if old else "",
                after=new.text if new else "",
                difference=_difference(old, new),
            )
        )
    return found


def _is_nothing(value: FigureValue | None) -> bool:
    return value is None or value.value in (0, "no")


def _difference(old: FigureValue | None, new: FigureValue | None) -> str:
    numbers = [Decimal(0) if value is None else value.value for value in (old, new)]
    before, after = numbers
    if isinstance(before, str) or isinstance(after, str):
        return ""
    with localcontext() as context:
        context.prec = PRECISION
        return decimal_to_text(after - before)
