"""Drill-down and roll-forward: every event once, in order, and the same sums as the figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from gigaledger.common.quantities import date_from_message, decimal_to_text, instant_from_message
from gigaledger.projections.engine.snapshot import KnowledgePoint, Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.queries import drill_down
from gigaledger.projections.shared.amounts import units
from gigaledger.projections.shared.figure_diff import FigureKey
from gigaledger.projections.shared.line_items import (
    Batch,
    Contributions,
    Sum,
    roll_forward,
    sums_of,
    totals,
)
from gigaledger.projections.shared.line_items import Contribution as Added
from gigaledger.projections.shared.paging import PageStart, page_start, read_page
from gigaledger.projections.shared.periods import Length, Period, periods
from gigaledger.projections.trade.daily_balances import BY_EVENT
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import (
    Contribution,
    FigureSubject,
    ListContributionsRequest,
    ListContributionsResponse,
    PartyLevel,
    QueryRollForwardRequest,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.histories import histories
from tests.facts import START, fact, invoiced, money, paid, parties, placed, received
from tests.hypothesis_profiles import examples
from tests.projections.conftest import ReadModels
from tests.projections.log import log_of

FIGURES = [
    "capacity.certified_kw",
    "capacity.claimed_pending_kw",
    "capacity.delivered_implied_kw",
    "capacity.hardware.rack_quantity",
    "investment.available_to_call",
    "investment.shares_outstanding",
    "round-trip.accrual.purchases",
    "round-trip.cash.recycled",
    "round-trip.commitment.net_balance",
    "round-trip.ordered",
    "round-trip.paid",
    "round-trip.received",
    "round-trip.received_not_invoiced",
    "round-trip.unapplied_payments",
]
STATUSES = st.sampled_from([(), ("FACT", "REPORTED"), ("PLAN",)])
DAYS = st.integers(-60, 500).map(lambda days: dt.date(2026, 1, 5) + dt.timedelta(days=days))
SLOW = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_PURCHASES = {
    "round-trip.accrual.purchases": "INVOICED",
    "round-trip.cash.purchases": "PAID",
    "round-trip.commitment.purchases": "ORDERED",
    "round-trip.invoiced": "INVOICED",
    "round-trip.ordered": "ORDERED",
    "round-trip.paid": "PAID",
    "round-trip.received": "RECEIVED",
    "round-trip.unapplied_payments": "UNAPPLIED",
}
_EVERYTHING = statement("""
    SELECT ARRAY(SELECT generate_series(1, %(position)s::bigint)) AS positions,
           ARRAY(SELECT purchase_order FROM round_trip_order) AS parties,
           ARRAY(SELECT purchase_order FROM round_trip_goods) AS orders,
           ARRAY(SELECT document FROM round_trip_invoice) AS documents,
           ARRAY(SELECT settlement FROM round_trip_payment) AS settlements
""")
_RACKS = statement("""
    WITH order_line AS (
        SELECT DISTINCT ON (purchase_order, line) purchase_order, line, contract_kind
        FROM capacity_order_line WHERE {recorded}
        ORDER BY purchase_order, line, {known} DESC, position DESC
    )
    SELECT position, quantity AS amount
    FROM capacity_hardware LEFT JOIN order_line USING (purchase_order, line)
    WHERE {counted} AND contract_kind IS DISTINCT FROM 'CLOUD_CAPACITY'
