"""Checkpoints of a book's Merkle tree, in the format C2SP tlog-checkpoint."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gigaledger.common.transparency.merkle import HASH_BYTES
from gigaledger.common.transparency.notes import NoteError, Signer, Verifier, decoded, open_note

IMPORTED = "gigaledger imported: recorded times came with the facts"
"""Extension line in every checkpoint of an imported book."""
_MIN_LINES = 3
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A book at a tree size.

    Attributes:
        origin: permanent name of the book's log: names of the ledger and of the book.
        size: number of events, whose positions are 1 to size.
        root: root hash of the Merkle tree of these events.
        extensions: further lines.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def imported(self) -> bool:
        """Whether the book's facts carried their recorded times."""
        return IMPORTED in self.extensions

    def text(self) -> str:
        """Return the text that is signed."""
        root = base64.b64encode(self.root).decode()
        return "".join(f"{line}\n" for line in (self.origin, self.size, root, *self.extensions))

    def signed(self, signer: Signer) -> str:
        """Return the checkpoint as a signed note whose signer is named after its origin."""
        return signer.named(self.origin).sign(self.text())


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a checkpoint.

    Raises:
        NoteError: not a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) <= _MIN_LINES or lines.pop() or "" in lines or not _SIZE.fullmatch(lines[1]):
        raise NoteError("not a checkpoint: lines of origin, size and root are expected")
    origin, size, root, *extensions = lines
    root_hash = decoded(root, "the root of the checkpoint")
    if len(root_hash) != HASH_BYTES:
        raise NoteError("the root of the checkpoint is not a SHA-256 hash")
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def open_checkpoint(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Return a checkpoint that is signed by one of these keys, whose name is its origin.

    Raises:
        NoteError: not a checkpoint, or not signed by such a key.
    """
    opened = open_note(note, verifiers)
    checkpoint = parse_checkpoint(opened.text)
    if not any(v.name == checkpoint.origin and not v.cosigns for v in opened.signed_by):
        raise NoteError(f"the checkpoint of {checkpoint.origin} is not signed by a key of its own")
    return checkpoint


def origin_of(ledger: str, book: str) -> str:
    """Return the origin of a book's checkpoints.

    Args:
        ledger: name of the ledger's key.
        book: id of the book.
    """
    return f"{ledger}/books/{book}"
