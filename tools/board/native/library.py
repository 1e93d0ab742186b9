"""The interpreter's library in memory: its calls led elsewhere, its tables rewritten.

Runs inside the process that plays the chip, with no more of CPython than `ctypes`.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

WORD = ctypes.sizeof(ctypes.c_void_p)


class Library:
    """slots: function -> offset of the slot that calls of it go through. module: its file.

    base: (a function that the library defines, its offset).
    """

    def __init__(self, module: str, slots: dict[str, int], base: tuple[str, int]) -> None:
        self.own = ctypes.CDLL(module)
        self.c = ctypes.CDLL(None, use_errno=True)
        name, offset = base
        self._base = self.address(name) - offset
        self._slots = slots
        self._kept: list[object] = []  # a callback that is collected is a crash

    def address(self, name: str) -> int:
        """Of a function or a variable that the library defines."""
        return ctypes.addressof(ctypes.c_char.in_dll(self.own, name))

    def word(self, address: int) -> int:
        """What is at this address of memory."""
        return int(ctypes.c_size_t.from_address(address).value)

    def put(self, address: int, value: int) -> None:
        """Write a word, be it where only the loader may write."""
        page = address & -mmap.PAGESIZE
        length = address + WORD - page
        self.c.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(length), 3)  # read and write
        ctypes.c_size_t.from_address(address).value = value

    def replace(
        self, name: str, prototype: Any, make: Callable[[Any], Callable[..., Any]]
    ) -> None:
        """Lead the library's calls of a function to make(the function itself).

        What is put there may be called wherever the function is. It must return, and raise
        nothing; the function itself must not leave by a jump either.
        """
        try:
            real = prototype((name, self.own))
        except AttributeError:
            real = prototype((name, self.c))
        callback = prototype(make(real))
        self._kept += [real, callback]
        slot = self._base + self._slots[name]
        self.put(slot, ctypes.cast(callback, ctypes.c_void_p).value or 0)
