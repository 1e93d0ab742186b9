"""A simulated board whose main.py uses the radio."""

from __future__ import annotations

from pathlib import Path

from tools.board import Board
from tools.board.air import Networks
from tools.image import build_image

HELPERS = """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
def watch(end, seconds=5):
    '''Each new status, until it is `end`.'''
    seen = [wlan.status()]
    until = time.ticks_add(time.ticks_ms(), int(seconds * 1000))
    while seen[-1] != end and time.ticks_diff(until, time.ticks_ms()) > 0:
        if wlan.status() != seen[-1]: seen.append(wlan.status())
        time.sleep_ms(1)
    return seen
def wait(condition):
    until = time.ticks_add(time.ticks_ms(), 5000)
    while not condition() and time.ticks_diff(until, time.ticks_ms()) > 0: time.sleep_ms(1)
"""
HOME = {"home": "password"}


def make_board(
    folder: Path, main: str, wifi: Networks | None, join_seconds: float = 0.02
) -> Board:
    image = build_image(boot=HELPERS, main=main, lib=None, roots=[])
    return Board(image, folder, wifi=wifi, join_seconds=join_seconds)


def said(folder: Path, main: str, wifi: Networks | None) -> str:
    """The first line that the board prints."""
    run = make_board(folder, main, wifi).boot(r"\n", timeout=15)
    return run.output.partition("\n")[0]
