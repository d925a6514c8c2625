"""`python -m benchmarks.questions`: queries for random days and positions, in a growing book.

The book has orders that are received, invoiced, paid and sometimes corrected, many of them open at
a time, between up to four pairs of parties, with a fixed number of facts per day.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from uuid import uuid4

import grpc
import psycopg
from gigaledger.common.quantities import date_from_message, date_to_message, instant_to_message
from gigaledger.projections.shared.paging import PageStart
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventStreamRequest,
    CreateBookRequest,
    GetBookRequest,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import (
    Interval,
    ListContributionsRequest,
    QueryCapacityRequest,
    QueryCircularFlowsRequest,
    QueryExceptionsRequest,
    QueryInvestmentRequest,
    QueryRollForwardRequest,
    QueryRoundTripRequest,
    ReadSpec,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

from benchmarks.appends import Figures
from benchmarks.report import Growth
from benchmarks.stage import CHANNEL_OPTIONS, Stage, schema_of, stage
from tests.facts import (
    called,
    certified,
    claimed,
    definitive,
    fact,
    funded,
    invoiced,
    money,
    paid,
    parties,
    placed,
    received,
    reversed_entry,
)

FIRST_DAY = dt.date(2017, 1, 2)
FACTS_A_DAY = 3000
CALLS = 200
OPEN_ORDERS = 300
PAIRS = [("SUP", "CUS"), ("SUP", "CUS-2"), ("SUP-2", "CUS"), ("SUP-2", "CUS-2")]
RACKS = 8
CORRECTED = 16
"""One order in this many has a receipt that was recorded in error."""
AHEAD = 4
"""One order in this many is invoiced before its racks arrive: an exception until they do."""
REQUEST_FACTS = 1000
SEED = 20250922
"""Fixed, so that every run asks for the same days and positions."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description="Query a growing book for random days and positions."
    )
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--facts-a-day", type=int, default=FACTS_A_DAY)
    parser.add_argument("--pairs", type=int, default=1, choices=range(1, 5), help="of parties")
    parser.add_argument("--calls", type=int, default=CALLS, help="of each query, at each size")
    options = parser.parse_args()
    sizes = list(map(int, options.sizes.split(",")))
    grown = Growth("Queries of a growing book")
    with stage() as running:
        measured = questions(running, sizes, options.facts_a_day, options.pairs, options.calls)
        for size, figures in measured:
            grown.add(size, figures)
            print(grown.table(), flush=True)


def questions(
    running: Stage,
    sizes: Sequence[int],
    facts_a_day: int = FACTS_A_DAY,
    pairs: int = 1,
    calls: int = CALLS,
) -> Iterator[tuple[int, Figures]]:
    """Yield each size in events with the milliseconds that queries take."""
    book = _new_book(running)
    trade = Trade(_append(running, book, _opening()), facts_a_day, pairs)
    for size in sizes:
        started = time.perf_counter()
        _append(running, book, trade.facts(size - trade.position))
        appended = time.perf_counter() - started
        _wait(running, book)
        filled = {
            "seconds until appended": appended,
            "seconds until at rest": time.perf_counter() - started,
        }
        yield size, filled | _asked(running, book, trade, calls)


