"""What a simulated ESP32 is and keeps without power, and the world around it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.board.air import Networks, encode
from tools.board.interpreter import Native
from tools.board.results import Cut, FlashFault
from tools.image.filesystem import list_files, read_file, write_file
from tools.image.layout import NEWEST_FIRMWARE
from tools.private import write_private

EPOCH_2000 = 946684800
"""Unix time of the chip's clock when power comes on."""


def _unix_seconds(text: str) -> float:
    """ "1700000000" or "2027-01-01 00:00:00" (UTC)."""
    try:
        return float(text)
    except ValueError:
        return calendar.timegm(time.strptime(text.replace("T", " "), "%Y-%m-%d %H:%M:%S"))


class Hardware:
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
        wifi: Networks | None = None,
        ntp: str = "ok",
        heap: str | None = None,
        chip_heap: bool = False,
        heap_sample: int = 0,
        power_cut: Cut | None = None,
        flash_fault: FlashFault | None = None,
        firmware: str = NEWEST_FIRMWARE + ".0",
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
        wifi: networks in the air, see `air.Networks`: ssid -> password, "*" being any, or an
          `AccessPoint`; None (the default) lets every network be joined. {} is radio silence.
        ntp: "ok"; "blocked" (it times out); "short" (too few bytes come); "lies:<time>", Unix
          seconds or "2027-01-01 00:00:00".
        heap: of the interpreter, as `-X heapsize=` takes it: "64wK" is 64 KiB of a 32-bit chip.
        chip_heap: the heap begins with 64 KiB of a chip, and grows into the memory that the
          network lives on; `heap` is not heeded. See `BootResult.heap_crossed`.
        heap_sample: collect the heap each time so many bytes have been allocated, and note what
          lives, see `BootResult.heap_peak`; 0: look when a collection comes by itself.
        power_cut: applies to the next boot only. flash_fault: stays until it is set to None.
        firmware: version that `sys.implementation` gives. Below 1.28 TLS hands on errors of the
          stream below it with a minus, below 1.26 `json` takes a text that is cut off for a
          whole one: as those releases do.
        frozen: folder with sources of the modules that firmware freezes, umqtt by default.
        join_seconds: time that joining a network takes (a chip: 1.07); that nobody is there is
          told after 2.29 times as long, as on the chip.
        hurry: sleeps pass this many times faster, and the ticks count their full length; waits
          for the network, and the wall clock, keep their pace.
        options: more options of the interpreter.
        """
        self.folder = folder.absolute()
        try:  # MicroPython's paths are texts
            str(self.folder).encode()
        except UnicodeEncodeError:
            raise ValueError(f"folder: {str(self.folder)!a}; expected a name in UTF-8") from None
        self.folder.mkdir(parents=True, exist_ok=True)
        digits = mac.lower().replace(":", "").replace("-", "")
        if len(bytes.fromhex(digits)) != 6:
            raise ValueError(f'mac: "{mac}"; expected 12 hex digits')
        self.mac = digits
        self.heap = heap
        release = tuple(int(part) for part in firmware.split("."))
        self.lenient_json = release < (1, 26)
        self.native = Native(chip_heap, heap_sample, release < (1, 28))
        self.power_cut = power_cut
        self.flash_fault = flash_fault
        self.frozen = frozen
        self.hurry = hurry
        self.options = tuple(options)
        self._put("mac", digits)
        self._put("firmware", firmware)
        self._join_seconds = join_seconds
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
    def wifi(self) -> Networks | None:
        """The networks in the air."""
        return self._wifi

    @wifi.setter
    def wifi(self, networks: Networks | None) -> None:
        self._put("air", encode(networks, self._join_seconds))
        self._wifi = networks

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
