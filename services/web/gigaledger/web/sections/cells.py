"""Cells that show figures and lead to the events behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gigaledger.client import amount_of
from gigaledger.v1.projections_pb2 import MoneyFigure, RatioFigure, ReadContext
from gigaledger.web.content import Cell, Link, Note
from gigaledger.web.formats import (
    NOT_AVAILABLE,
    day,
    gigawatts,
    instant,
    money,
    money_figure,
    percent,
    ratio,
)
from gigaledger.web.view import View
from google.type.money_pb2 import Money


def texts(*values: str) -> list[Cell]:
    """Return cells of plain text."""
    return [Cell(value) for value in values]


def figure_link(view: View, figure: str, about: Mapping[str, str]) -> str:
    """Return the address of the events behind a figure."""
    return view.link("figures", figure, **about)


def power(view: View, figure: str, kilowatts: int, about: Mapping[str, str] | None) -> Cell:
    """Return power in GW.

    Args:
        view: of the page.
        figure: its name.
        kilowatts: its value.
        about: what it is about; None if it has no events of its own to list.
    """
    href = "" if about is None else figure_link(view, figure, about)
    return Cell(gigawatts(kilowatts), href, figure, str(kilowatts))


def amount(
    view: View, figure: str, message: MoneyFigure | Money, about: Mapping[str, str] | None
) -> Cell:
    """Return an amount of money: see `power`."""
    href = "" if about is None else figure_link(view, figure, about)
    if isinstance(message, MoneyFigure):
        shown, value = money_figure(message), message.amount
    else:
        shown, value = money(message), message
    number = str(amount_of(value)) if value.currency_code else ""
    return Cell(shown, href, figure, number)


def share(figure: str, message: RatioFigure) -> Cell:
    """Return a ratio in percent."""
    value = str(message.ppm) if message.HasField("ppm") else ""
    return Cell(ratio(message), "", figure, value)


def parts_per_million(figure: str, ppm: int | None) -> Cell:
    """Return parts per million in percent; n/a if None."""
    if ppm is None:
        return Cell(NOT_AVAILABLE)
    return Cell(percent(ppm), "", figure, str(ppm))


def units(message: MoneyFigure | Money, divisor: Decimal) -> Decimal:
    """Return an amount as a number of charts."""
    value = message.amount if isinstance(message, MoneyFigure) else message
    return amount_of(value) / divisor


def reflects(context: ReadContext, report: str, view: View) -> list[Note | Link]:
    """Return what an answer reflects, and the command that gives the same."""
    counted = f"as of {day(context.as_of)}" if context.HasField("as_of") else "all effective dates"
    return [
        Note(
            f"Reflects the log up to position {context.position:,}, recorded "
            f"{instant(context.recorded_time)}; {counted}."
        ),
        Note(f"gigaledger report {report} {view.options()}", code=True),
    ]


def is_hypothetical(contexts: Iterable[ReadContext]) -> bool:
    """Return whether an answer rests on plans or assumptions."""
    return any(context.hypothetical for context in contexts)
