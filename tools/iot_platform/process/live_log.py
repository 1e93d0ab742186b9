"""Events as lines for a reader: what `python -m tools.iot_platform` shows while it runs."""

from __future__ import annotations

import contextlib
import time

from rich.console import Console
from rich.text import Text

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
_QUIET = ("connection", "tls", "deliver")
"""Shown only when asked for: each is followed by an event that says more."""


class LiveLog:
    """Prints one line for each event; colour where the console has it."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose

    def show(self, event: Event) -> None:
        """Prints an event."""
        if self._verbose or event.kind not in _QUIET:
            # A reader that went away must not stop the platform: rich raises SystemExit then.
            with contextlib.suppress(OSError, SystemExit):
                self._console.print(line(event), soft_wrap=True, highlight=False)


def line(event: Event) -> Text:
    """One event as one line: time, kind, device, code, details."""
    refused = event.code is not None and event.code not in (0, 200)
    style = "bold red" if refused else _STYLES.get(event.kind, "")
    text = Text()
    text.append(time.strftime("%H:%M:%S", time.localtime(event.at)), style="dim")
    text.append(f"  {event.kind:<11}", style=style)
    if event.product_key or event.device_name:
        text.append(f" {event.product_key or '?'}/{event.device_name or '?'}")
    if event.code is not None:
        text.append(f" {_code(event)}", style="bold red" if refused else "")
    for name, value in event.details.items():
        text.append(f" {name}=", style="dim")
        text.append(str(value))
    return text


def _code(event: Event) -> str:
    if event.kind == "connect":
        return "closed without CONNACK" if event.code == 256 else f"CONNACK {event.code}"
    return str(event.code)
