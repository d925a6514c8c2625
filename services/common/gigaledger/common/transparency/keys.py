"""The ledger's keys: made, kept in a file, followed by others.

The file holds a private key on each line, the oldest first; the last one signs. The others stay
until each book has a statement of theirs that names the key after them.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from gigaledger.common.transparency.notes import KEY_BYTES, NoteError, Signer, Verifier

SUCCESSION = "gigaledger key succession"
"""First line of a statement that names the key that signs from a size on."""
_PRIVATE_MODE = 0o600
_OTHERS = 0o077
_LEDGER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


class KeyFileError(ValueError):
    """A file of keys that can't be used. The text says why."""


def new_key(name: str) -> Signer:
    """Return a new key.

    Args:
        name: of the ledger, for ever: the origins of its books' checkpoints begin with it. By
            custom a domain of the operator's, and a path.

    Raises:
        KeyFileError: the name has other characters than letters, digits, '.', '_', '-' and '/'.
    """
    if not _LEDGER_NAME.fullmatch(name):
        raise KeyFileError(
            f"{name!r} must be 1 to 100 letters, digits, '.', '_', '-' or '/', the first a letter"
            " or digit"
        )
    return Signer(name, secrets.token_bytes(KEY_BYTES))


def write_keys(path: Path, keys: list[Signer]) -> None:
    """Write keys into a new file that nobody else may read, in one step.

    Raises:
        FileExistsError: the file to be written first is there.
        OSError: it can't be written.
    """
    written = path.with_name(f"{path.name}.new")
    with os.fdopen(
        os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE), "w"
    ) as file:
        file.writelines(f"{key}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)


def read_keys(path: Path) -> list[Signer]:
    """Return the keys in a file, the oldest first.

    Raises:
        KeyFileError: not a file of keys of one ledger, or others may read it.
        OSError: it can't be read.
    """
    if path.stat().st_mode & _OTHERS:
        raise KeyFileError(f"others than its owner may read {path}: chmod 600 {path}")
    keys = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            keys.append(Signer.parse(line))
        except NoteError as error:
            raise KeyFileError(f"{path}, line {number}: {error}") from None
    if not keys:
        raise KeyFileError(f"{path} holds no key")
    if len({key.name for key in keys}) > 1:
        raise KeyFileError(f"{path} holds keys of different ledgers")
    return keys


def succession_of(old: Signer, new: Verifier, from_size: int) -> str:
    """Return the statement of a key that another signs from a size on: a signed note."""
    return old.sign(f"{SUCCESSION}\n{new}\n{from_size}\n")
