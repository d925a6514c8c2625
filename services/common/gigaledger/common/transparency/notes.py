"""Signed notes: a text with signatures that anyone can check (C2SP signed-note, tlog-cosignature).

A note is a text of lines, an empty line, and lines of signatures: a dash, the name of the signer,
and the base64 of the first four bytes of a hash of the key, followed by the signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32
KEY_ID_BYTES = 4
SIGNATURE_BYTES = 64
TIMESTAMP_BYTES = 8
_ED25519 = b"\x01"
_COSIGNATURE = b"\x04"
_NAME = re.compile(r"[^\s+]+")
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
"""What C2SP signed-note keeps out of a text: control characters, and what is not UTF-8."""
_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE_LINE = re.compile(r"\u2014 (\S+) (\S+)")


class NoteError(ValueError):
    """Not a note, not a key, or not signed as it must be. The text says what is wrong."""


def _key_id(name: str, algorithm: bytes, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + algorithm + public_key).digest()[:KEY_ID_BYTES]


def decoded(text: str, what: str) -> bytes:
    """Return what a text in base64 stands for. Only one text stands for the same bytes.

    Raises:
        NoteError: not base64, or not as it is written (unused bits are 0).
    """
    try:
        found = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if base64.b64encode(found).decode() != text:
        raise NoteError(f"{what} is not base64")
    return found


def _check_characters(text: str) -> None:
    found = _FORBIDDEN.search(text)
    if found:
        raise NoteError(f"the character {found[0]!r} may not be in a note")


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NoteError(f"{name!r} is not the name of a key: no spaces and no '+'")
    return name


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with the name that it signs under.

    Attributes:
        name: who signs.
        public_key: Ed25519, 32 bytes.
        cosigns: whether it is a witness, whose signatures state a time (cosignature/v1).
    """

    name: str
    public_key: bytes
    cosigns: bool = False

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Read a key in the form NAME+ID+KEY, as it is published.

        Raises:
            NoteError: not a key of this form, or not an Ed25519 one.
        """
        name, key_id, encoded = (*text.strip().split("+", 2), "", "")[:3]
        content = decoded(encoded, "the key")
        algorithm, public_key = content[:1], content[1:]
        if algorithm not in (_ED25519, _COSIGNATURE) or len(public_key) != KEY_BYTES:
            raise NoteError("the key is not an Ed25519 key of a note, NAME+ID+KEY")
        verifier = cls(_checked_name(name), public_key, cosigns=algorithm == _COSIGNATURE)
        if verifier.key_id.hex() != key_id:
            raise NoteError(f"the key says that its id is {key_id}, but it is not")
        return verifier

    @property
    def key_id(self) -> bytes:
        """What stands for the key in a signature."""
        return _key_id(self.name, self._algorithm, self.public_key)

    @property
    def _algorithm(self) -> bytes:
        return _COSIGNATURE if self.cosigns else _ED25519

    def __str__(self) -> str:
        """Return the key in the form in which it is published."""
        encoded = base64.b64encode(self._algorithm + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def accepts(self, text: str, signature: bytes) -> bool:
        """Tell whether a signature of a text is by this key."""
        message = text.encode()
        if self.cosigns:
            if len(signature) != TIMESTAMP_BYTES + SIGNATURE_BYTES:
                return False
            seconds = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
            message = f"cosignature/v1\ntime {seconds}\n".encode() + message
            signature = signature[TIMESTAMP_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the name that it signs under.

    Attributes:
        name: who signs.
        seed: of the Ed25519 key, 32 bytes. Secret.
    """

    name: str
    seed: bytes

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read a private key in the form PRIVATE+KEY+NAME+ID+KEY.

        Raises:
            NoteError: not a key of this form.
        """
        if not text.startswith(_PRIVATE):
            raise NoteError(f"a private key begins with {_PRIVATE}")
        name, key_id, encoded = (*text.strip().removeprefix(_PRIVATE).split("+", 2), "", "")[:3]
        content = decoded(encoded, "the private key")
        if content[:1] != _ED25519 or len(content) != 1 + KEY_BYTES:
            raise NoteError("the private key is not an Ed25519 key of a note")
        signer = cls(_checked_name(name), content[1:])
        if signer.verifier.key_id.hex() != key_id:
            raise NoteError(f"the private key says that its id is {key_id}, but it is not")
        return signer

    def __str__(self) -> str:
        """Return the key in the form in which it is kept. Secret."""
        encoded = base64.b64encode(_ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def __repr__(self) -> str:
        """Return what may be shown of the key."""
        return f"Signer({self.verifier})"

    def named(self, name: str) -> Signer:
        """Return the same key under another name."""
        return Signer(_checked_name(name), self.seed)

    @property
    def verifier(self) -> Verifier:
        """The public key."""
        private_key = Ed25519PrivateKey.from_private_bytes(self.seed)
        return Verifier(self.name, private_key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return a text as a note with the signature of this key.

        Raises:
            NoteError: the text does not end with a line end, or holds a control character.
        """
        if not text.endswith("\n"):
            raise NoteError("the text of a note ends with a line end")
        _check_characters(text)
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n{_signature_line(self.verifier, signature)}"


def _signature_line(verifier: Verifier, signature: bytes) -> str:
    encoded = base64.b64encode(verifier.key_id + signature).decode()
    return f"\u2014 {verifier.name} {encoded}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was opened.

    Attributes:
        text: what is signed.
        signed_by: the keys, of those that were asked for, whose signatures hold.
    """

    text: str
    signed_by: tuple[Verifier, ...]


def open_note(note: str, verifiers: Sequence[Verifier]) -> Note:
    """Return the text of a note with those who have signed it.

    Signatures of keys that were not asked for are passed over.

    Raises:
        NoteError: not a note, or a signature that names one of the keys is not by it.
    """
    _check_characters(note)
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("not a signed note: a text, an empty line, signatures")
    text += "\n"
    signed_by: list[Verifier] = []
    for line in signatures[:-1].split("\n"):
        parts = _SIGNATURE_LINE.fullmatch(line)
        if parts is None:
            raise NoteError(f"not a line of a signature: {line[:100]!r}")
        name, content = parts[1], decoded(parts[2], "a signature")
        key_id, signature = content[:KEY_ID_BYTES], content[KEY_ID_BYTES:]
        if not signature:
            raise NoteError(f"the signature of {name} is cut off")
        for verifier in verifiers:
            if (verifier.name, verifier.key_id) != (name, key_id) or verifier in signed_by:
                continue
            if not verifier.accepts(text, signature):
                raise NoteError(f"the signature of {name} is not by its key {key_id.hex()}")
            signed_by.append(verifier)
    return Note(text, tuple(signed_by))
