"""What heap and flash go to: what a goal that is not met would have to do without.

Heap: a board that has registered and connected lets go of one thing after another; each row is
what came back. Interned names (of attributes, arguments, keys, modules) stay for ever; their
bytes are those that the interpreter reports.

Flash: the parts of the .mpy files. Names and texts stand in them as they are; what is left is
code: instructions, numbers, and line numbers at -O0.
"""

from __future__ import annotations

import re
from collections import Counter

from tools.bench.flow import BOOT_SECONDS
from tools.bench.modules import direct, sources
from tools.bench.place import DEVICE, Place, script_text
from tools.image import compile_source

CODE = "code of the package"  # as device/parts.py tells it
NAMES = "interned names"
TOGETHER = "together"
_BYTES = re.compile(r"n_total_bytes=(\d+)")


def _run(place: Place, script: str, end: str, *, package: bool = True) -> str:
    image = place.image(main=script) if package else place.bare_image(None, main=script)
    result = place.board(image).boot(end, BOOT_SECONDS)
    if result.ending != "until":
        raise RuntimeError(f"{end}: {result.ending}: {result.output}")
    return result.output


def heap_parts(place: Place, rest: float) -> list[tuple[str, float]]:
    """What the heap of a connected device holds, above the board at rest.

    rest: heap in use of the board at rest, bytes of the interpreter used here.
    Returns (what, bytes of the interpreter used here), the whole last.
    """
    bare = "import micropython\nmicropython.qstr_info()\nprint('end of names')"
    at_rest = int(_BYTES.findall(_run(place, bare, "end of names", package=False))[0])
    output = _run(place, script_text(DEVICE / "parts.py"), "end of parts")
    whole = int(output.rpartition("connected ")[2].split()[0]) - rest
    lines = [line.split(" ", 2) for line in output.splitlines() if line.startswith("part ")]
    parts = [(what, float(size)) for _, size, what in lines]
    parts.append((NAMES, int(_BYTES.findall(output)[0]) - at_rest))
    parts.sort(key=lambda part: -part[1])
    left = whole - sum(size for _, size in parts)
    return [*parts, ("main.py, objects of modules, the rest", left), (TOGETHER, whole)]


class _Reader:
    """Reads an .mpy file (version 6, bytecode only) from its beginning."""

    def __init__(self, data: bytes) -> None:
        if data[:2] != b"M\x06":
            raise ValueError("not an .mpy of version 6")
        self.data = data
        self.at = 4

    def number(self) -> int:
        """An unsigned integer of 7 bits a byte, the highest first."""
        value = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value


def mpy_parts(data: bytes) -> Counter[str]:
    """Bytes of names, texts and code of an .mpy file. Raises ValueError for another format.

    MicroPython documentation ".mpy files": after a header of four bytes come the counts of names
    and of constants, then both tables, then the code.
    """
    reader = _Reader(data)
    names, constants = reader.number(), reader.number()
    found: Counter[str] = Counter()
    start = reader.at
    for _ in range(names):
        size = reader.number()
        if not size & 1:  # odd: a name that every firmware has, by its number
            reader.at += (size >> 1) + 1
    found["names"] = reader.at - start
    start = reader.at
    for _ in range(constants):
        _skip_constant(reader)
    found["texts"] = reader.at - start
    found["code"] = len(data) - sum(found.values())
    return found


def _skip_constant(reader: _Reader) -> None:
    tag = reader.data[reader.at]
    reader.at += 1
    if tag in b"\x01\x02\x03\x04":  # None, False, True, Ellipsis
        return
    if tag == 0x0A:  # a tuple of so many constants
        for _ in range(reader.number()):
            _skip_constant(reader)
        return
    size = reader.number()
    reader.at += size + (tag in (0x05, 0x06))  # text ends with a zero byte


def flash_parts(optimise: int) -> Counter[str]:
    """Bytes of names, texts and code of all .mpy files of a direct device."""
    found: Counter[str] = Counter()
    for name in direct():
        path = sources()[name]
        found += mpy_parts(compile_source(path.read_bytes(), path.name, optimise))
    return found
