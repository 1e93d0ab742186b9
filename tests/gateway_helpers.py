"""Helpers for tests of the gateway's protocol: run a conversation and look into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

OnDevice = Callable[..., Any]

SYS = "/sys/a1GatewayKey/gateway-1/"
EXT = "/ext/session/a1GatewayKey/gateway-1/"
ERROR = "/ext/error/a1GatewayKey/gateway-1"
ONE = [["pk", "unit-1"]]
TWO = [["pk", "unit-1"], ["pk", "unit-2"]]


def talk(on_device: OnDevice, *steps: list[Any], **more: Any) -> Any:
    """Run a gateway against a scripted platform; see tests/device/gateway_talk.py."""
    return on_device("gateway_talk.py", {"steps": list(steps), **more}, heap="16M")


def sensors(count: int, first: int = 0) -> dict[str, list[int]]:
    return {"range": [first, count]}


def requests(got: Any, tail: str | None = None) -> list[Any]:
    """The params of each request, or of each whose topic ends in `tail`."""
    return [
        json.loads(payload)["params"]
        for _, topic, payload in got["sent"]
        if tail is None or topic.endswith("/" + tail)
    ]


def kinds(got: Any) -> list[str]:
    return [topic.removeprefix(SYS).removeprefix(EXT) for _, topic, _ in got["sent"]]


def granted(name: str, secret: str = "s") -> dict[str, str]:
    return {"productKey": "pk", "deviceName": name, "deviceSecret": secret}


def reply(data: Any, number: str = "$id", code: int = 200) -> str:
    return json.dumps({"code": code, "data": data, "id": number})
