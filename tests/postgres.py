"""One PostgreSQL for the test session, from one of three sources, and a fresh database per test.

The first source that is there is taken:

1. `url`: the server of GIGALEDGER_TEST_DATABASE_URL, with a login that may create databases and
   roles. Databases of tests are dropped again; the roles of gigaledger stay.
2. `container`: a container of the image postgres:18, where a Docker engine answers.
3. `embedded`: the PostgreSQL that gigaledger brings itself.

GIGALEDGER_TEST_POSTGRES=url|container|embedded insists on one. All run with the server's own
defaults: what is committed is on the disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from gigaledger.common.postgres.embedded import MAX_CONNECTIONS, embedded_postgres
from gigaledger.ledger.log.schema import prepare_database
from psycopg import sql

IMAGE = "postgres:18"

Kind = Literal["url", "container", "embedded"]


@dataclass(frozen=True)
class Source:
    """Where the PostgreSQL of this session comes from, and why."""

    kind: Kind
    reason: str


def pytest_report_header() -> str:
    """Say which PostgreSQL the tests use."""
    chosen = source()
    return f"PostgreSQL: {chosen.kind} ({chosen.reason})"


@cache
def source() -> Source:
    """Choose the source, starting nothing.

    Raises:
        pytest.UsageError: the source that was insisted on is not there.
    """
    wanted = os.environ.get("GIGALEDGER_TEST_POSTGRES")
    if wanted is not None and wanted not in get_args(Kind):
        raise pytest.UsageError(
            f"GIGALEDGER_TEST_POSTGRES is {wanted!r}, not one of {', '.join(get_args(Kind))}"
        )
    if wanted in {None, "url"}:
        if os.environ.get("GIGALEDGER_TEST_DATABASE_URL"):
            return Source("url", "GIGALEDGER_TEST_DATABASE_URL is set")
        if wanted:
            raise pytest.UsageError(
                "GIGALEDGER_TEST_POSTGRES=url needs GIGALEDGER_TEST_DATABASE_URL"
            )
    if wanted == "embedded":
        return Source("embedded", "GIGALEDGER_TEST_POSTGRES says so")

    from tests.docker_engine import image_problem  # noqa: PLC0415 - only where it may be needed

    problem = image_problem(IMAGE)
    if problem is None:
        return Source("container", f"a Docker engine answers and has {IMAGE}")
    if wanted:
        raise pytest.UsageError(f"GIGALEDGER_TEST_POSTGRES=container: {problem}")
    return Source("embedded", problem)


def with_database(url: str, name: str) -> str:
    """Return the URL of another database of the same server and login."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def with_login(url: str, login: str) -> str:
    """Return the URL for another login, without a password, at the same database."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()


@dataclass(frozen=True)
class PostgresServer:
    """The server of the session."""

    admin_url: str
    """A login that may create databases and roles, at a database that is not ours."""

    def run(self, statement: sql.Composed) -> None:
        """Run one statement as administrator, outside of any transaction."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Make a database, give its URL, and drop it in the end whoever is still connected."""
        name = f"gigaledger_test_{uuid4().hex}"
        self.run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield with_database(self.admin_url, name)
        finally:
            self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _container_server() -> Iterator[str]:
    # The session removes its container itself, so that no second image (the reaper) is needed.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - reads the above

    container = PostgresContainer(IMAGE, username="postgres", dbname="postgres", driver=None)
    with container.with_command(f"-c max_connections={MAX_CONNECTIONS}") as running:
        yield running.get_connection_url()


@contextmanager
def _embedded_server() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="gigaledger-test-") as directory,
        embedded_postgres(Path(directory)) as server,
    ):
        yield server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this session. Each worker of pytest-xdist has its own."""
    kind = source().kind
    if kind == "url":
        yield PostgresServer(os.environ["GIGALEDGER_TEST_DATABASE_URL"])
        return
    with _container_server() if kind == "container" else _embedded_server() as url:
        yield PostgresServer(url)


@pytest.fixture(scope="session")
def prepared_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database that is prepared for gigaledger, to copy from."""
    with (
        postgres_server.database() as url,
        # Roles belong to the whole server: sessions that share one prepare one after another.
        psycopg.connect(postgres_server.admin_url, autocommit=True) as connection,
    ):
        connection.execute("SELECT pg_advisory_lock(hashtext('gigaledger tests'))")
        prepare_database(url)
        connection.execute("SELECT pg_advisory_unlock(hashtext('gigaledger tests'))")
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def database_url(postgres_server: PostgresServer, prepared_template: str) -> Iterator[str]:
    """The URL of a fresh database that is prepared for gigaledger."""
    with postgres_server.database(prepared_template) as url:
        # What a copy does not bring is made good.
        prepare_database(url)
        yield url
