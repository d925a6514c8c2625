"""Many books on a database that allows few connections, and books in which nothing happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from gigaledger.ledger.log.book_registry import MAX_CONNECTIONS
from gigaledger.ledger.log.schema import LEDGER_ROLE
from gigaledger.v1.ledger_pb2 import SubscribeEventsRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from psycopg import sql

from tests.api.calls import Caller
from tests.facts import parties, placed
from tests.log.books import until
from tests.postgres import with_login
from tests.processes import ServiceProcess

BOOKS = 300
CONNECTION_LIMIT = 40
LEDGERS = 2
IDLE_BOOKS = 20
IDLE_SECONDS = 3.0
"""How long nothing happens while statements are watched."""


@pytest.fixture
def limited_url(database_url: str) -> Iterator[str]:
    """A login of the services to a database that allows it few connections."""
    login, password = f"service_{uuid4().hex}", uuid4().hex
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {} IN ROLE {}").format(
                sql.Identifier(login),
                sql.Literal(password),
                sql.Literal(CONNECTION_LIMIT),
                sql.Identifier(LEDGER_ROLE),
            )
        )
        yield with_login(database_url, f"{login}:{password}")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (login,)
        )
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))


@contextmanager
def ledgers(url: str, count: int) -> Iterator[list[ServiceProcess]]:
    """Run ledger processes on a database."""
    started = [ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": url}) for _ in range(count)]
    with ExitStack() as stack:
        for ledger in started:
            ledger.start()
            stack.callback(ledger.kill)
        yield started


def test_many_books_need_few_connections(database_url: str, limited_url: str) -> None:
    with ledgers(limited_url, LEDGERS) as running, ExitStack() as stack:
        stubs = [LedgerServiceStub(stack.enter_context(one.channel())) for one in running]
        threads = stack.enter_context(ThreadPoolExecutor(16))
        books = list(threads.map(lambda _: Caller.of_new_book(stubs[0]).book, range(BOOKS)))

        def append(number: int) -> list[int]:
            positions: list[int] = []
            for stub in (stubs[number % LEDGERS], stubs[(number + 1) % LEDGERS]):
                receipts = Caller(stub, books[number]).append(*parties(f"P{len(positions)}"))
                positions += [receipt.position for receipt in receipts.receipts]
            return positions

        assert list(threads.map(append, range(BOOKS))) == [[2, 3]] * BOOKS
        with psycopg.connect(database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = %s",
                (urlsplit(limited_url).username,),
            ).fetchone()
    assert row is not None
    assert row[0] <= min(LEDGERS * MAX_CONNECTIONS, CONNECTION_LIMIT)


def test_an_idle_book_costs_no_statement(database_url: str) -> None:
    """Books that are open and subscribed to are not asked for while nothing is appended."""
    with ledgers(database_url, 1) as (ledger,), ledger.channel() as channel:
        stub = LedgerServiceStub(channel)
        callers = [Caller.of_new_book(stub) for _ in range(IDLE_BOOKS)]
        subscriptions = []
        for caller in callers:
            caller.append(*parties("SUP", "CUS"))
            subscription = stub.SubscribeEvents(SubscribeEventsRequest(book=caller.book))
            while not next(subscription).caught_up:
                pass
            subscriptions.append(subscription)
        with psycopg.connect(database_url, autocommit=True) as connection:
            until(lambda: not statements_on_books(connection, 0.5) or None)
            time.sleep(IDLE_SECONDS)
            assert statements_on_books(connection, IDLE_SECONDS) == []

        # They are followed all the same.
        callers[0].append(placed())
        assert [event.position for event in next(subscriptions[0]).events] == [4]


def statements_on_books(connection: psycopg.Connection, seconds: float) -> list[str]:
    """Return the statements on a book's tables that ran in the last seconds, one a connection."""
    rows = connection.execute(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE '%%book\\_%%' AND pid <> pg_backend_pid()"
        " AND state_change > clock_timestamp() - %s * interval '1 second'",
        (seconds,),
    )
    return [query for (query,) in rows]
