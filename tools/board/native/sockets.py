"""lwIP's limits: ten sockets, no way without an address, packets lost where memory is short."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import time
from collections.abc import Callable
from typing import Any

from library import Library  # type: ignore[import-not-found]

NO_ADDRESS = 5
"""Word of the shared memory: 1 while Wi-Fi has given no address."""

MOST = 10
"""Sockets, CONFIG_LWIP_MAX_SOCKETS of ESP-IDF."""
_EVERY = 8  # a packet in so many is lost
_RETRANSMISSION = 1.43  # seconds, seen on the chip

_SOCKET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, use_errno=True)
_CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, use_errno=True)
_ADDRESS = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, use_errno=True
)
_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True
)
_SEND = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    use_errno=True,
)


def _refused(number: int) -> int:
    ctypes.set_errno(number)
    return -1


class Sockets:
    """The chip's sockets."""

    def __init__(self, library: Library, shared: Any) -> None:
        self._library = library
        self._shared = shared
        self._open: set[int] = set()
        self._sent = 0
        library.replace("socket", _SOCKET, self._opening)
        library.replace("close", _CLOSE, self._closing)
        library.replace("accept", _ADDRESS, self._accepting)
        library.replace("connect", _ADDRESS, self._connecting)

    def lose_packets(self) -> None:
        """From now on."""
        self._library.replace("write", _WRITE, self._sending)
        self._library.replace("send", _SEND, self._sending)

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(family: int, kind: int, protocol: int) -> int:
            if len(self._open) >= MOST:
                return _refused(errno.ENFILE)
            made = real(family, kind, protocol)
            if made >= 0:
                self._open.add(made)
            return made

        return opening

    def _accepting(self, real: Callable[..., int]) -> Callable[..., int]:
        def accepting(descriptor: int, address: int, length: int) -> int:
            if len(self._open) >= MOST:
                return _refused(errno.ENFILE)
            made = real(descriptor, address, length)
            if made >= 0:
                self._open.add(made)
            return made

        return accepting

    def _closing(self, real: Callable[..., int]) -> Callable[..., int]:
        def closing(descriptor: int) -> int:
            self._open.discard(descriptor)
            return real(descriptor)

        return closing

    def _connecting(self, real: Callable[..., int]) -> Callable[..., int]:
        def connecting(descriptor: int, address: int, length: int) -> int:
            if self._shared[NO_ADDRESS]:
                return _refused(errno.EHOSTUNREACH)
            return real(descriptor, address, length)

        return connecting

    def _sending(self, real: Callable[..., int]) -> Callable[..., int]:
        def sending(descriptor: int, *rest: Any) -> int:
            if descriptor in self._open or stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                self._sent += 1
                if self._sent % _EVERY == 0:
                    time.sleep(_RETRANSMISSION)
            return real(descriptor, *rest)

        return sending
