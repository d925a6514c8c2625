"""Charts are well-formed, state what they show, and draw what they are given."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from xml.etree import ElementTree as ET

from gigaledger.web.charts import Flow, Line, bar_chart, magnitude, network, sankey, step_chart

HOSTILE = "<b>&\"'</b>"
D = Decimal


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - drawn by us


def elements(svg: str, tag: str, kind: str = "") -> list[ET.Element]:
    root = parsed(svg)
    return [
        item for item in root.iter(tag) if kind in (item.get("class") or "").split() or not kind
    ]


def line(*values: int) -> Line:
    first = dt.date(2026, 1, 1)
    return Line("certified", [(first + dt.timedelta(n), D(v)) for n, v in enumerate(values)])


def test_a_line_keeps_its_value_until_the_next_day() -> None:
    [path] = elements(step_chart("t", "d", [line(0, 5, 10)]), "path")

    assert path.get("d") == "M46 182H227V97H408V12"


def test_an_axis_includes_zero_below_and_above() -> None:
    texts = [item.text for item in elements(step_chart("t", "d", [line(-30, 60)]), "text")]

    assert "0" in texts
    assert "-50" in texts
    assert "100" in texts


def test_a_chart_of_one_day_or_of_nothing_but_zero() -> None:
    assert elements(step_chart("t", "d", [line(3)]), "path")
    assert elements(step_chart("t", "d", [line(0, 0)]), "path")
    assert step_chart("t", "d", []) == ""


def test_names_are_text() -> None:
    flows = [Flow(HOSTILE, "B", D(2), D(1)), Flow("B", HOSTILE, D(1), D(1))]
    for svg in (
        step_chart(HOSTILE, HOSTILE, [Line(HOSTILE, line(1, 2).points)]),
        bar_chart(HOSTILE, HOSTILE, [HOSTILE], [(HOSTILE, [D(1)])]),
        sankey(HOSTILE, HOSTILE, flows),
        network(HOSTILE, HOSTILE, flows),
    ):
        root = parsed(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == f"{HOSTILE}. {HOSTILE}"
        assert not list(root.iter("b"))


def test_bands_are_as_tall_as_the_amounts_they_stand_for() -> None:
    svg = sankey("t", "d", [Flow("A", "B", D(75), D(25)), Flow("B", "A", D(25), D(25))])

    nodes = [float(item.get("height") or 0) for item in elements(svg, "rect", "node")]
    assert nodes == [112.5, 37.5, 112.5, 37.5]
    assert len(elements(svg, "path", "circulating")) == 2
    assert len(elements(svg, "path", "outside")) == 1


def test_a_network_has_an_arrow_for_each_direction() -> None:
    flows = [Flow("A", "B", D(3), D(1)), Flow("B", "A", D(1), D(1)), Flow("B", "C", D(2), D(0))]

    svg = network("t", "d", flows)

    assert len(elements(svg, "circle", "node")) == 3
    assert len(elements(svg, "path", "edge")) == 3
    assert len(elements(svg, "polygon", "head")) == 3


def test_flows_of_nothing_are_not_drawn() -> None:
    assert sankey("t", "d", [Flow("A", "B", D(0), D(0))]) == ""
    assert network("t", "d", []) == ""


def test_magnitudes() -> None:
    assert magnitude([D(-2_000_000_000), D(5)]) == (D(10) ** 9, "billion")
    assert magnitude([D(999)]) == (D(1), "")
    assert magnitude([]) == (D(1), "")
