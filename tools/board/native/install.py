"""Makes the interpreter's library behave as the chip's firmware where Python code cannot."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Any

from errors import Errors, rewrite_module  # type: ignore[import-not-found]
from library import Library  # type: ignore[import-not-found]
from memory import IdfHeap, PythonHeap  # type: ignore[import-not-found]
from sockets import NO_ADDRESS, Sockets  # type: ignore[import-not-found]

WORDS = 16

_kept: list[object] = []


def install(module: str, settings: dict[str, Any]) -> int:
    """Returns the address of the memory that is shared with the chip's code and the host.

    module: file of the extension module. settings: see `interpreter._native`.
    """
    descriptor = os.open(settings["shared"], os.O_RDWR)
    memory = mmap.mmap(descriptor, WORDS * 4)
    os.close(descriptor)
    shared = (ctypes.c_uint32 * WORDS).from_buffer(memory)
    shared[NO_ADDRESS] = 1
    library = Library(module, settings["slots"], settings["base"])
    rewrite_module(library)
    idf = IdfHeap(library, shared)
    sockets = Sockets(library, shared)
    kept: list[object] = [memory, shared, Errors(library, settings["negated"]), idf, sockets]
    if settings["heap"] or settings["sample"]:
        heap = settings["heap"], settings["sample"]
        kept.append(PythonHeap(library, shared, idf, *heap, sockets.lose_packets))
    _kept.extend(kept)
    return ctypes.addressof(shared)
