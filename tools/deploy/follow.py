"""A board's log: soft reset, then follow it until the board is connected, or says why not."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tools.deploy.errors import DeployError

CTRL_B, CTRL_C, CTRL_D = b"\x02", b"\x03", b"\x04"
_CONNECTED = re.compile(r"\[iot\] connected as (\S+)")
_RETRY = re.compile(r"\[iot\] (.*); trying again in (\d+) s")
_STOPPED = re.compile(r"^stopped: (.*)")
_STATUS = re.compile(r"no connection: .*\((\d+)\)")
_WIFI = {
    "201": "the network was not found: check ssid in wifi.json, and 2.4 GHz",
    "202": "the password is wrong: check wifi.json",
    "203": "the network refused the board",
}
"""Status of a WLAN station: MicroPython, "network.WLAN", ESP32 port."""


@dataclass(frozen=True)
class Outcome:
    """What following the log came to: device_name where it connected, else why not."""

    device_name: str | None
    why: str = ""


class Line:
    """A serial port opened for reading along; it stays open across soft resets."""

    def __init__(self, port: str) -> None:
        """Raises DeployError."""
        import serial  # type: ignore[import-untyped]

        self.port = port
        self._error = serial.SerialException
        try:
            self._serial: Any = serial.Serial(port, 115200, timeout=0.2, exclusive=True)
        except (serial.SerialException, OSError):
            raise DeployError(f"{port}: cannot be opened to follow the log") from None
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Type something. Raises DeployError."""
        try:
            self._serial.write(data)
        except (self._error, OSError):
            raise DeployError(f"{self.port}: the board was unplugged") from None

    def lines(self, until: float) -> Iterator[str]:
        """Lines as they come, until this time.monotonic(). Raises DeployError."""
        while time.monotonic() < until:
            try:
                data = self._serial.read(max(1, self._serial.in_waiting))
            except (self._error, OSError, TypeError):
                raise DeployError(f"{self.port}: the board was unplugged") from None
            *whole, self._rest = (self._rest + data).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace").rstrip("\r").lstrip("\x04>")

    def close(self) -> None:
        """Let go of the port; the board runs on."""
        with contextlib.suppress(self._error, OSError):
            self._serial.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()


def restart_and_follow(
    port: str, timeout: float, on_line: Callable[[str], None] | None = None
) -> Outcome:
    """Soft-reset the board, and follow its log until it is connected.

    timeout: seconds for all of it, boot.py and main.py. It ends earlier where nothing more can
    come: the program stopped, or it waits longer than that until it tries again.
    on_line: called with each line. Raises DeployError when the port goes away.
    """
    until = time.monotonic() + timeout
    why = wifi = ""
    started = crashed = False
    with Line(port) as line:
        line.send(b"\r" + CTRL_C)  # whatever runs
        time.sleep(0.1)
        line.send(b"\r" + CTRL_B + CTRL_D)
        for text in line.lines(until):
            if "soft reboot" in text:
                started = True
                continue
            if not started or not text.strip():
                continue
            if on_line is not None:
                on_line(text)
            if connected := _CONNECTED.search(text):
                return Outcome(connected[1])
            if stopped := _STOPPED.match(text):
                return Outcome(None, stopped[1])
            if text.startswith('Type "help()"'):
                return Outcome(None, why or "main.py ended; the board is at its prompt")
            if status := _STATUS.search(text):
                wifi = _WIFI.get(status[1], f"Wi-Fi status {status[1]}")
            elif "wifi: connected" in text:
                wifi = ""
            if retry := _RETRY.search(text):
                why = retry[1]
                if time.monotonic() + int(retry[2]) > until:
                    break
            if text.startswith("Traceback"):
                crashed = True
            elif crashed and not text.startswith(" "):
                return Outcome(None, f"main.py raised {text}")
    if not started:
        return Outcome(None, "the board did not restart; press its reset button")
    if wifi:
        return Outcome(None, f"no Wi-Fi: {wifi}")
    return Outcome(None, why or f"it has not said that it is connected within {timeout:.0f} s")
