"""Registration of sub-devices at the local platform, over the gateway's session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, PS, SUB, hmac_hex
from platform_gateways import DS, GW, NAMES, SYS, gateway_platform, named

from tools.iot_platform import Identity, LocalPlatform

REGISTER = f"{SYS}/thing/sub/register"
PROXY = f"{SYS}/thing/proxy/provisioning/product_register"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with gateway_platform() as running:
        yield running


def proxied(device_name: str, **changes: str) -> dict[str, str]:
    content = f"deviceName{device_name}productKey{SUB}random42"
    sign = hmac_hex("hmacsha256", PS, content)
    return {
        **named(device_name),
        "random": "42",
        "signMethod": "hmacSha256",
        "sign": sign,
        **changes,
    }


# thing/sub/register


def test_register_answers_in_the_form_of_a_real_log(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    request = {
        "id": "123",
        "version": "1.0",
        "params": [named("sub001")],
        "method": "thing.sub.register",
    }
    gateway.publish(REGISTER, json.dumps(request).encode())

    reply = gateway.message()
    device = platform.registry.device(SUB, "sub001")
    assert reply == (
        REGISTER + "_reply",
        f'{{"code":200,"data":[{{"iotId":"{device.iot_id}","deviceSecret":"{device.device_secret}"'
        f',"productKey":"{SUB}","deviceName":"sub001"}}],"id":"123","message":"success",'
        '"method":"thing.sub.register","version":"1.0"}'.encode(),
    )


def test_register_makes_a_new_secret_each_time(gateway: MqttClient) -> None:
    replies = [gateway.request(REGISTER, [named("sub001")]) for _ in range(2)]

    assert len({reply["data"][0]["deviceSecret"] for reply in replies}) == 2


@pytest.mark.parametrize(("count", "code"), [(0, 460), (1, 200), (30, 200), (31, 460)])
def test_register_takes_1_to_30_at_once(gateway: MqttClient, count: int, code: int) -> None:
    reply = gateway.request(REGISTER, [named(name) for name in NAMES[:count]])

    assert reply["code"] == code
    if code == 200:
        assert [entry["deviceName"] for entry in reply["data"]] == NAMES[:count]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        pytest.param(named(GW, GATEWAY), 6402, id="the gateway itself"),
        pytest.param(named("unknown1"), 6100, id="unknown device"),
        pytest.param(named("sub001", "a1Unknown00"), 5005, id="unknown product"),
        pytest.param(named("ab"), 460, id="a name outside the rules"),
        pytest.param({"deviceName": "sub001"}, 460, id="no productKey"),
        pytest.param({"deviceName": 7, "productKey": SUB}, 460, id="a name that is no text"),
        pytest.param("sub001", 460, id="no object"),
    ],
)
def test_register_refuses(
    platform: LocalPlatform, gateway: MqttClient, entry: Any, code: int
) -> None:
    reply = gateway.request(REGISTER, [named("sub002"), entry])

    assert (reply["code"], reply["data"]) == (code, {})
    assert platform.registry.device(SUB, "sub002").registrations == 0, "all or none"


def test_register_says_why_in_the_documented_words(gateway: MqttClient) -> None:
    asked = {460: [], 6402: [named(GW, GATEWAY)], 6100: [named("unknown1")]}

    assert {gateway.request(REGISTER, p)["message"] for p in asked.values()} == {
        "request parameter error",
        "topo relation cannot add by self",
        "device not found",
    }


@pytest.mark.parametrize("params", [None, {}, "x", 1, [[]]])
def test_register_refuses_params_that_are_no_list(gateway: MqttClient, params: Any) -> None:
    assert gateway.request(REGISTER, params)["code"] == 460


def test_register_refuses_one_device_twice(gateway: MqttClient) -> None:
    assert gateway.request(REGISTER, [named("sub001")] * 2)["code"] == 460


def test_register_needs_the_products_switch(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.registry.set_dynamic_registration(SUB, False)

    assert gateway.request(REGISTER, [named("sub001")])["code"] == 6288


def test_register_refuses_a_disabled_device(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.disable(SUB, "sub001")

    assert gateway.request(REGISTER, [named("sub001")])["code"] == 6204


def test_register_refuses_what_another_gateway_has(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.topology.bind(Identity(GATEWAY, "gateway02"), [Identity(SUB, "sub001")])

    assert gateway.request(REGISTER, [named("sub001")])["code"] == 6619


def test_register_can_answer_for_the_good_part_of_a_batch(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.behaviour.partial_batches = True
    reply = gateway.request(REGISTER, [named("unknown1"), named("sub001")])

    assert reply["code"] == 200
    assert [entry["deviceName"] for entry in reply["data"]] == ["sub001"]


def test_a_device_that_is_no_gateway_has_no_gateway_services(platform: LocalPlatform) -> None:
    platform.registry.add_product(PK, PS)
    platform.registry.add_device(PK, "plain001", DS)
    with MqttClient(platform) as client:
        client.connect_device(PK, "plain001", DS)
        topic = f"/sys/{PK}/plain001/thing/sub/register"
        assert client.request(topic, [named("sub001")])["code"] == 6203


# A sub-device that has been online


def both_ways(gateway: MqttClient) -> tuple[int, int]:
    """The codes that sub/register and product_register give for one sub-device."""
    first = gateway.request(REGISTER, [named("sub001")])["code"]
    data = gateway.request(PROXY, {"proxieds": [proxied("sub001")]})["data"]
    codes = [failure["errorDetail"]["code"] for failure in data["failures"]]
    return first, codes[0] if codes else 200


def test_one_that_was_online_gets_a_new_secret_either_way(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.registry.activate(Identity(SUB, "sub001"))

    assert both_ways(gateway) == (200, 200)
    assert platform.registry.device(SUB, "sub001").registrations == 2


def test_one_that_was_online_can_be_refused_either_way(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.behaviour.active_subdevice = "refuse"
    assert both_ways(gateway) == (200, 200), "it was not online yet"
    platform.registry.activate(Identity(SUB, "sub001"))
    assert both_ways(gateway) == (6289, 6289)
    platform.reset(SUB, "sub001")
    assert both_ways(gateway) == (200, 200)


def test_a_refused_one_leaves_the_rest_of_a_batch_as_it_was(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.behaviour.active_subdevice = "refuse"
    platform.registry.activate(Identity(SUB, "sub001"))
    reply = gateway.request(REGISTER, [named("sub002"), named("sub001")])

    assert (reply["code"], reply["data"]) == (6289, {})
    assert platform.registry.device(SUB, "sub002").registrations == 0


# thing/proxy/provisioning/product_register


def test_product_register_tells_successes_from_failures(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    bad = [
        proxied("sub002", sign="0" * 64),
        proxied("sub003", signMethod="md4"),
        proxied("unknown1"),
        {**proxied("sub004"), "productKey": "a1Unknown00"},
    ]
    reply = gateway.request(PROXY, {"proxieds": [proxied("sub001"), *bad]})

    secret = platform.registry.device(SUB, "sub001").device_secret
    assert reply["code"] == 200
    assert reply["data"]["successes"] == [{**named("sub001"), "deviceSecret": secret}]
    codes = [failure["errorDetail"]["code"] for failure in reply["data"]["failures"]]
    assert codes == [6600, 6292, 6100, 6250]


@pytest.mark.parametrize("method", ["hmacMd5", "hmacSha1", "hmacSha256"])
def test_product_register_takes_each_sign_method(gateway: MqttClient, method: str) -> None:
    sign = hmac_hex(method.lower(), PS, f"deviceNamesub001productKey{SUB}random42")
    entry = proxied("sub001", signMethod=method, sign=sign)

    assert len(gateway.request(PROXY, {"proxieds": [entry]})["data"]["successes"]) == 1


def test_product_register_takes_a_device_over_from_another_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    other = Identity(GATEWAY, "gateway02")
    with MqttClient(platform) as loser:
        loser.connect_device(*other, DS)
        platform.topology.bind(other, [Identity(SUB, "sub001")])
        reply = gateway.request(PROXY, {"proxieds": [proxied("sub001")]})

        assert len(reply["data"]["successes"]) == 1
        topic, change = loser.message()
    assert topic == f"/sys/{other}/thing/topo/change"
    assert json.loads(change)["params"] == {"status": 1, "subList": [named("sub001")]}
    assert platform.topology.gateway_of(Identity(SUB, "sub001")) is None


@pytest.mark.parametrize("params", [None, [], {}, {"proxieds": []}, {"proxieds": [{}]}])
def test_product_register_refuses_params_of_another_form(gateway: MqttClient, params: Any) -> None:
    assert gateway.request(PROXY, params)["code"] == 460
