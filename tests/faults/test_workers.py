"""Workers are killed, duplicated and given bad events: read models equal those of a rebuild."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count, islice
from queue import Queue
from typing import LiteralString, Self

import grpc
import psycopg
import pytest
from gigaledger.projections.capacity.fold import CAPACITY
from gigaledger.projections.engine import generations
from gigaledger.projections.engine.generations import BeingRebuiltError
from gigaledger.projections.engine.projection import Projection as Definition
from gigaledger.projections.engine.sessions import SESSION_OPTIONS
from gigaledger.projections.registry import PROJECTIONS
from gigaledger.v1.ledger_pb2 import CreateBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import (
    GetProjectionRequest,
    Projection,
    ProjectionState,
    QueryCapacityRequest,
    QueryRoundTripRequest,
    ReadSpec,
    RebuildProjectionRequest,
    ResumeProjectionRequest,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from psycopg import sql

from tests.api.calls import Caller
from tests.facts import (
    certified,
    claimed,
    definitive,
    invoiced,
    paid,
    parties,
    placed,
    received,
    reversed_entry,
)
from tests.log.books import until
from tests.processes import ServiceProcess, StartLedger, StartProjections

SCHEMA = "book_main"
KILLS = 3
REQUESTS = 100
"""Appended while workers are killed, started or rebuilding."""


@contextmanager
def caller_of(ledger: ServiceProcess) -> Iterator[Caller]:
    """A caller of a new book."""
    with ledger.channel() as channel:
        stub = LedgerServiceStub(channel)
        yield Caller(stub, stub.CreateBook(CreateBookRequest(book_id="main")).book.name)


def fill(caller: Caller, numbers: Iterable[int]) -> int:
    """Append facts of all projections, a request for each number; return the head of the book."""
    opening = [*parties("SUP", "CUS"), definitive(), placed(100_000), claimed(), invoiced()]
    last = caller.append(*opening).receipts[-1].position
    for number in numbers:
        last = (
            caller.append(
                certified(1, f"CERT-{number}"),
                received(1),
                paid(1, f"PAY-{number}"),
                *([reversed_entry(last)] if number % 10 == 9 else []),
            )
            .receipts[2]
            .position
        )
    return caller.head()


class Filling:
    """Fills a book in a thread, as far as it is allowed to, so that it does not grow with time."""

    def __init__(self, caller: Caller) -> None:
        self._allowed: Queue[int | None] = Queue()
        self._numbers = count()
        self._threads = ThreadPoolExecutor(1)
        self._head = self._threads.submit(fill, caller, iter(self._allowed.get, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._allowed.put(None)
        self._threads.shutdown()

    def allow(self, requests: int) -> None:
        """Let more requests be appended."""
        for number in islice(self._numbers, requests):
            self._allowed.put(number)

    def end(self) -> int:
        """Wait for the permitted events; return the head of the book."""
        self._allowed.put(None)
        return self._head.result()


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all projections, in order, with those derived from them once complete."""
    found = {}
    with psycopg.connect(url, options=SESSION_OPTIONS, autocommit=True) as connection:
        for projection in PROJECTIONS:
            for table in projection.tables:
                statement = sql.SQL("SELECT * FROM {} ORDER BY position, item")
                rows = connection.execute(statement.format(sql.Identifier(SCHEMA, table)))
                found[table] = rows.fetchall()
            until(partial(are_made, connection, projection))
            (generation,) = one(
                connection,
                "SELECT generation FROM book_main.projection_progress"
                " WHERE projection = %s AND state = 'LIVE'",
                (projection.name,),
            )
            for table in set(projection.all_tables) - set(projection.tables):
                rows = connection.execute(
                    sql.SQL("SELECT * FROM {} AS made ORDER BY made").format(
                        sql.Identifier(SCHEMA, f"{table}_{generation}")
                    )
                )
                found[table] = rows.fetchall()
    assert found["round_trip_subtotal"]
    assert found["exceptions_document"]
    return found


def one(
    connection: psycopg.Connection[tuple[object, ...]], query: LiteralString, given: tuple[str, ...]
) -> tuple[object, ...]:
    """The row of a query that has one."""
    (row,) = connection.execute(query, given).fetchall()
    return row


def are_made(
    connection: psycopg.Connection[tuple[object, ...]], projection: Definition
) -> bool | None:
    """Return whether a projection is evaluated and has the subtotals of all whole blocks."""
    (missing,) = one(
        connection,
        "SELECT count(*) FROM book_main.projection_progress AS progress"
        " LEFT JOIN book_main.projection_subtotal AS subtotal USING (projection, generation)"
        " LEFT JOIN book_main.projection_evaluation AS evaluation USING (projection, generation)"
        " WHERE projection = %s AND state = 'LIVE'"
        " AND (subtotal.position + block_events <= progress.position"
        " OR evaluation.position < progress.position)",
        (projection.name,),
    )
    return missing == 0 or None


