"""An image as the ROM and the boot loader of an ESP32 read it: whole, or where it is damaged.

24 bytes of header, segments of 8 bytes of header each, padding, a checksum in the last byte of a
16-byte line, and the SHA-256 of it all where the header says so (ESP-IDF, "App image format").
The tests hold it against what esptool says of the same bytes.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import struct

MAGIC = 0xE9
_HEADER = 24
_SEGMENT = struct.Struct("<II")
_MOST_SEGMENTS = 16
_SEED = 0xEF
_SHA256 = 32


def chip_number(image: bytes) -> int:
    """Of the chip that it is for. image: at least its header."""
    return int.from_bytes(image[12:14], "little")


def damage(image: bytes) -> str | None:
    """What is wrong with an image, None if it is whole. image: it and what may follow it."""
    if len(image) < _HEADER or image[0] != MAGIC:
        return "is missing, or cut off"
    segments, hashed = image[1], image[23]
    if not 1 <= segments <= _MOST_SEGMENTS or hashed > 1:
        return "has a damaged header"
    at = _HEADER
    words = [_SEED]
    for _ in range(segments):
        if at + _SEGMENT.size > len(image):
            return "is cut off"
        _, size = _SEGMENT.unpack_from(image, at)
        at += _SEGMENT.size
        if at + size > len(image):
            return "is cut off"
        words.append(_xor(image[at : at + size]))
        at += size
    end = at + 16 - at % 16  # the checksum is the last byte of a line, alone in one if need be
    if end > len(image):
        return "is cut off"
    if image[end - 1] != functools.reduce(operator.xor, words):
        return "has a wrong checksum"
    if hashed and image[end : end + _SHA256] != hashlib.sha256(image[:end]).digest():
        cut = end + _SHA256 > len(image)
        return "is cut off" if cut else "has a wrong SHA-256"
    return None


def _xor(data: bytes) -> int:
    """All bytes of a segment, combined; by halves, since a megabyte one by one takes long."""
    number = int.from_bytes(data, "little")
    length = len(data)
    while length > 1:
        length = (length + 1) // 2
        number = number >> 8 * length ^ number & (1 << 8 * length) - 1
    return number
