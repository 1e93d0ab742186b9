"""Boots a board, and reads its DeviceSecret from its flash and from the platform."""

from __future__ import annotations

import json

from conftest import MAC, PRODUCT_KEY

from tools.board import Board, BootResult
from tools.iot_platform import LocalPlatform

MESSAGE = r"message on .*post_reply .*\n"
WAITING = r"trying again in .*\n"
GUARD = 90  # seconds: a boot that takes longer has hung, however busy the host


def boot(board: Board, until: str = MESSAGE) -> BootResult:
    result = board.boot(until, GUARD)
    assert result.ending == "until", result.output
    return result


def secret_on_flash(board: Board) -> str | None:
    record = board.read("/device.json")
    return json.loads(record)["deviceSecret"] if record else None


def secret_of_platform(platform: LocalPlatform, name: str = MAC) -> str:
    return platform.registry.device(PRODUCT_KEY, name).device_secret
