"""Subtotals: changes of sums by blocks of the log, so that a question adds up a few. Pure.

Summing rows takes longer the more rows there are. A block is a range of positions, and its
subtotals are the differences of each sum between its last position and the one before its first.
Blocks of level 0 span a fixed number of events; FAN_OUT blocks of a level make one of the next. The
sums at any position are the sums over some blocks, fewer than FAN_OUT of each level, plus the
changes since the last of them.

The subtotals of a block are series: one row for all days of a sum, with the days in order and the
sum at the end of each. The sum as of a day is then one element, however many days there are. Days
are numbered as by `datetime.date.toordinal`, because integers are read and compared faster.

Changes are computed from rows: those of the documents that were affected, evaluated before and
after. Rows are never deleted and state from when to when they are known, so the subtotals of a
block are the same whenever they are built. No answer depends on whether they exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gigaledger.projections.engine.statements import statement

FAN_OUT_BITS = 3
FAN_OUT = 1 << FAN_OUT_BITS
"""Blocks of a level that make one of the next."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of positions.

    Attributes:
        level: 0 for the shortest.
        number: among those of its level, from 0.
    """

    level: int
    number: int


@dataclass(frozen=True, slots=True)
class Question:
    """A query of sums, in two forms.

    Attributes:
        affected: finds the documents affected after the position `before`, as one row of arrays.
        of_rows: computes the sums from all rows that count.
        of_blocks: computes the same, whatever the statuses, from blocks and the changes since.
            Takes these arrays as parameters.
    """

    affected: bytes
    of_rows: bytes
    of_blocks: bytes


@dataclass(frozen=True, slots=True)
class Subtotals:
    """The subtotals of a projection.

    Attributes:
        table: where they are stored.
        affected: finds the documents affected after the position `before`, as one row of arrays.
        of_block: inserts a block of level 0. Takes those arrays as parameters.
        of_part_blocks: inserts a block of a higher level.
        from_rows: replaces sums and series in a question of rows.
        from_blocks: replaces them in a question of blocks.
    """

    table: str
    affected: bytes
    of_block: bytes
    of_part_blocks: bytes
    from_rows: Mapping[str, str]
    from_blocks: Mapping[str, str]

    def question(self, text: str) -> Question:
        """Return a query of sums or of series.

        Args:
            text: the query. `{sums}` in it is replaced by keys and amounts as of the requested day.
                `{series}` is replaced by keys, `days` in order, and for each amount its values at
                the end of each day; `held` is the number of days up to the requested one, at least
                one. Several series with the same keys are to be added up.
        """
        return Question(
            self.affected, statement(text, **self.from_rows), statement(text, **self.from_blocks)
        )


_STEPS_OF_ROWS = "SELECT {keys}, {number_of_day} AS day, {amounts} FROM ({rows}) AS moved"
_STEPS_OF_CHANGED = """
    SELECT {keys}, {number_of_day} AS day, {amounts} FROM ({after}) AS after
    UNION ALL
    SELECT {keys}, {number_of_day}, {negated} FROM ({before}) AS before
"""
_STEPS_OF_PARTS = """
    SELECT {keys}, at.day, {amounts_at}
    FROM {table}, unnest(days, {amounts}) AS at (day, {amounts})
    WHERE level = %(level)s::integer - 1 AND block >= %(block)s::bigint * {fan_out}
        AND block < (%(block)s::bigint + 1) * {fan_out}
    WINDOW of_part AS (PARTITION BY block, {keys} ORDER BY at.day)
"""
_SERIES = """
    SELECT {keys}, array_agg(day ORDER BY day) AS days, {amounts_of_days}
    FROM (
        SELECT {keys}, day, {amounts_to_date} FROM ({steps}) AS step
        GROUP BY {keys}, day HAVING {not_nothing}
        WINDOW to_date AS (PARTITION BY {keys} ORDER BY day)
    ) AS to_date
    GROUP BY {keys}
"""
_SERIES_OF_BLOCKS = """
    SELECT {keys}, days, {amounts} FROM {table}
    JOIN unnest(%(levels)s::integer[], %(blocks)s::bigint[]) AS part (level, block)
        USING (level, block)
