"""The console's API for one device: its states, last error, sub-devices and messages."""

from __future__ import annotations

import pytest
from console_client import ConsoleClient
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, SUB, post, registration_form

from tools.iot_platform import Identity, LocalPlatform

DN = "246f28aabbcc"

DEVICE = ("devices", PK, DN)


def test_a_device_goes_through_its_states(
    console: ConsoleClient,
    hub: LocalPlatform,
) -> None:
    def states() -> tuple[str, str, int]:
        shown = console.get(*DEVICE)
        return shown["identity"], shown["connection"], shown["registrations"]

    console.post("devices", productKey=PK, deviceName=DN)
    assert states() == ("never registered", "offline", 0)

    secret = post(hub, registration_form(DN)).json["data"]["deviceSecret"]
    assert states() == ("registered", "offline", 1)
    assert console.get(*DEVICE)["lastAddress"].startswith("127.0.0.1:")

    with MqttClient(hub) as client:
        assert client.connect_device(PK, DN, secret) == 0
        assert states() == ("active", "online", 1)
        assert console.get("devices", connection="online")["total"] == 1
        assert console.get(*DEVICE)["registrationOpen"] is False
    hub.record.wait_for("disconnect")
    assert states() == ("active", "offline", 1)

    assert console.post(*DEVICE, "reset")["registrationOpen"] is True
    assert states() == ("active", "offline", 0)


def test_a_refusal_is_the_last_error_until_a_success(
    console: ConsoleClient,
    hub: LocalPlatform,
) -> None:
    console.post("devices", productKey=PK, deviceName=DN)
    assert console.get(*DEVICE)["lastError"] is None
    console.post("products", PK, dynamicRegistration=False)
    post(hub, registration_form(DN))

    error = console.get(*DEVICE)["lastError"]
    assert error["what"] == "registration refused, 6288: dynamic registration is not enabled"
    assert error["advice"] == "Switch dynamic registration of the product on."
    assert (error["code"], error["over"]) == (6288, False)
    assert [item["deviceName"] for item in console.get("devices", failing="true")["items"]] == [DN]

    console.post("products", PK, dynamicRegistration=True)
    post(hub, registration_form(DN))
    assert console.get(*DEVICE)["lastError"]["over"] is True
    assert console.get("devices", failing="true")["total"] == 0


@pytest.mark.parametrize(
    ("secret", "code", "advice"), [("wrong", 4, "DeviceSecret"), ("wrong", 256, "try again")]
)
def test_a_refused_connect_is_an_error_with_advice(
    console: ConsoleClient,
    hub: LocalPlatform,
    secret: str,
    code: int,
    advice: str,
) -> None:
    console.post("devices", productKey=PK, deviceName=DN)
    if code == 256:
        console.post(*DEVICE, "faults", fault="refuse", code=256)
    with MqttClient(hub) as client:
        assert client.connect_device(PK, DN, secret) == (None if code == 256 else code)

    error = console.get(*DEVICE)["lastError"]
    assert error["code"] == code
    assert advice in error["advice"] or "asked for" in error["advice"]


def test_a_failed_handshake_is_the_error_of_the_device_at_that_address(
    console: ConsoleClient, hub: LocalPlatform
) -> None:
    """A handshake has no DeviceName. If two devices share the address, neither gets the error."""
    console.post("devices", productKey=PK, deviceName=DN)
    post(hub, registration_form(DN))
    hub.record.add("tls-failed", port="https", peer="127.0.0.1:1", reason="UNKNOWN_CA")
    error = console.get(*DEVICE)["lastError"]
    assert error["what"] == "TLS handshake on https failed: UNKNOWN_CA"
    assert "does not trust the platform's root" in error["advice"]

    console.post("devices", productKey=PK, deviceName="another")
    post(hub, registration_form("another"))
    post(hub, registration_form(DN))
    hub.record.add("tls-failed", port="https", peer="127.0.0.1:1", reason="UNKNOWN_CA")
    assert console.get("devices", failing="true")["total"] == 0


