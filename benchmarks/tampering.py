"""`python -m benchmarks.tampering`: is every alteration of a book found and named?

A book is exported, and its file altered again and again, each time in one random way. Then the same
is done with the log in the database. Verification has to name a finding each time, or refuse to
read the file at all, and has to find nothing as long as nothing is altered.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from gigaledger.audit.export.book_file import event_line, footer_line
from gigaledger.cli.audit.verify import verify_file
from gigaledger.cli.audit.verify_live import export_book, verify_live
from gigaledger.cli.errors import CommandError
from gigaledger.common.postgres.embedded import embedded_postgres
from gigaledger.common.transparency.keys import new_key, write_keys
from gigaledger.common.transparency.notes import Verifier
from gigaledger.ledger.log.schema import prepare_database
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, CreateBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.protobuf.message import Message
from psycopg import sql

from benchmarks.stage import schema_of, service
from tests.facts import definitive, invoiced, paid, parties, placed, received
from tests.log.books import until

DELIVERIES = 8
_DIGITS = "0123456789"
_TEXTS = 'abcXYZ0129{}[],:"\\ \n'

Lines = list[str]
Tampering = Callable[[random.Random, Lines], str]
"""Returns the altered text of a file, given its lines."""


def _flip_a_bit(chance: random.Random, lines: Lines) -> str:
    data = bytearray("".join(lines).encode())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data.decode("utf-8", "surrogateescape")


def _change_a_digit(chance: random.Random, lines: Lines) -> str:
    text = "".join(lines)
    at = chance.choice([place for place, letter in enumerate(text) if letter in _DIGITS])
    return text[:at] + chance.choice(_DIGITS.replace(text[at], "")) + text[at + 1 :]


def _insert(chance: random.Random, lines: Lines) -> str:
    text = "".join(lines)
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(_TEXTS) + text[at:]


def _delete(chance: random.Random, lines: Lines) -> str:
    text = "".join(lines)
    at = chance.randrange(len(text))
    return text[:at] + text[at + chance.randint(1, 40) :]


def _cut_off(chance: random.Random, lines: Lines) -> str:
    text = "".join(lines)
    return text[: chance.randrange(len(text))]


def _drop_a_line(chance: random.Random, lines: Lines) -> str:
    at = chance.randrange(len(lines))
    return "".join(lines[:at] + lines[at + 1 :])


def _repeat_a_line(chance: random.Random, lines: Lines) -> str:
    one, to = chance.choice(lines), chance.randrange(len(lines) + 1)
    return "".join([*lines[:to], one, *lines[to:]])


def _swap_lines(chance: random.Random, lines: Lines) -> str:
    one, other = chance.sample(range(len(lines)), 2)
    changed = list(lines)
    changed[one], changed[other] = changed[other], changed[one]
    return "".join(changed)


def _say_something_else(chance: random.Random, lines: Lines) -> str:
    """Change a value of the head, of what an event shows, or of the last line, in its own form."""
    at = chance.choice([0, len(lines) - 1, chance.randrange(1, len(lines) - 1)])
    content = json.loads(lines[at])
    _change_a_value(chance, content)
    changed = json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    return "".join([*lines[:at], changed, *lines[at + 1 :]])


def _change_a_value(chance: random.Random, content: dict[str, Any] | list[Any]) -> None:
    keys = list(content) if isinstance(content, dict) else range(len(content))
    holder: Any = content
    key = chance.choice(list(keys))
    while isinstance(holder[key], dict | list) and holder[key]:
        holder = holder[key]
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = value + chance.choice([-1, 1, 10])
    else:
        text = str(value)
        place = chance.randrange(len(text) + 1)
        holder[key] = text[:place] + chance.choice("xyz019") + text[place:]


def _write_another_event(chance: random.Random, lines: Lines) -> str:
    """Change a field of an event in its bytes, and show it as an export would."""
    at = chance.randrange(1, len(lines) - 1)
    event = RecordedEvent.FromString(base64.b64decode(json.loads(lines[at])["leaf"]))
    _change_a_field(chance, event)
    changed = event_line(event.SerializeToString())
    return "".join([*lines[:at], changed, *lines[at + 1 :]])


def _change_a_field(chance: random.Random, message: Message) -> None:
    while True:
        field, value = chance.choice(message.ListFields())
        if field.is_repeated:
            getattr(message, field.name).pop()
            return
        if field.message_type is None:
            break
        if not value.ListFields():
            message.ClearField(field.name)
            return
        message = value
    if isinstance(value, str):
        setattr(message, field.name, value + chance.choice("xyz019"))
    elif isinstance(value, bytes):
        setattr(message, field.name, value + b"x")
    elif field.enum_type is not None or isinstance(value, bool):
        message.ClearField(field.name)
    else:
        setattr(message, field.name, value + 1)


def _drop_an_event_and_close_the_gap(chance: random.Random, lines: Lines) -> str:
    """Leave an event out, and number those behind it anew."""
    at = chance.randrange(1, len(lines) - 1)
    changed = lines[:at]
    for line in lines[at + 1 : -1]:
        event = RecordedEvent.FromString(base64.b64decode(json.loads(line)["leaf"]))
        event.position -= 1
        changed.append(event_line(event.SerializeToString()))
    head = json.loads(lines[0])
    head["size"] -= 1
    changed[0] = json.dumps(head, ensure_ascii=False, separators=(",", ":")) + "\n"
    return "".join([*changed, lines[-1]])


def _drop_checkpoints(chance: random.Random, lines: Lines) -> str:
    notes = json.loads(lines[-1])["checkpoints"]
    kept = chance.sample(notes, chance.randrange(len(notes)))
    return "".join([*lines[:-1], footer_line(sorted(kept, key=notes.index))])


def _reorder_checkpoints(chance: random.Random, lines: Lines) -> str:
    notes = json.loads(lines[-1])["checkpoints"]
    chance.shuffle(notes)
    return "".join([*lines[:-1], footer_line(notes)])


OF_A_FILE: Mapping[str, Tampering] = {
    "a bit flipped": _flip_a_bit,
    "a digit changed": _change_a_digit,
    "a character inserted": _insert,
    "characters deleted": _delete,
    "the end cut off": _cut_off,
    "a line dropped": _drop_a_line,
    "a line repeated": _repeat_a_line,
    "two lines swapped": _swap_lines,
    "a value changed in its own form": _say_something_else,
    "an event written anew": _write_another_event,
    "an event left out and the rest numbered anew": _drop_an_event_and_close_the_gap,
    "checkpoints dropped": _drop_checkpoints,
    "checkpoints reordered": _reorder_checkpoints,
}

_LOG_COLUMNS = {
    "event": (
        *("position", "stream", "fact_type", "effective_date", "agreement", "parties"),
        *("prefix", "event"),
    ),
    "checkpoint": ("size", "note"),
    "signing_key": ("from_size", "verifier_key", "succession"),
}
"""What the ledger serves of the log, by table. Columns that only decisions use are left out."""
_OTHER_VALUES = {
    "bigint": "{0} + 1",
    "text": "CASE {0} WHEN '' THEN 'AGR' WHEN 'AGR' THEN '' ELSE {0} || 'x' END",
    "date": "{0} + 1",
    "text[]": "CASE WHEN 'SUP' = ANY({0}) THEN array_remove({0}, 'SUP')"
    " ELSE array_append({0}, 'SUP') END",
    "bytea": "set_byte({0}, %(byte)s %% octet_length({0}),"
    " get_byte({0}, %(byte)s %% octet_length({0})) # %(mask)s)",
}
"""By type, a value other than that of a column. It is one that other events have, because nobody
can ask for every value that no event has."""


class Tally:
    """How many alterations of each kind were made and found.

    Attributes:
        unseen: descriptions of those that were not found.
    """

    def __init__(self) -> None:
        self.unseen: list[str] = []
        self._made: Counter[str] = Counter()
        self._found: Counter[str] = Counter()

    def add(self, kind: str, description: str, *, found: bool) -> None:
        """Add an alteration."""
        self._made[kind] += 1
        self._found[kind] += found
        if not found:
            self.unseen.append(f"{kind}: {description}")

    def table(self) -> str:
        """Return a table in Markdown."""
        rows = [
            f"| {kind} | {made:,} | {self._found[kind]:,} |" for kind, made in self._made.items()
        ]
        total = f"| all | {self._made.total():,} | {self._found.total():,} |"
        return "\n".join(["| alteration | made | found |", "| --- | --- | --- |", *rows, total])


@dataclass(frozen=True)
class SealedBook:
    """A sealed book that is served, and its export.

    Attributes:
        url: of the database.
        ledger: address of the ledger.
        projections: address of the projections.
        name: resource name.
        key: its public key.
        folder: for altered files.
        lines: of its export.
    """

    url: str
    ledger: str
    projections: str
    name: str
    key: Verifier
    folder: Path
    lines: Lines

    @property
    def schema(self) -> str:
        """PostgreSQL schema of the book."""
        return schema_of(self.name)

    def is_verified(self) -> bool:
        """Verify it as it is served, with its figures."""
        report = verify_live(
            self.name, [self.key], None, self.ledger, self.projections, allow_unsealed=False
        )
        return report.holds

    def is_verified_as(self, text: str) -> bool:
        """Verify a file with this text. A file that can't be read is not verified."""
        file = self.folder / "altered.jsonl"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            return verify_file(file, [self.key], None, allow_unsealed=False).holds
        except CommandError:
            return False


