"""Where a shared library calls through: the slots that can be pointed at something else."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from pathlib import Path

_DYNAMIC = 2  # kinds of program headers and of dynamic entries, values of the ELF specification
_LOAD = 1
_STRTAB, _SYMTAB, _PLTRELSZ, _JMPREL = 5, 6, 2, 23


@dataclass(frozen=True)
class Symbols:
    """Of one library, 64 bits, little-endian."""

    slots: dict[str, int]
    """Function -> offset of the slot that the library's own calls of it go through."""
    values: dict[str, int]
    """Function among them that the library itself defines -> its offset."""


@functools.cache
def symbols(library: Path) -> Symbols:
    """Read the table of slots. Raises ValueError where it is no such library."""
    data = library.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{library}: no library of 64 bits")
    position = struct.unpack_from("<Q", data, 32)[0]
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [
        struct.unpack_from("<IIQQQQ", data, position + size * number) for number in range(count)
    ]

    def offset(address: int) -> int:
        """In the file, of an address in memory."""
        for kind, _, start, virtual, _, length in headers:
            if kind == _LOAD and virtual <= address < virtual + length:
                return int(start + address - virtual)
        raise ValueError(f"{library}: nothing is loaded at {address:#x}")

    dynamic: dict[int, int] = {}
    for kind, _, start, _, _, length in headers:
        if kind == _DYNAMIC:
            dynamic = dict(struct.iter_unpack("<qQ", data[start : start + length]))
    strings, table = offset(dynamic[_STRTAB]), offset(dynamic[_SYMTAB])
    slots, values = {}, {}
    start = offset(dynamic[_JMPREL])
    for slot, info, _ in struct.iter_unpack("<QQq", data[start : start + dynamic[_PLTRELSZ]]):
        name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", data, table + 24 * (info >> 32))
        text = data[strings + name : data.index(b"\0", strings + name)].decode()
        slots[text] = slot
        if value:
            values[text] = value
    return Symbols(slots, values)