def test_a_device_is_disabled_enabled_and_deleted(
    console: ConsoleClient, hub: LocalPlatform
) -> None:
    console.post("devices", productKey=PK, deviceName=DN, deviceSecret="itsOwn")
    with MqttClient(hub) as client:
        assert client.connect_device(PK, DN, "itsOwn") == 0
        assert console.post(*DEVICE, "disable")["disabled"] is True
        assert client.receive() is None
    assert console.get("devices", disabled="true")["total"] == 1
    assert console.post(*DEVICE, "enable")["disabled"] is False
    assert console.post(*DEVICE, "delete") == {"deleted": True}

    assert console.try_get(*DEVICE).status == 404
    assert console.get("devices")["total"] == 0
    assert console.post("devices", productKey=PK, deviceName=DN)["registrations"] == 0


def test_a_gateway_shows_its_subdevices(
    console: ConsoleClient,
    hub: LocalPlatform,
) -> None:
    gateway, names = Identity(GATEWAY, "gateway01"), [f"sensor-{n}" for n in range(3)]
    console.post("devices", productKey=GATEWAY, deviceName="gateway01")
    console.post("devices", "import", productKey=SUB, csv="\n".join(["DeviceName", *names]))
    hub.topology.bind(gateway, [Identity(SUB, name) for name in names])

    assert console.get("devices", *gateway)["subdevices"] == 3
    assert console.get("devices", gateway=f"{gateway}")["total"] == 3
    assert console.get("devices", SUB, "sensor-0")["gateway"] == {
        "productKey": GATEWAY,
        "deviceName": "gateway01",
    }
    assert console.post("devices", SUB, "sensor-0", "unbind")["gateway"] is None
    status, _, message = console.error(console.try_post("devices", SUB, "sensor-0", "unbind"))
    assert (status, message) == (409, f"{SUB}/sensor-0 belongs to no gateway")


@pytest.mark.parametrize(
    ("given", "payload"),
    [
        ({"payload": "a 灯"}, "a 灯".encode()),
        ({"payload": "00 ff", "encoding": "hex"}, b"\0\xff"),
        ({"payload": "AP8=", "encoding": "base64"}, b"\0\xff"),
        ({}, b""),
    ],
)
def test_publish_reaches_only_a_subscribed_device(
    console: ConsoleClient,
    hub: LocalPlatform,
    given: dict[str, str],
    payload: bytes,
) -> None:
    console.post("devices", productKey=PK, deviceName=DN, deviceSecret="itsOwn")
    topic = f"/sys/{PK}/{DN}/thing/service/property/set"
    assert console.post(*DEVICE, "publish", topic=topic) == {"sent": False, "reason": "offline"}
    with MqttClient(hub) as client:
        client.connect_device(PK, DN, "itsOwn")
        sent = console.post(*DEVICE, "publish", topic=topic, **given)
        assert sent == {"sent": True, "queued": False}
        assert client.message() == (topic, payload)
        elsewhere = console.post(*DEVICE, "publish", topic="/no/one/asked")
        assert elsewhere == {"sent": False, "reason": "not subscribed"}


def test_a_publish_beyond_the_queue_limit_says_so(
    console: ConsoleClient, hub: LocalPlatform
) -> None:
    console.post("devices", productKey=PK, deviceName=DN, deviceSecret="itsOwn")
    topic = f"/{PK}/{DN}/user/get"
    with MqttClient(hub) as client:
        client.connect_device(PK, DN, "itsOwn", clean=False)
        client.subscribe(topic, qos=1)
    hub.record.wait_for("disconnect")
    while hub.publish(PK, DN, topic, b"x", qos=1):
        pass
    refused = console.post(*DEVICE, "publish", topic=topic, qos=1)
    assert refused == {"sent": False, "reason": "too many messages wait already"}
