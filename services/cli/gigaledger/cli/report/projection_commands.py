"""The commands about projections themselves: projection list, rebuild, resume."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.ledger.books import list_projections, projection_failures, projection_table
from gigaledger.cli.output import console, notice, print_json_line, printable_lines
from gigaledger.cli.settings import (
    Book,
    Json,
    ProjectionsAddress,
    book_name,
    projections_address,
)
from gigaledger.v1.projections_pb2 import (
    GetProjectionRequest,
    Projection,
    RebuildProjectionRequest,
    ResumeProjectionRequest,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub

LOOK_SECONDS = 0.5
"""Interval between checks of a rebuild."""

app = typer.Typer(
    help="See how far the projections are; rebuild one, or resume it.", no_args_is_help=True
)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PROJECTION]...", help="E.g. capacity.", show_default=False),
]


@app.command("list")
def projection_list(
    *, book: Book = "main", projections: ProjectionsAddress = None, as_json: Json = False
) -> None:
    """List the projections of a book: status, position, head of the log, lag, who leads."""
    with client.projections(projections_address(projections)) as stub:
        found = list_projections(stub, book_name(book))
    if as_json:
        for item in found:
            print_json_line(item)
    else:
        out = console()
        out.print(projection_table(found))
        for line in projection_failures(found):
            out.print(printable_lines(line))


@app.command("rebuild")
def projection_rebuild(
    names: Names = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All projections of the book.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the new generation answers.")
    ] = True,
    book: Book = "main",
    projections: ProjectionsAddress = None,
    as_json: Json = False,
) -> None:
    """Rebuild projections from the beginning of the log, beside those that answer.

    A new generation replaces the old one as soon as it has caught up. No question fails in between.
    """
    with client.projections(projections_address(projections)) as stub:
        asked = _asked(stub, book, names, every=every)
        for name in asked:
            stub.RebuildProjection(RebuildProjectionRequest(name=name), timeout=client.CALL_SECONDS)
        found = [_rebuilt(stub, name) if wait else _get(stub, name) for name in asked]
    if as_json:
        for item in found:
            print_json_line(item)
    else:
        console().print(projection_table(found))


@app.command("resume")
def projection_resume(
    names: Names = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that have stopped.")] = False,
    book: Book = "main",
    projections: ProjectionsAddress = None,
    as_json: Json = False,
) -> None:
    """Let stopped projections try again the event that they stopped at.

    The event is never skipped: if it still cannot be folded, the projection stops there again.
    """
    with client.projections(projections_address(projections)) as stub:
        asked = _asked(stub, book, names, every=every)
        if every:
            asked = [
                name
                for name in asked
                if (found := _get(stub, name)).failure or found.rebuild.failure
            ]
            if not asked:
                notice("No projection has stopped.")
        for name in asked:
            resumed = stub.ResumeProjection(
                ResumeProjectionRequest(name=name), timeout=client.CALL_SECONDS
            ).projection
            if as_json:
                print_json_line(resumed)
            else:
                notice(f"{name.rpartition('/')[2]} tries again from position {resumed.position}.")


def _asked(
    stub: ProjectionServiceStub, book: str, names: list[str] | None, *, every: bool
) -> list[str]:
    """Return the resource names of the requested projections."""
    if every == bool(names):
        raise CommandError("name projections, or give --all", ExitCode.USAGE)
    if every:
        return [item.name for item in list_projections(stub, book_name(book))]
    return [f"{book_name(book)}/projections/{name}" for name in names or ()]


def _get(stub: ProjectionServiceStub, name: str) -> Projection:
    return stub.GetProjection(
        GetProjectionRequest(name=name), timeout=client.CALL_SECONDS
    ).projection


def _rebuilt(stub: ProjectionServiceStub, name: str) -> Projection:
    """Wait until a rebuild has ended."""
    while (found := _get(stub, name)).HasField("rebuild"):
        new = found.rebuild
        if new.failure:
            raise CommandError(
                f"{name}: generation {new.generation} stopped at {new.failure}. The one before it "
                "goes on answering.",
                ExitCode.FAILED,
            )
        notice(f"{name}: {new.position:,} of {found.head_position:,}")
        time.sleep(LOOK_SECONDS)
    return found
