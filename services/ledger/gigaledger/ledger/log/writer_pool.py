"""Threads, connections and memory for the writers of all books of a process.

A book costs nothing while nothing is appended to it. A writer with requests takes a thread and its
connection for one group at a time, so that busy books take turns. The states that decisions need
stay in memory under one bound for all books: those of the books used least recently are dropped,
and are read from the log if they are needed again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import psycopg

WRITER_THREADS = 4
"""Groups that are written at once. Python decides one at a time; the others wait for PostgreSQL."""
MAX_STREAMS = 100_000
"""Streams of all books whose states are kept in memory: about 200 MB of orders."""


class WriterConnection:
    """The connection of a thread: opened when it is needed, and replaced after a failure."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        """Open connections with a function."""
        self._connect = connect
        self._connection: psycopg.Connection | None = None

    def get(self) -> psycopg.Connection:
        """Return the connection.

        Raises:
            psycopg.OperationalError: the database can't be reached.
        """
        if self._connection is None or self._connection.closed:
            self.close()
            self._connection = self._connect()
        return self._connection

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


class ScheduledWriter(Protocol):
    """A writer as the pool runs it: in one thread at a time."""

    @property
    def streams_in_memory(self) -> int:
        """How many streams have their state in memory."""

    def write_group(self, connection: WriterConnection) -> None:
        """Process the requests that wait, up to the size of a group."""

    def evict(self, streams: int) -> None:
        """Keep the states of at most so many streams."""

    def release(self) -> bool:
        """Give the thread back; return False if requests wait, so that it must be scheduled."""

    def forget_if_idle(self) -> bool:
        """Drop all states, unless it has a thread or waits for one; return whether it did."""


class WriterPool:
    """A fixed number of threads, each with a connection, for the writers of a process."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        *,
        threads: int = WRITER_THREADS,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        """Start the threads.

        Args:
            connect: opens a connection with the ledger's role, in autocommit mode.
            threads: number of threads, and of connections at most.
            max_streams: streams of all books whose states are kept in memory.
        """
        self._connect = connect
        self._memory = _StateMemory(max_streams)
        self._changed = threading.Condition()
        self._ready: deque[ScheduledWriter] = deque()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"writer-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def schedule(self, writer: ScheduledWriter) -> None:
        """Give a writer a thread once it is its turn."""
        with self._changed:
            self._ready.append(writer)
            self._changed.notify()

    def close(self) -> None:
        """Finish the queues of all writers, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = WriterConnection(self._connect)
        while (writer := self._next()) is not None:
            writer.write_group(connection)
            self._memory.used(writer)
            if not writer.release():
                self.schedule(writer)
        connection.close()

    def _next(self) -> ScheduledWriter | None:
        """Wait for a writer with requests; None once the pool closes and there is none."""
        with self._changed:
            while not self._ready:
                if self._closing:
                    return None
                self._changed.wait()
            return self._ready.popleft()


class _StateMemory:
    """Keeps the states in memory of all writers under one bound."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._lock = threading.Lock()
        self._streams: OrderedDict[ScheduledWriter, int] = OrderedDict()
        """Streams in memory of each writer, the one used least recently first."""
        self._total = 0

    def used(self, writer: ScheduledWriter) -> None:
        """Count the states of a writer after a group; drop those of others, or some of its own.

        Called in the thread of the writer.
        """
        with self._lock:
            self._count(writer, writer.streams_in_memory)
            if self._total > self._max_streams:
                self._shrink(writer)

    def _shrink(self, writer: ScheduledWriter) -> None:
        for other in [other for other in self._streams if other is not writer]:
            if other.forget_if_idle():
                self._count(other, 0)
                if self._total <= self._max_streams:
                    return
        others = self._total - self._streams[writer]
        writer.evict(max(0, self._max_streams - others))
        self._count(writer, writer.streams_in_memory)

    def _count(self, writer: ScheduledWriter, streams: int) -> None:
        self._total += streams - self._streams.pop(writer, 0)
        if streams:
            self._streams[writer] = streams
