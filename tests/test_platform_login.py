"""Sub-devices at the local platform: login and logout, one by one and in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PS, SUB
from platform_gateways import (
    BATCH_LOGIN,
    BATCH_LOGOUT,
    DS,
    GW,
    LOGIN,
    LOGOUT,
    NAMES,
    OTHER,
    batch,
    bound_platform,
    entry,
    login,
    named,
    online,
)

from tools.iot_platform import Behaviour, Identity, LocalPlatform


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with bound_platform() as running:
        yield running


def test_login_answers_as_documented(platform: LocalPlatform, gateway: MqttClient) -> None:
    request = {"id": "123", "params": entry(platform, "sub001")}
    gateway.publish(LOGIN, json.dumps(request).encode())

    assert gateway.message() == (
        LOGIN + "_reply",
        b'{"id":"123","code":200,"message":"success",'
        b'"data":{"deviceName":"sub001","productKey":"a1Subdevic1"}}',
    )
    assert platform.online(SUB, "sub001")
    assert platform.registry.device(SUB, "sub001").activated


@pytest.mark.parametrize("tail", ["", "|lan=Python,_v=2.2.1,_ss=1|", "|_ss=1,_v=sdk-c-3.2.0|"])
@pytest.mark.parametrize("method", ["hmacmd5", "hmacSha1", "hmacSha256"])
def test_login_takes_each_sign_method_and_a_client_id_with_a_tail(
    platform: LocalPlatform, gateway: MqttClient, method: str, tail: str
) -> None:
    assert gateway.request(LOGIN, entry(platform, "sub001", method, tail))["code"] == 200


@pytest.mark.parametrize("clean", ["true", "false", None])
def test_clean_session_is_not_signed(
    platform: LocalPlatform, gateway: MqttClient, clean: str | None
) -> None:
    params = {**entry(platform, "sub001"), "cleanSession": clean}

    assert gateway.request(LOGIN, params)["code"] == 200


def test_login_refuses_in_the_documented_words(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    good = entry(platform, "sub001")
    disabled, gone = entry(platform, "sub002"), entry(platform, "sub003")
    platform.registry.set_disabled(Identity(SUB, "sub002"), True)
    platform.registry.delete(Identity(SUB, "sub003"))
    cases: list[tuple[Any, int, str]] = [
        ({}, 460, "request parameter error"),
        ({**good, "sign": None}, 460, "request parameter error"),
        ({**good, "signMethod": "md4"}, 460, "request parameter error"),
        ({**good, "deviceName": "unknown1"}, 6100, "device not found"),
        ({**good, "sign": "0" * 64}, 6287, "invalid sign"),
        (entry(platform, "stranger1"), 6401, "topo relation not exist"),
        (disabled, 522, "device forbidden"),
        (gone, 521, "device deleted"),
    ]
    for params, code, message in cases:
        reply = gateway.request(LOGIN, params)
        assert (reply["code"], reply["message"], reply["data"]) == (code, message, {})
    assert online(platform) == []


def test_login_refuses_what_another_gateway_has(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.topology.bind(OTHER, [Identity(SUB, "sub001")])

    assert gateway.request(LOGIN, entry(platform, "sub001"))["code"] == 6401


def test_login_of_too_many(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.behaviour.subdevices_per_gateway = 2
    login(platform, gateway, "sub001")
    login(platform, gateway, "sub002")
    reply = gateway.request(LOGIN, entry(platform, "sub003"))

    assert (reply["code"], reply["message"]) == (428, "too many subdevices under gateway")
    login(platform, gateway, "sub001")


def test_the_sixth_login_in_a_minute_is_refused() -> None:
    with LocalPlatform(behaviour=Behaviour(logins_per_minute=5)) as platform:
        platform.registry.add_product(GATEWAY, PS, node_type="gateway")
        platform.registry.add_device(GATEWAY, GW, DS)
        platform.registry.add_product(SUB, PS)
        platform.registry.add_device(SUB, "sub001")
        platform.topology.bind(Identity(GATEWAY, GW), [Identity(SUB, "sub001")])
        with MqttClient(platform) as client:
            client.connect_device(GATEWAY, GW, DS)
            replies = [client.request(LOGIN, entry(platform, "sub001")) for _ in range(6)]

    assert [reply["code"] for reply in replies] == [200] * 5 + [429]
    assert replies[5]["message"] == ("rate limit, too many subDeviceOnline msg in one minute")


@pytest.mark.parametrize(("count", "code"), [(0, 460), (1, 200), (50, 200), (51, 460)])
def test_batch_login_takes_1_to_50(
    platform: LocalPlatform, gateway: MqttClient, count: int, code: int
) -> None:
    reply = gateway.request(BATCH_LOGIN, batch(platform, *NAMES[:count]))

    assert reply["code"] == code
    assert online(platform) == (NAMES[:count] if code == 200 else [])
    if code == 200:
        assert reply["data"] == [named(name) for name in NAMES[:count]]


def test_batch_login_is_all_or_none(platform: LocalPlatform, gateway: MqttClient) -> None:
    params = batch(platform, "sub001", "sub002")
    params["deviceList"][1]["sign"] = "0" * 64

    assert gateway.request(BATCH_LOGIN, params)["code"] == 6287
    assert online(platform) == []


def test_batch_login_takes_the_method_beside_the_list(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    params = batch(platform, "sub001", "sub002")
    for item in params["deviceList"]:
        del item["signMethod"]

    assert gateway.request(BATCH_LOGIN, params)["code"] == 460
    assert gateway.request(BATCH_LOGIN, {**params, "signMethod": "hmacSha256"})["code"] == 200


def test_batch_login_can_give_its_code_as_text(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    platform.behaviour.batch_login_text_code = True

    assert gateway.request(BATCH_LOGIN, batch(platform, "sub001"))["code"] == "200"


def test_logout(platform: LocalPlatform, gateway: MqttClient) -> None:
    login(platform, gateway)

    assert gateway.request(LOGOUT, named("sub001"))["code"] == 200
    assert not platform.online(SUB, "sub001")
    reply = gateway.request(LOGOUT, named("sub001"))
    assert (reply["code"], reply["message"]) == (520, "device no session")
    assert gateway.request(LOGOUT, {})["code"] == 460


def test_batch_logout(platform: LocalPlatform, gateway: MqttClient) -> None:
    gateway.request(BATCH_LOGIN, batch(platform, "sub001", "sub002", "sub003"))

    assert gateway.request(BATCH_LOGOUT, [named("sub001"), named("sub009")])["code"] == 520
    assert gateway.request(BATCH_LOGOUT, [named("sub001"), named("sub002")])["code"] == 200
    assert online(platform) == ["sub003"]
    assert gateway.request(BATCH_LOGOUT, [])["code"] == 460


def test_the_end_of_the_gateways_session_takes_its_sub_devices_offline(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    gateway.request(BATCH_LOGIN, batch(platform, "sub001", "sub002"))
    gateway.send(14, 0, b"")
    platform.record.wait_for("disconnect")

    assert not platform.online(SUB, "sub001")
    assert len(platform.record.events("offline")) == 2


def test_a_gateway_that_reconnects_logs_in_again(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    with MqttClient(platform) as again:
        again.connect_device(GATEWAY, GW, DS)
        assert not platform.online(SUB, "sub001")
        login(platform, again)
        assert platform.online(SUB, "sub001")