@contextmanager
def sealed_book(url: str, folder: Path, name: str = "tampering") -> Iterator[SealedBook]:
    """Run services, fill a book and seal it after each request.

    Args:
        url: a database that is prepared.
        folder: for the key and for files.
        name: id of the book.
    """
    signer = new_key("ledger.test")
    write_keys(folder / "key", [signer])
    database = {"GIGALEDGER_DATABASE_URL": url}
    with ExitStack() as stack:
        ledger = service("ledger", database | {"GIGALEDGER_SIGNING_KEY": str(folder / "key")})
        ledger.start()
        stack.callback(ledger.kill)
        followed = database | {"GIGALEDGER_LEDGER_ADDRESS": ledger.address}
        projections, exceptions = service("projections", followed), service("exceptions", database)
        for process in (projections, exceptions):
            process.start()
            stack.callback(process.kill)
        lines: Lines = []
        book = SealedBook(
            url,
            ledger.address,
            projections.address,
            f"books/{name}",
            signer.named(f"ledger.test/books/{name}").verifier,
            folder,
            lines,
        )
        with ledger.channel() as channel:
            _fill(book, LedgerServiceStub(channel))
        export_book(book.name, book.ledger, lines.append)
        yield book


def _fill(book: SealedBook, stub: LedgerServiceStub) -> None:
    """Record deliveries, invoices and payments, and wait for a checkpoint after each request."""
    stub.CreateBook(CreateBookRequest(book_id=book.name.removeprefix("books/")))
    requests = [[*parties("SUP", "CUS"), definitive(), placed(DELIVERIES)]]
    for number in range(DELIVERIES):
        invoice = f"I-{number}"
        delivered = [
            received(1),
            invoiced(1_000, invoice),
            paid(900, f"P-{number}", invoice=invoice),
        ]
        requests.append(delivered)
    with psycopg.connect(book.url, autocommit=True) as connection:
        for number, events in enumerate(requests):
            request = AppendEventsRequest(book=book.name, request_id=f"request-{number}")
            for event in events:
                request.events.add().event.CopyFrom(event)
            position = stub.AppendEvents(request).receipts[-1].position
            until(partial(_is_sealed, connection, book.schema, position))


