"""What can be done to a board's flash, and what a power cycle comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["until", "repl", "reset", "power cut", "timeout", "exit", "corrupt"]


@dataclass(frozen=True)
class Cut:
    """Power is lost at the flash operation with this number (1 is the first of the boot).

    Programs and erases count. when: "before" it, in the "middle" (the first half of the bytes has
    been written), or "after" it.
    """

    operation: int
    when: Literal["before", "middle", "after"] = "before"


@dataclass(frozen=True)
class FlashFault:
    """Flash that cannot be changed: one block, or all of it (block None).

    silent: programming reports success all the same, as a worn block may.
    """

    block: int | None = None
    silent: bool = False


@dataclass(frozen=True)
class FlashUse:
    """What was done to the flash: numbers of operations, and bytes."""

    programs: int = 0
    erases: int = 0
    reads: int = 0
    """Each stops both cores of a chip and switches its cache off: the figure that counts."""
    bytes_read: int = 0
    bytes_programmed: int = 0


@dataclass(frozen=True)
class BootResult:
    """What one power cycle came to."""

    output: str
    """Everything on the serial line, line ends as "\\n"."""
    ending: Ending
    flash: FlashUse
    resets: int
    """How often the chip started again within this power cycle, soft resets included."""
    seconds: float
    heap_before_boot: int
    """Bytes that the interpreter and the simulator had on the heap when boot.py began."""
    heap_peak: int = 0
    """The most bytes that lived on the heap after any collection since boot.py began, of a board
    with `chip_heap` or `heap_sample`; `heap_before_boot` is part of it. Between collections more
    may have lived: the smaller `heap_sample`, the less can hide."""
    heap_crossed: bool = False
    """Whether the heap grew into the network's memory, of a board with `chip_heap`."""

    died_of: str | None = None
    """Name of the signal, such as SIGSEGV, that the interpreter itself died of, if it did."""

    @property
    def heap_peak_wk(self) -> float:
        """`heap_peak` in KiB of a chip, whose words are half as long."""
        return self.heap_peak / 2 / 1024

    @property
    def flash_operations(self) -> int:
        """Programs and erases: the operations that a power cut can hit."""
        return self.flash.programs + self.flash.erases