""")


def order(item: Contribution) -> tuple[object, ...]:
    """What contributions are in the order of."""
    about = [(subject.field, subject.value) for subject in item.about]
    return item.position, item.figure, about, date_from_message(item.effective_date)


async def listed(
    snapshot: Snapshot, request: ListContributionsRequest, size: int
) -> tuple[list[Contribution], ListContributionsResponse]:
    """All contributions, page by page, and the last page."""
    request.page_size = size
    found: list[Contribution] = []
    place = PageStart()
    while True:
        page = await drill_down.list_contributions(snapshot, request, place)
        assert len(page.contributions) == min(size, page.total_count - len(found))
        found += page.contributions
        if not page.next_page_token:
            return found, page
        request.page_token = page.next_page_token
        place = page_start(request)
        assert place.known_position == snapshot.scope.position


async def by_definition(snapshot: Snapshot, figure: str) -> list[tuple[int, str, Decimal]] | None:
    """The contribution of each event to a sum of purchases or of racks, all in one answer."""
    if figure == "capacity.hardware.rack_quantity":
        rows = await snapshot.rows(_RACKS)
        return sorted((row["position"], figure, Decimal(row["amount"])) for row in rows)
    if figure not in _PURCHASES:
        return None
    (everything,) = await snapshot.rows(_EVERYTHING)
    rows = await snapshot.rows(BY_EVENT, measures=[_PURCHASES[figure]], **everything)
    cents = Decimal("0.01")
    return sorted((row["position"], figure, row["amount"] * cents) for row in rows)


@SLOW
@given(
    events=histories(),
    as_of=st.one_of(st.none(), DAYS),
    statuses=STATUSES,
    figure=st.sampled_from(FIGURES),
    size=st.integers(1, 7),
    data=st.data(),
)
async def test_pages_of_any_size_list_every_event_once_in_order(
    read_models: ReadModels,
    events: list[RecordedEvent],
    as_of: dt.date | None,
    statuses: tuple[str, ...],
    figure: str,
    size: int,
    data: st.DataObject,
) -> None:
    """As of any day and known at any position; and they sum up to the totals, exactly."""
    event = events[data.draw(st.integers(0, len(events) - 1), label="known")]
    known = KnowledgePoint(event.position, instant_from_message(event.recorded_time))
    level = data.draw(st.sampled_from(PartyLevel.values()), label="level")
    await read_models.forget()
    await read_models.apply(events)
    projection = drill_down.projection_behind(figure)
    request = ListContributionsRequest(figure=figure, level=level)
    async with read_models.snapshot(projection, as_of, statuses, known=known) as snapshot:
        found, last = await listed(snapshot, request, size)
        assert len(found) == last.total_count
        assert found == sorted(found, key=order)
        assert all(item.amount != "0" for item in found)
        assert _summed(found) == {
            (total.figure, *_about(total.about)): Decimal(total.amount) for total in last.totals
        }
        if level == PartyLevel.PARTY_LEVEL_ENTITY:
            for name in drill_down.sums_behind(figure):
                expected = await by_definition(snapshot, name)
                if expected is not None:
                    assert expected == [
                        (item.position, name, Decimal(item.amount or 0))
                        for item in found
                        if item.figure == name
                    ]
        if last.totals:
            await _only_about(snapshot, figure, level, found, data)


async def _only_about(
    snapshot: Snapshot,
    figure: str,
    level: PartyLevel.ValueType,
    found: Sequence[Contribution],
    data: st.DataObject,
) -> None:
    """Figures of a subject equal all figures without the others."""
    item = data.draw(st.sampled_from(found), label="about")
    subjects = data.draw(st.lists(st.sampled_from(item.about), max_size=2), label="subjects")
    request = ListContributionsRequest(figure=figure, level=level, about=subjects)
    asked = {(subject.field, subject.value) for subject in subjects}
    some, last = await listed(snapshot, request, 3)
    assert some == [
        one for one in found if asked <= {(subject.field, subject.value) for subject in one.about}
    ]
    assert last.total_count == len(some) > 0


def _about(subjects: Iterable[FigureSubject]) -> list[str]:
    return [subject.value for subject in subjects]


def _summed(found: Iterable[Contribution]) -> dict[tuple[str, ...], Decimal]:
    sums: dict[tuple[str, ...], Decimal] = {}
    for item in found:
        key = (item.figure, *_about(item.about))
        sums[key] = sums.get(key, Decimal(0)) + Decimal(item.amount or 0)
    return sums


@SLOW
@given(
    events=histories(),
    from_day=DAYS,
    length=st.sampled_from([Length.MONTH, Length.QUARTER, Length.YEAR]),
    statuses=STATUSES,
    figure=st.sampled_from([name for name in FIGURES if name in drill_down.SUMS]),
    data=st.data(),
)
async def test_a_roll_forward_adds_up_what_events_add(
    read_models: ReadModels,
    events: list[RecordedEvent],
    from_day: dt.date,
    length: Length,
    statuses: tuple[str, ...],
    figure: str,
    data: st.DataObject,
) -> None:
    event = events[data.draw(st.integers(0, len(events) - 1), label="known")]
    known = KnowledgePoint(event.position, instant_from_message(event.recorded_time))
    span = periods(from_day, from_day + dt.timedelta(days=300), length)
    await read_models.forget()
    await read_models.apply(events)
    async with read_models.snapshot(
        drill_down.projection_behind(figure), span[-1].last, statuses, known=known
    ) as snapshot:
        found, _ = await listed(snapshot, ListContributionsRequest(figure=figure), 1000)
        rolled = await drill_down.query_roll_forward(
            snapshot, QueryRollForwardRequest(figure=figure), span
        )
    assert sorted({(item.figure, *_about(item.about)) for item in found}) == [
        (row.figure, *_about(row.about)) for row in rolled.figures
    ]
    for row in rolled.figures:
        of_row = [item for item in found if list(item.about) == list(row.about)]
        for period, told in zip(span, row.periods, strict=True):
            assert (
                told.opening,
                told.additions,
                told.reductions,
                told.undisclosed_count,
            ) == _in_period(of_row, period)


def _in_period(found: Iterable[Contribution], period: Period) -> tuple[str, str, str, int]:
    opening = additions = reductions = Decimal(0)
    undisclosed = 0
    for item in found:
        day, amount = date_from_message(item.effective_date), Decimal(item.amount or 0)
        if day < period.first:
            opening += amount
        elif day <= period.last:
            additions += max(amount, Decimal(0))
            reductions += min(amount, Decimal(0))
            undisclosed += not item.amount
    numbers = (opening, additions, reductions)
    return (*map(decimal_to_text, numbers), undisclosed)  # type: ignore[return-value]


@dataclass
class Rows:
    """Rows that are many: so many contributions of each position."""

    counts: list[int]
    batches: int = 0
    furthest: int = 0

    async def sums(self, _first_days: Sequence[dt.date]) -> list[Sum]:
        """Nobody asks."""
        raise NotImplementedError

    async def batch(self, first_position: int, most_rows: int) -> Batch:
        """The next rows, one of each position."""
        self.batches += 1
        end = first_position + most_rows
        self.furthest = max(self.furthest, end - 1)
        found = [
            contribution(position, number)
            for position, count in enumerate(self.counts)
            if first_position <= position < end
            for number in range(count)
        ]
        return Batch(found, end - 1 if end < len(self.counts) else None)


def contribution(position: int, number: int = 0) -> Added:
    """What an event adds to one of several figures."""
    return Added(
        position=position,
        recorded_time=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        effective_date=dt.date(2026, 1, 5),
        assertion_statuses=frozenset({"FACT"}),
        key=FigureKey("round-trip.paid", (("supplier_investor", f"S{number}"),)),
        document="",
        amount=Decimal(1),
        unit="USD",
    )


@given(
    counts=st.lists(st.sampled_from([0, 0, 0, 1, 3]), max_size=200),
    few=st.lists(st.integers(0, 220)),
    size=st.integers(1, 30),
)
async def test_a_page_takes_up_where_the_one_before_ended(
    counts: list[int], few: list[int], size: int
) -> None:
    rows = Rows(counts)
    source = Contributions([contribution(position, 9) for position in few], rows)
    whole = sorted(
        [
            *source.few,
            *(
                contribution(at, number)
                for at, count in enumerate(counts)
                for number in range(count)
            ),
        ],
        key=lambda item: (item.position, item.key),
    )
    found: list[Added] = []
    place = PageStart()
    while len(found) < len(whole):
        page = await read_page(source, place, size, len(whole))
        found += page
        place = place.after(page, 1)
    assert found == whole
    assert place.listed == len(whole)


async def test_rows_that_give_nothing_are_passed_over_in_batches_that_grow() -> None:
    rows = Rows([0] * 5000 + [1])
    (found,) = await read_page(Contributions([], rows), PageStart(), 100, 1)

    assert found.position == 5000
    assert rows.batches < 15


async def test_no_row_is_read_after_the_last_that_contributes() -> None:
    """The last page is the same."""
    rows = Rows([1] * 50 + [0] * 5000)
    assert len(await read_page(Contributions([], rows), PageStart(), 100, 50)) == 50
    assert await read_page(Contributions([], rows), PageStart(1, 49, 1, 50), 100, 50) == []
    assert rows.furthest == 49


def test_sums_of_any_length_are_exact() -> None:
    days = [Period(START, START)]
    amounts = [units(10**40 + 1, "USD"), units(-(10**39) - 7, "USD")]
    parts = [replace(contribution(1), amount=amount, effective_date=START) for amount in amounts]
    sums = list(sums_of(parts, [START]))

    ((day,),) = [figure.periods for figure in roll_forward(sums, days)]
    assert day.additions == "1" + 37 * "0" + "0.01"
    assert day.reductions == "-1" + 36 * "0" + "0.07"
    assert day.closing == totals(sums)[0].amount == "8" + 36 * "9" + "9.94"


async def page_of(read_models: ReadModels, figure: str, *about: str) -> ListContributionsResponse:
    """The first page of a figure about certain fields and values."""
    subjects = [
        FigureSubject(field=field, value=value)
        for field, value in (item.split("=") for item in about)
    ]
    request = ListContributionsRequest(figure=figure, about=subjects)
    async with read_models.snapshot(drill_down.projection_behind(figure)) as snapshot:
        return await drill_down.list_contributions(snapshot, request, PageStart())


def added(page: ListContributionsResponse) -> list[tuple[str, str]]:
    """Documents and their contributions."""
    return [(item.document, item.amount) for item in page.contributions]


async def test_an_order_of_several_lines_is_one_contribution(read_models: ReadModels) -> None:
    lines = [
        {"line": 1, "sku": "R", "quantity": 2, "unit_price": money(1_000)},
        {"line": 2, "sku": "S", "quantity": 3, "unit_price": money(100)},
        {"line": 3, "sku": "T", "quantity": 3, "unit_price": money(0)},
    ]
    free = placed(purchase_order="PO-2", lines=lines[2:])
    await read_models.apply(log_of([*parties("SUP", "CUS"), placed(lines=lines), free]))

    page = await page_of(read_models, "round-trip.ordered")

    assert added(page) == [("PO-1", "23")]
    assert page.total_count == 1


async def test_an_amended_price_adds_to_what_was_received_before(read_models: ReadModels) -> None:
    amended = fact(
        "purchase_order_amended", purchase_order="PO-1", line=1, amount_delta=money(-20_000)
    )
    events = [*parties("SUP", "CUS"), placed(100), received(10), amended, received(10)]
    await read_models.apply(log_of(events))

    page = await page_of(read_models, "round-trip.received")

    assert added(page) == [("PO-1", "100"), ("PO-1", "-20"), ("PO-1", "80")]
    span = [Period(START, START)]
    async with read_models.snapshot("round-trip", START) as snapshot:
        rolled = await drill_down.query_roll_forward(
            snapshot, QueryRollForwardRequest(figure="round-trip.received"), span
        )
    ((day,),) = [figure.periods for figure in rolled.figures]
    assert (day.additions, day.reductions, day.closing) == ("180", "-20", "160")


async def test_an_invoice_is_of_those_that_it_names_or_else_its_order(
    read_models: ReadModels,
) -> None:
    events = [
        *parties("SUP", "CUS", "THIRD"),
        placed(),
        invoiced(100, "INV-1"),
        invoiced(200, "INV-2", buyer="CUS"),
        invoiced(300, "INV-3", supplier="SUP", buyer="CUS"),
        invoiced(400, "INV-4", purchase_order="", supplier="SUP", buyer="CUS"),
        invoiced(500, "INV-5", purchase_order="", supplier="THIRD", buyer="CUS"),
    ]
    await read_models.apply(log_of(events))
    of_pair = [("INV-1", "1"), ("INV-2", "2"), ("INV-3", "3"), ("INV-4", "4")]
    supplier, customer = "supplier_investor=SUP", "customer_investee=CUS"

    for about, expected in (
        ([supplier], of_pair),
        ([customer], [*of_pair, ("INV-5", "5")]),
        ([supplier, customer], of_pair),
        (["supplier_investor=THIRD", customer], [("INV-5", "5")]),
        (["supplier_investor=CUS"], []),
    ):
        page = await page_of(read_models, "round-trip.invoiced", *about)
        assert added(page) == expected
        assert page.total_count == len(expected)


async def test_racks_are_listed_by_what_their_order_is_of(read_models: ReadModels) -> None:
    cloud = placed(purchase_order="PO-2", contract_kind="CONTRACT_KIND_CLOUD_CAPACITY")
    other = [{"line": 1, "sku": "S", "quantity": 9, "unit_price": money(1)}]
    events = [
        *parties("SUP", "CUS"),
        placed(),
        cloud,
        placed(purchase_order="PO-3", lines=other),
        received(3),
        received(5, purchase_order="PO-2"),
        received(7, purchase_order="PO-3"),
    ]
    await read_models.apply(log_of(events))
    figure = "capacity.hardware.rack_quantity"

    assert added(await page_of(read_models, figure)) == [("PO-1", "3"), ("PO-3", "7")]
    assert added(await page_of(read_models, figure, "sku=S")) == [("PO-3", "7")]
    assert added(await page_of(read_models, figure, "sku=X")) == []


async def test_a_group_is_looked_at_by_all_who_stand_for_it(read_models: ReadModels) -> None:
    joined = fact("group_membership_changed", party="CUS", group="GROUP")
    events = [
        *parties("SUP", "CUS", "THIRD"),
        joined,
        paid(100, "PAY-1", purchase_order="", invoice=""),
        paid(200, "PAY-2", purchase_order="", invoice="", payer="THIRD"),
    ]
    await read_models.apply(log_of(events))
    figure = "round-trip.paid"

    page = await page_of(read_models, figure, "customer_investee=GROUP")
    assert added(page) == [("PAY-1", "1")]
    assert added(await page_of(read_models, figure, "customer_investee=CUS")) == []
    assert added(await page_of(read_models, figure, "customer_investee=THIRD")) == [("PAY-2", "2")]
