"""Growth: the same figures of one book at several sizes. The curve should stay flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.appends import Figures, per_second, streamed_per_second
from benchmarks.reads import ORDER_FACTS, fill, replayed_per_second
from benchmarks.stage import Stage


def growth(stage: Stage, sizes: Sequence[int], seconds: float) -> Iterator[tuple[int, Figures]]:
    """Yield each size in events with its figures."""
    book = stage.new_book()
    filled = 0
    for size in sizes:
        fill(stage, book, size - filled, filled // ORDER_FACTS)
        filled = size
        yield (
            size,
            {
                "unary appends per second, 16 in flight": per_second(stage, book, 16, seconds),
                "facts per second, batches of 1000": streamed_per_second(
                    stage, book, 1000, seconds
                ),
                "events read per second": replayed_per_second(stage, book),
            },
        )
