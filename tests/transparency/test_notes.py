"""Signed notes and checkpoints: published vectors, round trips and invalid input."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from gigaledger.common.transparency.checkpoints import (
    IMPORTED,
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
)
from gigaledger.common.transparency.keys import new_key
from gigaledger.common.transparency.notes import NoteError, Signer, Verifier, open_note
from hypothesis import given
from hypothesis import strategies as st

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""  # noqa: E501
"""From the documentation of Go's golang.org/x/mod/sumdb/note."""
SIGNER = Signer("ledger.test/books/main", bytes(range(32)))
TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1), min_size=1
).map(lambda lines: "".join(f"{line}\n" for line in lines))


def cosigned(note: str, name: str, seed: bytes, seconds: int) -> tuple[str, Verifier]:
    """Add the signature of a witness to a note, as specified by C2SP tlog-cosignature."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    verifier = Verifier(name, key.public_key().public_bytes_raw(), cosigns=True)
    text = note.rpartition("\n\n")[0] + "\n"
    signature = key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    line = base64.b64encode(verifier.key_id + seconds.to_bytes(8, "big") + signature).decode()
    return f"{note}\u2014 {name} {line}\n", verifier


def test_a_note_of_go() -> None:
    verifier = Verifier.parse(GO_KEY)

    note = open_note(GO_NOTE, [verifier])

    assert note.signed_by == (verifier,)
    assert note.text.endswith("what your problem is.\n")
    assert str(verifier) == GO_KEY


@given(TEXTS)
def test_a_signed_text_is_verified(text: str) -> None:
    note = SIGNER.sign(text)

    opened = open_note(note, [Verifier.parse(GO_KEY), SIGNER.verifier])

    assert (opened.text, opened.signed_by) == (text, (SIGNER.verifier,))


@given(TEXTS, st.data())
def test_an_altered_note_is_refused(text: str, data: st.DataObject) -> None:
    note = SIGNER.sign(text)
    place = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != note[place]))

    try:
        opened = open_note(note[:place] + other + note[place + 1 :], [SIGNER.verifier])
    except NoteError:
        return
    assert opened.signed_by == ()


def test_signatures_of_other_keys_are_ignored() -> None:
    text = "text\n"
    other = Signer("other", bytes(32))
    note = SIGNER.sign(text) + other.sign(text).rpartition("\n\n")[2]

    assert open_note(note, [SIGNER.verifier]).signed_by == (SIGNER.verifier,)
    assert open_note(note, [other.verifier]).signed_by == (other.verifier,)
    assert open_note(note, []).signed_by == ()


def test_a_witness_signs_with_the_time() -> None:
    note, witness = cosigned(SIGNER.sign("text\n"), "witness.test", bytes(32), 1_700_000_000)

    assert open_note(note, [witness]).signed_by == (witness,)
    assert Verifier.parse(str(witness)) == witness
    backdated = note.rpartition(" ")
    decoded = bytearray(base64.b64decode(backdated[2]))
    decoded[11] ^= 1
    altered = f"{backdated[0]} {base64.b64encode(decoded).decode()}\n"
    with pytest.raises(NoteError, match=r"witness\.test"):
        open_note(altered, [witness])


def test_keys_round_trip() -> None:
    assert Verifier.parse(f"{SIGNER.verifier}\n") == SIGNER.verifier
    assert Signer.parse(str(SIGNER)) == SIGNER
    assert SIGNER.seed.hex() not in repr(SIGNER)
    assert base64.b64encode(b"\x01" + SIGNER.seed).decode() not in repr(SIGNER)
    assert SIGNER.named("other").verifier.public_key == SIGNER.verifier.public_key
    assert SIGNER.named("other").verifier.key_id != SIGNER.verifier.key_id


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "not an Ed25519 key"),
        ("name", "not an Ed25519 key"),
        ("name+00000000", "not an Ed25519 key"),
        ("name+00000000+!", "not base64"),
        ("name+00000000+AQ==", "not an Ed25519 key"),
        (GO_KEY.replace("+AR", "+Ah"), "not an Ed25519 key"),
        (GO_KEY.replace("c74f20a3", "c74f20a4"), "another id than c74f20a4"),
        (GO_KEY.replace("PeterNeumann", "Peter Neumann"), "not a key name"),
        (GO_KEY.replace("PeterNeumann", ""), "not a key name"),
    ],
)
def test_invalid_verifier_keys(key: str, message: str) -> None:
    with pytest.raises(NoteError, match=message):
        Verifier.parse(key)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (GO_KEY, "begins with PRIVATE"),
        ("PRIVATE+KEY+name+00000000+AQ==", "not an Ed25519 key"),
        (str(SIGNER).replace("ledger.test", "ledger.text"), "another id"),
    ],
)
def test_invalid_signer_keys(key: str, message: str) -> None:
    with pytest.raises(NoteError, match=message):
        Signer.parse(key)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ("", "not a signed note"),
        ("text\n", "not a signed note"),
        ("text\n\n\u2014 name AAAA", "not a signed note"),
        ("text\n\nname AAAA\n", "not a signature line"),
        ("text\n\n\u2014 name !\n", "not base64"),
        ("text\n\n\u2014 name AAAA\n", "truncated"),
        ("text\n\n\u2014 name AAAAAA==\u2028\u2014 name AAAA\n", "not a signature line"),
        ("text\r\n\n\u2014 name AAAA\n", "must not contain the character"),
        ("te\ud800xt\n\n\u2014 name AAAA\n", "must not contain the character"),
    ],
)
def test_invalid_notes(note: str, message: str) -> None:
    with pytest.raises(NoteError, match=message):
        open_note(note, [])


def test_only_canonical_base64_is_accepted() -> None:
    """The last character before the padding has unused bits."""
    note = SIGNER.sign("text\n")
    place = note.rindex("=") - (2 if note.endswith("==\n") else 1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for letter in letters.replace(note[place], ""):
        with pytest.raises(NoteError):
            open_note(note[:place] + letter + note[place + 1 :], [SIGNER.verifier])


def test_a_text_without_a_newline_is_not_signed() -> None:
    with pytest.raises(NoteError, match="end with a newline"):
        SIGNER.sign("text")
    with pytest.raises(NoteError, match="must not contain the character"):
        SIGNER.sign("te\txt\n")


CHECKPOINT = Checkpoint("ledger.test/books/main", 7, bytes(range(32)), (IMPORTED,))


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.booleans())
def test_checkpoints_round_trip(size: int, root: bytes, imported: bool) -> None:  # noqa: FBT001
    extensions = (IMPORTED,) if imported else ()
    checkpoint = Checkpoint(SIGNER.name, size, root, extensions)

    opened = open_checkpoint(checkpoint.signed(SIGNER), [SIGNER.verifier])

    assert opened == checkpoint
    assert opened.imported is imported


def test_a_checkpoint_is_signed_in_the_name_of_its_origin() -> None:
    other = new_key("other.test")
    text = CHECKPOINT.text()

    with pytest.raises(NoteError, match="not signed by a key of its own"):
        open_checkpoint(other.sign(text), [other.verifier])
    with pytest.raises(NoteError, match="not signed by a key of its own"):
        open_checkpoint(CHECKPOINT.signed(SIGNER), [other.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "origin\n7\n",
        "origin\n7\nAAAA\n",
        "origin\n07\n" + CHECKPOINT.text().splitlines()[2] + "\n",
        "origin\n-7\n" + CHECKPOINT.text().splitlines()[2] + "\n",
        "\n7\n" + CHECKPOINT.text().splitlines()[2] + "\n",
        CHECKPOINT.text() + "\n",
        CHECKPOINT.text().rstrip("\n"),
        CHECKPOINT.text().replace("=", "!"),
    ],
)
def test_invalid_checkpoints(text: str) -> None:
    with pytest.raises(NoteError, match="checkpoint"):
        parse_checkpoint(text)