def forget(url: str) -> None:
    """Empty all projections."""
    with psycopg.connect(url, options=SESSION_OPTIONS) as connection:
        for projection in PROJECTIONS:
            for table in projection.all_tables:
                connection.execute(
                    sql.SQL("TRUNCATE {}").format(sql.Identifier(SCHEMA, f"{table}_1"))
                )
        progress = sql.Identifier(SCHEMA, "projection_progress")
        connection.execute(
            sql.SQL("UPDATE {} SET position = 0, resume_token = ''").format(progress)
        )
        connection.execute("UPDATE book_main.projection_subtotal SET position = 0")
        connection.execute(
            "UPDATE book_main.projection_evaluation SET position = 0, resume_after = ''"
        )


def statuses(service: ServiceProcess) -> dict[str, Projection]:
    """The status of each projection."""
    with service.channel() as channel:
        stub = ProjectionServiceStub(channel)
        return {
            projection.name: stub.GetProjection(
                GetProjectionRequest(name=f"books/main/projections/{projection.name}")
            ).projection
            for projection in PROJECTIONS
        }


def wait_until_at(service: ServiceProcess, position: int) -> None:
    """Wait until all projections reflect a position."""

    def reached() -> bool | None:
        try:
            found = statuses(service).values()
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
            return None
        return all(projection.position >= position for projection in found) or None

    until(reached)