"""
# OFFSET has it found once: PostgreSQL would take the days apart again for each use of it.
_HELD = """(
    SELECT * FROM (
        SELECT *, width_bucket({number_of_until}, days) AS held FROM ({series}) AS series OFFSET 0
    ) AS series WHERE held > 0
)"""
_SUMS = """(
    SELECT {keys}, {sums} FROM ({moved}) AS moved GROUP BY {keys} HAVING {not_nothing}
)"""
_MOVED_OF_BLOCKS = """
    SELECT {keys}, {amounts_held} FROM {series} AS series
    UNION ALL
    SELECT {keys}, {amounts} FROM ({steps}) AS step WHERE day <= {number_of_until}
"""
_OF_BLOCK = """
    INSERT INTO {table} (level, block, {keys}, days, {amounts})
    SELECT {level}, %(block)s::bigint, * FROM ({series}) AS series
"""


def subtotals(
    table: str,
    keys: Sequence[str],
    amounts: Mapping[str, str],
    *,
    affected: bytes,
    of_rows: bytes,
    of_affected: bytes,
) -> Subtotals:
    """Return the definition of subtotals.

    Args:
        table: where they are stored: `level`, `block`, `days`, keys, and an array of each amount.
        keys: columns that identify a sum, besides the day.
        amounts: columns that are summed, with their types. A day is stored if any of them is not 0.
        affected: finds the documents affected after the position `before`, as one row of arrays.
        of_rows: gives keys, `day` and amounts of all rows that count.
        of_affected: gives those of rows that are known, at least of all whose share in a sum may
            have changed. Takes the arrays as parameters.
    """

    def of_each(text: str) -> str:
        return ", ".join(text.format(amount=name, type=kind) for name, kind in amounts.items())

    names = {
        "rows": of_rows.decode(),
        "after": of_affected.decode(),
        "before": of_affected.decode().replace("%(position)s", "%(before)s"),
        "amounts_at": of_each("at.{amount} - lag(at.{amount}, 1, 0) OVER of_part AS {amount}"),
        "amounts_to_date": of_each("sum(sum({amount})) OVER to_date AS {amount}"),
        "amounts_of_days": of_each("array_agg({amount}::{type} ORDER BY day) AS {amount}"),
        "amounts_held": of_each("{amount}[held] AS {amount}"),
        "amounts": of_each("{amount}"),
        "negated": of_each("-{amount}"),
        "sums": of_each("sum({amount}) AS {amount}"),
        "not_nothing": " OR ".join(f"sum({amount}) <> 0" for amount in amounts),
        "number_of_day": _number_of("day"),
        "number_of_until": _number_of("%(as_of_end)s::date"),
        "keys": ", ".join(keys),
        "table": table,
        "fan_out": str(FAN_OUT),
    }

    def made(text: str, **parts: str) -> str:
        return statement(text, **parts, **names).decode()

    changed = made(_STEPS_OF_CHANGED)
    series_of_changed = made(_SERIES, steps=changed)
    series_of_rows = made(_SERIES, steps=made(_STEPS_OF_ROWS))
    series_of_parts = made(_SERIES, steps=made(_STEPS_OF_PARTS))
    blocks = made(_SERIES_OF_BLOCKS)
    moved = made(_MOVED_OF_BLOCKS, series=made(_HELD, series=blocks), steps=changed)
    return Subtotals(
        table=table,
        affected=affected,
        of_block=made(_OF_BLOCK, level="0", series=series_of_changed).encode(),
        of_part_blocks=made(_OF_BLOCK, level="%(level)s::integer", series=series_of_parts).encode(),
        from_rows={
            "sums": made(_SUMS, moved=names["rows"]),
            "series": made(_HELD, series=series_of_rows),
        },
        from_blocks={
            "sums": made(_SUMS, moved=moved),
            "series": made(_HELD, series=f"{blocks} UNION ALL {series_of_changed}"),
        },
    )


def _number_of(day: str) -> str:
    return f"({day} - DATE '0001-01-01' + 1)"


def blocks_before(count: int) -> Iterator[Block]:
    """Yield the blocks that make the first so many of level 0 together."""
    level = 0
    while count:
        end = count
        count >>= FAN_OUT_BITS
        for number in range(count << FAN_OUT_BITS, end):
            yield Block(level, number)
        level += 1


def blocks_ending_with(number: int) -> Iterator[Block]:
    """Yield the block of level 0 of that number, and those that are complete with it."""
    level = 0
    yield Block(level, number)
    while number % FAN_OUT == FAN_OUT - 1:
        level, number = level + 1, number >> FAN_OUT_BITS
        yield Block(level, number)