@dataclass
class Trade:
    """An endless sequence of trade facts."""

    position: int
    facts_a_day: int
    pairs: int
    _facts: Iterator[Event] = field(init=False)

    def __post_init__(self) -> None:
        """Start after a position."""
        self._facts = self._all()

    @property
    def day(self) -> dt.date:
        """The day of the next fact."""
        return FIRST_DAY + dt.timedelta(days=self.position // self.facts_a_day)

    def facts(self, number: int) -> Iterator[Event]:
        """Yield the given number of facts."""
        return islice(self._facts, number)

    def _all(self) -> Iterator[Event]:
        """Advance one of the open orders by one fact at a time."""
        numbers = count(1)
        orders = [self._order(next(numbers)) for _ in range(OPEN_ORDERS)]
        # The orders are at different stages.
        for at, order in enumerate(orders):
            for event in islice(order, at % 17):
                yield self._dated(event)
        while True:
            for at, order in enumerate(orders):
                for event in islice(order, 1):
                    yield self._dated(event)
                    break
                else:
                    orders[at] = self._order(next(numbers))

    def _dated(self, event: Event) -> Event:
        # A reversal takes the effective date of its entry.
        if event.WhichOneof("fact") != "entry_reversed":
            event.effective_date.CopyFrom(date_to_message(self.day))
        self.position += 1
        return event

    def _order(self, number: int) -> Iterator[Event]:
        """Yield the facts of one order of racks, invoiced two racks at a time."""
        supplier, customer = PAIRS[number % self.pairs]
        order = f"PO-T{number}"
        yield _like(_PLACED, purchase_order=order, supplier=supplier, buyer=customer)
        for invoice in range(RACKS // 2):
            if number % AHEAD == 0:
                yield _like(_INVOICED, purchase_order=order, invoice=f"I-{number}-{invoice}")
            for rack in range(2):
                position, day = self.position + 1, self.day
                yield _like(_RECEIVED, purchase_order=order, site=f"S{number % 5}")
                if not invoice and not rack and number % CORRECTED == 0:
                    yield reversed_entry(position, on=day)
                    yield _like(_RECEIVED, purchase_order=order, site=f"S{number % 5}")
            if number % AHEAD:
                yield _like(_INVOICED, purchase_order=order, invoice=f"I-{number}-{invoice}")
            yield _like(
                _PAID,
                purchase_order=order,
                payment=f"P-{number}-{invoice}",
                invoice=f"I-{number}-{invoice}",
                payer=customer,
                payee=supplier,
            )


_PLACED = placed(
    RACKS,
    agreement="AGR",
    lines=[{"line": 1, "sku": "R", "quantity": RACKS, "unit_price": money(300_000_000)}],
)
_RECEIVED = received(1)
_INVOICED = invoiced(600_000_000)
_PAID = paid(600_000_000)


def _like(template: Event, **texts: str) -> Event:
    """Return a copy of a fact with some fields changed."""
    event = Event()
    event.CopyFrom(template)
    message = getattr(event, event.WhichOneof("fact") or "")
    for name, text in texts.items():
        setattr(message, name, text)
    return event


def _opening() -> Iterator[Event]:
    """Yield the parties, the rating of a rack, and an agreement with some capital."""
    rated = fact(
        "rack_sku_rated",
        sku="R",
        platform="P",
        rated_power_kw_numerator=142,
        rated_power_kw_denominator=1,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
    )
    agreed = (definitive(), claimed(), certified(), called(), funded())
    for event in (*parties("SUP", "CUS", "SUP-2", "CUS-2"), rated, *agreed):
        event.effective_date.CopyFrom(date_to_message(FIRST_DAY))
        yield event


def _new_book(running: Stage) -> str:
    """Open an imported book, whose recorded times come with the facts."""
    opened = CreateBookRequest(
        book_id=f"b{uuid4().hex}",
        clock=BookClock.BOOK_CLOCK_IMPORTED,
        opened_time=instant_to_message(_noon(FIRST_DAY)),
    )
    with running.ledger.channel() as channel:
        book: str = LedgerServiceStub(channel).CreateBook(opened).book.name
    return book


def _noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


def _append(running: Stage, book: str, events: Iterator[Event]) -> int:
    """Append facts and return the last position."""

    def requests() -> Iterator[AppendEventStreamRequest]:
        latest = FIRST_DAY
        while batch := list(islice(events, REQUEST_FACTS)):
            append = AppendEventsRequest(book=book, request_id=uuid4().hex)
            for event in batch:
                # Recorded on the effective date; a reversal takes that of its entry.
                latest = max(latest, date_from_message(event.effective_date))
                new = append.events.add(recorded_time=instant_to_message(_noon(latest)))
                new.event.CopyFrom(event)
            yield AppendEventStreamRequest(append=append, in_sequence=True)

    last = 0
    with grpc.insecure_channel(running.ledger.address, options=CHANNEL_OPTIONS) as channel:
        for answer in LedgerServiceStub(channel).AppendEventStream(requests()):
            assert answer.WhichOneof("outcome") == "appended", answer
            last = answer.appended.receipts[-1].position
    return last


def _wait(running: Stage, book: str) -> None:
    """Wait until all projections have their rows and subtotals."""
    with running.ledger.channel() as channel:
        head = LedgerServiceStub(channel).GetBook(GetBookRequest(name=book)).book.head_position
    schema = schema_of(book)
    behind = f"""
        SELECT (SELECT count(*) FROM {schema}.projection_progress WHERE position < %(head)s)
            + (SELECT count(*) FROM {schema}.projection_subtotal
               WHERE position <= %(head)s - block_events)
            + (SELECT count(*) FROM {schema}.projection_evaluation WHERE position < %(head)s)
    """  # noqa: S608
    with psycopg.connect(running.url, autocommit=True) as connection:
        made = "SELECT to_regclass(%s) IS NOT NULL"
        while connection.execute(made, [f"{schema}.projection_evaluation"]).fetchone() != (True,):
            time.sleep(0.1)
        while connection.execute(behind, {"head": head}).fetchone() != (0,):
            time.sleep(0.1)


def _asked(running: Stage, book: str, trade: Trade, calls: int) -> Figures:
    """Return the milliseconds of each query: median and 99th percentile."""
    chosen = random.Random(SEED)  # noqa: S311 - no secret
    days = (trade.day - FIRST_DAY).days + 1

    def read() -> ReadSpec:
        as_of = FIRST_DAY + dt.timedelta(days=chosen.randrange(days))
        return ReadSpec(
            as_of=date_to_message(as_of), as_known_position=chosen.randint(1000, trade.position)
        )

    figures: Figures = {}
    with running.projections.channel() as channel:
        stub = ProjectionServiceStub(channel)
        queries: dict[str, Callable[[ReadSpec], object]] = {
            "capacity": lambda spec: stub.QueryCapacity(QueryCapacityRequest(book=book, read=spec)),
            "investment": lambda spec: stub.QueryInvestment(
                QueryInvestmentRequest(book=book, read=spec)
            ),
            "the round trip": lambda spec: stub.QueryRoundTrip(
                QueryRoundTripRequest(book=book, read=spec)
            ),
            "circular flows": lambda spec: stub.QueryCircularFlows(
                QueryCircularFlowsRequest(book=book, read=spec)
            ),
            "drill-down, first page": lambda spec: stub.ListContributions(_received(book, spec)),
            "drill-down, a page in the middle": lambda spec: stub.ListContributions(
                _in_the_middle(_received(book, spec), trade.position)
            ),
            "exceptions": lambda spec: stub.QueryExceptions(
                QueryExceptionsRequest(book=book, read=spec)
            ),
            "open exceptions": lambda spec: stub.QueryExceptions(
                QueryExceptionsRequest(book=book, read=spec, open_only=True)
            ),
            "roll-forward by quarter": lambda spec: stub.QueryRollForward(
                _by_quarter(book, spec, trade.day)
            ),
        }
        for name, query in queries.items():
            kinds: dict[str, Callable[[], ReadSpec]] = {
                "now": ReadSpec,
                "any day and position": read,
            }
            for kind, spec in kinds.items():
                took = []
                # The first call loads modules and prepares plans, and does not count.
                query(spec())
                for _ in range(calls):
                    asked = spec()
                    started = time.perf_counter()
                    query(asked)
                    took.append(1000 * (time.perf_counter() - started))
                percentiles = statistics.quantiles(took, n=100)
                figures[f"{name}, {kind}: median ms"] = percentiles[49]
                figures[f"{name}, {kind}: 99th percentile ms"] = percentiles[98]
    return figures


def _received(book: str, read: ReadSpec) -> ListContributionsRequest:
    """Ask for the line items of the figure with the most events."""
    return ListContributionsRequest(book=book, read=read, figure="round-trip.received")


def _in_the_middle(request: ListContributionsRequest, latest: int) -> ListContributionsRequest:
    """Ask for the page that starts in the middle of the log."""
    known = request.read.as_known_position or latest
    place = PageStart(known_position=known, position=known // 2, listed_of_event=1, listed=1)
    request.page_token = place.token(request)
    return request


def _by_quarter(book: str, read: ReadSpec, latest: dt.date) -> QueryRollForwardRequest:
    """Ask for the roll-forward of the same figure up to the given day."""
    to_date = read.as_of if read.HasField("as_of") else date_to_message(latest)
    known = ReadSpec(as_known_position=read.as_known_position) if read.as_known_position else None
    return QueryRollForwardRequest(
        book=book,
        read=known,
        figure="round-trip.received",
        from_date=date_to_message(FIRST_DAY),
        to_date=to_date,
        interval=Interval.INTERVAL_QUARTER,
    )


if __name__ == "__main__":
    main()
