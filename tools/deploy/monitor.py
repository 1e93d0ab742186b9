"""The logs of several boards at once, each line with its board; a board may be replugged."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tools.deploy.errors import DeployError
from tools.deploy.follow import Line
from tools.deploy.ports import check_port, find_port

WAIT = 30.0
"""Seconds that a board may be unplugged."""
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


class Monitor:
    """Follows the boards at `ports`; the boards run on undisturbed.

    ports: as they were named, "id:..." too: such a one is found again at another port.
    wait: seconds for a board that was unplugged to come back.
    """

    def __init__(self, ports: Sequence[str], console: Console, wait: float = WAIT) -> None:
        self._ports = ports
        self._console = console
        self._wait = wait
        self._stop = threading.Event()
        self._errors: list[str] = []
        self._lock = threading.Lock()
        self._busy = len(ports)
        self._ended = threading.Event()

    def run(self) -> None:
        """Follow them until Ctrl-C, or until the last board is gone. Raises DeployError then."""
        first = [check_port(find_port(port)) for port in self._ports]
        lines = [Line(port) for port in first]
        boards = ", ".join(first)
        self._console.print(f"{boards}: the board's log; Ctrl-C ends this, the board runs on")
        threads = [
            threading.Thread(target=self._at_board, args=(number, line), daemon=True)
            for number, line in enumerate(lines)
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._ended.wait(0.2):  # as in tools.provision.run: not by Thread.join
                pass
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(2)
        raise DeployError("; ".join(self._errors) or "every board is gone")

    def _label(self, number: int, port: str) -> str:
        if len(self._ports) == 1:
            return ""
        colour = _COLOURS[number % len(_COLOURS)]
        return f" [{colour}]{escape(Path(port).name)}[/{colour}]"

    def _say(self, number: int, port: str, text: str) -> None:
        now = time.strftime("%H:%M:%S")
        self._console.print(f"{now}{self._label(number, port)} {text}")

    def _at_board(self, number: int, line: Line) -> None:
        try:
            self._follow(number, line)
        finally:
            with self._lock:
                self._busy -= 1
                if not self._busy:
                    self._ended.set()

    def _follow(self, number: int, line: Line) -> None:
        while True:
            try:
                with line:
                    for text in line.lines(self._until):
                        self._say(number, line.port, escape(text))
                return  # stopped
            except DeployError as e:
                unplugged = str(e)
            again = self._back(number, line.port)
            if again is None:
                self._errors.append(unplugged)
                return
            line = again

    def _until(self) -> float:
        return 0.0 if self._stop.is_set() else float("inf")

    def _back(self, number: int, port: str) -> Line | None:
        """The line to a board that is plugged in again; None if it is not."""
        until = time.monotonic() + self._wait
        if self._wait:
            self._say(number, port, f"[dim]-- unplugged; waiting {self._wait:.0f} s for it[/dim]")
        while time.monotonic() < until and not self._stop.wait(0.2):
            try:
                found = find_port(self._ports[number]) if self._named(number) else port
                line = Line(check_port(found))
            except DeployError:
                continue  # not yet
            self._say(number, found, "[dim]-- plugged in again[/dim]")
            return line
        return None

    def _named(self, number: int) -> bool:
        return self._ports[number].startswith("id:")
