"""The pages of a book: questions to the services, and sections of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gigaledger.client import queries
from gigaledger.v1.ledger_pb2 import Book
from gigaledger.v1.projections_pb2 import ReadContext
from gigaledger.web.content import Section
from gigaledger.web.sections import (
    capacity,
    circular_flows,
    events,
    exceptions,
    investment,
    round_trip,
)
from gigaledger.web.sections.cells import is_hypothetical
from gigaledger.web.source import EVENTS_ON_A_PAGE, Source
from gigaledger.web.view import View, position_of

_LATEST_EVENTS = 12
_SUBJECTS = (
    "agreement",
    "capacity_layer",
    "power_basis",
    "site",
    "platform",
    "currency_code",
    "supplier_investor",
    "customer_investee",
)
Parameters = Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """A page of a book.

    Attributes:
        title: its heading.
        book: the book with its head.
        sealed: size of the latest checkpoint; 0 if there is none.
        position: the log up to here is reflected.
        sections: in order.
        hypothetical: whether a figure rests on plans or assumptions.
        levels: whether parties can be shown as groups or as legal entities.
    """

    title: str
    book: Book
    sealed: int
    position: int
    sections: Sequence[Section]
    hypothetical: bool = False
    levels: bool = False


MakePage = Callable[[Source, View, Parameters], Awaitable[Page]]


async def overview(source: Source, view: View, _parameters: Parameters) -> Page:
    """Return the overview of a book."""
    book, sealed = await _head(source)
    answers = asyncio.gather(
        source.capacity(),
        source.investment(),
        source.round_trip(),
        source.circular_flows(),
        source.exceptions((), open_only=True),
    )
    known = await source.known_position(book)
    latest = await source.latest_events(known, source.filter(), _LATEST_EVENTS)
    capacity_now, investment_now, round_trip_now, flows, found = await answers
    period = await source.period(book, capacity_now)
    by_agreement, over_time = await asyncio.gather(
        source.capacity_by_agreement(capacity.agreements_of(capacity_now)),
        source.over_time(period),
    )
    sections = [
        capacity.overview(view, capacity_now, over_time[0], by_agreement),
        investment.overview(view, investment_now, over_time[1]),
        round_trip.overview(view, round_trip_now, over_time[2]),
        circular_flows.overview(view, flows),
        exceptions.overview(view, found),
        events.overview(view, latest, sealed),
    ]
    contexts = [
        answer.context for answer in (capacity_now, investment_now, round_trip_now, flows, found)
    ]
    return _page("Overview", book, sealed, sections, contexts, levels=True)


async def capacity_page(source: Source, view: View, _parameters: Parameters) -> Page:
    """Return capacity."""
    book, sealed = await _head(source)
    answer = await source.capacity()
    period = await source.period(book, answer)
    series, by_agreement = await asyncio.gather(
        source.series(queries.capacity(**view.read_over_time()), period),
        source.capacity_by_agreement(capacity.agreements_of(answer)),
    )
    sections = capacity.page(view, answer, series, by_agreement)
    return _page("Capacity", book, sealed, sections, [answer.context])


async def investment_page(source: Source, view: View, _parameters: Parameters) -> Page:
    """Return investment."""
    book, sealed = await _head(source)
    answer, capacity_now = await asyncio.gather(source.investment(), source.capacity())
    period = await source.period(book, capacity_now)
    series = await source.series(queries.investment(**view.read_over_time()), period)
    sections = investment.page(view, answer, series)
    return _page("Investment", book, sealed, sections, [answer.context])


async def round_trip_page(source: Source, view: View, _parameters: Parameters) -> Page:
    """Return the round trip."""
    book, sealed = await _head(source)
    answer, capacity_now = await asyncio.gather(source.round_trip(), source.capacity())
    period = await source.period(book, capacity_now)
    question = queries.round_trip(level=view.level, **view.read_over_time())
    series = await source.series(question, period)
    sections = round_trip.page(view, answer, series)
    return _page("Round trip", book, sealed, sections, [answer.context], levels=True)


async def circular_flows_page(source: Source, view: View, _parameters: Parameters) -> Page:
    """Return circular flows."""
    book, sealed = await _head(source)
    answer = await source.circular_flows()
    sections = circular_flows.page(view, answer)
    return _page("Circular flows", book, sealed, sections, [answer.context], levels=True)


async def exceptions_page(source: Source, view: View, parameters: Parameters) -> Page:
    """Return exceptions: open ones, unless `all` is given; of one rule, if `rule` is."""
    book, sealed = await _head(source)
    rules = [parameters["rule"]] if parameters.get("rule") else []
    answer = await source.exceptions(rules, open_only=not parameters.get("all"))
    sections = exceptions.page(view, answer)
    return _page("Exceptions", book, sealed, sections, [answer.context])


async def events_page(source: Source, view: View, parameters: Parameters) -> Page:
    """Return the feed of events, the newest first."""
    book, sealed = await _head(source)
    before = position_of(parameters, "before")
    known = await source.known_position(book)
    through = min(before - 1, known) if before else known
    wanted = {
        name: parameters[name] for name in ("agreement", "party", "stream") if parameters.get(name)
    }
    found = await source.latest_events(through, source.filter(**wanted))
    sections = events.page(view, found, sealed, EVENTS_ON_A_PAGE, wanted)
    return _page("Events", book, sealed, sections, [])


async def event_page(source: Source, view: View, parameters: Parameters) -> Page:
    """Return one event, with its proof."""
    position = position_of(parameters, "position")
    book, sealed = await _head(source)
    item, inclusion = await source.event(position)
    sections = events.event_page(view, item, inclusion, book)
    return _page(f"Event {item.position:,}", book, sealed, sections, [])


async def figure_page(source: Source, view: View, parameters: Parameters) -> Page:
    """Return the events behind a figure."""
    book, sealed = await _head(source)
    about = {name: parameters[name] for name in _SUBJECTS if parameters.get(name)}
    figure = parameters["figure"]
    answer = await source.contributions(figure, about)
    sections = events.figure_page(view, figure, about, answer)
    return _page("Events behind a figure", book, sealed, sections, [answer.context])


async def _head(source: Source) -> tuple[Book, int]:
    book, checkpoint = await asyncio.gather(source.info(), source.checkpoint())
    return book, checkpoint.size if checkpoint else 0


def _page(
    title: str,
    book: Book,
    sealed: int,
    sections: Sequence[Section],
    contexts: Sequence[ReadContext],
    *,
    levels: bool = False,
) -> Page:
    position = min((context.position for context in contexts), default=book.head_position)
    return Page(title, book, sealed, position, sections, is_hypothetical(contexts), levels)
