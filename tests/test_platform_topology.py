"""A gateway's topology at the local platform: its requests, and notices from the cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PS, SUB
from platform_gateways import DS, GW, SESSION, SYS, gateway_platform, named, signed

from tools.iot_platform import Behaviour, Identity, LocalPlatform

ADD, DELETE, GET = (f"{SYS}/thing/topo/{tail}" for tail in ("add", "delete", "get"))
FOUND = f"{SYS}/thing/list/found"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with gateway_platform() as running:
        yield running


def add(platform: LocalPlatform, gateway: MqttClient, *device_names: str) -> dict[str, Any]:
    return gateway.request(ADD, [signed(platform, name) for name in device_names])


# thing/topo/*


@pytest.mark.parametrize("method", ["hmacMd5", "hmacSha1", "hmacSha256"])
def test_add_takes_each_sign_method(
    platform: LocalPlatform, gateway: MqttClient, method: str
) -> None:
    reply = gateway.request(ADD, [signed(platform, "sub001", method)])

    assert (reply["code"], reply["data"]) == (200, {})
    assert platform.topology.gateway_of(Identity(SUB, "sub001")) == (GATEWAY, GW)


def test_add_takes_the_published_vector() -> None:
    with LocalPlatform() as platform:
        platform.registry.add_product(GATEWAY, PS, node_type="gateway")
        platform.registry.add_device(GATEWAY, GW, DS)
        platform.registry.add_product("a13Npv1vjZ4", PS)
        platform.registry.add_device("a13Npv1vjZ4", "example1", "2o8iZ3jLuDd40JIKlRRPAhQSfjqbhkkH")
        entry = {
            "deviceName": "example1",
            "productKey": "a13Npv1vjZ4",
            "sign": "db001f871e4cff9698a433b65ba0f3ef27af398d",
            "signmethod": "hmacSha1",
            "timestamp": "453313937",
            "clientId": "a13Npv1vjZ4.example1",
        }
        with MqttClient(platform) as client:
            client.connect_device(GATEWAY, GW, DS)
            assert client.request(ADD, [entry])["code"] == 200


def test_add_takes_a_numeric_timestamp_and_signMethod(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    entry = signed(platform, "sub001", timestamp=1581417203000)
    entry["signMethod"] = entry.pop("signmethod")

    assert gateway.request(ADD, [entry])["code"] == 200


def test_add_refuses(platform: LocalPlatform, gateway: MqttClient) -> None:
    own = {**signed(platform, "sub001"), **named(GW, GATEWAY)}
    platform.disable(SUB, "sub009")
    cases: dict[int, list[Any]] = {
        401: [[signed(platform, "sub001", sign="0" * 64)]],
        6402: [[own]],
        6100: [[{**signed(platform, "sub001"), "deviceName": "unknown1"}]],
        6204: [[signed(platform, "sub009")]],
        460: [
            [],
            {},
            [signed(platform, "sub001")] * 2,
            [{**signed(platform, "sub001"), "signmethod": "md4"}],
            [{**signed(platform, "sub001"), "timestamp": None}],
            [{**signed(platform, "sub001"), "clientId": ""}],
        ],
    }
    for code, requests in cases.items():
        assert [gateway.request(ADD, params)["code"] for params in requests] == (
            [code] * len(requests)
        )
    assert platform.topology.count(Identity(GATEWAY, GW)) == 0


def test_add_is_all_or_none(platform: LocalPlatform, gateway: MqttClient) -> None:
    entries = [signed(platform, "sub001"), signed(platform, "sub002", sign="0" * 64)]

    assert gateway.request(ADD, entries)["code"] == 401
    assert platform.topology.count(Identity(GATEWAY, GW)) == 0


def test_add_of_what_is_there_succeeds(platform: LocalPlatform, gateway: MqttClient) -> None:
    assert [add(platform, gateway, "sub001")["code"] for _ in range(2)] == [200, 200]


def test_add_refuses_more_sub_devices_than_a_gateway_may_have(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    assert Behaviour().subdevices_per_gateway == 2000
    platform.behaviour.subdevices_per_gateway = 3

    assert add(platform, gateway, "sub001", "sub002", "sub003")["code"] == 200
    assert add(platform, gateway, "sub004")["code"] == 6400
    assert add(platform, gateway, "sub001")["code"] == 200, "it is there already"


def test_two_thousand_sub_devices_fit(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.registry.add_devices(SUB, [f"many{n:05}" for n in range(2000)])
    subdevices = [Identity(SUB, f"many{n:05}") for n in range(2000)]
    platform.topology.bind(Identity(GATEWAY, GW), subdevices)

    reply = gateway.request(GET, {})
    assert len(reply["data"]) == 2000
    assert add(platform, gateway, "sub001")["code"] == 6400


def test_add_with_the_secret_takes_over_from_another_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    other = Identity(GATEWAY, "gateway02")
    platform.topology.bind(other, [Identity(SUB, "sub001")])

    assert add(platform, gateway, "sub001")["code"] == 200
    assert platform.topology.subdevices(other) == []


def test_get_lists_the_topology(platform: LocalPlatform, gateway: MqttClient) -> None:
    assert gateway.request(GET, {})["data"] == []
    add(platform, gateway, "sub002", "sub001")

    assert gateway.request(GET, {})["data"] == [named("sub001"), named("sub002")]
    assert gateway.request(GET, "{}")["data"] == [named("sub001"), named("sub002")]


def test_get_can_carry_secrets(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.behaviour.topology_reply_with_secret = True
    add(platform, gateway, "sub001")

    secret = platform.registry.device(SUB, "sub001").device_secret
    assert gateway.request(GET, {})["data"] == [{**named("sub001"), "deviceSecret": secret}]


def test_delete_takes_out(platform: LocalPlatform, gateway: MqttClient) -> None:
    add(platform, gateway, "sub001", "sub002")

    assert gateway.request(DELETE, [named("sub001")])["code"] == 200
    assert gateway.request(GET, {})["data"] == [named("sub002")]


def test_delete_refuses(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.topology.bind(Identity(GATEWAY, "gateway02"), [Identity(SUB, "sub003")])

    assert gateway.request(DELETE, [named("sub001")])["code"] == 6401
    assert gateway.request(DELETE, [named("sub003")])["code"] == 6401
    assert gateway.request(DELETE, [named("unknown1")])["code"] == 6100
    assert gateway.request(DELETE, [])["code"] == 460


def test_found_checks_names_and_products(gateway: MqttClient) -> None:
    assert gateway.request(FOUND, [named("sub001"), named("brandNew1")])["code"] == 200
    assert gateway.request(FOUND, [named("x", SUB)])["code"] == 6280
    assert gateway.request(FOUND, [named("sub001", "a1Unknown00")])["code"] == 6250
    assert gateway.request(FOUND, [])["code"] == 460
    assert gateway.request(FOUND, ["x"])["code"] == 460


def test_unregister_deletes_a_sub_device_of_the_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    topic = f"{SYS}/thing/sub/unregister"
    add(platform, gateway, "sub001")

    assert gateway.request(topic, [named("sub002")])["code"] == 6401
    assert gateway.request(topic, [named("sub001")])["code"] == 200
    assert platform.registry.device(SUB, "sub001").deleted


def test_a_reset_of_the_gateway_deletes_its_topology(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    add(platform, gateway, "sub001", "sub002")
    platform.reset(GATEWAY, GW)

    assert platform.topology.count(Identity(GATEWAY, GW)) == 0


# From the cloud


def test_notifies_a_gateway_to_add_sub_devices(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    assert platform.notify_topology_add((GATEWAY, GW), [(SUB, "sub001"), (SUB, "sub002")])

    topic, payload = gateway.message()
    assert topic == f"{SYS}/thing/topo/add/notify"
    request = json.loads(payload)
    assert request["params"] == [named("sub001"), named("sub002")]
    assert (request["method"], request["version"]) == ("thing.topo.add.notify", "1.0")
    gateway.publish(topic + "_reply", json.dumps({"id": request["id"], "code": 200}).encode())
    (event,) = platform.record.wait_for("publish")
    assert event.details["topic"] == topic + "_reply"


def test_tells_a_gateway_of_changes(platform: LocalPlatform, gateway: MqttClient) -> None:
    add(platform, gateway, "sub001")
    statuses = []
    platform.notify_topology_change((GATEWAY, GW), 0, [(SUB, "sub001")])
    platform.disable(SUB, "sub001")
    platform.enable(SUB, "sub001")
    platform.unbind(SUB, "sub001")
    for _ in range(4):
        topic, payload = gateway.message()
        assert topic == f"{SYS}/thing/topo/change"
        params = json.loads(payload)["params"]
        assert params["subList"] == [named("sub001")]
        statuses.append(params["status"])

    assert statuses == [0, 8, 2, 1]


def test_enable_and_disable_may_be_swapped(platform: LocalPlatform, gateway: MqttClient) -> None:
    platform.behaviour.topo_change_disable = 2
    add(platform, gateway, "sub001")
    platform.disable(SUB, "sub001")

    assert json.loads(gateway.message()[1])["params"]["status"] == 2


def test_a_notice_to_an_offline_gateway_is_not_sent(platform: LocalPlatform) -> None:
    assert not platform.notify_topology_add((GATEWAY, GW), [(SUB, "sub001")])


@pytest.mark.parametrize("number", ['""', "null", '"x"', "[]", "true", None])
@pytest.mark.parametrize(
    "topic",
    [
        *(f"{SYS}/{tail}" for tail in ("thing/topo/get", "thing/topo/add", "thing/sub/register")),
        *(f"{SESSION}/{tail}" for tail in ("login", "batch_login", "logout", "batch_logout")),
    ],
)
def test_a_request_without_a_good_id_gets_an_answer(
    gateway: MqttClient, topic: str, number: str | None
) -> None:
    """Its id is empty in the answer unless it was a text or a number."""
    ident = "" if number is None else f'"id":{number},'
    gateway.publish(topic, f'{{{ident}"version":"1.0","params":{{}}}}'.encode())
    reply_topic, payload = gateway.message()
    reply = json.loads(payload)

    assert reply_topic == topic + "_reply"
    assert reply["code"] == 460
    assert reply["id"] == ("x" if number == '"x"' else "")
