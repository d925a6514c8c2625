"""Recorded events are immutable for the services' roles and, against accidents, for the owner."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from gigaledger.ledger.log.writer import BookWriter
from psycopg import sql

from tests.facts import placed
from tests.log.books import LOG_TABLES, SIDES, LoggedBook, append
from tests.postgres import PostgresServer, with_login

SERVICE_ROLES = ("gigaledger_ledger", "gigaledger_projections", "gigaledger_reader")
CHANGES = {
    "UPDATE": "UPDATE {} SET position = 7",
    "DELETE": "DELETE FROM {}",
    "TRUNCATE": "TRUNCATE {}",
    "DROP": "DROP TABLE {}",
    "ALTER": "ALTER TABLE {} ADD COLUMN note text",
    "DISABLE TRIGGER": "ALTER TABLE {} DISABLE TRIGGER ALL",
}
PASSWORD = uuid4().hex
INSUFFICIENT_PRIVILEGE = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def recorded(book: LoggedBook) -> LoggedBook:
    """A book with something in it."""
    with book.writer() as writer:
        append(writer, "sides", *SIDES)
        append(writer, "order", placed())
    return book


@pytest.fixture(params=SERVICE_ROLES)
def login(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[str]:
    """A login with the rights of one role of the services and no others."""
    name = f"{request.param}_{uuid4().hex}"
    role = sql.Identifier(name)
    made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}")
    postgres_server.run(made.format(role, sql.Literal(PASSWORD), sql.Identifier(request.param)))
    try:
        yield name
    finally:
        postgres_server.run(sql.SQL("DROP ROLE {}").format(role))


COLUMNS = {
    "attempt": "actor",
    "request": "first_position",
    "tree_node": "index",
    "checkpoint": "size",
    "signing_key": "from_size",
}
"""A column of each table that has no position."""


def statement(change: str, book: LoggedBook, table: str) -> sql.Composed:
    text = CHANGES[change].replace("position", COLUMNS.get(table, "position"))
    return sql.SQL(text).format(sql.Identifier(book.schema, table))


@pytest.mark.parametrize("table", LOG_TABLES)
def test_roles_of_the_services_change_nothing(recorded: LoggedBook, login: str, table: str) -> None:
    before = recorded.select("*", table)
    with psycopg.connect(
        with_login(recorded.url, login), password=PASSWORD, autocommit=True
    ) as connection:
        for change in CHANGES:
            if (table, change) == ("head", "UPDATE") and "ledger" in login:
                continue
            with pytest.raises(INSUFFICIENT_PRIVILEGE):
                connection.execute(statement(change, recorded, table))

    assert recorded.select("*", table) == before


@pytest.mark.parametrize("change", ["UPDATE", "DELETE", "TRUNCATE"])
@pytest.mark.parametrize("table", [table for table in LOG_TABLES if table != "head"])
def test_the_owner_cannot_change_it_by_accident(
    recorded: LoggedBook, table: str, change: str
) -> None:
    with (
        psycopg.connect(recorded.url) as connection,
        pytest.raises(INSUFFICIENT_PRIVILEGE, match="the log is immutable"),
    ):
        connection.execute(statement(change, recorded, table))


@pytest.mark.parametrize(
    "change",
    ["position = position - 1", "recorded_at = recorded_at - interval '1 microsecond'"],
)
def test_the_head_never_moves_back(recorded: LoggedBook, change: str) -> None:
    with (
        recorded.connect() as connection,
        pytest.raises(psycopg.errors.CheckViolation, match="cannot go back"),
    ):
        connection.execute(f"UPDATE {recorded.schema}.head SET {change}")  # noqa: S608


@pytest.mark.parametrize("change", ["DELETE", "TRUNCATE"])
def test_the_head_is_never_deleted(recorded: LoggedBook, change: str) -> None:
    with (
        psycopg.connect(recorded.url) as connection,
        pytest.raises(INSUFFICIENT_PRIVILEGE, match="the log is immutable"),
    ):
        connection.execute(statement(change, recorded, "head"))


def test_the_ledger_writes_with_its_role_alone(book: LoggedBook, writer: BookWriter) -> None:
    append(writer, "order", placed())

    with book.connect() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("gigaledger_ledger",)
