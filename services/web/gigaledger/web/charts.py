"""Charts as SVG: pure functions from figures to markup.

Colours come from the style sheet, by class, so that a chart follows light, dark and print. Lines
also differ by their dashes. Coordinates are floats; figures are decimals, and are stated in the
table beside the chart.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gigaledger.web.formats import grouped
from markupsafe import Markup

WIDTH = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 24
_PLOT_HEIGHT = 170
_LEGEND_ROW = 18
_LEGEND_COLUMNS = 2
_TICKS = 4
_MAX_LABEL = 24
_MONTHS_A_YEAR = 12
_MAX_MONTH_TICKS = 24
_PAIR = 2


@dataclass(frozen=True)
class Line:
    """Values of one figure over time, which hold from their day to the next one's.

    Attributes:
        name: for the legend.
        points: days in order, with the value at the end of each.
    """

    name: str
    points: Sequence[tuple[dt.date, Decimal]]


@dataclass(frozen=True)
class Flow:
    """Money from one party to another.

    Attributes:
        payer: who pays.
        payee: who is paid.
        amount: in all.
        circulating: the part of it that lies on cycles.
    """

    payer: str
    payee: str
    amount: Decimal
    circulating: Decimal


def magnitude(values: Iterable[Decimal]) -> tuple[Decimal, str]:
    """Return the divisor that makes the largest of some amounts short, and its name."""
    largest = max((abs(value) for value in values), default=Decimal(0))
    for divisor, name in (
        (Decimal(10) ** 9, "billion"),
        (Decimal(10) ** 6, "million"),
        (Decimal(10) ** 3, "thousand"),
    ):
        if largest >= divisor:
            return divisor, name
    return Decimal(1), ""


def step_chart(
    title: str, description: str, lines: Sequence[Line], marked: dt.date | None = None
) -> Markup:
    """Draw values over time as steps.

    Args:
        title: name of the drawing.
        description: what it shows, in a sentence, with the unit.
        lines: at most four.
        marked: a day that a vertical line marks.
    """
    all_days = [day for line in lines for day, _ in line.points]
    if not all_days:
        return Markup()
    values = [value for line in lines for _, value in line.points]
    first, last = min(all_days), max(all_days)
    low, high, step = _scale(min(values), max(values))
    height = _TOP + _PLOT_HEIGHT + _BOTTOM + _LEGEND_ROW * math.ceil(len(lines) / _LEGEND_COLUMNS)
    width = WIDTH - _LEFT - _RIGHT
    span = max((last - first).days, 1)

    def x(day: dt.date) -> float:
        return _LEFT + width * (day - first).days / span

    def y(value: Decimal) -> float:
        return _TOP + _PLOT_HEIGHT * float((high - value) / (high - low))

    parts = [_grid(low, high, step, y), _days_axis(first, last, x)]
    if marked is not None and first < marked < last:
        parts.append(
            Markup('<line class="marked" x1="{x}" x2="{x}" y1="{a}" y2="{b}"/>').format(
                x=_short(x(marked)), a=_TOP, b=_TOP + _PLOT_HEIGHT
            )
        )
    for index, line in enumerate(lines):
        path = ""
        for number, (day, value) in enumerate(line.points):
            path += (
                f"H{_short(x(day))}V{_short(y(value))}"
                if number
                else f"M{_short(x(day))} {_short(y(value))}"
            )
        parts.append(Markup('<path class="line s{}" d="{}"/>').format(index + 1, path))
        parts.append(_legend(index, line.name, _TOP + _PLOT_HEIGHT + _BOTTOM))
    return _svg(title, description, height, parts)


def bar_chart(
    title: str, description: str, names: Sequence[str], groups: Sequence[tuple[str, list[Decimal]]]
) -> Markup:
    """Draw horizontal bars in groups.

    Args:
        title: name of the drawing.
        description: what it shows, in a sentence, with the unit.
        names: of the bars of each group, at most four.
        groups: name and values of each group.
    """
    if not groups:
        return Markup()
    bar, gap, heading = 12, 12, 17
    largest = max((value for _, values in groups for value in values), default=Decimal(0))
    _, high, _ = _scale(Decimal(0), largest)
    group_height = heading + bar * len(names) + gap
    top = 4
    bottom = top + group_height * len(groups)
    parts = []
    for number, (name, values) in enumerate(groups):
        y = top + number * group_height
        parts.append(Markup('<text x="4" y="{}">{}</text>').format(y + 12, _clipped(name, 50)))
        for index, value in enumerate(values):
            width = (WIDTH - 110) * float(max(value, Decimal(0)) / high)
            at = y + heading + index * bar
            parts.append(
                Markup(
                    '<rect class="bar s{}" x="4" y="{}" width="{}" height="{}"/>'
                    '<text class="small" x="{}" y="{}">{}</text>'
                ).format(
                    index + 1,
                    at,
                    _short(max(width, 1)),
                    bar - 2,
                    _short(10 + width),
                    at + bar - 3,
                    grouped(value),
                )
            )
    parts += [_legend(index, name, bottom, bar=True) for index, name in enumerate(names)]
    height = bottom + _LEGEND_ROW * math.ceil(len(names) / _LEGEND_COLUMNS)
    return _svg(title, description, height, parts)


def sankey(title: str, description: str, flows: Sequence[Flow]) -> Markup:
    """Draw who pays whom: payers on the left, payees on the right, bands as wide as the amounts.

    A party that pays and is paid stands on both sides, so that circles can be drawn. The part of a
    band that lies on cycles has a colour of its own.
    """
    flows = [flow for flow in flows if flow.amount > 0]
    if not flows:
        return Markup()
    gap, left, right = 14, 96, WIDTH - 96
    payers, payees = _totals(flows, "payer"), _totals(flows, "payee")
    total = sum((flow.amount for flow in flows), Decimal(0))
    most = max(len(payers), len(payees))
    plot = max(150, 34 * most)
    top = 24
    parts = [
        Markup('<text class="small" x="4" y="12">pays</text>'),
        Markup('<text class="small end" x="{}" y="12">is paid</text>').format(WIDTH - 4),
    ]

    def placed(parties: dict[str, Decimal]) -> dict[str, float]:
        y, places = top + gap * (most - len(parties)) / 2, {}
        for name, amount in parties.items():
            places[name] = y
            y += plot * float(amount / total) + gap
        return places

    starts, ends = placed(payers), placed(payees)
    for places, parties, x, text_x, kind in (
        (starts, payers, left - 6, left - 12, "end"),
        (ends, payees, right, right + 12, "start"),
    ):
        for name, amount in parties.items():
            tall = plot * float(amount / total)
            parts.append(
                Markup(
                    '<rect class="node" x="{}" y="{}" width="6" height="{}"/>'
                    '<text class="{}" x="{}" y="{}">{}</text>'
                ).format(
                    x,
                    _short(places[name]),
                    _short(max(tall, 1)),
                    kind,
                    text_x,
                    _short(places[name] + tall / 2 + 4),
                    _clipped(name, 12),
                )
            )
    from_y, to_y = dict(starts), dict(ends)
    for flow in flows:
        for amount, kind in (
            (flow.circulating, "circulating"),
            (flow.amount - flow.circulating, "outside"),
        ):
            if amount <= 0:
                continue
            tall = plot * float(amount / total)
            parts.append(_band(left, from_y[flow.payer], right, to_y[flow.payee], tall, kind))
            from_y[flow.payer] += tall
            to_y[flow.payee] += tall
    height = round(top + plot + gap * most)
    parts += _flow_legend(height)
    return _svg(title, description, height + _LEGEND_ROW, parts)


def network(title: str, description: str, flows: Sequence[Flow]) -> Markup:
    """Draw parties on an ellipse and an arrow for each direction in which one pays another."""
    flows = [flow for flow in flows if flow.amount > 0]
    if not flows:
        return Markup()
    parties = sorted({name for flow in flows for name in (flow.payer, flow.payee)})
    radius = 100.0 if len(parties) > _PAIR else 24.0
    middle = (WIDTH / 2, radius + 50)
    largest = max(flow.amount for flow in flows)
    places = {}
    for index, name in enumerate(parties):
        angle = 2 * math.pi * index / len(parties) - math.pi
        places[name] = (
            middle[0] + 120 * math.cos(angle),
            middle[1] + radius * math.sin(angle),
        )
    parts = []
    for flow in flows:
        kind = "circulating" if flow.circulating > 0 else "outside"
        width = 1.5 + 6.5 * float(flow.amount / largest)
        parts.append(_arrow(places[flow.payer], places[flow.payee], width, kind))
    for name, (x, y) in places.items():
        aside = -1 if x < middle[0] - 1 else 1
        parts.append(
            Markup(
                '<circle class="node" cx="{}" cy="{}" r="7"/>'
                '<text class="{}" x="{}" y="{}">{}</text>'
            ).format(
                _short(x),
                _short(y),
                "end" if aside < 0 else "start",
                _short(x + aside * 13),
                _short(y + 4),
                _clipped(name, 11),
            )
        )
    legend = 2 * radius + 82
    parts += _flow_legend(legend)
    return _svg(title, description, legend + _LEGEND_ROW, parts)


def _svg(title: str, description: str, height: float, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" role="img" viewBox="0 0 {} {}" aria-label="{}">{}</svg>'
    ).format(WIDTH, _short(height), f"{title}. {description}", Markup().join(parts))


def _grid(low: Decimal, high: Decimal, step: Decimal, y: Callable[[Decimal], float]) -> Markup:
    parts = []
    value = low
    while value <= high:
        at = y(value)
        parts.append(
            Markup(
                '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="small end" x="{}" '
                'y="{}">{}</text>'
            ).format(
                "grid" if value else "zero",
                _LEFT,
                WIDTH - _RIGHT,
                _short(at),
                _short(at),
                _LEFT - 6,
                _short(at + 4),
                grouped(value),
            )
        )
        value += step
    return Markup().join(parts)


def _days_axis(first: dt.date, last: dt.date, x: Callable[[dt.date], float]) -> Markup:
    months = (last.year - first.year) * _MONTHS_A_YEAR + last.month - first.month
    by_year = months > _MAX_MONTH_TICKS
    stride = max(1, math.ceil(months / (_MONTHS_A_YEAR if by_year else 1) / 5))
    parts = []
    for number in range(0, (months // _MONTHS_A_YEAR + 2 if by_year else months + 2), stride):
        if by_year:
            day = dt.date(first.year + number, 1, 1)
        else:
            month = first.month - 1 + number
            day = dt.date(first.year + month // _MONTHS_A_YEAR, month % _MONTHS_A_YEAR + 1, 1)
        if not first <= day <= last:
            continue
        at = _short(x(day))
        bottom = _TOP + _PLOT_HEIGHT
        parts.append(
            Markup(
                '<line class="tick" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
                '<text class="small middle" x="{0}" y="{3}">{4}</text>'
            ).format(
                at, bottom, bottom + 4, bottom + 17, f"{day:%Y}" if by_year else f"{day:%Y-%m}"
            )
        )
    return Markup().join(parts)


def _legend(index: int, name: str, top: float, *, bar: bool = False) -> Markup:
    x = _LEFT + index % _LEGEND_COLUMNS * 180
    y = top + index // _LEGEND_COLUMNS * _LEGEND_ROW + 12
    sample = (
        Markup('<rect class="bar s{}" x="{}" y="{}" width="22" height="9"/>').format(
            index + 1, x, y - 8
        )
        if bar
        else Markup('<line class="line s{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            index + 1, x, x + 22, y - 4, y - 4
        )
    )
    return sample + Markup('<text class="small" x="{}" y="{}">{}</text>').format(
        x + 28, y, _clipped(name, _MAX_LABEL)
    )


def _flow_legend(top: float) -> list[Markup]:
    return [
        Markup(
            '<rect class="band {}" x="{}" y="{}" width="22" height="10"/>'
            '<text class="small" x="{}" y="{}">{}</text>'
        ).format(kind, x, _short(top + 2), x + 28, _short(top + 11), text)
        for kind, x, text in (
            ("circulating", 60, "on cycles"),
            ("outside", 210, "does not come back"),
        )
    ]


def _band(x1: float, y1: float, x2: float, y2: float, tall: float, kind: str) -> Markup:
    half = (x1 + x2) / 2
    a, b, c, d = (_short(value) for value in (y1, y2, y2 + tall, y1 + tall))
    path = f"M{x1} {a}C{half} {a} {half} {b} {x2} {b}V{c}C{half} {c} {half} {d} {x1} {d}Z"
    return Markup('<path class="band {}" d="{}"/>').format(kind, path)


def _arrow(start: tuple[float, float], end: tuple[float, float], width: float, kind: str) -> Markup:
    (x1, y1), (x2, y2) = start, end
    dx, dy = x2 - x1, y2 - y1
    length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    # Bent to its left, so that both directions between two parties are seen.
    bend = 0.16 * length
    mx, my = (x1 + x2) / 2 + uy * bend, (y1 + y2) / 2 - ux * bend
    tx, ty = x2 - mx, y2 - my
    far = math.hypot(tx, ty) or 1.0
    tx, ty = tx / far, ty / far
    head = 6 + width
    px, py = x2 - tx * 9, y2 - ty * 9
    bx, by = px - tx * head, py - ty * head
    half = head / 2
    points = " ".join(
        f"{_short(x)},{_short(y)}"
        for x, y in ((px, py), (bx - ty * half, by + tx * half), (bx + ty * half, by - tx * half))
    )
    path = f"M{_short(x1)} {_short(y1)}Q{_short(mx)} {_short(my)} {_short(bx)} {_short(by)}"
    return Markup(
        '<path class="edge {0}" stroke-width="{1}" d="{2}"/>'
        '<polygon class="head {0}" points="{3}"/>'
    ).format(kind, _short(width), path, points)


def _totals(flows: Sequence[Flow], side: str) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for flow in flows:
        name = getattr(flow, side)
        totals[name] = totals.get(name, Decimal(0)) + flow.amount
    return totals


def _scale(low: Decimal, high: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Return lowest and highest mark of an axis that includes zero, and the step between marks."""
    low, high = min(low, Decimal(0)), max(high, Decimal(0))
    if low == high:
        return Decimal(0), Decimal(1), Decimal(1)
    rough = (high - low) / _TICKS
    power = Decimal(10) ** rough.adjusted()
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return (
        (low / step).to_integral_value("ROUND_FLOOR") * step,
        (high / step).to_integral_value("ROUND_CEILING") * step,
        step,
    )


def _clipped(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