def test_killed_workers_leave_the_result_of_a_rebuild(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    with caller_of(ledger) as caller, Filling(caller) as filling:
        projections = start_projections(ledger)
        for _ in range(KILLS):
            before = max(p.position for p in statuses(projections).values())
            filling.allow(REQUESTS)
            wait_until_at(projections, before + 20)
            projections.kill()
            projections.restart()
        head = filling.end()
    wait_until_at(projections, head)
    grown = content(database_url)

    projections.kill()
    forget(database_url)
    projections.restart()
    wait_until_at(projections, head)

    assert content(database_url) == grown
    assert sum(map(len, grown.values())) > KILLS * 20


def test_two_workers_count_nothing_twice(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        both = [start_projections(ledger), start_projections(ledger)]
        head = fill(caller, range(100))
        for service in both:
            wait_until_at(service, head)
        together = content(database_url)
        for service in both:
            service.kill()
        forget(database_url)
        both[0].restart()
        wait_until_at(both[0], head)

    assert content(database_url) == together


def test_a_projection_stops_at_an_event_it_cannot_fold_and_others_continue(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    """A fact that only a later version knows, written by that version."""
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        projections = start_projections(ledger)
        head = fill(caller, range(1))
        wait_until_at(projections, head)
        # A table of one projection is broken: its rows can't be written.
        with psycopg.connect(database_url) as connection:
            connection.execute(f"ALTER TABLE {SCHEMA}.capacity_entry_1 RENAME TO gone")
        position = caller.append(certified(1, "CERT-X")).receipts[0].position

        def failed() -> dict[str, Projection] | None:
            found = statuses(projections)
            stopped = found["capacity"].state == ProjectionState.PROJECTION_STATE_FAILED
            return found if stopped else None

        found = until(failed)

        assert found["capacity"].position < position
        assert "capacity_entry" in found["capacity"].failure
        wait_for = {name: s for name, s in found.items() if name != "capacity"}
        until(
            lambda: (
                all(statuses(projections)[name].position == position for name in wait_for) or None
            )
        )
        assert {statuses(projections)[name].state for name in wait_for} == {
            ProjectionState.PROJECTION_STATE_RUNNING
        }

        # Repaired and restarted, it continues after its last event.
        with psycopg.connect(database_url) as connection:
            connection.execute(f"ALTER TABLE {SCHEMA}.gone RENAME TO capacity_entry_1")
        projections.kill()
        projections.restart()
        wait_until_at(projections, position)
        assert statuses(projections)["capacity"].failure == ""


def test_workers_reconnect_to_the_ledger_and_the_database(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        projections = start_projections(ledger)
        wait_until_at(projections, fill(caller, range(1)))
        ledger.kill()
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ledger.restart()
        position = until(lambda: appended(caller))
        wait_until_at(projections, position)

    states = {projection.state for projection in statuses(projections).values()}
    assert states == {ProjectionState.PROJECTION_STATE_RUNNING}


def appended(caller: Caller) -> int | None:
    """Append if the ledger is back; None if it is not."""
    try:
        return caller.append(received(1), request_id="again").receipts[0].position
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
        return None


def test_a_caller_reads_its_own_writes(
    start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    """A question that names the position of a receipt is answered with the appended fact."""
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        projections = start_projections(ledger)
        fill(caller, range(0))
        with projections.channel() as channel:
            stub = ProjectionServiceStub(channel)
            certified_kw = 0
            for number in range(50):
                receipt = caller.append(certified(1000, f"OWN-{number}")).receipts[0]
                certified_kw += 1000
                answer = stub.QueryCapacity(
                    QueryCapacityRequest(
                        book=caller.book, read=ReadSpec(min_position=receipt.position)
                    )
                )
                assert answer.context.position >= receipt.position
                assert sum(figure.certified_kw for figure in answer.figures) == certified_kw


def test_a_read_waits_for_a_position_until_max_wait(
    start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        projections = start_projections(ledger)
        head = fill(caller, range(0))
        wait_until_at(projections, head)
        read = ReadSpec(min_position=head + 1)
        read.max_wait.FromMilliseconds(50)
        with projections.channel() as channel, pytest.raises(grpc.RpcError) as caught:
            ProjectionServiceStub(channel).QueryRoundTrip(
                QueryRoundTripRequest(book=caller.book, read=read), timeout=20
            )

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_workers_of_one_book_do_not_delay_another(
    start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    projections = start_projections(ledger)
    with caller_of(ledger) as caller:
        callers = [Caller.of_new_book(caller.stub) for _ in range(3)]
        threads = [threading.Thread(target=fill, args=(one, range(20))) for one in callers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with projections.channel() as channel:
            stub = ProjectionServiceStub(channel)
            for one in callers:
                read = ReadSpec(min_position=one.head())
                read.max_wait.FromSeconds(30)
                answer = stub.QueryCapacity(QueryCapacityRequest(book=one.book, read=read))
                # Two of the twenty are reversed with the payments before them, not these.
                assert sum(figure.certified_kw for figure in answer.figures) == 20


def test_a_dead_leader_is_replaced_and_nothing_is_counted_twice(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    """The leader is killed during appends, and a standby continues from its position."""
    ledger = start_ledger()
    with caller_of(ledger) as caller, Filling(caller) as filling:
        leading = start_projections(ledger)
        filling.allow(REQUESTS)
        wait_until_at(leading, 20)
        leaders = {item.leader for item in statuses(leading).values()}
        assert {int(leader.split("/")[1]) for leader in leaders} == {leading.pid}
        standing_by = start_projections(ledger)

        leading.kill()
        reached = max(item.position for item in statuses(standing_by).values())
        filling.allow(REQUESTS)
        wait_until_at(standing_by, reached + 20)

        assert not leaders & {item.leader for item in statuses(standing_by).values()}
        head = filling.end()
        wait_until_at(standing_by, head)
    grown = content(database_url)

    standing_by.kill()
    forget(database_url)
    leading.restart()
    wait_until_at(leading, head)
    assert content(database_url) == grown


def test_a_former_leader_cannot_write(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    """A worker that is stopped for longer than its lease finds that another one has gone on."""
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        first = start_projections(ledger)
        wait_until_at(first, fill(caller, range(1)))
        (before,) = {item.leader for item in statuses(first).values()}
        second = start_projections(ledger)
        first.pause()
        position = caller.append(received(1)).receipts[0].position
        wait_until_at(second, position)
        first.resume()
        position = caller.append(received(1)).receipts[0].position
        wait_until_at(first, position)
        (after,) = {item.leader for item in statuses(first).values()}

        assert before != after
        with psycopg.connect(database_url, options=SESSION_OPTIONS) as connection:
            rows = connection.execute("SELECT quantity FROM book_main.capacity_hardware").fetchall()
        assert rows == [(1,)] * 3


def test_a_rebuild_while_the_old_generation_answers(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    """Facts and questions come all the while: no question fails, no position steps back."""
    ledger = start_ledger()
    with caller_of(ledger) as caller, Filling(caller) as filling, ThreadPoolExecutor(1) as threads:
        projections = start_projections(ledger)
        enough = threading.Event()
        filling.allow(REQUESTS)
        wait_until_at(projections, 200)
        with projections.channel() as channel, ExitStack() as at_the_end:
            at_the_end.callback(enough.set)
            stub = ProjectionServiceStub(channel)
            asking = threads.submit(ask_without_end, stub, caller.book, enough)
            for projection in PROJECTIONS:
                filling.allow(REQUESTS)
                name = f"{caller.book}/projections/{projection.name}"
                rebuilt = stub.RebuildProjection(RebuildProjectionRequest(name=name)).projection
                assert (rebuilt.generation, rebuilt.rebuild.generation) == (1, 2)
                until(partial(rebuilt_as, stub, name, 2))
            # One more time: the first generation goes, the third comes.
            filling.allow(REQUESTS)
            name = f"{caller.book}/projections/capacity"
            stub.RebuildProjection(RebuildProjectionRequest(name=name))
            until(partial(rebuilt_as, stub, name, 3))
            head = filling.end()
            enough.set()
            assert asking.result() > 20
        wait_until_at(projections, head)
    grown = content(database_url)
    with psycopg.connect(database_url) as connection:
        kept = connection.execute(
            "SELECT projection, generation, state FROM book_main.projection_progress ORDER BY 1, 2"
        ).fetchall()
    assert kept[:2] == [("capacity", 2, "RETIRED"), ("capacity", 3, "LIVE")]

    assert content_of_a_rebuild(database_url, projections, head) == grown


def content_of_a_rebuild(
    url: str, projections: ServiceProcess, head: int
) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the tables after all of it was dropped and made again."""
    projections.kill()
    with psycopg.connect(url, options=SESSION_OPTIONS) as connection:
        for projection in PROJECTIONS:
            for table in projection.tables:
                connection.execute(f"DROP VIEW {SCHEMA}.{table}")
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = %s AND table_name ~ '_[0-9]+$'",
            (SCHEMA,),
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"DROP TABLE {SCHEMA}.{table}")
        connection.execute("DELETE FROM book_main.projection_progress")
        connection.execute("DELETE FROM book_main.projection_subtotal")
        connection.execute("DELETE FROM book_main.projection_evaluation")
    projections.restart()
    wait_until_at(projections, head)
    return content(url)


def rebuilt_as(stub: ProjectionServiceStub, name: str, generation: int) -> bool | None:
    """Whether a projection answers from a generation; None if it does not yet."""
    found = stub.GetProjection(GetProjectionRequest(name=name)).projection
    return (found.generation == generation and not found.HasField("rebuild")) or None


def ask_without_end(stub: ProjectionServiceStub, book: str, enough: threading.Event) -> int:
    """Ask until it is enough; return how often. Positions and figures never step back."""
    asked = position = certified_kw = 0
    while not enough.is_set():
        answer = stub.QueryCapacity(QueryCapacityRequest(book=book), timeout=20)
        assert answer.context.position >= position
        position = answer.context.position
        gross_kw = sum(figure.certified_gross_kw for figure in answer.figures)
        assert gross_kw >= certified_kw
        certified_kw = gross_kw
        asked += 1
    return asked


def test_a_rebuild_waits_for_a_worker_and_starts_once(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        projections = start_projections(ledger)
        head = fill(caller, range(50))
        wait_until_at(projections, head)
        projections.kill()
        asyncio.run(begin_rebuild(database_url))
        with pytest.raises(BeingRebuiltError):
            asyncio.run(begin_rebuild(database_url))
        projections.restart()
        with projections.channel() as channel:
            stub = ProjectionServiceStub(channel)
            until(partial(rebuilt_as, stub, f"{caller.book}/projections/capacity", 2))
    assert statuses(projections)["capacity"].position == head


async def begin_rebuild(url: str) -> None:
    """Begin a rebuild of capacity."""
    async with await psycopg.AsyncConnection.connect(
        url, options=SESSION_OPTIONS, autocommit=True
    ) as connection:
        await generations.rebuild(connection, SCHEMA, CAPACITY)


def test_a_projection_that_stopped_is_resumed(
    database_url: str, start_ledger: StartLedger, start_projections: StartProjections
) -> None:
    ledger = start_ledger()
    with caller_of(ledger) as caller:
        projections = start_projections(ledger)
        wait_until_at(projections, fill(caller, range(1)))
        with psycopg.connect(database_url) as connection:
            connection.execute(f"ALTER TABLE {SCHEMA}.capacity_entry_1 RENAME TO gone")
        position = caller.append(certified(1, "CERT-X")).receipts[0].position
        until(lambda: statuses(projections)["capacity"].failure or None)
        name = f"{caller.book}/projections/capacity"
        with projections.channel() as channel:
            stub = ProjectionServiceStub(channel)
            with psycopg.connect(database_url) as connection:
                connection.execute(f"ALTER TABLE {SCHEMA}.gone RENAME TO capacity_entry_1")
            stub.ResumeProjection(ResumeProjectionRequest(name=name))
            wait_until_at(projections, position)
            with pytest.raises(grpc.RpcError) as caught:
                stub.ResumeProjection(ResumeProjectionRequest(name=name))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
