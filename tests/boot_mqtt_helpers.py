"""Boards that register over MQTT, and the identity that each side then holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conftest import MAC, PRODUCT_KEY, MakeBoard, product_of

from tools.board import Board
from tools.iot_platform import LocalPlatform

MakeMqttBoard = Callable[..., Board]

WAYS = ("mqtt", "mqtt-free")
FREE_KEY = "a1FreeOfPre"
FIRST_BOOT = {
    "mqtt": [("register", 0), ("secret", 0)],
    "mqtt-free": [("regnwl", 0), ("connwl", 0)],
}


def record_of(board: Board) -> dict[str, str]:
    record = json.loads(board.read("/device.json") or b"{}")
    assert isinstance(record, dict)
    return record


def mqtt_boards(platform: LocalPlatform, make_board: MakeBoard) -> MakeMqttBoard:
    """Make a board with this `registration`; for "mqtt-free", also add the product `FREE_KEY`."""

    def made(way: str, main: Any = None, **fields: Any) -> Board:
        if way.lower() == "mqtt-free":
            platform.registry.add_product(FREE_KEY, "its-own-secret", registration_free=True)
            fields = {"productKey": FREE_KEY, "productSecret": "its-own-secret"} | fields
        # Nothing listens on the register port: a board that uses HTTPS by mistake fails.
        image = {"main": main} if main else {}
        return make_board(
            product_of(platform, registration=way, registerPort=1, **fields), **image
        )

    return made


def held(board: Board) -> str:
    """The DeviceSecret or deviceToken on the board's flash."""
    record = record_of(board)
    return record.get("deviceSecret") or record["deviceToken"]


def valid(platform: LocalPlatform, way: str) -> str:
    """The current DeviceSecret, or the deviceToken that was activated last."""
    if way == "mqtt":
        return platform.registry.device(PRODUCT_KEY, MAC).device_secret
    clients = platform.registry.clients(FREE_KEY, MAC)
    return max(clients, key=lambda client: client.activated_at or 0).device_token


def connects(platform: LocalPlatform) -> list[tuple[Any, int | None]]:
    return [(e.details.get("auth"), e.code) for e in platform.record.events("connect")]
