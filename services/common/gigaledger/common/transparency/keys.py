"""The ledger's signing keys: creation, key file, succession.

A key file contains one private key per line, the oldest first; the last one signs. An older key
must stay in the file until every book has its statement of succession, which names the next key.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from gigaledger.common.transparency.notes import KEY_BYTES, NoteError, Signer, Verifier

SUCCESSION = "gigaledger key succession"
"""First line of a statement of succession."""
_PRIVATE_MODE = 0o600
_OTHERS = 0o077
_LEDGER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


class KeyFileError(ValueError):
    """A key file can't be used. The message says why."""


def new_key(name: str) -> Signer:
    """Return a new key.

    Args:
        name: permanent name of the ledger, with which the origins of its checkpoints begin. By
            convention, a domain of the operator and a path.

    Raises:
        KeyFileError: the name is not of the required form.
    """
    if not _LEDGER_NAME.fullmatch(name):
        raise KeyFileError(
            f"{name!r} must be 1 to 100 letters, digits, '.', '_', '-' or '/', the first a letter"
            " or digit"
        )
    return Signer(name, secrets.token_bytes(KEY_BYTES))


def write_keys(path: Path, keys: list[Signer]) -> None:
    """Write a key file atomically, readable only by its owner.

    Raises:
        FileExistsError: the temporary file `PATH.new` exists.
        OSError: the file can't be written.
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
    """Return the keys in a key file, the oldest first.

    Raises:
        KeyFileError: not a key file of one ledger, or readable by other accounts.
        OSError: the file can't be read.
    """
    if path.stat().st_mode & _OTHERS:
        raise KeyFileError(f"accounts other than its owner may read {path}: chmod 600 {path}")
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
    """Return the statement of succession: a note in which a key names its successor.

    Args:
        old: the key that signs the statement.
        new: the key that signs checkpoints from now on.
        from_size: size of its first checkpoint.
    """
    return old.sign(f"{SUCCESSION}\n{new}\n{from_size}\n")
