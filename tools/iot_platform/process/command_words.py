"""The words of a typed command: which device is meant, which number."""

from __future__ import annotations

from tools.iot_platform.process.local import LocalPlatform
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.seed import read_identity


def known_device(platform: LocalPlatform, word: str) -> Identity:
    """A device that is there. Raises SeedError, KeyError."""
    identity = read_identity(word)
    if platform.registry.device(*identity).deleted:
        raise KeyError(f"no device {identity}")
    return identity


def read_number(word: str, least: int = 0, most: int = 999_999_999) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 10):
        raise ValueError(f"{word!r}: expected a number")
    if not least <= int(word) <= most:
        raise ValueError(f"{word!r}: expected a number from {least} to {most}")
    return int(word)
