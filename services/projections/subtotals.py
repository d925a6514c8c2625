"""Subtotals: what blocks of the log changed, so that a question adds up a few of them. Pure.

A sum over rows takes the longer, the more rows there are. A block is a number of positions, and its
subtotals say by how much each sum of a day is more after its last position than before its first.
Blocks of level 0 span so many events each; FAN_OUT blocks of a level make one of the next. So the
sums at any position are those of some blocks, less than FAN_OUT of each level, and of what changed
since the last of them.

What changed is made from rows: those of the documents that were touched, looked at before and
after. Rows stay for ever and tell from when to when they are known, so that the subtotals of a
block are the same whenever they are made. No reader depends on their being there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.projections.statements import statement

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
    """A query of sums, which can be made in two ways.

    Attributes:
        touched: finds what was touched after the position `before`, as one row of arrays.
        of_rows: makes the sums of all rows that count.
        of_blocks: makes the same, of whatever status, of blocks and what changed since. Takes these
            arrays as parameters.
    """

    touched: bytes
    of_rows: bytes
    of_blocks: bytes


@dataclass(frozen=True, slots=True)
class Subtotals:
    """The subtotals of a projection.

    Attributes:
        table: where they are kept.
        sums: asks for the sums of each day.
        of_block: puts a block of level 0 in the table. Takes the arrays that `sums.touched` finds.
        of_part_blocks: puts a block of a higher level in the table.
        parts: of these statements, by name.
    """

    table: str
    sums: Question
    of_block: bytes
    of_part_blocks: bytes
    parts: Mapping[str, str]

    def question(self, text: str, day: str = "day") -> Question:
        """Return a query in which `{sums}` stands for sums.

        Args:
            text: the query.
            day: what stands for the day of a sum. The fewer there are, the sooner it is answered.
        """
        keys = self.parts["keys"].split(", ")
        parts = {
            **self.parts,
            "asked": ", ".join(f"{day} AS day" if key == "day" else key for key in keys),
            "each": ", ".join(str(place) for place in range(1, len(keys) + 1)),
        }
        return Question(
            self.sums.touched,
            statement(text, sums=_ASKED_OF_ROWS, rows=self.sums.of_rows.decode(), **parts),
            statement(text, sums=_ASKED_OF_BLOCKS, **parts),
        )


_CHANGED = """
    SELECT {keys}, {amounts} FROM ({after}) AS after
    UNION ALL
    SELECT {keys}, {negated} FROM ({before}) AS before
"""
_ASKED_OF_ROWS = """(
    SELECT {asked}, {sums_of_amounts} FROM ({rows}) AS moved
    GROUP BY {each} HAVING {not_nothing}
)"""
_ASKED_OF_BLOCKS = """(
    SELECT {asked}, {sums_of_amounts} FROM (
        SELECT {keys}, {amounts} FROM {table}
        JOIN unnest(%(levels)s::integer[], %(blocks)s::bigint[]) AS part (level, block)
            USING (level, block)
        UNION ALL
        {changed}
    ) AS moved
    WHERE day <= %(until)s GROUP BY {each} HAVING {not_nothing}
)"""
_OF_BLOCK = """
    INSERT INTO {table} (level, block, {keys}, {amounts})
    SELECT 0, %(block)s::bigint, {keys}, {sums_of_amounts} FROM ({changed}) AS moved
    GROUP BY {keys} HAVING {not_nothing}
"""
_OF_PART_BLOCKS = """
    INSERT INTO {table} (level, block, {keys}, {amounts})
    SELECT %(level)s::integer, %(block)s::bigint, {keys}, {sums_of_amounts} FROM {table}
    WHERE level = %(level)s::integer - 1 AND block >= %(block)s::bigint * {fan_out}
        AND block < (%(block)s::bigint + 1) * {fan_out}
    GROUP BY {keys} HAVING {not_nothing}
"""


def subtotals(
    table: str,
    keys: Sequence[str],
    amounts: Sequence[str],
    *,
    touched: bytes,
    of_rows: bytes,
    of_touched: bytes,
) -> Subtotals:
    """Return how subtotals are made and added up.

    Args:
        table: where they are kept: `level`, `block`, then keys and amounts.
        keys: columns that tell what is summed, among them `day`.
        amounts: columns that are summed. A sum is there where any of them is not 0.
        touched: finds what was touched after the position `before`, as one row of arrays.
        of_rows: gives keys and amounts of all rows that are counted.
        of_touched: gives those of rows that are known, at least of all whose share in a sum may
            have changed. Takes the arrays as parameters.
    """
    parts = {
        "changed": _CHANGED,
        "after": of_touched.decode(),
        "before": of_touched.decode().replace("%(position)s", "%(before)s"),
        "table": table,
        "keys": ", ".join(keys),
        "amounts": ", ".join(amounts),
        "negated": ", ".join(f"-{amount}" for amount in amounts),
        "sums_of_amounts": ", ".join(f"sum({amount}) AS {amount}" for amount in amounts),
        "not_nothing": " OR ".join(f"sum({amount}) <> 0" for amount in amounts),
        "fan_out": str(FAN_OUT),
    }
    keys_and_day = {"asked": parts["keys"], "each": parts["keys"]}
    return Subtotals(
        table=table,
        sums=Question(touched, of_rows, statement(_ASKED_OF_BLOCKS, **keys_and_day, **parts)),
        of_block=statement(_OF_BLOCK, **parts),
        of_part_blocks=statement(_OF_PART_BLOCKS, **parts),
        parts=parts,
    )


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
