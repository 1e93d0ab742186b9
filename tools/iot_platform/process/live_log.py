"""Events as lines for a reader: what `python -m tools.iot_platform` shows while it runs."""

from __future__ import annotations

import contextlib
import functools
import time

from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style

from tools.iot_platform.store.record import Event

_STYLES = {
    "register": "bold cyan",
    "connect": "bold green",
    "activate": "bold green",
    "online": "green",
    "offline": "yellow",
    "disconnect": "yellow",
    "notice": "yellow",
    "fault": "magenta",
    "tls-failed": "red",
    "undelivered": "red",
    "admin": "bold",
}
_REFUSED = "bold red"
_QUIET = ("connection", "tls", "deliver")
"""Shown only when asked for: each is followed by an event that says more."""


class LiveLog:
    """Prints one line for each event; colour where the console has it.

    A busy platform prints thousands a second: rich only says which colours there are.
    """

    def __init__(self, console: Console, verbose: bool) -> None:
        self._file = console.file
        self._encoding = console.encoding
        self._verbose = verbose
        self._colours = COLOR_SYSTEMS.get(console.color_system or "")

    def show(self, event: Event) -> None:
        """Prints an event."""
        if not self._verbose and event.kind in _QUIET:
            return
        text = "".join(self._paint(piece, style) for piece, style in _pieces(event))
        # A reader that went away must not stop the platform.
        with contextlib.suppress(OSError, ValueError):
            known = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
            self._file.write(known + "\n")
            self._file.flush()

    def _paint(self, text: str, style: str) -> str:
        if not style or self._colours is None:
            return text
        return _style(style).render(text, color_system=self._colours)


def line(event: Event) -> str:
    """One event as one line: time, kind, device, code, details."""
    return "".join(text for text, _ in _pieces(event))


@functools.cache
def _style(name: str) -> Style:
    return Style.parse(name)


@functools.lru_cache(maxsize=2)
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def _pieces(event: Event) -> list[tuple[str, str]]:
    """Text and style."""
    refused = event.code is not None and event.code not in (0, 200)
    pieces = [
        (_clock(int(event.at)), "dim"),
        (f"  {event.kind:<11}", _REFUSED if refused else _STYLES.get(event.kind, "")),
    ]
    if event.product_key or event.device_name:
        who = f"{event.product_key or '?'}/{event.device_name or '?'}"
        if event.product_key and not event.device_name:
            who = event.product_key  # it is about the product
        pieces.append((f" {_shown(who)}", ""))
    if event.code is not None:
        pieces.append((f" {_code(event)}", _REFUSED if refused else ""))
    for name, value in event.details.items():
        pieces.append((f" {name}=", "dim"))
        pieces.append((_shown(str(value)), ""))
    return pieces


def _shown(text: str) -> str:
    """Text that a client chose: nothing in it reaches the terminal as a command."""
    return text if text.isprintable() else repr(text)[1:-1]


def _code(event: Event) -> str:
    if event.kind == "connect":
        return "closed without CONNACK" if event.code == 256 else f"CONNACK {event.code}"
    return str(event.code)
