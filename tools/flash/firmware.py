"""A MicroPython firmware file: which chip it is for, which version, where the file system lies.

The file says it all itself. Bytes 12 and 13 of an image's header number the chip; the partition
table lies at 0x8000 of the flash; the version is a text in the application (ESP-IDF, "App image
format" and "Partition tables").
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from tools.flash.errors import FlashError
from tools.image import FlashLayout, LayoutError
from tools.image.layout import parse_firmware

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00
CHIPS = {0: ("esp32", 0x1000), 2: ("esp32s2", 0x1000), 9: ("esp32s3", 0), 5: ("esp32c3", 0)}
"""Chip number in the header -> esptool's name, and the offset its firmware is written to."""
OLDEST = (1, 23)
NEWEST = (1, 28)
"""Versions whose layout is known and tested; a newer one gets a remark."""
_IMAGE_MAGIC = 0xE9
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaa\x50"
_VERSION = re.compile(rb"v(\d+\.\d+\.\d+(?:-[\w.]+)*) on \d{4}-\d\d-\d\d")
_DATA = 1


@dataclass(frozen=True)
class Partition:
    """An entry of a partition table. offset, size: bytes."""

    name: str
    kind: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def parse_partitions(table: bytes) -> tuple[Partition, ...]:
    """The entries of a partition table, in its order; empty if this is none."""
    found = []
    for start in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, subtype, offset, size, label, _ = _ENTRY.unpack_from(table, start)
        if magic != _ENTRY_MAGIC:
            break
        name = label.split(b"\0")[0].decode("ascii", "replace")
        found.append(Partition(name, kind, subtype, offset, size))
    return tuple(found)


def vfs_layout(partitions: tuple[Partition, ...], flash_size: int) -> FlashLayout:
    """Where the file system lies: the partition "vfs", or all behind the last partition.

    Firmware from 1.26 on has no such entry and takes what is left of the flash (MicroPython,
    ports/esp32/main.c). flash_size: of the chip, bytes. Raises FlashError.
    """
    last = max(partition.end for partition in partitions)
    own = [p for p in partitions if p.name in ("vfs", "ffat") and p.kind == _DATA]
    try:
        if own:
            layout = FlashLayout(own[0].offset, own[0].size)
        else:
            layout = FlashLayout(last, flash_size - last)
    except LayoutError:
        raise FlashError(
            f"the chip has {flash_size // 1024} kB of flash; this firmware alone takes "
            f"{last // 1024} kB: take a smaller build of it, or a bigger chip"
        ) from None
    if max(last, layout.offset + layout.size) > flash_size:
        raise FlashError(
            f"the chip has {flash_size // 1024} kB of flash; this firmware's partitions need "
            f"{max(last, layout.offset + layout.size) // 1024} kB"
        )
    return layout


@dataclass(frozen=True)
class Firmware:
    """A firmware file that can be written. chip: as esptool calls it. offset: where it goes."""

    path: Path
    chip: str
    offset: int
    size: int
    version: str
    partitions: tuple[Partition, ...]

    def layout(self, flash_size: int) -> FlashLayout:
        """Where the file system lies on a chip with that much flash. Raises FlashError."""
        return vfs_layout(self.partitions, flash_size)

    @property
    def remark(self) -> str | None:
        """What a person should know before using it."""
        if parse_firmware(self.version) > NEWEST:
            return f"MicroPython {self.version} is newer than what the layouts were tested with"
        return None


def read_firmware(path: Path) -> Firmware:
    """Read a firmware file. Raises FlashError for one that does not fit here."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise FlashError(f"{path}: {e.strerror}") from None
    if len(data) < 24 or data[0] != _IMAGE_MAGIC:
        raise FlashError(f"{path}: no ESP32 firmware; expected the .bin that MicroPython offers")
    (number,) = struct.unpack_from("<H", data, 12)
    if number not in CHIPS:
        names = ", ".join(name for name, _ in CHIPS.values())
        raise FlashError(f"{path}: for another chip (number {number}); expected one of {names}")
    chip, offset = CHIPS[number]
    partitions = parse_partitions(data[TABLE_OFFSET - offset :][:TABLE_SIZE])
    if not partitions:
        raise FlashError(
            f"{path}: no partition table at 0x8000; expected a whole firmware, not an update "
            "(.app-bin)"
        )
    match = _VERSION.search(data)
    if match is None:
        raise FlashError(f"{path}: names no MicroPython version")
    version = match[1].decode()
    if parse_firmware(version) < OLDEST:
        raise FlashError(f"{path}: MicroPython {version} is too old; expected 1.23 or later")
    over = max(p.end for p in partitions if p.kind == 0)
    if offset + len(data) > over:
        raise FlashError(f"{path}: {len(data)} bytes do not fit its own partitions")
    return Firmware(path, chip, offset, len(data), version, partitions)
