"""The content of pages, independent of HTML: sections of charts, tables and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what is shown.
        href: where it leads; nowhere if empty.
        figure: name of the figure that it shows, such as "investment.funded".
        value: the figure as a decimal number in its unit, for programs.
        tone: "critical", "warning" or "notice"; neutral if empty.
    """

    text: str
    href: str = ""
    figure: str = ""
    value: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a caption. The first cell of a row is its heading.

    Attributes:
        caption: what it shows.
        columns: its columns.
        rows: one cell for each column.
        folded: whether it is shown only on request.
        beside: whether it may stand beside the chart before it, where there is room.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False
    beside: bool = False


@dataclass(frozen=True)
class Chart:
    """A drawing, whose figures are in the table that follows it."""

    svg: Markup


@dataclass(frozen=True)
class Note:
    """A sentence between charts and tables; code if it is to be typed."""

    text: str
    code: bool = False


@dataclass(frozen=True)
class Link:
    """Leads to another page."""

    text: str
    href: str


@dataclass
class Section:
    """A part of a page under a heading.

    Attributes:
        anchor: its id.
        title: the heading.
        parts: what it consists of, in order.
        wide: whether it takes the whole width of a large screen.
    """

    anchor: str
    title: str
    parts: list[Chart | Table | Note | Link] = field(default_factory=list)
    wide: bool = False


def columns(*names: str, numbers_from: int = 1) -> list[Column]:
    """Return columns, of which those from `numbers_from` on hold numbers."""
    return [Column(name, number=index >= numbers_from) for index, name in enumerate(names)]
