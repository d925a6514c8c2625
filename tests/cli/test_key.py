"""`gigaledger key`, and a ledger that is given a key."""

from __future__ import annotations

import stat
from pathlib import Path

from gigaledger.cli.errors import ExitCode
from gigaledger.common.transparency.keys import read_keys
from gigaledger.common.transparency.notes import Verifier

from tests.cli.conftest import Shell


def test_a_key_is_made_shown_and_followed(alone: Shell, tmp_path: Path) -> None:
    file = tmp_path / "key"

    made = alone("key", "make", file, "--name", "ledger.example.com")
    assert made.code == ExitCode.OK
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = Verifier.parse(made.out)
    assert first.name == "ledger.example.com/books/main"
    assert alone("key", "show", file).out == made.out

    rotated = alone("key", "rotate", file)
    assert rotated.code == ExitCode.OK
    second = Verifier.parse(rotated.out)
    assert second.name == first.name
    assert second.public_key != first.public_key
    keys = read_keys(file)
    assert [key.verifier.public_key for key in keys] == [first.public_key, second.public_key]
    assert alone("key", "show", file).out == made.out + rotated.out
    assert keys[0].seed.hex() not in made.out + made.err + rotated.out + rotated.err


def test_each_book_has_an_origin_of_its_own(alone: Shell, tmp_path: Path) -> None:
    file = tmp_path / "key"
    alone("key", "make", file, "--name", "ledger.example.com")

    fund = Verifier.parse(alone("key", "show", file, "--book", "fund").out)

    assert fund.name == "ledger.example.com/books/fund"


def test_a_key_is_never_written_over(alone: Shell, tmp_path: Path) -> None:
    file = tmp_path / "key"
    alone("key", "make", file, "--name", "a")
    before = file.read_text()

    again = alone("key", "make", file, "--name", "b")

    assert again.code == ExitCode.USAGE
    assert "key rotate" in again.err
    assert file.read_text() == before


def test_what_is_wrong_with_a_key_is_said(alone: Shell, tmp_path: Path) -> None:
    file = tmp_path / "key"
    spaced = alone("key", "make", file, "--name", "a b")
    assert spaced.code == ExitCode.USAGE
    assert "'a b'" in spaced.err
    assert alone("key", "show", file).code == ExitCode.UNAVAILABLE
    alone("key", "make", file, "--name", "a")
    file.chmod(0o644)
    assert f"chmod 600 {file}" in alone("key", "show", file).err
    file.chmod(0o600)
    file.write_text("PRIVATE+KEY+a+00000000+AAAA\n")
    assert "line 1" in alone("key", "show", file).err


def test_a_ledger_does_not_start_with_a_key_that_others_may_read(
    alone: Shell, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    alone("key", "make", file, "--name", "a")
    file.chmod(0o640)
    settings = {"GIGALEDGER_DATABASE_URL": database_url, "GIGALEDGER_SIGNING_KEY": str(file)}

    served = Shell(alone.environment | settings)("serve", "ledger")

    assert served.code == ExitCode.USAGE
    assert "chmod 600" in served.err