def _is_sealed(connection: psycopg.Connection, schema: str, position: int) -> bool | None:
    query = sql.SQL("SELECT max(size) FROM {}").format(sql.Identifier(schema, "checkpoint"))
    return connection.execute(query).fetchone() == (position,) or None


def alter_files(book: SealedBook, chance: random.Random, count: int, tally: Tally) -> None:
    """Alter the export in random ways, one after another, and verify each.

    Args:
        book: the book.
        chance: decides what is altered.
        count: number of alterations.
        tally: takes the results.
    """
    original = "".join(book.lines)
    for number in range(count):
        kind = list(OF_A_FILE)[number % len(OF_A_FILE)]
        altered = original
        while altered == original:
            altered = OF_A_FILE[kind](chance, book.lines)
        tally.add(kind, _difference(original, altered), found=not book.is_verified_as(altered))


def _difference(one: str, other: str) -> str:
    """Return the texts around the first difference."""
    at = next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1),
        min(len(one), len(other)),
    )
    around = slice(max(0, at - 20), at + 20)
    return f"at {at}, {one[around]!r} becomes {other[around]!r}"


def alter_database(book: SealedBook, chance: random.Random, count: int, tally: Tally) -> None:
    """Alter stored data in random ways, as the owner of the database can, and verify each.

    Args:
        book: the book.
        chance: decides what is altered.
        count: number of alterations. Each is undone before the next.
        tally: takes the results.
    """
    with psycopg.connect(book.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        search_path = sql.SQL("SET search_path = {}").format(sql.Identifier(book.schema))
        connection.execute(search_path)
        for table in _LOG_COLUMNS:
            copied = sql.SQL("CREATE TEMP TABLE {} AS SELECT * FROM {}")
            connection.execute(copied.format(_copy_of(table), sql.Identifier(table)))
        for number in range(count):
            table = list(_LOG_COLUMNS)[number % len(_LOG_COLUMNS)]
            kind, description = _alter_a_row(connection, chance, table)
            tally.add(kind, description, found=not book.is_verified())
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            restored = sql.SQL("INSERT INTO {} SELECT * FROM {}")
            connection.execute(restored.format(sql.Identifier(table), _copy_of(table)))


def _copy_of(table: str) -> sql.Identifier:
    return sql.Identifier(f"original_{table}")


def _alter_a_row(
    connection: psycopg.Connection, chance: random.Random, table: str
) -> tuple[str, str]:
    """Delete a row or change a column of it; return the kind of alteration, and a description."""
    ids = connection.execute(
        sql.SQL("SELECT ctid FROM {}").format(sql.Identifier(table))
    ).fetchall()
    (row,) = chance.choice(ids)
    column = chance.choice([*_LOG_COLUMNS[table], ""])
    if not column:
        deletion = sql.SQL("DELETE FROM {} WHERE ctid = %s").format(sql.Identifier(table))
        connection.execute(deletion, (row,))
        return f"a row of {table} deleted", str(row)
    (kind,) = connection.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attname = %s",
        (table, column),
    ).fetchone() or ("",)
    value = sql.SQL(_OTHER_VALUES[kind]).format(sql.Identifier(column))
    change = sql.SQL("UPDATE {} SET {} = {} WHERE ctid = %(row)s").format(
        sql.Identifier(table), sql.Identifier(column), value
    )
    drawn = {"row": row, "byte": chance.randrange(2**16), "mask": chance.randrange(1, 256)}
    try:
        connection.execute(change, drawn)
    except psycopg.errors.UniqueViolation:
        return _alter_a_row(connection, chance, table)
    return f"{table}.{column} changed", str(drawn)


def main() -> None:
    """Alter, verify, and print how much of it was found. Exit code 1 unless all was."""
    parser = argparse.ArgumentParser(description="Alter books at random, and verify them.")
    parser.add_argument("--files", type=int, default=9_000, help="alterations of an export")
    parser.add_argument("--databases", type=int, default=1_000, help="alterations of a database")
    parser.add_argument("--seed", type=int, default=1, help="decides what is altered")
    options = parser.parse_args()
    chance, tally = random.Random(options.seed), Tally()  # noqa: S311 - not for secrets
    with TemporaryDirectory(prefix="gigaledger-tampering-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        server = stack.enter_context(embedded_postgres(folder / "data"))
        prepare_database(server.url)
        book = stack.enter_context(sealed_book(server.url, folder))
        alarms = 0
        for alter, count in ((alter_files, options.files), (alter_database, options.databases)):
            alter(book, chance, count, tally)
            alarms += not (book.is_verified() and book.is_verified_as("".join(book.lines)))
    print("\n".join([tally.table(), *tally.unseen, f"False alarms: {alarms} of 4"]))
    sys.exit(bool(tally.unseen or alarms))


if __name__ == "__main__":
    main()
