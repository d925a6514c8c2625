"""`gigaledger book` and `gigaledger projection`: what there is, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.formats import enum_label, instant
from gigaledger.cli.output import add_row, table
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.ledger_pb2 import Book
from gigaledger.v1.projections_pb2 import ListProjectionsRequest, Projection, ProjectionState
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from rich.table import Table


def book_table(books: list[Book]) -> Table:
    """Return books as a table."""
    made = table("Books", "book", "name", "clock", "opened", "last event", "at", numbers_from=4)
    for book in books:
        clock = enum_label(BookClock.Name, book.clock, "BOOK_CLOCK_")
        cells = [book.name.removeprefix("books/"), book.display_name, clock]
        cells += [instant(book.opened_time), f"{book.head_position:,}"]
        add_row(made, [*cells, instant(book.head_recorded_time)])
    return made


def list_projections(stub: ProjectionServiceStub, book: str) -> list[Projection]:
    """Return the projections of a book."""
    projections: list[Projection] = []
    request = ListProjectionsRequest(parent=book)
    while True:
        response = stub.ListProjections(request, timeout=client.CALL_SECONDS)
        projections += response.projections
        if not response.next_page_token:
            return projections
        request.page_token = response.next_page_token


def projection_table(projections: list[Projection]) -> Table:
    """Return the status of projections as a table."""
    made = table(
        "Projections",
        *("projection", "status", "generation", "position", "head", "lag", "written", "leader"),
        numbers_from=2,
    )
    for item in projections:
        state = enum_label(ProjectionState.Name, item.state, "PROJECTION_STATE_")
        cells = [item.name.rpartition("/")[2], state, str(item.generation), f"{item.position:,}"]
        cells += [f"{item.head_position:,}", f"{item.lag:,}", instant(item.updated_time)]
        add_row(made, [*cells, item.leader or "nobody"])
        if item.HasField("rebuild"):
            new = item.rebuild
            cells = ["", "stopped" if new.failure else "being built", str(new.generation)]
            cells += [f"{new.position:,}", f"{item.head_position:,}"]
            cells += [f"{max(0, item.head_position - new.position):,}", ""]
            add_row(made, [*cells, new.leader or "nobody"])
    return made


def projection_failures(projections: list[Projection]) -> list[str]:
    """Return what stopped projections, a line each."""
    return [
        f"{item.name.rpartition('/')[2]}{which} stopped at {failure}"
        for item in projections
        for which, failure in ((" (new generation)", item.rebuild.failure), ("", item.failure))
        if failure
    ]


def wait_for_projections(
    stub: ProjectionServiceStub,
    book: str,
    position: int,
    seconds: float,
    pause: Callable[[int], None],
) -> None:
    """Wait until every projection of a book reflects the log up to a position.

    Args:
        stub: the projections.
        book: resource name of the book.
        position: the position to reach.
        seconds: how long to wait.
        pause: called between two checks with the position of the slowest; waits a moment; may
            raise.

    Raises:
        CommandError: a projection has stopped, or they take too long.
        grpc.RpcError: the projections can't be reached.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            found = list_projections(stub, book)
        except grpc.RpcError as error:
            # a book that is new to the projections: they find it by looking from time to time
            if error.code() is not grpc.StatusCode.NOT_FOUND or time.monotonic() > until:
                raise
            found = []
        failed = [item for item in found if item.state == ProjectionState.PROJECTION_STATE_FAILED]
        if failed:
            raise CommandError(
                f"{failed[0].name} stopped at position {failed[0].position + 1}: "
                f"{failed[0].failure}",
                ExitCode.FAILED,
            )
        reached = min((item.position for item in found), default=0)
        if found and reached >= position:
            return
        if time.monotonic() > until:
            raise CommandError(
                f"the projections reached position {reached}, not {position}, within "
                f"{seconds:.0f} seconds",
                ExitCode.UNAVAILABLE,
            )
        pause(reached)
