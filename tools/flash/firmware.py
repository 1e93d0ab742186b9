"""A MicroPython firmware file: which chip it is for, which version, where the file system lies.

The file says it all itself. Bytes 12 and 13 of an image's header number the chip; the partition
table lies at 0x8000 of the flash, with its MD5; boot loader and applications are images with
segment lengths, checksum and SHA-256; the version is a text in the application (ESP-IDF, "App
image format" and "Partition tables").
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from tools.flash.app_image import MAGIC, chip_number, damage
from tools.flash.errors import FlashError
from tools.image import FlashLayout, LayoutError
from tools.image.layout import parse_firmware

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00
CHIPS = {0: ("esp32", 0x1000), 2: ("esp32s2", 0x1000), 9: ("esp32s3", 0), 5: ("esp32c3", 0)}
"""Chip number in the header -> esptool's name, and the offset its firmware is written to."""
OLDEST = (1, 23)
NEWEST = (1, 29)
"""Versions whose layout is known and tested; a newer one gets a remark."""
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_VERSION = re.compile(rb"v(\d+\.\d+\.\d+(?:-[\w.]+)*) on \d{4}-\d\d-\d\d")
_A_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?")
_APPLICATION, _DATA = 0, 1
_FACTORY, _FIRST_OTA = 0x00, 0x10


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
        hint = "; a version goes to --firmware-version" if _A_VERSION.fullmatch(str(path)) else ""
        raise FlashError(f"{path}: {e.strerror}{hint}") from None
    if len(data) < 24 or data[0] != MAGIC:
        raise FlashError(f"{path}: no ESP32 firmware; expected the .bin that MicroPython offers")
    number = chip_number(data)
    if number not in CHIPS:
        names = ", ".join(name for name, _ in CHIPS.values())
        raise FlashError(f"{path}: for another chip (number {number}); expected one of {names}")
    chip, offset = CHIPS[number]
    table = data[TABLE_OFFSET - offset :][:TABLE_SIZE]
    partitions = parse_partitions(table)
    if not partitions:
        raise FlashError(
            f"{path}: no partition table at 0x8000; expected a whole firmware, not an update "
            "(.app-bin)"
        )
    _check_table(path, table, len(partitions))
    match = _VERSION.search(data)
    if match is not None and parse_firmware(match[1].decode()) < OLDEST:
        raise FlashError(
            f"{path}: MicroPython {match[1].decode()} is too old; expected 1.23 or later"
        )
    applications = [p for p in partitions if p.kind == _APPLICATION]
    if not applications or offset + len(data) > max(p.end for p in applications):
        raise FlashError(f"{path}: {len(data)} bytes do not fit its own partitions")
    _check_images(path, data, number, offset, applications)
    if match is None:
        raise FlashError(f"{path}: names no MicroPython version")
    return Firmware(path, chip, offset, len(data), match[1].decode(), partitions)


def _check_table(path: Path, table: bytes, entries: int) -> None:
    """Raises FlashError where the table's MD5, if it has one, does not fit its entries."""
    end = entries * _ENTRY.size
    closing = table[end : end + _ENTRY.size]
    good = _MD5_MAGIC + hashlib.md5(table[:end], usedforsecurity=False).digest()
    if closing != good and closing.strip(b"\xff"):
        raise FlashError(f"{path}: damaged: the partition table's MD5 is wrong; download it again")


def _check_images(
    path: Path, data: bytes, number: int, offset: int, applications: list[Partition]
) -> None:
    """Boot loader and applications must be whole, for this chip, and fit their partitions.

    What is erased in the file may be: a second application is written by an update. The one that
    is started first must be there. Raises FlashError.
    """
    _check_image(path, "boot loader", data[: TABLE_OFFSET - offset], number)
    first = min(
        applications,
        key=lambda p: {_FACTORY: 0, _FIRST_OTA: 1}.get(p.subtype, 2),
    )
    for partition in applications:
        content = data[partition.offset - offset :][: partition.size]
        if partition is first or content.strip(b"\xff"):
            _check_image(path, f'application "{partition.name}"', content, number)


def _check_image(path: Path, what: str, content: bytes, number: int) -> None:
    """Raises FlashError where an image is damaged, or for another chip than the file says."""
    wrong = damage(content)
    if wrong is not None:
        raise FlashError(f"{path}: damaged: the {what} {wrong}; download it again")
    if chip_number(content) != number:
        raise FlashError(f"{path}: damaged: the {what} is for another chip than the rest")
