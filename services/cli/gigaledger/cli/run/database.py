"""The database of the command: its preparation, and its errors in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.ledger.log.schema import DatabaseNotPreparedError, prepare_database
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_PREPARE = "Run `gigaledger database prepare` with a login that may create roles and schemas."
_HIDDEN = "***"


def prepare(url: str) -> None:
    """Bring a database to the shape that this version needs.

    Raises:
        CommandError: it can't be reached, or the login may not.
    """
    with database_errors(url):
        prepare_database(url)


@contextmanager
def database_errors(url: str | None) -> Iterator[None]:
    """Turn errors of the database into errors of the command."""
    shown = without_password(url) if url else "the database"
    try:
        yield
    except DatabaseNotPreparedError as error:
        raise CommandError(f"{shown}: {error}", ExitCode.NOT_PREPARED, _PREPARE) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise CommandError(f"{shown}: {_first_line(error)}", ExitCode.REFUSED, _PREPARE) from error
    except psycopg.OperationalError as error:
        if 'role "gigaledger_' in str(error):
            raise CommandError(
                f"{shown}: {_first_line(error)}", ExitCode.NOT_PREPARED, _PREPARE
            ) from error
        raise CommandError(
            f"cannot use the database {shown}: {_first_line(error)}",
            ExitCode.UNAVAILABLE,
            "Check that PostgreSQL runs there, and the URL: GIGALEDGER_DATABASE_URL or "
            "--database-url.",
        ) from error
    except psycopg.ProgrammingError as error:
        raise CommandError(
            f"the database URL is wrong: {_first_line(error)}",
            ExitCode.USAGE,
            "Write it as postgresql://user:password@host/database.",
        ) from error


def without_password(url: str) -> str:
    """Return a database's URL, or conninfo, as it may be shown."""
    if "://" in url:
        parts = urlsplit(url)
        if parts.password is None:
            return url
        return url.replace(f":{parts.password}@", f":{_HIDDEN}@", 1)
    try:
        fields = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "(a URL that can't be read)"
    if "password" in fields:
        fields["password"] = _HIDDEN
    return make_conninfo("", **{name: str(value) for name, value in fields.items()})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
