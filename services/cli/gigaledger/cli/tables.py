"""Tables that show every figure whole, whatever the width of the terminal.

Text wraps between words. If that is not enough, the rows are stacked: a line for each cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gigaledger.cli.formats import printable
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_LONGEST_WORD = 20
"""Words of text up to this length stay whole. Longer ones, such as hashes, are folded."""
_INDENT = 2


class FigureTable(Table):
    """A table with columns of text and columns of figures."""

    def __init__(self, title: str, columns: Sequence[str], *, whole: Sequence[bool]) -> None:
        """Describe a table.

        Args:
            title: shown above it.
            columns: headings.
            whole: for each column, whether its cells are shown on one line, as figures are.
        """
        super().__init__()
        self.heading = printable(title)
        self._whole = list(whole)
        self._cells: list[list[str]] = []
        for heading in columns:
            self.add_column(heading, overflow="fold")

    @property
    def headings(self) -> list[str]:
        """The headings of the columns."""
        return [str(column.header) for column in self.columns]

    @property
    def cells(self) -> list[list[str]]:
        """The cells, row by row."""
        return self._cells

    def align_right(self, first: int) -> None:
        """Align the columns from one on to the right."""
        for column in self.columns[first:]:
            column.justify = "right"

    def keep_whole(self, column: int) -> None:
        """Show the cells of a column on one line."""
        self._whole[column] = True

    def add_cells(self, cells: Sequence[str]) -> None:
        """Add a row of texts that may come from anywhere."""
        shown = [printable(cell) for cell in cells]
        self._cells.append(shown)
        self.add_row(*shown)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.heading, style="table.title")
        widths = self._widths(options.max_width)
        if widths is None:
            yield from self._stacked(options.max_width)
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _widths(self, width: int) -> list[int] | None:
        """Return the widths of the columns; None if the figures do not fit beside each other."""
        frame = 3 * len(self.columns) + 1
        least = [self._least_width(index) for index in range(len(self.columns))]
        wanted = [
            max(cell_len(text) for text in self._texts(index)) for index in range(len(self.columns))
        ]
        room = width - frame - sum(least)
        if room < 0:
            return None
        while room and (narrow := [i for i, now in enumerate(least) if now < wanted[i]]):
            for index in narrow[:room]:
                least[index] += 1
            room -= min(room, len(narrow))
        return least

    def _least_width(self, column: int) -> int:
        heading, *cells = self._texts(column)
        words = [cell_len(word) for word in heading.split()]
        if self._whole[column]:
            return max([*words, *(cell_len(cell) for cell in cells), 1])
        words += [cell_len(word) for cell in cells for word in cell.split()]
        return min(max([*words, 1]), _LONGEST_WORD)

    def _texts(self, column: int) -> list[str]:
        return [self.headings[column], *(row[column] for row in self._cells)]

    def _stacked(self, width: int) -> Iterator[Text]:
        headed = not self.headings[0]
        for row in self._cells:
            if headed:
                yield Text(row[0], style="bold")
            elif len(self.columns) > 1:
                yield Text("─" * min(width, 8))
            for heading, cell in list(zip(self.headings, row, strict=True))[headed:]:
                yield from _line(heading, cell, width)


def _line(heading: str, cell: str, width: int) -> Iterator[Text]:
    """Yield a heading with its cell: on one line if they fit, else the cell below."""
    together = f"{heading}: {cell}"
    if _INDENT + cell_len(together) <= width:
        yield Text(" " * _INDENT + together)
        return
    yield Text(f"{' ' * _INDENT}{heading}:")
    indent = 2 * _INDENT if cell_len(cell) + 2 * _INDENT <= width else 0
    yield Text(" " * indent + cell, overflow="fold")
