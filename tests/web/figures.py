"""Reads the figures of a page, and those of an answer, in the same form."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from gigaledger.client import amount_of
from gigaledger.v1.projections_pb2 import MoneyFigure, RatioFigure
from google.protobuf.message import Message
from google.type.money_pb2 import Money

Figure = tuple[str, Decimal]
"""Field in the contract, and value in kilowatts, units of a currency or parts per million."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.linked: dict[str, list[tuple[str, str]]] = {}
        self.links: list[str] = []
        self._open: list[str] | None = None
        self._href = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "data" and "data-figure" in values:
            self._open = [values["data-figure"], values["value"], ""]
            if self._href:
                figure = (values["data-figure"], values["value"])
                self.linked.setdefault(self._href, []).append(figure)
        elif tag == "a" and "href" in values:
            self._href = values["href"]
            self.links.append(self._href)

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open[2] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._href = ""
        elif tag == "data" and self._open is not None:
            name, value, text = self._open
            self.found.append((name, value, text))
            self._open = None


def figures_of_page(html: str) -> list[tuple[str, Decimal, str]]:
    """Return name, value and text of each figure."""
    reader = _Reader()
    reader.feed(html)
    return [(name, Decimal(value), text) for name, value, text in reader.found]


def links_of_page(html: str) -> list[str]:
    """Return the targets of the links of a page."""
    reader = _Reader()
    reader.feed(html)
    return reader.links


def linked_figures_of_page(html: str) -> dict[str, tuple[str, Decimal]]:
    """Return name and value of the figure that each link shows."""
    reader = _Reader()
    reader.feed(html)
    return {link: (name, Decimal(value)) for link, [(name, value), *_] in reader.linked.items()}


def value_of_text(text: str) -> Decimal:
    """Return the value that a figure's text states: "USD 1,234.50", "6.25 GW", "28.5878%"."""
    words = text.replace(",", "").removeprefix("at least ").split()
    if text.endswith("%"):
        return Decimal(words[0].removesuffix("%")) * 10_000
    if text.endswith("GW"):
        return Decimal(words[0]) * 1_000_000
    return Decimal(words[-1])


def field_of(name: str) -> str:
    """Return the field of the contract that a figure's name ends with."""
    return name.removesuffix(".ppm").rpartition(".")[2]


def figures_of_answer(message: Message) -> set[Figure]:
    """Return every figure of an answer."""
    return set(_figures(message))


def _figures(message: Message) -> Iterator[Figure]:
    for field, value in message.ListFields():
        for item in value if field.is_repeated else [value]:
            yield from _one(field.name, item)
    for name in message.DESCRIPTOR.fields_by_name:
        # a figure of zero is not on the wire
        if "_kw" in name:
            yield name, Decimal(getattr(message, name))


def _one(name: str, item: Any) -> Iterator[Figure]:
    match item:
        case Money():
            yield name, amount_of(item)
        case MoneyFigure():
            yield name, amount_of(item.amount)
        case RatioFigure():
            if item.HasField("ppm"):
                yield name, Decimal(item.ppm)
        case Message():
            yield from _figures(item)
        case int() if name.endswith("_ppm"):
            yield name, Decimal(item)
