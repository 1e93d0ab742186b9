"""The local platform against an independent client: aliyun-iot-linkkit 1.2.13, unchanged.

The SDK works against the real platform; whatever it cannot do here is the local platform's fault.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from platform_clients import GATEWAY, PK, PS, SUB

from tools.iot_platform import Identity, LocalPlatform
from tools.layout import ROOT

PYTHON = ROOT / ".venv" / "linkkit" / "bin" / "python"
SCRIPT = Path(__file__).parent / "linkkit" / "client.py"
DN = "Example_dyn1"
GW = "gateway01"
DEADLINE = 40.0


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS, registration_free=True)
        running.registry.add_device(PK, DN)
        running.registry.add_product(GATEWAY, PS, node_type="gateway")
        running.registry.add_device(GATEWAY, GW)
        running.registry.add_product(SUB, PS)
        running.registry.add_devices(SUB, ["sub001", "sub002", "sub003"])
        yield running


def play(
    platform: LocalPlatform,
    scenario: str,
    when_ready: Callable[[], object] = lambda: None,
    **given: Any,
) -> dict[str, Any]:
    """Runs a scenario of the client; when_ready: called when it waits for the platform."""
    if not PYTHON.exists():
        pytest.fail("the SDK's environment is missing: make .venv/linkkit/ready")
    whole = {
        "productKey": PK,
        "productSecret": PS,
        "deviceName": DN,
        "root": platform.ca_pem.decode(),
        "ports": {"443": platform.https_port, "8883": platform.mqtt_tls_port},
        **given,
    }
    with subprocess.Popen(
        [PYTHON, SCRIPT, scenario],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(whole))
            process.stdin.close()
            process.stdin = None
            first = process.stdout.readline()
            if first == "READY\n":
                when_ready()
            output, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    lines = [first, *output.splitlines()]
    assert process.returncode == 0, errors
    result = json.loads(lines[-1])
    assert isinstance(result, dict)
    return result


def test_registers_over_https_and_connects(platform: LocalPlatform) -> None:
    topic = f"/sys/{PK}/{DN}/thing/service/property/set"

    def set_property() -> None:
        platform.publish(PK, DN, topic, b'{"id":"1","version":"1.0","params":{"LED":1}}')

    result = play(platform, "https", set_property)

    assert result == {
        "register": 0,
        "secret": platform.registry.device(PK, DN).device_secret,
        "connect": 0,
        "post": {"code": 200, "message": "success"},
        "changed": {"LED": 1},
    }
    assert platform.registry.device(PK, DN).activated
    (event,) = platform.record.events("register")
    assert (event.code, event.details["via"]) == (200, "https")


def test_understands_a_refusal_over_https(platform: LocalPlatform) -> None:
    platform.registry.activate(Identity(PK, DN))

    assert play(platform, "https-refused") == {
        "register": 1,
        "message": "device is already active",
    }


@pytest.mark.parametrize("instance", [None, "iot-060a1234"])
def test_registers_over_mqtt_and_connects(platform: LocalPlatform, instance: str | None) -> None:
    result = play(platform, "register", instanceId=instance)

    assert result == {
        "register": 0,
        "secret": platform.registry.device(PK, DN).device_secret,
        "connect": 0,
        "post": {"code": 200, "message": "success"},
    }
    assert [e.details["auth"] for e in platform.record.events("connect")] == ["register", "secret"]


def test_registers_without_pre_registration_and_connects(platform: LocalPlatform) -> None:
    result = play(platform, "regnwl", deviceName="brandNew1")

    (client,) = platform.registry.clients(PK, "brandNew1")
    assert result == {
        "register": 0,
        "token": client.device_token,
        "connect": 0,
        "post": {"code": 200, "message": "success"},
    }
    assert [e.details["auth"] for e in platform.record.events("connect")] == ["regnwl", "connwl"]


def test_a_gateway_registers_adds_and_logs_in_sub_devices(platform: LocalPlatform) -> None:
    names = ["sub001", "sub002", "sub003"]
    online: list[Identity] = []

    def look_and_notify() -> None:
        online.extend(platform.subdevices_online((GATEWAY, GW)))
        platform.notify_topology_change((GATEWAY, GW), 0, [(SUB, "sub001")])

    result = play(
        platform,
        "gateway",
        look_and_notify,
        productKey=GATEWAY,
        deviceName=GW,
        deviceSecret=platform.registry.device(GATEWAY, GW).device_secret,
        subdeviceKey=SUB,
        subdeviceProductSecret=PS,
        subdevices=names,
    )

    steps = ("register", "add", "login", "logout", "delete", "product_register")
    assert {step: result[step]["code"] for step in steps} == dict.fromkeys(steps, 200)
    assert online == [Identity(SUB, name) for name in names]
    assert result["change"]["subList"] == [{"deviceName": "sub001", "productKey": SUB}]
    # Active by now: through a gateway it gets a new secret all the same (Behaviour).
    (success,) = result["product_register"]["data"]["successes"]
    device = platform.registry.device(success["productKey"], success["deviceName"])
    assert success["deviceSecret"] == device.device_secret
    assert platform.topology.subdevices(Identity(GATEWAY, GW)) == []
