"""The shape of the database: roles, books and their logs, by numbered migrations that go forward.

Preparing needs a login that may create roles, and is done by an operator, once for each version.
The services only check that it was done.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg
from gigaledger.common.postgres.migrations import migrations_of
from psycopg import sql

LEDGER_ROLE = "gigaledger_ledger"
SESSION_OPTIONS = f"-c role={LEDGER_ROLE} -c timezone=UTC"
"""Options of every connection of the ledger: it works with the rights of its role alone, whoever
logs in, and sees instants in UTC."""
_LOCK = 7_315_040_219_201
"""Key of the advisory lock under which one process at a time prepares a database."""


class DatabaseNotPreparedError(RuntimeError):
    """The database is not of the shape that this version needs. The text says what to do."""


def prepare_database(url: str) -> None:
    """Bring a database to the shape that this version needs. Safe to repeat.

    Args:
        url: a login that may create roles and schemas.

    Raises:
        psycopg.Error: the database can't be reached, or the login lacks a right.
        DatabaseNotPreparedError: a newer version has prepared the database.
    """
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS gigaledger")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS gigaledger.migration ("
            " number integer PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = _applied(connection)
        for migration in migrations_of(files("gigaledger.ledger.log") / "migrations"):
            if migration.number not in done:
                connection.execute(migration.sql)
                connection.execute("RESET ROLE")
                connection.execute(
                    "INSERT INTO gigaledger.migration (number, name) VALUES (%s, %s)",
                    (migration.number, migration.name),
                )
        connection.execute(f"GRANT SELECT ON gigaledger.migration TO {LEDGER_ROLE}")
        # A right on the database is lost where the database is copied or restored from a dump.
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO gigaledger_owner").format(
                sql.Identifier(connection.info.dbname)
            )
        )
        check_prepared(connection)


def check_prepared(connection: psycopg.Connection) -> None:
    """Check that a database is of the shape that this version needs.

    Raises:
        DatabaseNotPreparedError: it is not.
    """
    known = {m.number for m in migrations_of(files("gigaledger.ledger.log") / "migrations")}
    try:
        done = _applied(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege) as error:
        raise DatabaseNotPreparedError(
            "the database is not prepared: run 'gigaledger database prepare' against it"
        ) from error
    if known - done:
        raise DatabaseNotPreparedError(
            "the database was prepared by an older version: run 'gigaledger database prepare' again"
        )
    if done - known:
        raise DatabaseNotPreparedError(
            "the database was prepared by a newer version of gigaledger: upgrade this one"
        )


def _applied(connection: psycopg.Connection) -> set[int]:
    rows = connection.execute("SELECT number FROM gigaledger.migration").fetchall()
    return {number for (number,) in rows}
