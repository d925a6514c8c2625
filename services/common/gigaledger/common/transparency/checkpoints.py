"""Checkpoints: what a book was at a size, in the form of C2SP tlog-checkpoint."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gigaledger.common.transparency.merkle import HASH_BYTES
from gigaledger.common.transparency.notes import NoteError, Signer, Verifier, decoded, open_note

IMPORTED = "gigaledger imported: recorded times came with the facts"
"""Line of every checkpoint of an imported book."""
_LEAST_LINES = 3
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A book at a size.

    Attributes:
        origin: names the book for ever: the ledger's name and the book's.
        size: number of events: those at the positions 1 to size.
        root: root of the Merkle tree over them.
        extensions: further lines.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def imported(self) -> bool:
        """Whether the recorded times of the book came with its facts."""
        return IMPORTED in self.extensions

    def text(self) -> str:
        """Return the text that is signed."""
        root = base64.b64encode(self.root).decode()
        return "".join(f"{line}\n" for line in (self.origin, self.size, root, *self.extensions))

    def signed(self, signer: Signer) -> str:
        """Return the checkpoint as a note, signed in the name of its origin."""
        return signer.named(self.origin).sign(self.text())


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint.

    Raises:
        NoteError: not a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) <= _LEAST_LINES or lines.pop() or "" in lines or not _SIZE.fullmatch(lines[1]):
        raise NoteError("not a checkpoint: an origin, a size, a root, each on a line")
    origin, size, root, *extensions = lines
    root_hash = decoded(root, "the root of the checkpoint")
    if len(root_hash) != HASH_BYTES:
        raise NoteError("the root of the checkpoint is not a SHA-256 hash")
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def open_checkpoint(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Return a checkpoint that one of these keys has signed in the name of its origin.

    Raises:
        NoteError: not a checkpoint, or not signed by any of them.
    """
    opened = open_note(note, verifiers)
    checkpoint = parse_checkpoint(opened.text)
    if not any(v.name == checkpoint.origin and not v.cosigns for v in opened.signed_by):
        raise NoteError(f"the checkpoint of {checkpoint.origin} is not signed by a key of its own")
    return checkpoint


def origin_of(ledger: str, book: str) -> str:
    """Return the origin of a book's checkpoints.

    Args:
        ledger: the name in the ledger's key.
        book: id of the book.
    """
    return f"{ledger}/books/{book}"
