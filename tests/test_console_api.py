"""The console's API: products, devices, pages, and errors that name the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from console_client import ConsoleClient
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, PS, SUB, post, registration_form

from tools.iot_platform import Identity, LocalPlatform
from tools.iot_platform.console.server import ConsoleSettings

DN = "246f28aabbcc"
DEVICE = ("devices", PK, DN)


# Products


def test_a_product_is_added_and_switched(console: ConsoleClient) -> None:
    made = console.post("products", productKey="a1New", productSecret="own")
    assert made == {
        "productKey": "a1New",
        "nodeType": "device",
        "dynamicRegistration": False,
        "registrationFree": False,
        "devices": 0,
    }

    assert console.post("products", "a1New", dynamicRegistration=True)["dynamicRegistration"]
    assert console.get("products", "a1New")["dynamicRegistration"]


def test_key_and_secret_are_made_up(console: ConsoleClient) -> None:
    made = console.post("products", nodeType="gateway")

    assert made["productKey"].startswith("a1") and made["nodeType"] == "gateway"
    secret = console.post("products", made["productKey"], "secret")["productSecret"]
    assert len(secret) == 16


def test_products_in_pages(console: ConsoleClient) -> None:
    page = console.get("products", limit=2)
    assert [item["productKey"] for item in page["items"]] == [PK, GATEWAY]
    assert (page["total"], page["offset"], page["limit"]) == (3, 0, 2)

    page = console.get("products", limit=2, offset=2)
    assert [item["productKey"] for item in page["items"]] == [SUB]
    assert console.get("products", search="gateway")["total"] == 1


# Devices


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


def test_a_refusal_is_the_last_error_until_it_is_over(
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
    """It says no name; where two devices share an address, it is neither's."""
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


def test_disable_enable_delete(console: ConsoleClient, hub: LocalPlatform) -> None:
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
def test_publish(
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


def test_a_message_too_many_is_refused_for_that_reason(
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


# Lists


def test_ten_thousand_devices_in_pages(console: ConsoleClient) -> None:
    names = [f"unit-{n:05}" for n in range(10_000)]
    csv = "\ufeffDeviceName,Nickname\r\n" + "".join(f"{name},\r\n" for name in names)
    assert console.post("devices", "import", productKey=PK, csv=csv) == {
        "added": 10_000,
        "thereAlready": 0,
    }

    page = console.get("devices", offset=9_950, limit=200)
    assert (page["total"], len(page["items"])) == (10_000, 50)
    assert page["items"][-1]["deviceName"] == "unit-09999"
    found = console.get("devices", search="IT-0123", product=PK)
    assert (found["total"], found["items"][0]["deviceName"]) == (10, "unit-01230")
    assert console.get("devices", connection="offline", offset=9_999)["total"] == 10_000
    assert console.get("status")["counts"]["never registered"] == 10_000
    assert console.get("products", PK)["devices"] == 10_000


def test_a_list_is_taken_once(console: ConsoleClient) -> None:
    console.post("devices", productKey=PK, deviceName="aaaa")
    csv = 'Nickname,"Device Name"\n"a, quoted",aaaa\n\n,bbbb\n'
    assert console.post("devices", "import", productKey=PK, csv=csv) == {
        "added": 1,
        "thereAlready": 1,
    }


# Secrets


def test_secrets_are_shown_one_at_a_time_and_nowhere_else(
    console: ConsoleClient,
    hub: LocalPlatform,
) -> None:
    own = "aSecretOfItsOwn0123456789"
    console.post("devices", productKey=PK, deviceName=DN, deviceSecret=own)
    issued = post(hub, registration_form(DN)).json["data"]["deviceSecret"]
    with MqttClient(hub) as client:
        client.connect_device(PK, DN, issued)
        for text in (issued, json.dumps({"deviceSecret": issued, "x": PS})):
            console.post(*DEVICE, "publish", topic=f"/sys/{PK}/{DN}/a", payload=text)
            client.message()
        shown = [
            console.try_get(*path).body.decode()
            for path in (("status",), ("products",), ("products", PK), ("devices",), DEVICE)
        ]
        shown.append(console.try_get("events", limit=200).body.decode())

    assert console.post(*DEVICE, "secret") == {"deviceSecret": issued}
    assert console.post("products", PK, "secret") == {"productSecret": PS}
    shown.append(console.try_get("events", limit=200).body.decode())
    for secret in (own, issued, PS):
        assert not [text for text in shown if secret in text]
    assert "show DeviceSecret" in shown[-1]
    assert "\\u2022" in shown[-1]  # where the secrets would be
    assert console.try_get(*DEVICE, "secret").status == 405


# State


def test_state_survives_a_restart(tmp_path: Path) -> None:
    where: Any = {"database": tmp_path / "db", "console": ConsoleSettings()}
    with LocalPlatform(**where) as first:
        client = ConsoleClient(first.console_url)
        client.post("products", productKey=PK, productSecret=PS)
        client.post("devices", productKey=PK, deviceName=DN)
        client.post(*DEVICE, "faults", fault="lost", times=None)
        post(first, registration_form(DN))
        before = client.get(*DEVICE)
        events = client.get("events")["items"]
    with LocalPlatform(**where) as second:
        client = ConsoleClient(second.console_url)
        assert client.get(*DEVICE) == before
        assert before["faults"] == [{"fault": "lost", "times": None}]
        again = client.get("events")["items"]
        assert [(e["kind"], e["at"]) for e in again] == [(e["kind"], e["at"]) for e in events]
