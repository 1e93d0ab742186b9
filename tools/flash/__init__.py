"""Writes firmware and file system image to a chip in one go, with esptool."""

from tools.flash.errors import FlashError
from tools.flash.esptool import Chip, detect_chip, merge_arguments, run_esptool, write_arguments
from tools.flash.firmware import Firmware, Partition, parse_partitions, read_firmware

__all__ = [
    "Chip",
    "Firmware",
    "FlashError",
    "Partition",
    "detect_chip",
    "merge_arguments",
    "parse_partitions",
    "read_firmware",
    "run_esptool",
    "write_arguments",
]
