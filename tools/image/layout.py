"""Where the file system lies in a chip's flash, by firmware version and flash size.

Stock firmware before 1.26 has a fixed partition `vfs` of 2 MiB at 0x200000. From 1.26 on the
partition table has none: the firmware takes the flash from the end of the last partition,
0x200000, to the end of the chip (MicroPython, ports/esp32/main.c and partitions-4MiBplus.csv).
littlefs refuses an image with another number of blocks than the partition has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BLOCK_SIZE = 4096
VFS_OFFSET = 0x200000
FIXED_VFS_SIZE = 0x200000
MEBIBYTE = 1024 * 1024
NEWEST_FIRMWARE = "1.29"
"""The newest release that layouts, mpy-cross and the type stubs are made for."""


class LayoutError(Exception):
    """A flash size or firmware version that no stock firmware has."""


@dataclass(frozen=True)
class FlashLayout:
    """The partition that holds the file system: sizes and offset in bytes."""

    offset: int = VFS_OFFSET
    size: int = FIXED_VFS_SIZE
    disk_version: str = "2.1"
    """littlefs on-disk version, "2.0" or "2.1"."""

    def __post_init__(self) -> None:
        if self.size % BLOCK_SIZE or self.size < 2 * BLOCK_SIZE:
            raise LayoutError(
                f"file system size: {self.size} bytes; expected a multiple of {BLOCK_SIZE}, "
                f"at least {2 * BLOCK_SIZE}"
            )
        if self.disk_version not in ("2.0", "2.1"):
            raise LayoutError(f'disk version: "{self.disk_version}"; expected 2.0 or 2.1')

    @property
    def block_count(self) -> int:
        return self.size // BLOCK_SIZE

    @property
    def disk_version_word(self) -> int:
        major, minor = self.disk_version.split(".")
        return int(major) << 16 | int(minor)


def parse_size(text: str) -> int:
    """Bytes of "4MB", "512KB", "0x200000" or "65536". Raises LayoutError."""
    match = re.fullmatch(r"(?i)(0x[0-9a-f]+|\d+)\s*(k|m)?i?b?", text.strip())
    if match is None:
        raise LayoutError(f'size: "{text}"; expected something like 4MB, 512KB or 0x200000')
    unit = {"": 1, "k": 1024, "m": MEBIBYTE}[(match[2] or "").lower()]
    size = int(match[1], 0) * unit
    if 0 < size <= 128 and not match[2]:
        raise LayoutError(f'size: "{text}" is in bytes; did you mean {text.strip()}MB?')
    return size


def parse_firmware(text: str) -> tuple[int, int]:
    """(1, 25) of "1.25", "v1.25.0" or "1.28.0-preview". Raises LayoutError."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.|-|$)", text)
    if match is None:
        raise LayoutError(f'firmware: "{text}"; expected a MicroPython version such as 1.25')
    return int(match[1]), int(match[2])


def stock_layout(flash_size: int = 4 * MEBIBYTE, firmware: str = NEWEST_FIRMWARE) -> FlashLayout:
    """The layout of a stock firmware of 1.23 or later. Raises LayoutError.

    flash_size: of the chip, in bytes. firmware: MicroPython version.
    """
    version = parse_firmware(firmware)
    if version < (1, 23):
        raise LayoutError(f"firmware: {firmware} is too old; expected 1.23 or later")
    if flash_size < 4 * MEBIBYTE or flash_size > 128 * MEBIBYTE:
        raise LayoutError(f"flash size: {flash_size} bytes; expected 4MB to 128MB")
    # Every firmware from 1.23 on brings littlefs 2.8 or later, whose disk version is 2.1.
    if version < (1, 26):
        return FlashLayout(VFS_OFFSET, FIXED_VFS_SIZE)
    return FlashLayout(VFS_OFFSET, flash_size - VFS_OFFSET)
