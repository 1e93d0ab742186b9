"""What a power cycle costs: use of the flash, and the heap, across the interpreters it takes."""

from __future__ import annotations

import struct
from pathlib import Path

from tools.board.interpreter import SHARED, SHARED_WORDS
from tools.board.results import FlashUse

_COUNTERS = 5


class Meters:
    """The sum over all interpreters of a power cycle: the one that runs counts in files."""

    def __init__(self, folder: Path) -> None:
        self._counters = folder / "counters"
        self._shared = folder / SHARED
        self._use = FlashUse()
        self._crossed = False
        self.heap_peak = 0
        """Most bytes in use on the heap after boot.py began, of the interpreters that ended."""

    def restart(self) -> None:
        """Begin anew for the next interpreter."""
        self._counters.write_bytes(bytes(4 * _COUNTERS))
        self._shared.write_bytes(bytes(4 * SHARED_WORDS))

    def add(self, booted: bool) -> None:
        """Add what the interpreter that ended has counted; its heap only if boot.py had begun."""
        self._crossed = self.heap_crossed
        if booted:
            self.heap_peak = max(self.heap_peak, self._words()[1])
        self._use = self.running

    @property
    def ended(self) -> FlashUse:
        """What the interpreters that ended have done to the flash."""
        return self._use

    @property
    def running(self) -> FlashUse:
        """The same with the interpreter that runs."""
        counts = struct.unpack(f"{_COUNTERS}I", self._counters.read_bytes()[: 4 * _COUNTERS])
        use = self._use
        return FlashUse(
            use.programs + counts[0],
            use.erases + counts[1],
            use.reads + counts[2],
            use.bytes_read + counts[3],
            use.bytes_programmed + counts[4],
        )

    @property
    def heap_crossed(self) -> bool:
        """Whether the heap has grown into the network's memory since power-on."""
        return self._crossed or self._words()[0] > 0

    def _words(self) -> tuple[int, ...]:
        return struct.unpack(f"{SHARED_WORDS}I", self._shared.read_bytes())
