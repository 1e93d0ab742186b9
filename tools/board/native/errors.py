"""Error numbers of the chip's C library: they differ from the host's, and so does TLS's sign.

MicroPython's C code knows the host's. Where it makes an OSError, the number is changed; so is
the table of the module `errno`. Device code that raises its own is not touched.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from typing import Any

from library import WORD, Library  # type: ignore[import-not-found]

# Newlib's numbers, sys/errno.h; the rest are the same.
_CHIP = {
    "EADDRINUSE": 112,
    "EADDRNOTAVAIL": 125,
    "EAFNOSUPPORT": 106,
    "EALREADY": 120,
    "ECONNABORTED": 113,
    "EDESTADDRREQ": 121,
    "EHOSTDOWN": 117,
    "EHOSTUNREACH": 118,
    "EINPROGRESS": 119,
    "EISCONN": 127,
    "EMSGSIZE": 122,
    "ENETDOWN": 115,
    "ENETRESET": 126,
    "ENETUNREACH": 114,
    "ENOPROTOOPT": 109,
    "ENOTCONN": 128,
    "ENOTSOCK": 108,
    "EPROTONOSUPPORT": 123,
    "EPROTOTYPE": 107,
    "ESHUTDOWN": 110,
    "ETIMEDOUT": 116,
}
NUMBERS = {getattr(errno, name): number for name, number in _CHIP.items()}
"""The host's number -> the chip's."""

_MAKE = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_size_t),
)
_TRANSFER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_SETUP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def _small(number: int) -> int:
    """MicroPython's form of a small int, as a word."""
    return (number << 1 | 1) & ctypes.c_size_t(-1).value


def rewrite_module(library: Library) -> None:
    """The constants of the module `errno`, and the names that a printed OSError shows."""
    _rewrite(library, library.word(library.address("mp_module_errno") + WORD), nested=True)


def _rewrite(library: Library, dictionary: int, nested: bool) -> None:
    word = library.word
    table = word(dictionary + 3 * WORD)
    kind = library.address("mp_type_dict")
    for number in range(word(dictionary + WORD) >> 3):  # three flags lie below the length
        for address in (table + 2 * WORD * number, table + 2 * WORD * number + WORD):
            value = word(address)
            if value & 1 and value >> 1 in NUMBERS:
                library.put(address, _small(NUMBERS[value >> 1]))
            elif nested and value and not value & 7 and word(value) == kind:  # `errorcode`
                _rewrite(library, value, nested=False)


class Errors:
    """negated: a TLS connection hands errors of the stream below it on with a minus, as releases
    before 1.28 do where they read or write."""

    def __init__(self, library: Library, negated: bool) -> None:
        self._type = library.address("mp_type_OSError")
        self._failed: set[int] = set()
        library.replace("mp_obj_exception_make_new", _MAKE, self._making)
        if negated:
            for name in ("mbedtls_ssl_read", "mbedtls_ssl_write"):
                library.replace(name, _TRANSFER, self._transferring)

    def _making(self, real: Callable[..., int]) -> Callable[..., int]:
        def make(kind: int, count: int, keywords: int, arguments: Any) -> int:
            if kind == self._type and count and arguments[0] & 1:
                number = arguments[0] >> 1
                right = NUMBERS.get(number, number)
                if number in self._failed:
                    self._failed.discard(number)
                    right = -right
                if right != number:
                    changed = (ctypes.c_size_t * count)(*arguments[:count])
                    changed[0] = _small(right)
                    return real(kind, count, keywords, changed)
            return real(kind, count, keywords, arguments)

        return make

    def _transferring(self, real: Callable[..., int]) -> Callable[..., int]:
        def transfer(context: int, buffer: int, length: int) -> int:
            done = real(context, buffer, length)
            if -256 < done < 0:
                self._failed.add(-done)
            return done

        return transfer
