"""Random alterations of an export and of a database are all found: a short run of the long one."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.tampering import OF_A_FILE, Tally, alter_database, alter_files, sealed_book

FILES = 10 * len(OF_A_FILE)
DATABASES = 30


def test_every_alteration_is_found_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    tally = Tally()
    chance = random.Random(7)  # noqa: S311 - not for secrets
    with sealed_book(database_url, tmp_path) as book:
        assert book.is_verified()
        assert book.is_verified_as("".join(book.lines))

        alter_files(book, chance, FILES, tally)
        alter_database(book, chance, DATABASES, tally)

        assert tally.unseen == []
        assert book.is_verified()
