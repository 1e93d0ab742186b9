"""The chip's memory: a Python heap that begins small and grows into what the network lives on.

Stock firmware gives Python 64 KiB at first. Where an allocation still fails after a collection,
the heap is doubled out of the memory of Wi-Fi, lwIP and TLS, as far as that goes, for good. Each
TLS connection takes its buffers from there too. Sizes: what firmware 1.25.0 showed on a chip.

Here the interpreter gets both regions at once, as one heap of which the second half is kept out
of sight until the first is full.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from library import WORD, Library  # type: ignore[import-not-found]

GROWN, PEAK, COLLECTIONS, TLS, LEAST = range(5)
"""Words of the memory that chip and host share: bytes that the heap has grown by; the most that
lived on the heap; how often it was collected; bytes that TLS holds; the least that was free."""

IDF_FREE = 96336  # with Wi-Fi up and connected
TLS_BYTES = 24672  # of a connection, its handshake included
GROWTH = 64 * 1024
_ALLOC_FAILED = -0x7F00  # MBEDTLS_ERR_SSL_ALLOC_FAILED, which becomes ENOMEM

_ALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
_COLLECT = ctypes.CFUNCTYPE(None)
_INFO = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_size_t))
_SETUP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class IdfHeap:
    """What is left to the network."""

    def __init__(self, library: Library, shared: Any) -> None:
        self._shared = shared
        self._connections: set[int] = set()
        shared[LEAST] = IDF_FREE
        library.replace("mbedtls_ssl_setup", _SETUP, self._setup)
        library.replace("mbedtls_ssl_free", _FREE, self._free)

    @property
    def free(self) -> int:
        return int(IDF_FREE - self._shared[GROWN] - self._shared[TLS])

    def _note(self) -> None:
        self._shared[LEAST] = min(self._shared[LEAST], self.free)

    def grow(self, wanted: int) -> int:
        """Take memory for the Python heap: bytes, 0 where it is less than is wanted."""
        size = min(GROWTH, self.free * 7 // 8)
        if size < wanted:
            return 0
        self._shared[GROWN] += size
        self._note()
        return size

    def _setup(self, real: Callable[..., int]) -> Callable[..., int]:
        def setup(context: int, config: int) -> int:
            if self.free < TLS_BYTES:
                return _ALLOC_FAILED
            self._connections.add(context)
            self._shared[TLS] = len(self._connections) * TLS_BYTES
            self._note()
            return real(context, config)

        return setup

    def _free(self, real: Callable[..., None]) -> Callable[..., None]:
        def free(context: int) -> None:
            self._connections.discard(context)
            self._shared[TLS] = len(self._connections) * TLS_BYTES
            real(context)

        return free


class PythonHeap:
    """size: bytes of the first region, 0 for all there is. sample: bytes between two looks at
    what lives, each a collection; 0 for a look at the collections that come by themselves."""

    def __init__(
        self,
        library: Library,
        shared: Any,
        idf: IdfHeap,
        size: int,
        sample: int,
        grown: Callable[[], None],
    ) -> None:
        self._library = library
        self._shared = shared
        self._idf = idf
        self._size = size
        self._sample = sample
        self._when_grown = grown
        self._since = 0
        self._area = 0  # address of MicroPython's account of its heap, once there is one
        self._hidden = 0  # bytes of the heap that are out of sight
        self._info = _INFO(("gc_info", library.own))
        self._collect = _COLLECT(("gc_collect", library.own))
        library.replace("gc_collect", _COLLECT, self._collecting)
        library.replace("gc_alloc", _ALLOC, self._allocating)
        library.replace("gc_info", _INFO, self._informing)

    # MicroPython keeps: start and length of the allocation table (two bits a block), start of the
    # finalisers' table behind it, start and end of the pool of blocks.

    def _find_area(self) -> None:
        word = self._library.word
        state = self._library.address("mp_state_ctx")
        for address in range(state, state + 4096, WORD):
            table, length, finalisers, pool, end = (
                word(address + WORD * number) for number in range(5)
            )
            if table and finalisers == table + length + 1 and end - pool == length * 16 * WORD:
                self._area = address
                break
        if self._area and self._size:
            first = (self._size - 1) * 8 // (8 + 4 + 8 * 4 * 4 * WORD)
            self._resize(first)

    def _resize(self, length: int) -> None:
        """Let the heap have this many bytes of allocation table."""
        word, area = self._library.word, self._area
        before = word(area + WORD)
        self._hidden += (before - length) * 16 * WORD
        self._library.put(area + WORD, length)
        self._library.put(area + 4 * WORD, word(area + 3 * WORD) + length * 16 * WORD)

    def _grow(self, wanted: int) -> bool:
        if not self._hidden or not self._area:
            return False
        # A chip's bytes, but objects of 64 bits: what is 64 KiB there is twice that here.
        size = self._idf.grow(wanted // 2) * 2
        if not size:
            return False
        more = min(size, self._hidden) // (16 * WORD)
        self._resize(self._library.word(self._area + WORD) + more)
        self._hidden = 0
        self._when_grown()
        return True

    def _look(self) -> None:
        numbers = (ctypes.c_size_t * 16)()
        self._info(numbers)
        shared = self._shared
        shared[PEAK] = max(shared[PEAK], numbers[1])
        shared[COLLECTIONS] += 1

    def _collecting(self, real: Callable[[], None]) -> Callable[[], None]:
        def collect() -> None:
            real()
            self._since = 0
            self._look()

        return collect

    def _allocating(self, real: Callable[..., int]) -> Callable[..., int | None]:
        locked = ctypes.CFUNCTYPE(ctypes.c_bool)(("gc_is_locked", self._library.own))

        def allocate(size: int, flags: int) -> int | None:
            if not self._area:
                self._find_area()
            if self._sample:
                self._since += size
                if self._since >= self._sample and not locked():
                    self._since = 0
                    self._collect()
                    self._look()
            block = real(size, flags)
            if block or not size or locked() or not self._grow(size):
                return block
            return real(size, flags)

        return allocate

    def _informing(self, real: Callable[..., None]) -> Callable[..., None]:
        def inform(numbers: Any) -> None:
            """`gc.mem_free()` counts what could still be taken, as on the chip."""
            real(numbers)
            numbers[2] += self._hidden

        return inform
