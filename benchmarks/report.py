"""The figures as Markdown tables and as a chart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.appends import Figures


@dataclass
class Series:
    """Figures of one benchmark over its rounds, ours first."""

    title: str
    unit: str
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: Figures) -> None:
        """Add the figures of a round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def table(self) -> str:
        """Return a table of medians, spreads, and our share of each."""
        ours = statistics.median(next(iter(self.figures.values())))
        lines = [f"### {self.title}: {self.unit}", ""]
        lines += ["| | median | lowest to highest | first row divided by it |"]
        lines += ["| --- | ---: | ---: | ---: |"]
        for name, values in self.figures.items():
            median = statistics.median(values)
            spread = f"{_text(min(values))} to {_text(max(values))}"
            lines.append(f"| {name} | {_text(median)} | {spread} | {ours / median:.2f} |")
        return "\n".join(lines)


@dataclass
class Growth:
    """Figures of one book at several sizes."""

    title: str
    sizes: list[int] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, size: int, figures: Figures) -> None:
        """Add the figures at a size."""
        self.sizes.append(size)
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def table(self) -> str:
        """Return a table with a column for each size."""
        lines = [f"### {self.title}", ""]
        lines += ["| | " + " | ".join(f"{size:,} events" for size in self.sizes) + " |"]
        lines += ["| --- |" + " ---: |" * len(self.sizes)]
        for name, values in self.figures.items():
            lines.append(f"| {name} | " + " | ".join(map(_text, values)) + " |")
        return "\n".join(lines)


def write_plot(series: Sequence[Series], path: Path) -> None:
    """Draw the medians of all benchmarks with their spreads."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - a only benchmarks need it

    figure, axes = plt.subplots(len(series), 1, figsize=(8, 1.6 * len(series)))
    for axis, one in zip(axes, series, strict=True):
        names = list(one.figures)
        medians = [statistics.median(values) for values in one.figures.values()]
        spread = [
            [m - min(v) for m, v in zip(medians, one.figures.values(), strict=True)],
            [max(v) - m for m, v in zip(medians, one.figures.values(), strict=True)],
        ]
        colours = ["tab:green" if name.startswith("gigaledger") else "tab:gray" for name in names]
        axis.barh(names, medians, xerr=spread, color=colours)
        axis.invert_yaxis()
        axis.set_title(f"{one.title}: {one.unit}", fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"  # noqa: PLR2004 - three digits
