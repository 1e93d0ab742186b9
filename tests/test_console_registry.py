"""The console's API for the registry: products, lists of devices, secrets, persistence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from console_client import ConsoleClient
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, PS, SUB, post, registration_form

from tools.iot_platform import LocalPlatform
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


def test_key_and_secret_are_generated(console: ConsoleClient) -> None:
    made = console.post("products", nodeType="gateway")

    assert made["productKey"].startswith("a1") and made["nodeType"] == "gateway"
    secret = console.post("products", made["productKey"], "secret")["productSecret"]
    assert len(secret) == 16


def test_products_come_in_pages(console: ConsoleClient) -> None:
    page = console.get("products", limit=2)
    assert [item["productKey"] for item in page["items"]] == [PK, GATEWAY]
    assert (page["total"], page["offset"], page["limit"]) == (3, 0, 2)

    page = console.get("products", limit=2, offset=2)
    assert [item["productKey"] for item in page["items"]] == [SUB]
    assert console.get("products", search="gateway")["total"] == 1


# Devices


def test_ten_thousand_devices_come_in_pages(console: ConsoleClient) -> None:
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


def test_an_imported_device_is_added_only_once(console: ConsoleClient) -> None:
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
    assert "\\u2022" in shown[-1]  # in place of the secrets
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
