"""The charts of docs/benchmark.md and docs/reliability.md."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from tools import charts

SVG = "{http://www.w3.org/2000/svg}"
SERIES = {"all": [(1.0, 0.3), (10.0, 1.2), (100.0, 12.0)], "one": [(1.0, 0.3), (100.0, 3.0)]}
GROUPS = {"first boot": {"this package": 19.2, "naive": 1340.0}, "later": {"this package": 19.7}}


def _lines() -> str:
    return charts.lines("Boards <come> online", "boards", "seconds", SERIES)


def _bars() -> str:
    return charts.bars("Least heap", "wK", GROUPS)


def _texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_line_chart_has_its_title_axes_and_names_as_text() -> None:
    assert {"Boards <come> online", "boards", "seconds", "all", "one", "100"} <= set(
        _texts(_lines())
    )


def test_a_linear_y_axis_begins_at_zero() -> None:
    level = {"heap": [(1.0, 46.0), (1000.0, 46.5)]}
    assert "0" in _texts(charts.lines("Heap", "sub-devices", "wK", level, log_up=False))


def test_a_bar_chart_has_its_values_and_units() -> None:
    texts = _texts(_bars())
    assert {"first boot", "later", "naive", "1,340 wK", "19.2 wK", "19.7 wK"} <= set(texts)
    assert texts.count("this package") == 2


@pytest.mark.parametrize("draw", [_lines, _bars])
def test_the_same_data_gives_the_same_file(draw: Callable[[], str]) -> None:
    assert draw() == draw()
