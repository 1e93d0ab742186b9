"""Dynamic registration over MQTT at the local platform, with and without pre-registration."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient, client_id
from platform_clients import PK, PS, post, registration_form

from tools.iot_platform import Behaviour, Identity, LocalPlatform

DN = "Example_dyn1"
USER = f"{DN}&{PK}"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS, registration_free=True)
        running.registry.add_device(PK, DN)
        yield running


def register(platform: LocalPlatform) -> dict[str, str]:
    with MqttClient(platform) as client:
        assert client.register(DN) == 0
        topic, payload = client.message()
    assert topic == "/ext/register"
    answer = json.loads(payload)
    assert isinstance(answer, dict)
    return answer


def register_free(platform: LocalPlatform, device_name: str = DN) -> dict[str, str]:
    with MqttClient(platform) as client:
        assert client.register(device_name, auth="regnwl", securemode=-2) == 0
        topic, payload = client.message()
    assert topic == "/ext/regnwl"
    answer = json.loads(payload)
    assert isinstance(answer, dict)
    return answer


def connect_free(platform: LocalPlatform, answer: dict[str, str], **params: str | int) -> int:
    given = {"securemode": -2, "authType": "connwl", "_ss": 1, **params}
    with MqttClient(platform) as client:
        user = f"{answer['deviceName']}&{answer['productKey']}"
        code = client.connect(client_id(answer["clientId"], **given), user, answer["deviceToken"])
    assert code is not None
    return code


def test_the_secret_is_pushed_without_subscribe(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.register(DN)
        message = client.message()

    secret = platform.registry.device(PK, DN).device_secret
    assert message == (
        "/ext/register",
        f'{{"deviceSecret":"{secret}","productKey":"{PK}","deviceName":"{DN}"}}'.encode(),
    )


@pytest.mark.parametrize("securemode", [2, -2])
@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_takes_each_sign_method_and_both_securemodes(
    platform: LocalPlatform, method: str, securemode: int
) -> None:
    with MqttClient(platform) as client:
        assert client.register(DN, method=method, securemode=securemode) == 0


def test_takes_an_instance_id(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.register(DN, instanceId="iot-060a1234") == 0


def test_keepalive_is_not_checked(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.register(DN, keepalive=0) == 0


def test_a_device_may_subscribe_explicitly(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.register(DN)
        client.message()
        assert client.subscribe("/ext/register") == [0]


def test_the_secret_connects_and_activates(platform: LocalPlatform) -> None:
    secret = register(platform)["deviceSecret"]
    assert not platform.registry.device(PK, DN).activated, "registering is not connecting"

    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, secret) == 0
    assert platform.registry.device(PK, DN).activated


def test_each_registration_voids_the_secret_before(platform: LocalPlatform) -> None:
    first = register(platform)["deviceSecret"]
    second = post(platform, registration_form()).json["data"]["deviceSecret"]
    third = register(platform)["deviceSecret"]

    assert len({first, second, third}) == 3
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, second) == 4
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, third) == 0


def test_a_registration_session_is_not_the_device_online(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.register(DN)
        client.message()

        assert not platform.online(PK, DN)


def test_closes_a_session_that_stays_after_the_answer() -> None:
    with LocalPlatform(behaviour=Behaviour(registration_session=0.5)) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN)
        with MqttClient(platform) as client:
            client.register(DN)
            client.message()
            began = time.monotonic()
            client.send(12, 0, b"")  # pings do not prolong it
            assert client.receive() is not None
            assert client.receive() is None
            lasted = time.monotonic() - began

    assert lasted < 2
    (event,) = platform.record.events("disconnect")
    assert event.details["reason"] == "registration over"


def test_the_limit_is_fifteen_seconds_unless_told() -> None:
    assert Behaviour().registration_session == 15


def test_refuses_plain_tcp_with_2(platform: LocalPlatform) -> None:
    with MqttClient(platform, tls=False) as client:
        assert client.register(DN) == 2
    assert platform.registry.device(PK, DN).registrations == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"securemode": 3},
        {"random": ""},
        {"signmethod": "hmacsha512"},
        {"signmethod": ""},
        {"authType": "regother"},
    ],
)
def test_refuses_a_bad_parameter_with_2(
    platform: LocalPlatform, changes: dict[str, str | int]
) -> None:
    params: dict[str, str | int] = {
        "securemode": 2,
        "authType": "register",
        "random": "1",
        "signmethod": "hmacsha256",
        **changes,
    }
    with MqttClient(platform) as client:
        assert client.connect(client_id("dev", **params), USER, "0" * 64) == 2


@pytest.mark.parametrize("ident", ["", "x" * 65])
def test_refuses_an_id_that_is_not_1_to_64_long_with_2(
    platform: LocalPlatform, ident: str
) -> None:
    text = client_id(ident, securemode=2, authType="register", random=1, signmethod="hmacmd5")
    with MqttClient(platform) as client:
        assert client.connect(text, USER, "0" * 32) == 2


def test_refuses_a_wrong_product_secret(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.register(DN, secret="wrong") == 4
        assert client.receive() is None
    platform.behaviour.bad_sign_connack = 5
    with MqttClient(platform) as client:
        assert client.register(DN, secret="wrong") == 5


def test_refuses_an_active_device(platform: LocalPlatform) -> None:
    secret = register(platform)["deviceSecret"]
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, secret)

    with MqttClient(platform) as client:
        assert client.register(DN) == 5
    (event,) = platform.record.events("register", code=6289)
    assert event.details["via"] == "mqtt"
    platform.behaviour.active_device_connack = 4
    with MqttClient(platform) as client:
        assert client.register(DN) == 4


def test_registers_again_after_a_reset(platform: LocalPlatform) -> None:
    secret = register(platform)["deviceSecret"]
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, secret)
    platform.reset(PK, DN)

    assert register(platform)["deviceSecret"] != secret


@pytest.mark.parametrize("auth", ["register", "regnwl"])
def test_refuses_when_the_switch_is_off(platform: LocalPlatform, auth: str) -> None:
    platform.registry.set_dynamic_registration(PK, False)

    with MqttClient(platform) as client:
        assert client.register(DN, auth=auth) == 4


def test_refuses_a_device_that_was_not_pre_registered(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.register("unknown1") == 4


# Registration-free


def test_registers_a_device_that_was_not_pre_registered(platform: LocalPlatform) -> None:
    answer = register_free(platform, "brandNew1")

    assert set(answer) == {"productKey", "deviceName", "clientId", "deviceToken"}
    assert 1 <= len(answer["clientId"]) <= 64
    assert 1 <= len(answer["deviceToken"]) <= 64
    assert connect_free(platform, answer) == 0
    assert platform.registry.device(PK, "brandNew1").activated


@pytest.mark.parametrize("securemode", [2, -2])
def test_registration_free_takes_both_securemodes(
    platform: LocalPlatform, securemode: int
) -> None:
    with MqttClient(platform) as client:
        assert client.register(DN, auth="regnwl", securemode=securemode) == 0


def test_the_answer_can_come_on_the_documented_topic(platform: LocalPlatform) -> None:
    platform.behaviour.registration_free_topic = "/ext/register"
    with MqttClient(platform) as client:
        client.register(DN, auth="regnwl")

        assert client.message()[0] == "/ext/register"


def test_a_token_connects_again_and_again(platform: LocalPlatform) -> None:
    answer = register_free(platform)

    assert [connect_free(platform, answer) for _ in range(3)] == [0, 0, 0]


def test_refuses_a_wrong_token_or_client_id(platform: LocalPlatform) -> None:
    answer = register_free(platform)

    assert connect_free(platform, {**answer, "deviceToken": "wrong"}) == 4
    assert connect_free(platform, {**answer, "clientId": "wrong"}) == 4
    assert connect_free(platform, {**answer, "deviceName": "another1"}) == 4


def test_refuses_a_token_with_securemode_3(platform: LocalPlatform) -> None:
    assert connect_free(platform, register_free(platform), securemode=3) == 4


def test_five_physical_devices_may_share_a_name(platform: LocalPlatform) -> None:
    answers = [register_free(platform) for _ in range(6)]
    assert len({answer["clientId"] for answer in answers}) == 6

    assert [connect_free(platform, answer) for answer in answers] == [0, 0, 0, 0, 0, 5]
    with MqttClient(platform) as client:
        assert client.register(DN, auth="regnwl") == 5
    assert connect_free(platform, answers[0]) == 0, "the five go on"


def test_physical_devices_with_one_name_do_not_throw_each_other_out(
    platform: LocalPlatform,
) -> None:
    clients = []
    for _ in range(2):
        answer = register_free(platform)
        client = MqttClient(platform)
        ident = client_id(answer["clientId"], securemode=-2, authType="connwl", _ss=1)
        assert client.connect(ident, USER, answer["deviceToken"]) == 0
        clients.append(client)

    topic = f"/sys/{PK}/{DN}/thing/service/property/set"
    assert platform.publish(PK, DN, topic, b"{}")
    for client in clients:
        assert client.message() == (topic, b"{}")
        client.close()


def test_refuses_a_product_that_needs_pre_registration(platform: LocalPlatform) -> None:
    platform.registry.add_product("a1Other0000", PS)
    with MqttClient(platform) as client:
        assert client.register("someName", auth="regnwl", product_key="a1Other0000") == 4
    assert platform.registry.find_device("a1Other0000", "someName") is None


def test_a_reset_voids_tokens(platform: LocalPlatform) -> None:
    answer = register_free(platform)
    platform.reset(*Identity(PK, DN))

    assert connect_free(platform, answer) == 4
