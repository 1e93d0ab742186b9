"""Registration over MQTT, with and without pre-registration, on the simulated board."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from conftest import MAC, PRODUCT_KEY, MakeBoard, product_of

from tools.board import Board, BootResult, Cut
from tools.iot_platform import Behaviour, LocalPlatform

MESSAGE = r"message on .*post_reply .*\n"
WAITING = r"trying again in .*\n"
WAYS = ("mqtt", "mqtt-free")
FREE_KEY = "a1FreeOfPre"
FIRST_BOOT = {
    "mqtt": [("register", 0), ("secret", 0)],
    "mqtt-free": [("regnwl", 0), ("connwl", 0)],
}
IMPATIENT = "from aliyun_iot import device\ndevice.Device.timeout = 1500\ndevice.run()\n"
GUARD = 90  # seconds after which it hangs, however busy the host


def boot(board: Board, until: str = MESSAGE, timeout: float = GUARD) -> BootResult:
    result = board.boot(until, timeout)
    assert result.ending == "until", result.output
    return result


def record_of(board: Board) -> dict[str, str]:
    record = json.loads(board.read("/device.json") or b"{}")
    assert isinstance(record, dict)
    return record


@pytest.fixture
def make(platform: LocalPlatform, make_board: MakeBoard) -> Any:
    """Make a board that registers over MQTT in the given way; a free one is not pre-registered."""

    def made(way: str, main: Any = None, **fields: Any) -> Board:
        if way.lower() == "mqtt-free":
            platform.registry.add_product(FREE_KEY, "its-own-secret", registration_free=True)
            fields = {"productKey": FREE_KEY, "productSecret": "its-own-secret"} | fields
        # Nothing listens on the register port: a way that strays to HTTPS fails.
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
    """The DeviceSecret that counts, or the deviceToken that a board connected with first last."""
    if way == "mqtt":
        return platform.registry.device(PRODUCT_KEY, MAC).device_secret
    clients = platform.registry.clients(FREE_KEY, MAC)
    return max(clients, key=lambda client: client.activated_at or 0).device_token


def waits(output: str) -> list[int]:
    return [int(found) for found in re.findall(r"trying again in (\d+) s", output)]


def connects(platform: LocalPlatform) -> list[tuple[Any, int | None]]:
    return [(e.details.get("auth"), e.code) for e in platform.record.events("connect")]


@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_a_pre_registered_board_registers_stores_and_connects(
    platform: LocalPlatform, make: Any, method: str
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
def test_a_board_that_nobody_registered_before_gets_a_token_and_connects(
    platform: LocalPlatform, make: Any, method: str
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
    platform: LocalPlatform, make: Any, way: str
) -> None:
    board = make(way)
    boot(board)
    before = connects(platform)
    assert boot(board).flash_operations == 0
    assert connects(platform) == [*before, before[-1]]


@pytest.mark.parametrize("way", WAYS)
def test_the_session_that_registered_is_left_at_once(
    platform: LocalPlatform, make: Any, way: str
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
def test_the_code_of_the_way_that_is_not_used_is_not_loaded(
    platform: LocalPlatform, make: Any, way: str
) -> None:
    board = make(way)
    board.write("/lib/aliyun_iot/https.mpy", None)
    boot(board)


@pytest.mark.parametrize("securemode", [2, -2])
def test_the_securemode_can_be_chosen(platform: LocalPlatform, make: Any, securemode: int) -> None:
    boot(make("mqtt", registrationSecuremode=securemode))
    asked = platform.record.events("connect")[0].details["client_id"]
    assert f"|securemode={securemode}," in asked


@pytest.mark.parametrize("from_host", [True, False])
def test_the_instance_id_comes_from_the_settings_or_the_host(
    platform: LocalPlatform, make: Any, from_host: bool
) -> None:
    host = "iot-060a0bcd.mqtt.iothub.aliyuncs.com"
    named = {"mqttHost": host} if from_host else {"mqttHost": None, "instanceId": "iot-060a0bcd"}
    boot(make("mqtt", **named))
    assert (
        ",instanceId=iot-060a0bcd|" in (platform.record.events("connect")[0].details["client_id"])
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (1, "not what the platform expects"),
        (2, "not what the platform expects"),
        (3, "not available"),
        (4, "check productKey and productSecret"),
        (4, "already active, not pre-registered, or dynamic registration is switched off"),
        (5, "check productKey and productSecret"),
        (5, "already active, not pre-registered, or dynamic registration is switched off"),
    ],
)
def test_a_refusal_by_connack_says_what_to_do(
    platform: LocalPlatform, make: Any, way: str, code: int, advice: str
) -> None:
    platform.faults.connack(code)
    board = make(way)
    result = boot(board, WAITING)
    assert f"CONNACK {code}" in result.output
    assert advice in result.output
    assert board.read("/device.json") is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "reason", ["already active", "switched off", "wrong secret", "not of this kind"]
)
def test_a_refusal_that_the_registry_itself_gives(
    platform: LocalPlatform, make: Any, way: str, reason: str
) -> None:
    board = make(way, **({"productSecret": "wrong"} if reason == "wrong secret" else {}))
    key = PRODUCT_KEY if way == "mqtt" else FREE_KEY
    if reason == "already active":
        # Registration-free, one DeviceName may be that of several physical devices.
        for _ in range(1 if way == "mqtt" else Behaviour().registration_free_devices):
            boot(board)
            board.write("/device.json", None)
    elif reason == "switched off":
        platform.registry.set_dynamic_registration(key, False)
    elif reason == "not of this kind":  # not pre-registered; a product without registration-free
        other = {"mqtt": "mqtt-free", "mqtt-free": "mqtt"}[way]
        product = json.loads(board.read("/product.json")) | {"registration": other}
        board.write("/product.json", json.dumps(product).encode())
    before = len(connects(platform))
    result = boot(board, WAITING)
    code = 5 if reason == "already active" else 4
    assert [code for _, code in connects(platform)[before:]] == [code]
    assert f"registration refused (CONNACK {code})" in result.output
    assert waits(result.output)[0] >= 30
    assert board.read("/device.json") is None


def test_five_physical_devices_of_one_name_are_taken(platform: LocalPlatform, make: Any) -> None:
    assert Behaviour().registration_free_devices == 5
    board = make("mqtt-free")
    for count in range(1, 6):
        boot(board)
        assert len(platform.registry.clients(FREE_KEY, MAC)) == count
        board.write("/device.json", None)


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_identity_is_kept_until_a_new_one_is_stored(
    platform: LocalPlatform, make: Any, way: str
) -> None:
    board = make(way)
    boot(board)
    before = held(board)
    board.hurry = 1000
    if way == "mqtt":
        platform.reset(PRODUCT_KEY, MAC)
    for until in (WAITING, MESSAGE):
        assert held(board) == before
        platform.faults.connack(5)
        result = boot(board, until)
        assert "connect refused (CONNACK 5)" in result.output
    assert min(waits(result.output)) >= 30
    assert connects(platform)[-2:] == FIRST_BOOT[way]
    assert held(board) == valid(platform, way)
    assert held(board) != before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("piece", [1, 7])
def test_an_answer_in_pieces_is_put_together(
    platform: LocalPlatform, make: Any, way: str, piece: int
) -> None:
    platform.faults.slow_register_answer(delay=0.1, piece=piece, pause=0.001)
    board = make(way)
    boot(board)
    assert platform.faults.take_slow_answer() is None
    assert connects(platform) == FIRST_BOOT[way]
    assert held(board) == valid(platform, way)


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_never_comes_is_waited_for_and_asked_for_again(
    platform: LocalPlatform, make: Any, way: str
) -> None:
    platform.faults.drop_next_register_answer(stay_open=True)
    board = make(way, IMPATIENT)
    boot(board, "registration: no answer in time; trying again")
    assert board.read("/device.json") is None
    boot(board, "connected as")
    assert held(board) == valid(platform, way)


@pytest.mark.parametrize("way", WAYS)
def test_silence_before_the_connack_ends_at_the_registrations_deadline(
    platform: LocalPlatform, make: Any, way: str
) -> None:
    platform.faults.stall_handshake()
    board = make(way, IMPATIENT)
    boot(board, "localhost: no answer in time; trying again")
    assert connects(platform) == []
    boot(board, "connected as")


def test_the_way_may_be_spelled_in_any_case(platform: LocalPlatform, make: Any) -> None:
    boot(make("MQTT-Free", productKey=FREE_KEY, productSecret="its-own-secret"))
    assert connects(platform) == FIRST_BOOT["mqtt-free"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_power_cut_between_answer_and_store_costs_one_more_registration(
    platform: LocalPlatform, make: Any, way: str, when: Any
) -> None:
    board = make(way)
    assert board.boot(timeout=GUARD, power_cut=Cut(1, when)).ending == "power cut"
    registering = FIRST_BOOT[way][:1]
    assert connects(platform) == registering
    assert board.read("/device.json") is None
    boot(board)
    assert connects(platform) == registering + FIRST_BOOT[way]
    assert held(board) == valid(platform, way)


def test_the_documents_other_topic_for_the_answer_is_listened_to(
    platform: LocalPlatform, make: Any
) -> None:
    platform.behaviour.registration_free_topic = "/ext/register"
    boot(make("mqtt-free"))


def test_a_device_token_is_never_sent_over_plain_tcp(platform: LocalPlatform, make: Any) -> None:
    board = make("mqtt-free")
    boot(board)
    product = json.loads(board.read("/product.json"))
    product |= {"securemode": 3, "mqttPort": platform.mqtt_tcp_port}
    board.write("/product.json", json.dumps(product).encode())
    before = len(connects(platform))
    result = board.boot(timeout=GUARD)
    assert "stopped: product.json: securemode: expected 2 with a deviceToken" in result.output
    assert len(connects(platform)) == before


@pytest.mark.parametrize("way", WAYS)
def test_registration_is_never_asked_for_over_plain_tcp(
    platform: LocalPlatform, make: Any, way: str
) -> None:
    board = make(way, securemode=3, mqttPort=platform.mqtt_tcp_port)
    boot(board, WAITING)
    assert connects(platform) == []
    assert board.read("/device.json") is None
