"""Sub-devices at the local platform: login, logout, messages, forced offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from platform_clients import GATEWAY, PS, SUB, MqttClient, hmac_hex

from tools.iot_platform import Behaviour, Identity, LocalPlatform

GW, DS = "gateway01", "gatewaySecret"
OTHER = Identity(GATEWAY, "gateway02")
SESSION = f"/ext/session/{GATEWAY}/{GW}/combine"
LOGIN, BATCH_LOGIN = f"{SESSION}/login", f"{SESSION}/batch_login"
LOGOUT, BATCH_LOGOUT = f"{SESSION}/logout", f"{SESSION}/batch_logout"
ERROR = f"/ext/error/{GATEWAY}/{GW}"
NAMES = [f"sub{n:03}" for n in range(60)]


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(GATEWAY, PS, node_type="gateway")
        running.registry.add_device(GATEWAY, GW, DS)
        running.registry.add_device(*OTHER, DS)
        running.registry.add_product(SUB, PS)
        running.registry.add_devices(SUB, [*NAMES, "stranger1"])
        running.topology.bind(Identity(GATEWAY, GW), [Identity(SUB, name) for name in NAMES])
        yield running


@pytest.fixture
def gateway(platform: LocalPlatform) -> Iterator[MqttClient]:
    with MqttClient(platform) as client:
        assert client.connect_device(GATEWAY, GW, DS) == 0
        yield client


def named(device_name: str) -> dict[str, str]:
    return {"deviceName": device_name, "productKey": SUB}


def entry(
    platform: LocalPlatform, device_name: str, method: str = "hmacSha256", tail: str = ""
) -> dict[str, Any]:
    secret = platform.registry.device(SUB, device_name).device_secret
    client_id = f"{SUB}.{device_name}{tail}"
    content = f"clientId{client_id}deviceName{device_name}productKey{SUB}timestamp1581417203000"
    return {
        **named(device_name),
        "clientId": client_id,
        "timestamp": "1581417203000",
        "cleanSession": "false",
        "signMethod": method,
        "sign": hmac_hex(method.lower(), secret, content),
    }


def batch(platform: LocalPlatform, *device_names: str) -> dict[str, Any]:
    return {"deviceList": [entry(platform, name) for name in device_names]}


def login(platform: LocalPlatform, gateway: MqttClient, device_name: str = "sub001") -> None:
    assert gateway.request(LOGIN, entry(platform, device_name))["code"] == 200


def online(platform: LocalPlatform) -> list[str]:
    return [name.device_name for name in platform.subdevices_online((GATEWAY, GW))]


def notice(client: MqttClient) -> tuple[int, str]:
    topic, payload = client.message()
    assert topic == ERROR
    body = json.loads(payload)
    assert str(body["id"]).isdecimal()
    return body["code"], body["message"]


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


def test_a_sub_device_posts_through_the_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    reply = gateway.request(f"/sys/{SUB}/sub001/thing/event/property/post", {"t": 1})

    assert reply["code"] == 200
    (event,) = platform.record.events("publish", product_key=SUB)
    assert event.device_name == "sub001"


def test_a_sub_device_is_reached_through_the_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    topic = f"/sys/{SUB}/sub001/thing/service/property/set"
    assert not platform.publish(SUB, "sub001", topic, b"{}")
    login(platform, gateway)

    assert platform.publish(SUB, "sub001", topic, b"{}")
    assert gateway.message() == (topic, b"{}")


@pytest.mark.parametrize(
    ("gateway_ss", "tail", "arrives"), [(0, "", False), (0, "|_ss=1|", True), (1, "", True)]
)
def test_ss_of_the_gateway_or_of_the_login_subscribes(
    platform: LocalPlatform, gateway_ss: int, tail: str, arrives: bool
) -> None:
    with MqttClient(platform) as client:
        client.connect_device(GATEWAY, GW, DS, extra={"_ss": gateway_ss})
        client.subscribe(LOGIN + "_reply")
        assert client.request(LOGIN, entry(platform, "sub001", tail=tail))["code"] == 200

        topic = f"/sys/{SUB}/sub001/thing/service/property/set"
        assert platform.publish(SUB, "sub001", topic, b"{}") == arrives


def test_a_gateway_subscribes_for_a_sub_device_that_is_online(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    topic = f"/{SUB}/sub001/user/get"
    assert gateway.subscribe(topic) == [0x80]
    login(platform, gateway)

    assert gateway.subscribe(topic) == [0]
    assert platform.publish(SUB, "sub001", topic, b"x")
    assert gateway.message() == (topic, b"x")


def test_publishing_for_an_offline_sub_device_is_told_on_ext_error(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    gateway.publish(f"/sys/{SUB}/sub001/thing/event/property/post", b'{"id":"77","params":{}}')

    topic, payload = gateway.message()
    assert topic == ERROR
    assert payload == b'{"id":"77","code":520,"message":"device session error"}'


def test_publishing_for_a_stranger_is_not_answered(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    gateway.publish(f"/sys/{SUB}/stranger1/thing/event/property/post", b'{"id":"1"}')
    reply = gateway.request(f"/sys/{GATEWAY}/{GW}/thing/topo/get", {}, "2")

    assert reply["id"] == "2", "the first message to come is the second request's"
    assert [event.code for event in platform.record.events("publish")] == [403, 200]


def test_a_gateway_service_is_not_the_sub_devices(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    gateway.publish(f"/sys/{SUB}/sub001/thing/topo/get", b'{"id":"1","params":{}}')
    reply = gateway.request(f"/sys/{GATEWAY}/{GW}/thing/topo/get", {}, "2")

    assert reply["id"] == "2", "the first reply to come is the second request's"
    assert platform.record.events("request", product_key=SUB) == []


def test_a_sub_device_online_elsewhere_is_thrown_out_with_427(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    with MqttClient(platform) as other:
        other.connect_device(*OTHER, DS)
        platform.topology.bind(OTHER, [Identity(SUB, "sub001")])
        topic = f"/ext/session/{OTHER}/combine/login"
        assert other.request(topic, entry(platform, "sub001"))["code"] == 200

        assert notice(gateway) == (427, "device connect in elsewhere")
        assert online(platform) == []
        assert platform.online(SUB, "sub001")


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("disable", 522, "device forbidden"),
        ("delete", 521, "device deleted"),
        ("unbind", 6401, "topo relation not exist"),
        ("disconnect", 427, "device connect in elsewhere"),
    ],
)
def test_forced_offline_is_told_on_ext_error(
    platform: LocalPlatform, gateway: MqttClient, what: str, code: int, message: str
) -> None:
    login(platform, gateway)
    getattr(platform, what)(SUB, "sub001")

    assert notice(gateway) == (code, message)
    assert not platform.online(SUB, "sub001")


def test_topology_delete_logs_out(platform: LocalPlatform, gateway: MqttClient) -> None:
    login(platform, gateway)
    topic = f"/sys/{GATEWAY}/{GW}/thing/topo/delete"

    assert gateway.request(topic, [named("sub001")])["code"] == 200
    assert not platform.online(SUB, "sub001")


def test_logins_leave_no_secret_in_the_record(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    secret = platform.registry.device(SUB, "sub001").device_secret

    assert secret not in repr(platform.record.events())
    assert entry(platform, "sub001")["sign"] not in repr(platform.record.events())
    assert entry(platform, "sub001")["sign"] not in repr(platform.record.messages())
