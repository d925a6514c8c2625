"""The figures on the page are those of the services, and those that were computed by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import httpx
import pytest
from gigaledger.client import AsyncClient

from tests.scenarios.test_checkpoints import EXPECTED
from tests.web.conftest import CORRECTIONS, PLAN, Books
from tests.web.figures import (
    Figure,
    field_of,
    figures_of_answer,
    figures_of_page,
    linked_figures_of_page,
    value_of_text,
)

PATHS = ("", "/capacity", "/investment", "/round-trip", "/circular-flows")
CASES = [
    (name, checkpoint["as_of"], checkpoint.get("as_known", ""))
    for name in (PLAN, CORRECTIONS)
    for checkpoint in EXPECTED[name]
]


def address(book: str, path: str, **parameters: str) -> str:
    return str(httpx.URL(f"/books/{book}{path}", params=parameters))


async def answers(
    client: AsyncClient, book: str, as_of: dt.date, known: dt.datetime | None
) -> set[Figure]:
    """Every figure that the services answer with."""
    asked = client.book(book)
    read: Any = {"as_of": as_of, "as_known": known}
    capacity = await asked.capacity(**read)
    found = figures_of_answer(capacity)
    named = {
        *(item.agreement for item in capacity.breakdown),
        *(item.agreement for item in capacity.schedule_points),
        *(item.agreement for item in capacity.milestones),
    }
    for agreement in named:
        found |= figures_of_answer(await asked.capacity(agreement=agreement, **read))
    for answer in (
        await asked.investment(**read),
        await asked.round_trip(**read),
        await asked.circular_flows(**read),
    ):
        found |= figures_of_answer(answer)
    return found


@pytest.mark.parametrize(("name", "as_of", "as_known"), CASES)
async def test_every_figure_is_that_of_an_answer(
    books: Books,
    page: httpx.AsyncClient,
    client: AsyncClient,
    name: str,
    as_of: str,
    as_known: str,
) -> None:
    book = books.by_example[name]
    known = None
    if as_known:
        known = dt.datetime.combine(dt.date.fromisoformat(as_known), dt.time.max, dt.UTC)
    expected = await answers(client, book, dt.date.fromisoformat(as_of), known)

    for path in PATHS:
        shown = await page.get(address(book, path, as_of=as_of, as_known=as_known))
        assert shown.status_code == 200, shown.text
        found = figures_of_page(shown.text)
        assert found or path in {"/round-trip", "/circular-flows"}, path
        for figure, value, text in found:
            if figure != "exceptions.open":
                assert value_of_text(text) == value, figure
                assert (field_of(figure), value) in expected, f"{path}: {figure}"


NAMES = {
    "contracted_kw": "capacity.contracted_kw",
    "planned_kw": "capacity.planned_kw",
    "certified_kw": "capacity.certified_kw",
    "claimed_pending_kw": "capacity.claimed_pending_kw",
    "schedule_variance_kw": "capacity.schedule_variance_kw",
    "delivered_implied_kw": "capacity.delivered_implied_kw",
    "committed_minor": "investment.committed",
    "entitled_minor": "investment.entitled",
    "called_minor": "investment.called",
    "funded_minor": "investment.funded",
    "overfunded_minor": "investment.overfunded",
    "unfunded_entitlement_minor": "investment.unfunded_entitlement",
    "ordered_minor": "round-trip.ordered",
    "invoiced_minor": "round-trip.invoiced",
    "paid_minor": "round-trip.paid",
    "net_balance_paid_minor": "round-trip.cash.net_balance",
    "recycled_paid_minor": "round-trip.cash.recycled",
}
"""Figures that were computed by hand, and their names on the page."""


@pytest.mark.parametrize("name", [PLAN, CORRECTIONS])
async def test_the_figures_that_were_computed_by_hand(
    books: Books, page: httpx.AsyncClient, name: str
) -> None:
    for checkpoint in EXPECTED[name]:
        state = {"as_of": checkpoint["as_of"], "as_known": checkpoint.get("as_known", "")}
        shown: dict[str, set[Decimal]] = {}
        for path in ("/capacity", "/investment", "/round-trip"):
            answer = await page.get(address(books.by_example[name], path, **state))
            for figure, value, _ in figures_of_page(answer.text):
                shown.setdefault(figure, set()).add(value)
        for key, value in checkpoint["figures"].items():
            if key in NAMES and (value or not key.endswith("_minor")):
                number = Decimal(value) / (100 if key.endswith("_minor") else 1)
                assert number in shown[NAMES[key]], f"{state}: {key}"


@pytest.mark.parametrize("name", [PLAN, CORRECTIONS])
async def test_each_linked_figure_opens_to_the_events_that_add_up_to_it(
    books: Books, page: httpx.AsyncClient, name: str
) -> None:
    """A figure that is a sum equals the sum of the events on its page."""
    sums = 0
    for path in ("", "/capacity", "/investment", "/round-trip"):
        shown = await page.get(address(books.by_example[name], path, as_of="2026-12-31"))
        for link, (figure, value) in linked_figures_of_page(shown.text).items():
            opened = await page.get(link)
            assert opened.status_code == 200, link
            assert "as_of=2026-12-31" in link
            adding = [v for f, v, _ in figures_of_page(opened.text) if f == figure]
            if adding:
                assert sum(adding) == value, link
                sums += 1
    assert sums > 20


async def test_parties_as_groups_and_as_legal_entities(
    books: Books, page: httpx.AsyncClient
) -> None:
    book = books.by_example[PLAN]

    groups = await page.get(address(book, "/round-trip"))
    entities = await page.get(address(book, "/round-trip", level="entity"))

    assert "NVDA supplies and invests, OPENAI buys and is invested in" in groups.text
    assert "OPENAI_OPCO" not in groups.text
    assert "OPENAI_OPCO" in entities.text
    assert "--level entity" in entities.text
