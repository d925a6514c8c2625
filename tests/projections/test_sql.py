"""The page of queries in SQL: each runs as it stands, with the rights of a reader alone."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from gigaledger.common.quantities import instant_from_message, money_from_message
from gigaledger.projections.capacity.queries import query_capacity
from gigaledger.projections.engine.snapshot import KnowledgePoint
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.projections.trade.round_trip_queries import query_round_trip
from gigaledger.v1.projections_pb2 import PartyLevel, QueryRoundTripRequest
from psycopg import sql
from psycopg.rows import dict_row

from tests.facts import credited, day, invoiced, paid, parties, placed
from tests.projections.conftest import SCHEMA, ReadModels
from tests.projections.log import example, log_of

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text("utf-8")
QUERIES = {
    match[1]: match[2] for match in re.finditer(r"```sql\n-- ([^\n]+)\n(.+?)```", PAGE, re.DOTALL)
}
READER = f"-c role=gigaledger_reader -c search_path={SCHEMA} -c timezone=UTC"
PLAN = example("nvidia-openai-plan")
DAY = dt.date(2028, 6, 30)


@pytest.fixture
async def asked(
    database_url: str, read_models: ReadModels
) -> AsyncIterator[dict[str, list[dict[str, Any]]]]:
    """What each query of the page gives on the example plan."""
    await read_models.apply(PLAN)
    with psycopg.connect(database_url, options=READER, row_factory=dict_row) as connection:
        yield {name: connection.execute(q.encode()).fetchall() for name, q in QUERIES.items()}


async def test_the_page_gives_the_figures_of_the_reports(
    asked: dict[str, list[dict[str, Any]]], read_models: ReadModels
) -> None:
    pairs = QueryRoundTripRequest(level=PartyLevel.PARTY_LEVEL_ENTITY)
    async with read_models.snapshot("capacity", DAY) as snapshot:
        capacity = await query_capacity(snapshot, "")
    async with read_models.snapshot("round-trip", DAY) as snapshot:
        trip = await query_round_trip(snapshot, pairs)
    async with read_models.snapshot("round-trip") as snapshot:
        then = KnowledgePoint(60, instant_from_message(PLAN[59].recorded_time))
        earlier = await query_round_trip(snapshot.at(then), pairs)

    assert {
        (row["power_basis"], row["certified_kw"])
        for row in asked["certified capacity as of a day, by basis"]
    } == {("IT_CRITICAL_LOAD", 6_250_000)}
    assert {f.certified_kw for f in capacity.figures} - {0} == {6_250_000}
    assert asked["certified capacity as it grows"][-1]["certified_to_date_kw"] == 10_000_000
    assert sum(row["funded_minor"] for row in asked["funded by quarter"]) == 100 * 10**11
    assert {
        (r["supplier"], r["customer"], r["paid_minor"])
        for r in asked["paid by supplier, customer and currency"]
    } == {
        (pair.supplier_investor, pair.customer_investee, paid)
        for pair in trip.pairs
        if (paid := money_from_message(pair.paid.amount).amount_minor)
    }
    assert [row["paid_minor"] for row in asked["paid as known at an earlier position"]] == [
        sum(money_from_message(pair.paid.amount).amount_minor for pair in earlier.pairs)
    ]
    invoices = asked["invoices and their payments"]
    assert all(row["invoiced_minor"] == row["paid_minor"] for row in invoices)
    assert {row["position"] for row in asked["freshness"]} == {len(PLAN)}
    assert [row["projection"] for row in asked["freshness"]] == [p.name for p in PROJECTIONS]


async def test_open_invoices_by_age(database_url: str, read_models: ReadModels) -> None:
    """As of 2028-06-30: paid in part, credited in full, not due, and without a due date."""

    def due(month: int, date: int) -> dict[str, int]:
        return day(dt.date(2028, month, date))

    await read_models.apply(
        log_of(
            [
                *parties("SUP", "CUS"),
                placed(),
                invoiced(500, "A", due_date=due(3, 31)),
                paid(200, "P-A", invoice="A"),
                invoiced(500, "B", due_date=due(4, 30)),
                credited(500, invoice="B"),
                invoiced(500, "C", due_date=due(5, 1)),
                invoiced(500, "D", due_date=due(6, 29)),
                invoiced(500, "E", due_date=due(6, 30)),
                invoiced(500, "F"),
                invoiced(500, "G", due_date=due(4, 1)),
            ]
        )
    )
    query = QUERIES["open invoices by age"].encode()
    with psycopg.connect(database_url, options=READER, row_factory=dict_row) as connection:
        rows = connection.execute(query).fetchall()

    assert [(row["document"], row["open_minor"], row["overdue"]) for row in rows] == [
        ("PO-1/A", 300, "over 90 days"),
        ("PO-1/G", 500, "61 to 90 days"),
        ("PO-1/C", 500, "31 to 60 days"),
        ("PO-1/D", 500, "1 to 30 days"),
        ("PO-1/E", 500, "not due"),
        ("PO-1/F", 500, "no due date"),
    ]


async def test_every_query_of_the_page_is_run(asked: dict[str, list[dict[str, Any]]]) -> None:
    assert PAGE.count("```sql") == len(QUERIES) == len(asked) == 10


async def test_a_reader_reads_views_alone(database_url: str, read_models: ReadModels) -> None:
    await read_models.apply(PLAN[:20])
    with psycopg.connect(database_url, options=READER, autocommit=True) as connection:
        for projection in PROJECTIONS:
            for table in projection.tables:
                connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
                comment = connection.execute(
                    "SELECT obj_description(%s::regclass)", (table,)
                ).fetchone()
                assert comment is not None
                assert comment[0], table
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for log_table in ("event", "request", "head", "attempt"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(log_table)))


async def test_every_column_of_a_view_is_described(
    database_url: str, read_models: ReadModels
) -> None:
    assert read_models
    with psycopg.connect(database_url, options=READER) as connection:
        bare = connection.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class"
            " ON pg_class.oid = attrelid WHERE relkind = 'v' AND attnum > 0"
            " AND relnamespace = current_schema()::regnamespace AND attname IN"
            " ('position', 'effective_date', 'reversed_position', 'measure')"
            " AND col_description(attrelid, attnum) IS NULL"
        ).fetchall()
    assert bare == []
