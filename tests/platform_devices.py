"""A device at the local platform, connected over MQTT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS

from tools.iot_platform import LocalPlatform

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"
SYS = f"/sys/{PK}/{DN}"
POST = f"{SYS}/thing/event/property/post"
SET = f"{SYS}/thing/service/property/set"
GET = f"/{PK}/{DN}/user/get"
NO_SS = {"_ss": 0}


@contextmanager
def device_platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN, DS)
        running.registry.add_device(PK, "another1", DS)
        yield running


@pytest.fixture
def device(platform: LocalPlatform) -> Iterator[MqttClient]:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) == 0
        yield client
