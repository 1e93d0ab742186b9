"""One identity connects twice at the local platform: who is told what, and who stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, PS, SUB
from platform_gateways import DS, GW, LOGIN, bound_platform, entry, login, online

from tools.iot_platform import LocalPlatform

DN = "Example_dyn1"
KICK = ("/ext/notify", b'{"title":"kick","content":"Kicked by the same device"}')


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with bound_platform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN, DS)
        yield running


def secret(platform: LocalPlatform, name: str = "sub001") -> str:
    return platform.registry.device(SUB, name).device_secret


@pytest.mark.parametrize("extra", [{}, {"ext": 0}, {"ext": 1}, {"ext": 3}, {"_ss": 0}])
def test_a_session_thrown_out_is_told_first(
    platform: LocalPlatform, extra: dict[str, int]
) -> None:
    with MqttClient(platform) as first, MqttClient(platform) as second:
        first.connect_device(PK, DN, DS, extra=extra)
        second.connect_device(PK, DN, DS)

        assert first.message() == KICK
        assert first.receive() is None
        assert platform.online(PK, DN)


@pytest.mark.parametrize(("ext", "told"), [(0, False), (1, False), (2, True), (3, True)])
def test_can_tell_only_those_that_asked_for_notices(
    platform: LocalPlatform, ext: int, told: bool
) -> None:
    platform.behaviour.kick_notice = "if asked"
    with MqttClient(platform) as first, MqttClient(platform) as second:
        first.connect_device(PK, DN, DS, extra={"ext": ext})
        second.connect_device(PK, DN, DS)

        if told:
            assert first.message() == KICK
        assert first.receive() is None


def test_can_tell_nobody(platform: LocalPlatform) -> None:
    platform.behaviour.kick_notice = "never"
    with MqttClient(platform) as first, MqttClient(platform) as second:
        first.connect_device(PK, DN, DS, extra={"ext": 3})
        second.connect_device(PK, DN, DS)
        assert first.receive() is None


@pytest.mark.parametrize("ext", ["", "x", "-1", "99999999999999999999", "٣"])
def test_an_ext_that_is_no_number_is_no_ext(platform: LocalPlatform, ext: str) -> None:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS, extra={"ext": ext}) == 0


def test_a_refused_connect_throws_nobody_out(platform: LocalPlatform) -> None:
    with MqttClient(platform) as first, MqttClient(platform) as second:
        first.connect_device(PK, DN, DS)
        assert second.connect_device(PK, DN, "wrong") == 4

        topic = f"/sys/{PK}/{DN}/thing/event/property/post"
        assert first.request(topic, {})["code"] == 200


def test_other_ends_are_no_kick(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        platform.disconnect(PK, DN)
        assert client.receive() is None


# A sub-device by itself and through its gateway


def test_a_sub_device_that_connects_by_itself_is_logged_out_of_its_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    login(platform, gateway, "sub002")
    with MqttClient(platform) as direct:
        assert direct.connect_device(SUB, "sub001", secret(platform)) == 0

        topic, payload = gateway.message()
        body = json.loads(payload)
        assert topic == f"/ext/error/{GATEWAY}/{GW}"
        assert (body["code"], body["message"]) == (427, "device connect in elsewhere")
        assert online(platform) == ["sub002"], "through the gateway"
        assert platform.online(SUB, "sub001"), "by itself"
        post = f"/sys/{SUB}/sub001/thing/event/property/post"
        assert direct.request(post, {})["code"] == 200
        gateway.publish(post, b'{"id":"1","params":{}}')
        assert json.loads(gateway.message()[1])["code"] == 520


def test_a_refused_connect_logs_no_sub_device_out(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    with MqttClient(platform) as direct:
        assert direct.connect_device(SUB, "sub001", "wrong") == 4
    assert online(platform) == ["sub001"]


def test_a_sub_device_that_logs_in_is_thrown_out_of_its_own_session(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    with MqttClient(platform) as direct:
        direct.connect_device(SUB, "sub001", secret(platform))
        assert gateway.request(LOGIN, entry(platform, "sub001"))["code"] == 200

        assert direct.message() == KICK
        assert direct.receive() is None
        assert online(platform) == ["sub001"]


def test_a_gateway_that_connects_again_takes_its_sub_devices_offline(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    with MqttClient(platform) as second:
        second.connect_device(GATEWAY, GW, DS)
        assert gateway.message() == KICK
        assert online(platform) == []
