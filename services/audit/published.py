"""What ProjectionService publishes, figure by figure, under the names of `services.audit.sums`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gigaledger.v1.projections_pb2 import (
    MoneyFigure,
    PartyLevel,
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryInvestmentRequest,
    QueryInvestmentResponse,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
    RatioFigure,
    ReadSpec,
    RoundTripBasis,
    RoundTripMatching,
)
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from services.audit.sums import Key, Value
from services.quantities import date_from_message, money_from_message

if TYPE_CHECKING:
    from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

Published = dict[Key, Value]
"""Figures by name."""


def ask(stub: ProjectionServiceStub, book: str, read: ReadSpec) -> tuple[int, Published]:
    """Ask ProjectionService for every figure of a book.

    The projections move on by themselves: where a book is being written to, the answers can be of
    different positions, and are asked for again until they agree.

    Args:
        stub: the service.
        book: resource name of the book.
        read: which facts, and how fresh.

    Returns:
        The position that the figures reflect, and the figures.

    Raises:
        grpc.RpcError: the service does not answer.
    """
    while True:
        capacity = stub.QueryCapacity(QueryCapacityRequest(book=book, read=read))
        investment = stub.QueryInvestment(QueryInvestmentRequest(book=book, read=read))
        by_group, by_entity = (
            stub.QueryRoundTrip(QueryRoundTripRequest(book=book, read=read, level=level))
            for level in (PartyLevel.PARTY_LEVEL_GROUP, PartyLevel.PARTY_LEVEL_ENTITY)
        )
        answers = (capacity, investment, by_group, by_entity)
        positions = {answer.context.position for answer in answers}
        if len(positions) == 1:
            figures = capacity_figures(capacity) | investment_figures(investment)
            figures |= round_trip_figures(by_group, "round-trip")
            figures |= round_trip_figures(by_entity, "round-trip.entity")
            return positions.pop(), figures
        again = ReadSpec()
        again.CopyFrom(read)
        again.min_position = max(positions)
        read = again


def capacity_figures(answer: QueryCapacityResponse) -> Published:
    """Return the figures of an answer about capacity."""
    place = ("agreement", "site", "platform")
    return (
        _rows("capacity", answer.figures, "capacity_layer", "power_basis")
        | _rows("capacity.breakdown", answer.breakdown, "capacity_layer", "power_basis", *place)
        | _rows("capacity.hardware", answer.hardware, "sku")
    )


def investment_figures(answer: QueryInvestmentResponse) -> Published:
    """Return the figures of an answer about investment."""
    totals = _rows("investment.total", answer.totals, "currency_code")
    return (
        _rows("investment", answer.agreements, "agreement", "currency_code")
        | {key: value for key, value in totals.items() if key.name != "agreement"}
        | _rows("investment.tranche", answer.tranches, "agreement", "tranche")
    )


def round_trip_figures(answer: QueryRoundTripResponse, section: str) -> Published:
    """Return the figures of an answer about the round trip."""
    names = ("supplier_investor", "customer_investee", "currency_code")
    found = _rows(section, answer.pairs, *names)
    for pair in answer.pairs:
        of = tuple((name, getattr(pair, name)) for name in names)
        for balance in pair.balances:
            basis = RoundTripBasis.Name(balance.basis).removeprefix("ROUND_TRIP_BASIS_").lower()
            for name, value in _values(balance, ("basis",)):
                found[Key(section, f"{basis}.{name}", of)] = value
    return found


def _rows(section: str, rows: Any, *names: str) -> Published:
    found: Published = {}
    for row in rows:
        fields = row.DESCRIPTOR.fields_by_name
        of = tuple((name, str(_scalar(fields[name], getattr(row, name)))) for name in names)
        for name, value in _values(row, names):
            found[Key(section, name, of)] = value
    return found


def _values(row: Message, names: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
    for field in row.DESCRIPTOR.fields:
        if field.name in names or field.is_repeated:
            continue
        value = getattr(row, field.name)
        given = not field.has_presence or row.HasField(field.name)
        match value:
            case MoneyFigure():
                yield field.name, _minor(value.amount)
                yield f"{field.name}.undisclosed_count", value.undisclosed_count
            case RatioFigure():
                yield f"{field.name}.ppm", value.ppm if value.HasField("ppm") else None
                yield f"{field.name}.numerator", _minor(value.numerator)
                yield f"{field.name}.denominator", _minor(value.denominator)
            case RoundTripMatching():
                for name_of_part, part in _values(value, ()):
                    yield f"{field.name}.{name_of_part}", part
            case Money():
                yield field.name, _minor(value)
            case Date():
                yield field.name, date_from_message(value).isoformat() if given else None
            case _:
                yield field.name, _scalar(field, value) if given else None


def _scalar(field: Any, value: Any) -> int | str:
    if field.enum_type is None:
        return int(value) if isinstance(value, bool) else value
    prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(field.enum_type.values_by_number[value].name.removeprefix(prefix))


def _minor(message: Money) -> int | None:
    return money_from_message(message).amount_minor if message.currency_code else None
