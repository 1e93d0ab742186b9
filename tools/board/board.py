"""A simulated ESP32: its flash, and the world around it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.board.results import BootResult, Cut, Ending, FlashFault
from tools.board.session import Session
from tools.image.filesystem import list_files, read_file, write_file
from tools.private import write_private

EPOCH_2000 = 946684800
"""Unix time of the chip's clock when power comes on."""


def _unix_seconds(text: str) -> float:
    """ "1700000000" or "2027-01-01 00:00:00" (UTC)."""
    try:
        return float(text)
    except ValueError:
        return calendar.timegm(time.strptime(text.replace("T", " "), "%Y-%m-%d %H:%M:%S"))


class Board:
    """One board. What it keeps without power lies in its folder, so it can be picked up again.

    Its surroundings (`wifi`, `resolve`, `ntp`) may be changed at any time, while it runs too.
    """

    def __init__(
        self,
        image: bytes | None,
        folder: Path,
        mac: str = "246f28aabbcc",
        *,
        resolve: Mapping[str, str] | None = None,
        wifi: Mapping[str, str | int | None] | None = None,
        ntp: str = "ok",
        heap: str | None = None,
        power_cut: Cut | None = None,
        flash_fault: FlashFault | None = None,
        firmware: str = "1.28.0",
        frozen: Path | None = None,
        join_seconds: float = 0.02,
        hurry: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        """
        image: content of the flash partition `vfs`; None keeps what the folder holds.
        folder: of this board alone; made if need be.
        mac: base MAC address, 12 hex digits (separators are dropped).
        resolve: the DNS: name -> address, or name:port -> address:port; "*" is any name.
        wifi: networks in the air: ssid -> password, "*" being any; an int is the status that
          joining ends with; None (the default) lets every network be joined. {} is radio silence.
        ntp: "ok"; "blocked" (it times out); "short" (too few bytes come); "lies:<time>", Unix
          seconds or "2027-01-01 00:00:00".
        heap: of the interpreter, as `-X heapsize=` takes it: "64wK" is 64 KiB of a 32-bit chip.
        power_cut: applies to the next boot only. flash_fault: stays until it is set to None.
        firmware: version that `sys.implementation` gives.
        frozen: folder with sources of the modules that firmware freezes, umqtt by default.
        join_seconds: time that joining a network takes.
        hurry: sleeps pass this many times faster, and the ticks count their full length; waits
          for the network, and the wall clock, keep their pace.
        options: more options of the interpreter.
        """
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        digits = mac.lower().replace(":", "").replace("-", "")
        if len(bytes.fromhex(digits)) != 6:
            raise ValueError(f'mac: "{mac}"; expected 12 hex digits')
        self.mac = digits
        self.heap = heap
        self.power_cut = power_cut
        self.flash_fault = flash_fault
        self.frozen = frozen
        self.hurry = hurry
        self.options = tuple(options)
        self._put("mac", digits)
        self._put("firmware", firmware)
        self._join_milliseconds = int(join_seconds * 1000)
        self.wifi = wifi
        self.resolve = resolve or {}
        self.ntp = ntp
        if image is not None:
            self.flash = image
        elif not self._flash_path.exists():
            raise FileNotFoundError(f"{self._flash_path}: the board has no flash image yet")

    def _put(self, name: str, text: str) -> None:
        """Write a file that the chip may be reading: it sees the old or the new one."""
        temporary = self.folder / f".{name}"
        write_private(temporary, text.encode())  # the air has passwords in it
        temporary.replace(self.folder / name)

    # --- the world around it

    @property
    def wifi(self) -> Mapping[str, str | int | None] | None:
        """The networks in the air."""
        return self._wifi

    @wifi.setter
    def wifi(self, networks: Mapping[str, str | int | None] | None) -> None:
        self._wifi = networks
        lines = [str(self._join_milliseconds)]
        for ssid, password in ({"*": "*"} if networks is None else networks).items():
            mark = f"\x01{password}" if isinstance(password, int) else password or ""
            lines.append(f"{ssid}\t{mark}")
        self._put("air", "\n".join(lines))

    @property
    def resolve(self) -> Mapping[str, str]:
        """The DNS."""
        return self._resolve

    @resolve.setter
    def resolve(self, table: Mapping[str, str]) -> None:
        self._resolve = table
        self._put("names", "\n".join(f"{name} {target}" for name, target in table.items()))

    @property
    def ntp(self) -> str:
        """The time server: "ok", "blocked", "short" or "lies:<time>"."""
        return self._ntp

    @ntp.setter
    def ntp(self, behaviour: str) -> None:
        kind, _, moment = behaviour.partition(":")
        if kind == "lies":
            self._put("ntp", str(_unix_seconds(moment)))
        elif behaviour in ("ok", "blocked", "short"):
            self._put("ntp", behaviour)
        else:
            raise ValueError(f'ntp: "{behaviour}"; expected ok, blocked, short or lies:<time>')
        self._ntp = behaviour

    # --- what it keeps

    @property
    def _flash_path(self) -> Path:
        return self.folder / "flash.bin"

    @property
    def flash(self) -> bytes:
        """The whole flash partition `vfs`."""
        return self._flash_path.read_bytes()

    @flash.setter
    def flash(self, image: bytes) -> None:
        write_private(self._flash_path, image)

    def read(self, path: str) -> bytes | None:
        """Content of a file on the flash, None if there is none. The power must be off."""
        return read_file(self.flash, path)

    def write(self, path: str, data: bytes | None) -> None:
        """Put a file on the flash, or remove it where data is None. The power must be off."""
        self.flash = write_file(self.flash, path, data)

    def files(self) -> dict[str, int]:
        """Path -> size in bytes, of every file on the flash. The power must be off."""
        return list_files(self.flash)

    # --- resets

    def power_on_state(self) -> None:
        """What a loss of power makes the chip forget: clock, RTC memory, radio."""
        self._put("clock", f"{EPOCH_2000 - time.time():+.6f}")
        self._put("rtc", "")
        self._put("wlan", "")

    def hard_reset_state(self) -> None:
        """What a reset makes it forget: the radio. The clock and RTC memory stay."""
        self._put("wlan", "")

    @property
    def clock(self) -> float:
        """Unix time by the chip's clock."""
        return time.time() + float((self.folder / "clock").read_text())

    # --- power

    def power_on(self, max_boots: int = 1, echo: Callable[[bytes], None] | None = None) -> Session:
        """Switch it on and leave it running: `with board.power_on() as session: ...`

        max_boots: how many times the chip may start before a reset ends the session.
        echo: called with whatever comes on the serial line.
        """
        cut, self.power_cut = self.power_cut, None
        return Session(self, cut, max_boots, echo)

    def boot(
        self,
        until: str | None = None,
        timeout: float = 30,
        *,
        then: Sequence[str] = (),
        send: str | None = None,
        max_boots: int = 1,
        power_cut: Cut | None = None,
        echo: Callable[[bytes], None] | None = None,
    ) -> BootResult:
        """One power cycle: boot.py, main.py, REPL. The power is off when this returns.

        until: regular expression; the power is cut as soon as the output matches it.
        timeout: seconds until the power is cut in any case.
        then: lines typed at the REPL once it is reached, each after the prompt.
        send: put on the serial line at once. max_boots: see `power_on`.
        """
        if power_cut is not None:
            self.power_cut = power_cut
        with self.power_on(max_boots, echo) as session:
            if send is not None:
                session.send(send)
            ending: Ending = session.wait(until, timeout)
            if ending == "repl":
                for line in then:
                    session.repl(line, timeout)
                    if session.ending is not None:
                        ending = session.ending
                        break
        return session.result(ending)
