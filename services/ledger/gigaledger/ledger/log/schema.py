"""The database schema: roles, books and their logs, in numbered forward migrations.

An operator prepares the database once for each version, with a login that may create roles. The
services only check that this was done.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg
from gigaledger.common.postgres.connections import session_options
from gigaledger.common.postgres.migrations import migrations_of
from psycopg import sql

LEDGER_ROLE = "gigaledger_ledger"
SESSION_OPTIONS = session_options(LEDGER_ROLE)
"""libpq options of every session of the ledger."""
_LOCK = 7_315_040_219_201
"""Key of the advisory lock that keeps two processes from preparing a database at once."""


class DatabaseNotPreparedError(RuntimeError):
    """The database does not have this version's schema. The message says what to do."""


def prepare_database(url: str) -> None:
    """Apply the migrations that a database lacks. Safe to repeat.

    Args:
        url: a login that may create roles and schemas.

    Raises:
        psycopg.Error: the database can't be reached, or the login lacks a right.
        DatabaseNotPreparedError: the database has migrations of a newer version.
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
        # Privileges on the database itself are lost when it is copied or restored from a dump.
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO gigaledger_owner").format(
                sql.Identifier(connection.info.dbname)
            )
        )
        check_prepared(connection)


def check_prepared(connection: psycopg.Connection) -> None:
    """Check that a database has exactly the migrations of this version.

    Raises:
        DatabaseNotPreparedError: it does not.
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
