"""The command `fault`: what goes wrong next, for anybody or for one device."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tools.iot_platform.console.words import fault_words
from tools.iot_platform.process.command_words import known_device, read_number
from tools.iot_platform.process.local import LocalPlatform
from tools.iot_platform.rules.names import Identity


def fault(platform: LocalPlatform, words: list[str]) -> str:
    """`fault NAME ...` or `fault PK/DN ...`: what to show. Raises ValueError, LookupError."""
    faults = platform.faults
    name, given = words[0], words[1:]
    if "/" in name:
        return _device_fault(platform, known_device(platform, name), given)
    arm: Callable[..., None]
    if name in ("connack", "code"):
        if not given:
            raise ValueError(f"{name}: expected a code")
        arm = faults.connack if name == "connack" else faults.register_code
        most = 255 if name == "connack" else 9999
        arm = partial(arm, read_number(given.pop(0), 1, most))
    elif name in ("lost", "refuse", "stall"):
        arm = {
            "lost": faults.drop_next_register_answer,
            "refuse": faults.refuse_connection,
            "stall": faults.stall_handshake,
        }[name]
    elif name == "clear":
        arm = faults.clear
    else:
        raise ValueError(f"{name!r}: expected lost, refuse, stall, connack, code or clear")
    if len(given) > (name != "clear"):
        raise ValueError(f"{given[-1]!r}: one word too many")
    arm(*(read_number(word, 1, 1000) for word in given))
    return "no faults are armed" if name == "clear" else "armed"


def _device_fault(platform: LocalPlatform, device: Identity, words: list[str]) -> str:
    if words == ["clear"]:
        shown = platform.clear_faults(*device)
    elif words:
        settings = dict(_setting(word) for word in words[1:])
        shown = platform.set_fault(*device, words[0], **settings)
    else:
        shown = platform.faults_of(*device)
    return "\n".join(map(fault_words, shown)) or "no faults are on"


def _setting(word: str) -> tuple[str, Any]:
    """NAME=VALUE of a fault; the value is a number where it looks like one."""
    name, equals, text = word.partition("=")
    if not equals:
        raise ValueError(f"{word!r}: expected NAME=VALUE, such as times=3 or seconds=5")
    if text == "always":
        return name, None
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text
    return name, value
