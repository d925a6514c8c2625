"""Signed notes (C2SP signed-note, tlog-cosignature).

A note consists of lines of text, an empty line, and signature lines: a dash, the signer's name, and
the base64 encoding of the key id (four bytes of a hash of the key) and the signature.
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
"""Characters that C2SP signed-note forbids: control characters and surrogates."""
_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE_LINE = re.compile(r"\u2014 (\S+) (\S+)")


class NoteError(ValueError):
    """Not a note, not a key, or not signed as required. The message says what is wrong."""


def _key_id(name: str, algorithm: bytes, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + algorithm + public_key).digest()[:KEY_ID_BYTES]


def decoded(text: str, what: str) -> bytes:
    """Decode base64, and accept only the canonical encoding of the bytes.

    Raises:
        NoteError: not canonical base64.
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
        raise NoteError(f"a note must not contain the character {found[0]!r}")


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NoteError(f"{name!r} is not a key name: it must not contain spaces or '+'")
    return name


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name.

    Attributes:
        name: name of the signer.
        public_key: Ed25519, 32 bytes.
        cosigns: whether it is the key of a witness, whose signatures include a time
            (cosignature/v1).
    """

    name: str
    public_key: bytes
    cosigns: bool = False

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Parse a verifier key, NAME+ID+KEY.

        Raises:
            NoteError: not a verifier key, or not an Ed25519 key.
        """
        name, key_id, encoded = (*text.strip().split("+", 2), "", "")[:3]
        content = decoded(encoded, "the key")
        algorithm, public_key = content[:1], content[1:]
        if algorithm not in (_ED25519, _COSIGNATURE) or len(public_key) != KEY_BYTES:
            raise NoteError("the key is not an Ed25519 key of a note, NAME+ID+KEY")
        verifier = cls(_checked_name(name), public_key, cosigns=algorithm == _COSIGNATURE)
        if verifier.key_id.hex() != key_id:
            raise NoteError(f"the key has another id than {key_id}")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The id of the key in signatures."""
        return _key_id(self.name, self._algorithm, self.public_key)

    @property
    def _algorithm(self) -> bytes:
        return _COSIGNATURE if self.cosigns else _ED25519

    def __str__(self) -> str:
        """Return the verifier key, NAME+ID+KEY."""
        encoded = base64.b64encode(self._algorithm + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def accepts(self, text: str, signature: bytes) -> bool:
        """Return whether a signature of a text is by this key."""
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
    """A private key with its name.

    Attributes:
        name: name of the signer.
        seed: seed of the Ed25519 key, 32 bytes. Secret.
    """

    name: str
    seed: bytes

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Parse a signer key, PRIVATE+KEY+NAME+ID+KEY.

        Raises:
            NoteError: not a signer key.
        """
        if not text.startswith(_PRIVATE):
            raise NoteError(f"a private key begins with {_PRIVATE}")
        name, key_id, encoded = (*text.strip().removeprefix(_PRIVATE).split("+", 2), "", "")[:3]
        content = decoded(encoded, "the private key")
        if content[:1] != _ED25519 or len(content) != 1 + KEY_BYTES:
            raise NoteError("the private key is not an Ed25519 key of a note")
        signer = cls(_checked_name(name), content[1:])
        if signer.verifier.key_id.hex() != key_id:
            raise NoteError(f"the private key has another id than {key_id}")
        return signer

    def __str__(self) -> str:
        """Return the signer key, PRIVATE+KEY+NAME+ID+KEY. Secret."""
        encoded = base64.b64encode(_ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def __repr__(self) -> str:
        """Return the public key: a representation may be logged."""
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
        """Return a text as a note signed by this key.

        Raises:
            NoteError: the text does not end with a newline, or contains forbidden characters.
        """
        if not text.endswith("\n"):
            raise NoteError("the text of a note must end with a newline")
        _check_characters(text)
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n{_signature_line(self.verifier, signature)}"


def _signature_line(verifier: Verifier, signature: bytes) -> str:
    encoded = base64.b64encode(verifier.key_id + signature).decode()
    return f"\u2014 {verifier.name} {encoded}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A verified note.

    Attributes:
        text: the signed text.
        signed_by: the given keys whose signatures are valid.
    """

    text: str
    signed_by: tuple[Verifier, ...]


def open_note(note: str, verifiers: Sequence[Verifier]) -> Note:
    """Verify a note by keys. Signatures of other keys are ignored.

    Raises:
        NoteError: not a note, or a signature in the name of a given key is not valid.
    """
    _check_characters(note)
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("not a signed note: text, an empty line and signatures are expected")
    text += "\n"
    signed_by: list[Verifier] = []
    for line in signatures[:-1].split("\n"):
        parts = _SIGNATURE_LINE.fullmatch(line)
        if parts is None:
            raise NoteError(f"not a signature line: {line[:100]!r}")
        name, content = parts[1], decoded(parts[2], "a signature")
        key_id, signature = content[:KEY_ID_BYTES], content[KEY_ID_BYTES:]
        if not signature:
            raise NoteError(f"the signature of {name} is truncated")
        for verifier in verifiers:
            if (verifier.name, verifier.key_id) != (name, key_id) or verifier in signed_by:
                continue
            if not verifier.accepts(text, signature):
                raise NoteError(f"the signature of {name} is not valid for its key {key_id.hex()}")
            signed_by.append(verifier)
    return Note(text, tuple(signed_by))
