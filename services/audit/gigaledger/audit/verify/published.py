"""What ProjectionService publishes, figure by figure, under the names of the figure sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gigaledger.audit.recompute.figure_sheet import FigureKey, Value
from gigaledger.audit.verify.exceptions import exception_counts
from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.v1.projections_pb2 import (
    CircularFlows,
    ExceptionFinding,
    FlowCycle,
    FlowDecomposition,
    MoneyFigure,
    PartyLevel,
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
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

if TYPE_CHECKING:
    from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

Published = dict[FigureKey, Value]
"""Figures by name."""
Of = tuple[tuple[str, str], ...]
"""The attributes that identify a figure."""
EXCEPTIONS_PAGE = 1000
"""The largest page, because each page costs a query."""
_PAIR = 2


def ask(stub: ProjectionServiceStub, book: str, read: ReadSpec) -> tuple[int, Published]:
    """Query ProjectionService for every figure of a book.

    Projections advance independently. While a book is being written to, answers can reflect
    different positions; they are queried again until they agree.

    Args:
        stub: the service.
        book: resource name of the book.
        read: which facts, and how fresh.

    Returns:
        The position that the figures reflect, and the figures.

    Raises:
        grpc.RpcError: the service does not answer.
    """
    levels = (PartyLevel.PARTY_LEVEL_GROUP, PartyLevel.PARTY_LEVEL_ENTITY)
    while True:
        capacity = stub.QueryCapacity(QueryCapacityRequest(book=book, read=read))
        investment = stub.QueryInvestment(QueryInvestmentRequest(book=book, read=read))
        by_group, by_entity = (
            stub.QueryRoundTrip(QueryRoundTripRequest(book=book, read=read, level=level))
            for level in levels
        )
        flows: list[QueryCircularFlowsResponse] = [
            stub.QueryCircularFlows(QueryCircularFlowsRequest(book=book, read=read, level=level))
            for level in levels
        ]
        contexts = [answer.context for answer in (capacity, investment, by_group, by_entity)]
        contexts += [answer.context for answer in flows]
        positions = {context.position for context in contexts}
        if len(positions) == 1:
            figures = capacity_figures(capacity) | investment_figures(investment)
            figures |= round_trip_figures(by_group, "round-trip")
            figures |= round_trip_figures(by_entity, "round-trip.entity")
            figures |= circular_flow_figures(flows[0], "circular-flows")
            figures |= circular_flow_figures(flows[1], "circular-flows.entity")
            return positions.pop(), figures
        again = ReadSpec()
        again.CopyFrom(read)
        again.min_position = max(positions)
        read = again


def ask_exceptions(
    stub: ProjectionServiceStub, book: str, read: ReadSpec
) -> tuple[int, list[ExceptionFinding], Published]:
    """Query ProjectionService for every exception of a book, page by page.

    Args:
        stub: the service.
        book: resource name of the book.
        read: which facts, and how fresh.

    Returns:
        The position that the answer reflects, the exceptions, and their counts.

    Raises:
        grpc.RpcError: the service does not answer.
    """
    while True:
        request = QueryExceptionsRequest(book=book, read=read, page_size=EXCEPTIONS_PAGE)
        pages = list(_pages(stub, request))
        last = pages[-1]
        if all(page.context.position == last.context.position for page in pages):
            counts = exception_counts(last.policy, last.total_count, last.open_count)
            found = [exception for page in pages for exception in page.exceptions]
            return last.context.position, found, counts


def _pages(
    stub: ProjectionServiceStub, request: QueryExceptionsRequest
) -> Iterator[QueryExceptionsResponse]:
    while True:
        page = stub.QueryExceptions(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


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
                found[FigureKey(section, f"{basis}.{name}", of)] = value
    return found


def circular_flow_figures(answer: QueryCircularFlowsResponse, section: str) -> Published:
    """Return the figures of an answer about circular flows."""
    found: Published = {}
    for flows in answer.flows:
        about = _about(flows, "basis", "currency_code")
        gross = _values(flows, ("basis", "currency_code", "bilateral_first", "pure_maximum"))
        found |= {FigureKey(section, name, about): value for name, value in gross}
        found |= _rows(f"{section}.position", flows.positions, "party", of=about)
        for kind, decomposition in (
            ("bilateral_first", flows.bilateral_first),
            ("pure_maximum", flows.pure_maximum),
        ):
            where = f"{section}.{kind}"
            found |= {FigureKey(where, name, about): v for name, v in _values(decomposition, ())}
            names = ("payer", "payee", "kind")
            found |= _rows(f"{where}.share", decomposition.shares, *names, of=about)
            found |= _cycles(where, about, decomposition, len(_edges(flows)))
    return found


def _edges(flows: CircularFlows) -> set[tuple[str, str]]:
    """Return who pays whom by the shares that are published."""
    return {(share.payer, share.payee) for share in flows.bilateral_first.shares}


def _cycles(section: str, about: Of, decomposition: FlowDecomposition, edges: int) -> Published:
    """Return the amount that cycles carry on each edge, and the number that are no cycles.

    Which cycles are published is open, but they must be cycles, and at most one for each edge.
    """
    carried: Counter[tuple[str, str, str]] = Counter()
    for cycle in decomposition.cycles:
        name = "on_pairs" if len(cycle.parties) == _PAIR else "on_longer"
        for payer, payee in pairwise([*cycle.parties, *cycle.parties[:1]]):
            carried[payer, payee, name] += _minor(cycle.amount) or 0
    found: Published = {
        FigureKey(f"{section}.cycles", name, (*about, ("payer", payer), ("payee", payee))): minor
        for (payer, payee, name), minor in carried.items()
    }
    malformed = sum(not _is_cycle(cycle) for cycle in decomposition.cycles)
    malformed += max(0, len(decomposition.cycles) - edges)
    found[FigureKey(section, "malformed_cycles", about)] = malformed
    return found


def _is_cycle(cycle: FlowCycle) -> bool:
    """Return whether it visits each of its parties once, starting at the first by name."""
    parties = list(cycle.parties)
    several = len(parties) >= _PAIR and len(set(parties)) == len(parties)
    return several and parties[0] == min(parties) and (_minor(cycle.amount) or 0) > 0


def _rows(section: str, rows: Any, *names: str, of: Of = ()) -> Published:
    found: Published = {}
    for row in rows:
        about = (*of, *_about(row, *names))
        for name, value in _values(row, names):
            found[FigureKey(section, name, about)] = value
    return found


def _about(row: Message, *names: str) -> Of:
    fields = row.DESCRIPTOR.fields_by_name
    return tuple((name, str(_scalar(fields[name], getattr(row, name)))) for name in names)


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
