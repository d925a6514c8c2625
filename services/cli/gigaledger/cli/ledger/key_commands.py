"""`gigaledger key`: the keys that checkpoints are signed with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.output import notice
from gigaledger.common.transparency.checkpoints import origin_of
from gigaledger.common.transparency.keys import KeyFileError, new_key, read_keys, write_keys
from gigaledger.common.transparency.notes import Signer

KeyFile = Annotated[
    Path, typer.Argument(metavar="FILE", show_default=False, help="The file of the private key.")
]
Book = Annotated[str, typer.Option(metavar="BOOK", help="The book whose checkpoints are signed.")]

app = typer.Typer(no_args_is_help=True, help="Make, show and rotate the ledger's signing key.")


@app.command("make")
def make(
    file: KeyFile,
    *,
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Name of the ledger, for ever, such as ledger.example.com. Checkpoints bear it.",
        ),
    ],
) -> None:
    """Make a key in a new file, which only you can read. GIGALEDGER_SIGNING_KEY names it."""
    with _errors(file):
        if file.exists():
            raise CommandError(
                f"{file} exists: a key is never written over",
                ExitCode.USAGE,
                f"`gigaledger key rotate {file}` adds the key that follows it.",
            )
        key = new_key(name)
        write_keys(file, [key])
    notice(f"The key of {name} is in {file}. Keep it on the ledger's host, and keep a copy safe.")
    typer.echo(_public(key, "main"))


@app.command("show")
def show(file: KeyFile, *, book: Book = "main") -> None:
    """Print the public keys of a book's checkpoints, the oldest first, for auditors to keep.

    The first verifies all books that were sealed before it was followed by another; a later one,
    the books that were first sealed after that.
    """
    with _errors(file):
        for key in read_keys(file):
            typer.echo(_public(key, book))


@app.command("rotate")
def rotate(file: KeyFile, *, book: Book = "main") -> None:
    """Add a new key, which signs from the ledger's next start on.

    The key before it signs a statement that names its follower, for each book when that is sealed
    next. An auditor who has the first public key follows the statements to the last.
    """
    with _errors(file):
        keys = read_keys(file)
        key = new_key(keys[-1].name)
        write_keys(file, [*keys, key])
    notice("Start the ledger again, so that the new key signs.")
    typer.echo(_public(key, book))


def _public(key: Signer, book: str) -> str:
    return str(key.named(origin_of(key.name, book)).verifier)


@contextmanager
def _errors(file: Path) -> Iterator[None]:
    """Turn faults of a file of keys into errors of the command."""
    try:
        yield
    except KeyFileError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    except OSError as error:
        message = f"{file}: {error.strerror or error}"
        raise CommandError(message, ExitCode.UNAVAILABLE) from error
