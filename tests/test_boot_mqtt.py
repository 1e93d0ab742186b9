"""Registration over MQTT, with and without pre-registration, on the simulated board."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import MAC, PRODUCT_KEY, MakeBoard, product_of

from tools.board import Board, BootResult, Cut
from tools.iot_platform import Behaviour, LocalPlatform

MESSAGE = r"message on .*post_reply .*\n"
WAITING = r"trying again in .*\n"
WAYS = ("mqtt", "mqtt-free")


def boot(board: Board, until: str = MESSAGE, timeout: float = 25) -> BootResult:
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
            platform.registry.add_product("a1FreeOfPre", "its-own-secret", registration_free=True)
            fields = {"productKey": "a1FreeOfPre", "productSecret": "its-own-secret"} | fields
        # Nothing listens on the register port: a way that strays to HTTPS fails.
        image = {"main": main} if main else {}
        return make_board(
            product_of(platform, registration=way, registerPort=1, **fields), **image
        )

    return made


def connects(platform: LocalPlatform) -> list[tuple[Any, int | None]]:
    return [(e.details["auth"], e.code) for e in platform.record.events("connect")]


@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_a_pre_registered_board_registers_stores_and_connects(
    platform: LocalPlatform, make: Any, method: str
) -> None:
    board = make("mqtt", signMethod=method)
    boot(board)
    assert connects(platform) == [("register", 0), ("secret", 0)]
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
    assert connects(platform) == [("regnwl", 0), ("connwl", 0)]
    record = record_of(board)
    (client,) = platform.registry.clients("a1FreeOfPre", MAC)
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
    ended = platform.record.wait_for("disconnect", timeout=3)
    assert ended[0].details["auth"] == {"mqtt": "register", "mqtt-free": "regnwl"}[way]
    assert ended[0].at - platform.record.events("connect")[0].at < 2


@pytest.mark.parametrize("way", WAYS)
def test_the_code_of_the_way_that_is_not_used_is_not_loaded(
    platform: LocalPlatform, make: Any, way: str
) -> None:
    board = make(way)
    for unused in ("https", "registration", "urlencode"):
        board.write(f"/lib/aliyun_iot/{unused}.mpy", None)
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


@pytest.mark.parametrize("reason", ["already active", "switched off", "wrong secret"])
def test_a_refusal_that_the_registry_itself_gives(
    platform: LocalPlatform, make: Any, reason: str
) -> None:
    board = make("mqtt", **({"productSecret": "wrong"} if reason == "wrong secret" else {}))
    if reason == "already active":
        boot(board)
        board.write("/device.json", None)
    elif reason == "switched off":
        platform.registry.set_dynamic_registration(PRODUCT_KEY, False)
    result = boot(board, WAITING)
    assert "registration refused (CONNACK 5)" in result.output
    assert board.read("/device.json") is None


def test_an_answer_that_never_comes_is_waited_for_within_the_deadline(
    platform: LocalPlatform, make: Any
) -> None:
    platform.faults.drop_next_register_answer(stay_open=True)
    main = "from aliyun_iot import device\ndevice.Device.timeout = 1500\ndevice.run()\n"
    board = make("mqtt", main)
    result = boot(board, WAITING, timeout=5)
    assert "registration: no answer in time" in result.output
    boot(board, "connected as")
    assert record_of(board)["deviceSecret"] == (
        platform.registry.device(PRODUCT_KEY, MAC).device_secret
    )


def test_silence_before_the_connack_ends_within_the_registrations_deadline(
    platform: LocalPlatform, make: Any
) -> None:
    platform.faults.stall_handshake()
    main = "from aliyun_iot import device\ndevice.Device.timeout = 1500\ndevice.run()\n"
    result = boot(make("mqtt", main), WAITING, timeout=5)
    assert "no answer in time" in result.output


def test_the_way_may_be_spelled_in_any_case(platform: LocalPlatform, make: Any) -> None:
    boot(make("MQTT-Free", productKey="a1FreeOfPre", productSecret="its-own-secret"))
    assert connects(platform) == [("regnwl", 0), ("connwl", 0)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_power_cut_between_answer_and_store_costs_one_more_registration(
    platform: LocalPlatform, make: Any, way: str, when: Any
) -> None:
    board = make(way)
    assert board.boot(timeout=20, power_cut=Cut(1, when)).ending == "power cut"
    assert connects(platform) == [connects(platform)[0]]
    boot(board)
    record = record_of(board)
    if way == "mqtt":
        known = platform.registry.device(PRODUCT_KEY, MAC).device_secret
        assert record["deviceSecret"] == known
    else:
        clients = platform.registry.clients("a1FreeOfPre", MAC)
        assert record["deviceToken"] in [client.device_token for client in clients]


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
    result = board.boot(timeout=10)
    assert "stopped: product.json: securemode: expected 2 with a deviceToken" in result.output
    assert len(connects(platform)) == before


def test_a_sixth_physical_device_is_refused(platform: LocalPlatform, make: Any) -> None:
    assert Behaviour().registration_free_devices == 5
    board = make("mqtt-free")
    for _ in range(5):
        boot(board)
        board.write("/device.json", None)
    assert "refused" in boot(board, WAITING).output
