"""A gateway at the local platform: the registry it is known in, and what it signs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PS, SUB, hmac_hex

from tools.iot_platform import Identity, LocalPlatform

GW, DS = "gateway01", "gatewaySecret"
OTHER = Identity(GATEWAY, "gateway02")
SYS = f"/sys/{GATEWAY}/{GW}"
SESSION = f"/ext/session/{GATEWAY}/{GW}/combine"
LOGIN, BATCH_LOGIN = f"{SESSION}/login", f"{SESSION}/batch_login"
LOGOUT, BATCH_LOGOUT = f"{SESSION}/logout", f"{SESSION}/batch_logout"
NAMES = [f"sub{n:03}" for n in range(60)]


@contextmanager
def gateway_platform() -> Iterator[LocalPlatform]:
    """Two gateways and the sub-devices `NAMES`, in nobody's topology yet."""
    with LocalPlatform() as running:
        running.registry.add_product(GATEWAY, PS, node_type="gateway")
        running.registry.add_device(GATEWAY, GW, DS)
        running.registry.add_device(*OTHER, DS)
        running.registry.add_product(SUB, PS)
        running.registry.add_devices(SUB, [*NAMES, "stranger1"])
        yield running


@contextmanager
def bound_platform() -> Iterator[LocalPlatform]:
    """The same, all of `NAMES` in the first gateway's topology."""
    with gateway_platform() as running:
        running.topology.bind(Identity(GATEWAY, GW), [Identity(SUB, name) for name in NAMES])
        yield running


@pytest.fixture
def gateway(platform: LocalPlatform) -> Iterator[MqttClient]:
    """The first gateway, connected to the test module's `platform`."""
    with MqttClient(platform) as client:
        assert client.connect_device(GATEWAY, GW, DS) == 0
        yield client


def named(device_name: str, product_key: str = SUB) -> dict[str, str]:
    return {"deviceName": device_name, "productKey": product_key}


def signed(
    platform: LocalPlatform, device_name: str, method: str = "hmacSha256", **changes: Any
) -> dict[str, Any]:
    """One entry of topo/add."""
    secret = platform.registry.device(SUB, device_name).device_secret
    client_id = changes.get("clientId", f"{SUB}.{device_name}")
    stamp = changes.get("timestamp", "1581417203000")
    content = f"clientId{client_id}deviceName{device_name}productKey{SUB}timestamp{stamp}"
    return {
        **named(device_name),
        "clientId": client_id,
        "timestamp": stamp,
        "signmethod": method,
        "sign": hmac_hex(method.lower(), secret, content),
        **changes,
    }


def entry(
    platform: LocalPlatform, device_name: str, method: str = "hmacSha256", tail: str = ""
) -> dict[str, Any]:
    """One entry of a login, which writes the method's name in another way."""
    made = signed(platform, device_name, method, clientId=f"{SUB}.{device_name}{tail}")
    made["signMethod"] = made.pop("signmethod")
    return {**made, "cleanSession": "false"}


def batch(platform: LocalPlatform, *device_names: str) -> dict[str, Any]:
    return {"deviceList": [entry(platform, name) for name in device_names]}


def login(platform: LocalPlatform, gateway: MqttClient, device_name: str = "sub001") -> None:
    assert gateway.request(LOGIN, entry(platform, device_name))["code"] == 200


def online(platform: LocalPlatform) -> list[str]:
    return [name.device_name for name in platform.subdevices_online((GATEWAY, GW))]
