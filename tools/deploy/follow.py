"""A board's log: soft reset, then follow it until the application runs, or says why not."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tools.deploy.errors import DeployError
from tools.deploy.line import apart, why_closed

CTRL_B, CTRL_C, CTRL_D = b"\x02", b"\x03", b"\x04"
SETTLE = 5.0
"""Seconds that an application has to run, once connected, before it is said to run."""
_CONNECTED = re.compile(r"\[iot\] connected as (\S+)")
_RETRY = re.compile(r"\[iot\] (.*); trying again in (\d+) s")
_STOPPED = re.compile(r"^stopped: (.*)")
_STATUS = re.compile(r"wifi: no connection\b.*?(\d+)\)?$")
_FRAME = re.compile(r'^ +File "([^"]+)", line (\d+)(?:, in (\S+))?')
_RESET = re.compile(r"^(?:rst:0x|Guru Meditation|MPY: soft reboot)|\[iot\] wifi: connecting")
"""What comes when the board starts anew: from the ROM, the firmware, boot.py."""
_WOKE = "rst:0x5 "
"""What the ROM says after deep sleep: the application has done what it does."""
_WIFI = {
    "201": "the network was not found: check ssid in wifi.json, and 2.4 GHz",
    "202": "the password is wrong: check wifi.json",
    "203": "the network refused the board",
}
"""Status of a WLAN station: MicroPython, "network.WLAN", ESP32 port."""


@dataclass(frozen=True)
class Outcome:
    """What following the log came to: device_name where the application runs, else why not."""

    device_name: str | None
    why: str = ""
    was: str | None = None
    """The name it was connected as before it failed."""


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
            why = why_closed(port) or "another program has it"
            raise DeployError(f"{port}: {why}") from None
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Type something. Raises DeployError."""
        try:
            self._serial.write(data)
        except (self._error, OSError):
            raise DeployError(f"{self.port}: the board was unplugged") from None

    def pulse_reset(self) -> None:
        """Pull the reset line that the usual USB adapters are wired to. Raises DeployError."""
        try:
            self._serial.dtr = False
            self._serial.rts = True
            time.sleep(0.1)
            self._serial.rts = False
        except (self._error, OSError):
            raise DeployError(
                f"{self.port}: no reset line; press the board's reset button"
            ) from None

    def lines(self, until: float | Callable[[], float]) -> Iterator[str]:
        """Lines as they come, until this time.monotonic(). Raises DeployError."""
        return (line for line, _ in apart(self._lines(until)))

    def _lines(self, until: float | Callable[[], float]) -> Iterator[str]:
        while time.monotonic() < (until() if callable(until) else until):
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


class Judge:
    """Reads a board's log from its soft reset on, and says what it comes to.

    timeout: seconds until it must be connected. settle: seconds that it must then run.
    """

    def __init__(self, timeout: float, settle: float) -> None:
        self._timeout = timeout
        self._settle = settle
        self._deadline = time.monotonic() + timeout
        self.started = False
        self._name = ""  # of the device, while it is connected
        self._settled = 0.0  # when it will have run for long enough
        self._why = self._wifi = ""
        self._frames: list[str] | None = None  # of a traceback that is being printed

    def until(self) -> float:
        """When there is nothing more to wait for, as time.monotonic() counts."""
        return self._settled if self._name else self._deadline

    def read(self, text: str) -> Outcome | None:
        """Take a line: what it all came to, None while that is open."""
        if "soft reboot" in text and not self.started:
            self.started = True
            return None
        if not self.started or not text.strip():
            return None
        if self._frames is not None:
            return self._traceback(text)
        if text.startswith("Traceback"):
            self._frames = []
            self._settled += 2  # the rest of it is on its way
        elif self._name and text.startswith(_WOKE):
            return Outcome(self._name)
        elif self._name and _RESET.search(text):
            return self._dead("the board reset itself")
        elif connected := _CONNECTED.search(text):
            self._name = connected[1]
            self._settled = time.monotonic() + self._settle
        elif stopped := _STOPPED.match(text):
            return self._dead(stopped[1])
        elif text.startswith('Type "help()"'):
            return self._dead(
                (not self._name and self._why) or "main.py ended; the board is at its prompt"
            )
        elif retry := _RETRY.search(text):
            self._why, self._name = retry[1], ""
            if time.monotonic() + int(retry[2]) > self._deadline:
                return self.end()
        elif status := _STATUS.search(text):
            self._wifi = _WIFI.get(status[1], f"Wi-Fi status {status[1]}")
        elif "wifi: connected" in text:
            self._wifi = ""
        return None

    def _traceback(self, text: str) -> Outcome | None:
        frame = _FRAME.match(text)
        if frame:
            place = f"{frame[1]}, line {frame[2]}"
            named = frame[3] and not frame[3].startswith("<")
            self._frames = [*(self._frames or []), place + (f", in {frame[3]}" if named else "")]
            return None
        if text.startswith(" "):
            return None
        own = [place for place in self._frames or [] if place.startswith(("main.py", "boot.py"))]
        where = f" ({own[-1]})" if own else ""
        return self._dead(f"main.py raised {text.rstrip(': ')}{where}")

    def _dead(self, why: str) -> Outcome:
        return Outcome(None, why, self._name or None)

    def end(self) -> Outcome:
        """What it came to when the time was over."""
        if self._frames is not None:
            return self._dead("main.py raised an exception")
        if self._name:
            return Outcome(self._name)
        if not self.started:
            return Outcome(None, "the board did not restart; press its reset button")
        if self._wifi:
            return Outcome(None, f"no Wi-Fi: {self._wifi}")
        late = f"it has not said that it is connected within {self._timeout:.0f} s"
        return Outcome(None, self._why or late)


def restart_and_follow(
    port: str,
    timeout: float,
    on_line: Callable[[str], None] | None = None,
    *,
    settle: float = SETTLE,
) -> Outcome:
    """Soft-reset the board, and follow its log until the application has run for a while.

    timeout: seconds to be connected in, boot.py and main.py. It ends earlier where nothing more
    can come: the program stopped, or it waits longer than that until it tries again.
    on_line: called with each line. settle: seconds it must run on once it is connected.
    Raises DeployError when the port goes away.
    """
    judge = Judge(timeout, settle)
    with Line(port) as line:
        line.send(b"\r" + CTRL_C)  # whatever runs
        time.sleep(0.1)
        line.send(b"\r" + CTRL_B + CTRL_D)
        for text in line.lines(judge.until):
            shown = judge.started and text.strip() and "soft reboot" not in text
            outcome = judge.read(text)
            if shown and on_line is not None:
                on_line(text)
            if outcome is not None:
                return outcome
    return judge.end()
