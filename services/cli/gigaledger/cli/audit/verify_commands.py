"""The commands for proofs: audit verify, audit checkpoint, and the export that holds them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from gigaledger.cli.audit import verify, verify_live
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import add_row, console, notice, print_json_text, print_text, table
from gigaledger.cli.settings import (
    Book,
    Json,
    LedgerAddress,
    ProjectionsAddress,
    book_name,
    ledger_address,
    projections_address,
)
from gigaledger.exceptions.catalogue import RULES

SHOWN_FINDINGS = 50
app = typer.Typer()


@app.command("verify")
def audit_verify(  # noqa: PLR0913 - options of the command line
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A file of `audit export`, verified offline; by default the live book.",
            show_default=False,
        ),
    ] = None,
    *,
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY|FILE",
            help="The public key that you were given: NAME+ID+KEY, or a file with one or more.",
            show_default=False,
        ),
    ],
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A checkpoint that you kept: the history must go on from it.",
            show_default=False,
        ),
    ] = None,
    book: Book = "main",
    allow_unsealed: Annotated[
        bool,
        typer.Option("--allow-unsealed", help="Accept events beyond the last checkpoint."),
    ] = False,
    log_only: Annotated[
        bool, typer.Option("--log-only", help="Leave out the figures that are published.")
    ] = False,
    ledger: LedgerAddress = None,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
) -> None:
    """Verify that nothing in a history was changed, dropped, added or moved.

    Every event is hashed, and the hashes must match every signed checkpoint; positions, versions
    and times must be consecutive. For a live book, filtered queries are compared with the events,
    and published figures and exceptions are recomputed from the facts. Exit code 0 only if
    everything holds.
    """
    trusted = verify.read_keys(key)
    kept = _text(since) if since is not None else None
    if file is not None:
        report = verify.verify_file(file, trusted, kept, allow_unsealed=allow_unsealed)
    else:
        query = None if log_only else projections_address(projections)
        name = book_name(book)
        report = verify_live.verify_live(
            name,
            trusted,
            kept,
            ledger_address(ledger),
            query,
            allow_unsealed=allow_unsealed,
        )
    if as_json:
        print_json_text(_json(report))
    else:
        _print(report)
    if not report.holds:
        count = len(report.findings)
        raise CommandError(
            f"not verified: {count} finding{'s' if count != 1 else ''}", ExitCode.NOT_VERIFIED
        )


def export(out: Path, book: str, ledger: str) -> None:
    """Write a book with its proofs into a new file.

    Args:
        out: the file.
        book: resource name of the book.
        ledger: address of the ledger.

    Raises:
        CommandError: it can't be written or read.
    """
    try:
        with out.open("x", encoding="utf-8", newline="\n") as file:
            size = verify_live.export_book(book, ledger, file.write)
    except FileExistsError as error:
        raise CommandError(f"{out} exists: name a new file", ExitCode.USAGE) from error
    except OSError as error:
        raise CommandError(f"can't write {out}: {error.strerror}", ExitCode.USAGE) from error
    except CommandError:
        out.unlink()
        raise
    notice(f"{size:,} events of {book} are in {out}, with their proofs.")


@app.command("checkpoint")
def audit_checkpoint(*, book: Book = "main", ledger: LedgerAddress = None) -> None:
    """Print the latest checkpoint, for an auditor to keep: a note of C2SP tlog-checkpoint."""
    print_text(verify_live.latest_note(book_name(book), ledger_address(ledger)))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--since {path}: {error}", ExitCode.USAGE) from error


def _json(report: verify.Report) -> str:
    return json.dumps(
        {
            "verified": report.holds,
            "book": report.book,
            "origin": report.origin,
            "size": str(report.size),
            "checkpoints": report.checkpoints,
            "events": str(report.events),
            "filters": report.filters,
            "figures": report.figures,
            "exceptions": report.exceptions,
            "rulesEvaluated": list(RULES) if report.exceptions is not None else [],
            "rulesNotEvaluated": list(report.not_evaluated),
            "findings": [
                {"position": str(f.position), "kind": f.kind.value, "message": f.message}
                for f in report.findings
            ],
        },
        indent=2,
    )


def _print(report: verify.Report) -> None:
    out = console()
    if report.findings:
        made = table("What does not hold", "position", "kind", "what is wrong", numbers_from=3)
        for finding in report.findings[:SHOWN_FINDINGS]:
            add_row(made, [f"{finding.position:,}", finding.kind.value, finding.message])
        out.print(made)
        if len(report.findings) > SHOWN_FINDINGS:
            out.print(f"and {len(report.findings) - SHOWN_FINDINGS:,} more: see --json")
    sealed = f"{report.checkpoints:,} signed checkpoints, the latest of {report.size:,} events"
    out.print(f"{report.origin}: {report.events:,} events read, {sealed}.")
    beyond = report.events - report.size
    if beyond > 0:
        out.print(f"The last {beyond:,} are beyond the last checkpoint: no signature covers them.")
    if report.filters is not None:
        out.print(f"{report.filters:,} filtered reads compared with the events.")
    if report.figures is not None:
        out.print(f"{report.figures:,} published figures recomputed.")
    if report.exceptions is not None:
        out.print(f"{report.exceptions:,} exceptions evaluated again, by {len(RULES)} rules.")
    if report.not_evaluated:
        out.print(f"Not evaluated again: exceptions of {', '.join(report.not_evaluated)}.")
    if report.holds:
        out.print("Everything holds.")
    sys.stdout.flush()
