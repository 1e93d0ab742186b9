"""A board with `hurry` sleeps a fraction of the time, but its ticks count all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.board import Board
from tools.image import build_image

MAIN = """
import time
began = time.ticks_ms(), time.ticks_us(), time.time()
time.sleep(100)
time.sleep_ms(5000)
time.sleep_us(7000)
print("ms", time.ticks_diff(time.ticks_ms(), began[0]))
print("us", time.ticks_diff(time.ticks_us(), began[1]))
print("wall", time.time() - began[2])
"""


@pytest.fixture
def measured(tmp_path: Path) -> dict[str, int]:
    image = build_image(boot=None, main=MAIN, lib=None, roots=[])
    result = Board(image, tmp_path, hurry=1000).boot("wall .*\n", timeout=10)
    assert result.seconds < 5
    lines = [line.split() for line in result.output.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def test_the_ticks_count_every_sleep_in_full(measured: dict[str, int]) -> None:
    assert 105_000 <= measured["ms"] < 110_000
    assert 105_007_000 <= measured["us"] < 110_000_000


def test_the_wall_clock_keeps_its_pace(measured: dict[str, int]) -> None:
    assert measured["wall"] < 5
