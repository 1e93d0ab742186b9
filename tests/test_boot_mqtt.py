"""Registration over MQTT, with and without pre-registration, on the simulated board."""

from __future__ import annotations

import json

import pytest
from boot_helpers import GUARD, WAITING, boot
from boot_mqtt_helpers import (
    FIRST_BOOT,
    FREE_KEY,
    WAYS,
    MakeMqttBoard,
    connects,
    mqtt_boards,
    record_of,
)
from conftest import MAC, PRODUCT_KEY, MakeBoard

from tools.iot_platform import Behaviour, LocalPlatform


@pytest.fixture
def make(platform: LocalPlatform, make_board: MakeBoard) -> MakeMqttBoard:
    return mqtt_boards(platform, make_board)


@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_a_pre_registered_board_registers_stores_and_connects(
    platform: LocalPlatform, make: MakeMqttBoard, method: str
) -> None:
    board = make("mqtt", signMethod=method)
    boot(board)
    assert connects(platform) == FIRST_BOOT["mqtt"]
    known = platform.registry.device(PRODUCT_KEY, MAC).device_secret
    assert record_of(board)["deviceSecret"] == known
    asked = platform.record.events("connect")[0].details["client_id"]
    assert f"signmethod={method}" in asked
    assert "securemode=2,authType=register," in asked


@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_a_board_without_pre_registration_gets_a_token_and_connects(
    platform: LocalPlatform, make: MakeMqttBoard, method: str
) -> None:
    board = make("mqtt-free", signMethod=method)
    boot(board)
    assert connects(platform) == FIRST_BOOT["mqtt-free"]
    record = record_of(board)
    (client,) = platform.registry.clients(FREE_KEY, MAC)
    assert (record["clientId"], record["deviceToken"]) == (client.client_id, client.device_token)
    assert "deviceSecret" not in record
    assert (
        "securemode=-2,authType=regnwl,"
        in (platform.record.events("connect")[0].details["client_id"])
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_later_boot_connects_without_registering_or_writing(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    board = make(way)
    boot(board)
    before = connects(platform)
    assert boot(board).flash_operations == 0
    assert connects(platform) == [*before, before[-1]]


@pytest.mark.parametrize("way", WAYS)
def test_the_registering_session_disconnects_at_once(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    boot(make(way))
    registering = FIRST_BOOT[way][0][0]
    (ended,) = (
        event
        for event in platform.record.events("disconnect")
        if event.details["auth"] == registering
    )
    assert ended.details["reason"] == "disconnected"
    events = platform.record.events()
    assert events.index(ended) < events.index(platform.record.events("connect")[1])


@pytest.mark.parametrize("way", WAYS)
def test_the_https_code_is_not_loaded(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    board = make(way)
    board.write("/lib/aliyun_iot/https.mpy", None)
    boot(board)


@pytest.mark.parametrize("securemode", [2, -2])
def test_the_securemode_can_be_chosen(
    platform: LocalPlatform, make: MakeMqttBoard, securemode: int
) -> None:
    boot(make("mqtt", registrationSecuremode=securemode))
    asked = platform.record.events("connect")[0].details["client_id"]
    assert f"|securemode={securemode}," in asked


@pytest.mark.parametrize("from_host", [True, False])
def test_the_instance_id_comes_from_the_settings_or_the_host(
    platform: LocalPlatform, make: MakeMqttBoard, from_host: bool
) -> None:
    host = "iot-060a0bcd.mqtt.iothub.aliyuncs.com"
    named = {"mqttHost": host} if from_host else {"mqttHost": None, "instanceId": "iot-060a0bcd"}
    boot(make("mqtt", **named))
    assert (
        ",instanceId=iot-060a0bcd|" in (platform.record.events("connect")[0].details["client_id"])
    )


def test_five_physical_devices_of_one_name_can_register(
    platform: LocalPlatform, make: MakeMqttBoard
) -> None:
    assert Behaviour().registration_free_devices == 5
    board = make("mqtt-free")
    for count in range(1, 6):
        boot(board)
        assert len(platform.registry.clients(FREE_KEY, MAC)) == count
        board.write("/device.json", None)


def test_the_way_may_be_spelled_in_any_case(platform: LocalPlatform, make: MakeMqttBoard) -> None:
    boot(make("MQTT-Free", productKey=FREE_KEY, productSecret="its-own-secret"))
    assert connects(platform) == FIRST_BOOT["mqtt-free"]


def test_the_other_documented_answer_topic_works_too(
    platform: LocalPlatform, make: MakeMqttBoard
) -> None:
    platform.behaviour.registration_free_topic = "/ext/register"
    boot(make("mqtt-free"))


def test_a_device_token_is_never_sent_over_plain_tcp(
    platform: LocalPlatform, make: MakeMqttBoard
) -> None:
    board = make("mqtt-free")
    boot(board)
    product = json.loads(board.read("/product.json") or b"")
    product |= {"securemode": 3, "mqttPort": platform.mqtt_tcp_port}
    board.write("/product.json", json.dumps(product).encode())
    before = len(connects(platform))
    result = board.boot(timeout=GUARD)
    assert "stopped: product.json: securemode: expected 2 with a deviceToken" in result.output
    assert len(connects(platform)) == before


@pytest.mark.parametrize("way", WAYS)
def test_no_registration_goes_over_plain_tcp(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    board = make(way, securemode=3, mqttPort=platform.mqtt_tcp_port)
    boot(board, WAITING)
    assert connects(platform) == []
    assert board.read("/device.json") is None
