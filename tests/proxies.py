"""A proxy for PostgreSQL that breaks a connection while a commit is acknowledged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""CommandComplete of a COMMIT, in the protocol of PostgreSQL."""
_CHUNK_BYTES = 1 << 16


class CuttingProxy:
    """Forwards connections; after `cut_at_commit`, breaks the first that commits.

    The acknowledgement is not forwarded, so the client cannot know whether it has committed.
    """

    def __init__(self, url: str) -> None:
        self._target = conninfo_to_dict(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._cut = threading.Event()
        self.cuts = 0
        """Number of broken connections."""

    @property
    def url(self) -> str:
        """The URL for clients."""
        host, port = self._listening.getsockname()
        return make_conninfo(**self._target | {"host": host, "port": port, "sslmode": "disable"})

    def cut_at_commit(self) -> None:
        """Break one connection, at the next COMMIT."""
        self._cut.set()

    def run(self) -> None:
        """Accept connections until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connect()
                for source, sink, answers in ((client, server, False), (server, client, True)):
                    arguments = (source, sink, answers)
                    threading.Thread(target=self._forward, args=arguments, daemon=True).start()

    def close(self) -> None:
        """Stop accepting connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _connect(self) -> socket.socket:
        host, port = str(self._target["host"]), int(self._target.get("port") or 5432)
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))

    def _forward(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:  # noqa: FBT001 - of a thread
        with suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                if answers and self._cut.is_set() and _COMMITTED in chunk:
                    self._cut.clear()
                    self.cuts += 1
                    break
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def cutting_proxy(url: str) -> Iterator[CuttingProxy]:
    """Run a proxy for a PostgreSQL."""
    proxy = CuttingProxy(url)
    thread = threading.Thread(target=proxy.run, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
