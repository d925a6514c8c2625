"""`python -m benchmarks`: measure everything in one run, in several rounds."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from benchmarks.appends import Figures, several_processes, streamed, unary
from benchmarks.growth import growth
from benchmarks.questions import questions
from benchmarks.reads import fill, lag, rebuild, replay
from benchmarks.report import Growth, Series, write_plot
from benchmarks.stage import Stage, stage
from tests.processes import ServiceProcess

GROWTH = [10_000, 100_000, 1_000_000]
GROWTH_OPT_IN = 10_000_000

Benchmark = tuple[str, str, Callable[[], Figures]]


def main() -> None:
    """Measure, print, and write the figures that docs/performance.md shows."""
    options = _options()
    seconds: float = options.seconds
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
    parts = [_machine(options.rounds, seconds)]
    print(parts[0], flush=True)
    measured = []
    with stage() as running:
        book = running.new_book()
        fill(running, book, options.facts)
        for title, unit, measure in _benchmarks(running, book, options.facts, seconds):
            if options.only not in title:
                continue
            series = Series(title, unit)
            for _ in range(options.rounds):
                series.add(measure())
            measured.append(series)
            parts.append(series.table())
            print(parts[-1], flush=True)
        sizes = [size for size in GROWTH if size <= options.grow_to]
        if options.grow_to >= GROWTH_OPT_IN:
            sizes.append(GROWTH_OPT_IN)
        for title, measured_at in (
            ("A book that grows", growth(running, sizes, seconds)),
            ("Queries of a growing book", questions(running, sizes)),
        ):
            grown = Growth(title)
            for size, figures in measured_at:
                grown.add(size, figures)
            if sizes:
                parts.append(grown.table())
                print(parts[-1], flush=True)
        parts.append(_memory(running))
        print(parts[-1], flush=True)
    if options.output:
        text = "\n\n".join(["<!-- Written by `make bench`. -->", *parts])
        (options.output / "performance-figures.md").write_text(f"{text}\n")
        write_plot(measured, options.output / "performance.svg")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure gigaledger and its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="duration of each measurement")
    parser.add_argument("--facts", type=int, default=100_000, help="size of the log that is read")
    parser.add_argument(
        "--grow-to", type=int, default=1_000_000, help="0 to skip; 10000000 takes hours"
    )
    parser.add_argument("--only", default="", help="measure titles that contain this text")
    parser.add_argument("--output", type=Path, help="folder for the tables and the chart")
    return parser.parse_args()


def _benchmarks(running: Stage, book: str, facts: int, seconds: float) -> list[Benchmark]:
    per_second = "per second, more is better"
    return [
        *(
            (f"Unary appends, {n} in flight", per_second, partial(unary, running, n, seconds))
            for n in (1, 16, 64)
        ),
        *(
            (
                f"Facts in a stream of batches of {n}",
                per_second,
                partial(streamed, running, n, seconds),
            )
            for n in (100, 1000)
        ),
        (f"Replay of {facts:,} events", per_second, partial(replay, running, book)),
        (
            f"Rebuild of the projections of {facts:,} events",
            per_second,
            partial(rebuild, running, book, seconds),
        ),
        (
            "Lag from acknowledgement to query, at 1,000 facts per second",
            "milliseconds, less is better",
            partial(lag, running, seconds),
        ),
        (
            "Ledger processes, 64 appends in flight",
            per_second,
            partial(several_processes, running, seconds),
        ),
    ]


def _machine(rounds: int, seconds: float) -> str:
    return (
        f"{os.cpu_count()} cores ({platform.machine()}) shared by clients, services, peers"
        f" and PostgreSQL, Python {platform.python_version()}; durable writes, all rules enabled;"
        f" {rounds} rounds of {seconds:g} s."
    )


def _memory(running: Stage) -> str:
    lines = ["### Memory at the end", "", "| | MiB |", "| --- | ---: |"]
    services = (running.ledger, running.projections, running.exceptions)
    lines += [f"| {service.name} | {_resident(service):,.0f} |" for service in services]
    return "\n".join(lines)


def _resident(service: ServiceProcess) -> float:
    return psutil.Process(service.pid).memory_info().rss / 2**20


if __name__ == "__main__":
    main()
