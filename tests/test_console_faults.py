"""Fault switches: each acts on its device only, and as many times as it says."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable

import pytest
from console_client import ConsoleClient
from mqtt_client import MqttClient, connect_packet
from platform_clients import PK, post, registration_form

from tools.iot_platform import Identity, LocalPlatform

DN, OTHER = "246f28aabbcc", "246f28aabbcd"
SECRET = "itsOwnSecret"
DEVICE = Identity(PK, DN)
Switch = Callable[..., None]


@pytest.fixture
def switch(console: ConsoleClient, hub: LocalPlatform) -> Switch:
    for name in (DN, OTHER):
        hub.registry.add_device(PK, name, SECRET)

    def on(fault: str, **settings: object) -> None:
        console.post("devices", *DEVICE, "faults", fault=fault, **settings)

    return on


def code(hub: LocalPlatform, name: str = DN) -> int:
    """Register; return the code of the answer."""
    return int(post(hub, registration_form(name)).json["code"])


def connect(hub: LocalPlatform, name: str = DN) -> int | None:
    with MqttClient(hub) as client:
        return client.connect_device(PK, name, SECRET)


def faults(console: ConsoleClient) -> list[str]:
    return [item["fault"] for item in console.get("devices", *DEVICE, "faults")["items"]]


def test_the_answer_to_a_registration_can_be_lost(hub: LocalPlatform, switch: Switch) -> None:
    switch("lost")
    assert code(hub, OTHER) == 200
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        code(hub)

    assert hub.registry.device(*DEVICE).registrations == 1  # it took effect
    assert code(hub) == 200


def test_the_answer_to_a_request_can_be_lost(hub: LocalPlatform, switch: Switch) -> None:
    switch("lost")
    topic = f"/sys/{DEVICE}/thing/event/property/post"
    with MqttClient(hub) as client:
        client.connect_device(*DEVICE, SECRET)
        for number in ("1", "2"):
            client.publish(topic, json.dumps({"id": number, "params": {}}).encode())
        assert json.loads(client.message()[1])["id"] == "2"


def test_answers_can_be_slow(hub: LocalPlatform, switch: Switch) -> None:
    """The registration, then the CONNACK, then a reply. The platform serves others meanwhile."""
    switch("slow", seconds=0.3, times=3)
    assert code(hub) == 200
    topic = f"/sys/{DEVICE}/thing/event/property/post"
    secret = hub.registry.device(*DEVICE).device_secret
    with MqttClient(hub) as client:
        assert client.connect_device(*DEVICE, secret) == 0
        client.publish(topic, b'{"id":"1","params":{}}')
        assert json.loads(client.message()[1])["id"] == "1"

    late = [event.details["what"] for event in hub.record.events("fault")]
    assert late == [
        "registration answer 0.3 s late",
        "CONNACK 0.3 s late",
        "reply 0.3 s late",
    ]


def test_a_device_that_does_not_wait_for_a_slow_connack_loses_nothing(
    hub: LocalPlatform, switch: Switch
) -> None:
    switch("slow", seconds=0.2)
    with MqttClient(hub) as client:
        client.send_raw(connect_packet(DN, SECRET))
        client.publish(f"/{DEVICE}/user/update", b"early")
        hub.record.wait_for("publish")

    kinds = [e.kind for e in hub.record.events() if e.kind in ("connect", "publish")]
    assert kinds == ["connect", "publish"]


def test_an_address_can_get_a_wrong_certificate(
    hub: LocalPlatform, console: ConsoleClient, switch: Switch
) -> None:
    switch("certificate", address="127.0.0.1", times=2)
    for _ in range(2):
        with pytest.raises(ssl.SSLCertVerificationError):
            code(hub)

    assert code(hub) == 200
    assert faults(console) == []
    assert console.get("devices", *DEVICE)["lastAddress"].startswith("127.0.0.1:")
    switch("certificate", problem="expired")  # its last address is known now
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        code(hub)
    switch("certificate", address="192.0.2.1")
    assert code(hub) == 200


def test_a_device_can_be_refused_as_busy(
    hub: LocalPlatform, console: ConsoleClient, switch: Switch
) -> None:
    switch("refuse", times=None)
    assert (code(hub), connect(hub)) == (500, 3)
    assert (code(hub, OTHER), connect(hub)) == (200, 3)
    error = console.get("devices", *DEVICE)["lastError"]
    assert error["advice"] == "A fault switch did this: it was asked for."

    console.post("devices", *DEVICE, "faults", "clear", fault="refuse")
    assert (code(hub), faults(console)) == (200, [])


@pytest.mark.parametrize(
    ("asked", "registration", "connack"),
    [(6288, 6288, 0), (4, 200, 4), (256, 200, None)],
)
def test_a_device_can_be_refused_with_a_code(
    hub: LocalPlatform, switch: Switch, asked: int, registration: int, connack: int | None
) -> None:
    """A CONNACK code does not affect registrations; a result code does not affect connects."""
    switch("refuse", code=asked, times=None)
    assert connect(hub) == connack
    assert code(hub) == registration


def test_an_online_device_is_disconnected_at_once(
    hub: LocalPlatform, console: ConsoleClient, switch: Switch
) -> None:
    with MqttClient(hub) as client:
        client.connect_device(*DEVICE, SECRET)
        switch("disconnect", times=2)
        assert client.receive() is None
    assert faults(console) == ["disconnect"]
    with MqttClient(hub) as client:  # and again after its next connect
        assert client.connect_device(*DEVICE, SECRET) == 0
        assert client.receive() is None
    assert faults(console) == []
    with MqttClient(hub) as client:
        assert client.connect_device(*DEVICE, SECRET) == 0
        client.publish(f"/{DEVICE}/user/update", b"stays")
        hub.record.wait_for("publish")


def test_all_faults_are_in_one_list(console: ConsoleClient, switch: Switch) -> None:
    switch("lost")
    switch("slow", seconds=2.5)
    shown = console.get("faults")
    assert shown["items"] == [
        {
            "productKey": PK,
            "deviceName": DN,
            "faults": [
                {"fault": "lost", "times": 1},
                {"fault": "slow", "times": 1, "seconds": 2.5},
            ],
        }
    ]
    assert set(shown["about"]) == {"lost", "slow", "certificate", "refuse", "disconnect"}

    assert console.post("devices", *DEVICE, "faults", "clear") == {"items": []}
    console.post("devices", *DEVICE, "faults", fault="lost")
    console.post("devices", *DEVICE, "delete")
    assert console.get("faults")["items"] == []
