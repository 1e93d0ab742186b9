"""The requests of a gateway about sub-devices, byte for byte."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from gateway_helpers import EXT, SYS, TWO, OnDevice, talk

ONE = [["1234556554", "deviceName1234"]]
SECRET = "2o8iZ3jLuDd40JIKlRRPAhQSfjqbhkkH"
V2_SIGN = "db001f871e4cff9698a433b65ba0f3ef27af398d"


def signed(key: str, content: str, digest: str = "sha256") -> str:
    return hmac.new(key.encode(), content.encode(), getattr(hashlib, digest)).hexdigest()


def said(got: Any) -> list[tuple[str, str]]:
    return [(topic, payload) for _, topic, payload in got["sent"]]


def test_the_registration_request_is_that_of_the_specification(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", ONE])
    specification = {
        "id": "123",
        "version": "1.0",
        "params": [{"deviceName": "deviceName1234", "productKey": "1234556554"}],
        "method": "thing.sub.register",
    }
    compact = json.dumps(specification, separators=(",", ":"))
    assert said(got) == [(SYS + "thing/sub/register", compact)]


def test_the_reply_in_the_specification_is_accepted_without_a_message_member(
    on_device: OnDevice,
) -> None:
    reply = """{
  "id": "123",
  "code": 200,
  "data": [
    {
      "iotId": "12344",
      "productKey": "1234556554",
      "deviceName": "deviceName1234",
      "deviceSecret": "xxxxxx"
    }
  ]
}"""
    got = talk(on_device, ["register", ONE], ["stored"], edits={"1": [[20, None, reply]]})
    assert got["results"] == [None, 1]


def test_topology_add_is_signed_as_in_the_published_example(on_device: OnDevice) -> None:
    pair = [["a13Npv1vjZ4", "example1"]]
    got = talk(
        on_device,
        ["register", pair],
        ["add_topology", pair],
        secret=SECRET,
        timestamp="453313937",
        random="",
        sign_method="hmacSHA1",
    )
    assert said(got)[1] == (
        SYS + "thing/topo/add",
        '{"id":"124","version":"1.0","params":[{"deviceName":"example1",'
        f'"productKey":"a13Npv1vjZ4","sign":"{V2_SIGN}","signmethod":"hmacSha1",'
        '"timestamp":"453313937","clientId":"a13Npv1vjZ4.example1"}],"method":"thing.topo.add"}',
    )


@pytest.mark.parametrize(
    ("method", "digest", "spelled"),
    [
        ("hmacmd5", "md5", "hmacMd5"),
        ("hmacsha1", "sha1", "hmacSha1"),
        ("hmacsha256", "sha256", "hmacSha256"),
    ],
)
def test_topology_and_login_are_signed_with_each_method(
    on_device: OnDevice, method: str, digest: str, spelled: str
) -> None:
    got = talk(
        on_device,
        ["register", [["pk", "unit-1"]]],
        ["add_topology", [["pk", "unit-1"]]],
        ["login", [["pk", "unit-1"]]],
        secret=SECRET,
        timestamp="1581417203000",
        random="",
        sign_method=method,
    )
    sign = signed(
        SECRET, "clientIdpk.unit-1deviceNameunit-1productKeypktimestamp1581417203000", digest
    )
    (_, add), (topic, login) = said(got)[1:]
    assert f'"sign":"{sign}","signmethod":"{spelled}"' in add
    assert (topic, login) == (
        EXT + "combine/login",
        '{"id":"125","params":{"productKey":"pk","deviceName":"unit-1","clientId":"pk.unit-1",'
        f'"timestamp":"1581417203000","signMethod":"{method}","sign":"{sign}",'
        '"cleanSession":"true"}}',
    )


def test_several_sub_devices_log_in_with_one_request(on_device: OnDevice) -> None:
    got = talk(
        on_device,
        ["register", TWO],
        ["login", TWO],
        secret=SECRET,
        timestamp="1",
        random="",
    )
    topic, payload = said(got)[1]
    assert topic == EXT + "combine/batch_login"
    entries = ",".join(
        f'{{"productKey":"pk","deviceName":"{name}","clientId":"pk.{name}","timestamp":"1",'
        '"signMethod":"hmacsha256","sign":"'
        + signed(SECRET, f"clientIdpk.{name}deviceName{name}productKeypktimestamp1")
        + '","cleanSession":"true"}'
        for name in ("unit-1", "unit-2")
    )
    assert payload == '{"id":"124","params":{"deviceList":[' + entries + "]}}"


@pytest.mark.parametrize(
    ("call", "topic", "request_text"),
    [
        (
            ["logout", [["pk", "unit-1"]]],
            EXT + "combine/logout",
            '{"id":"123","params":{"deviceName":"unit-1","productKey":"pk"}}',
        ),
        (
            ["logout", TWO],
            EXT + "combine/batch_logout",
            '{"id":"123","params":[{"deviceName":"unit-1","productKey":"pk"},'
            '{"deviceName":"unit-2","productKey":"pk"}]}',
        ),
        (
            ["delete_topology", [["pk", "unit-1"]]],
            SYS + "thing/topo/delete",
            '{"id":"123","version":"1.0","params":[{"deviceName":"unit-1","productKey":"pk"}],'
            '"method":"thing.topo.delete"}',
        ),
        (
            ["found", [["pk", "unit-1"]]],
            SYS + "thing/list/found",
            '{"id":"123","version":"1.0","params":[{"deviceName":"unit-1","productKey":"pk"}],'
            '"method":"thing.list.found"}',
        ),
        (
            ["topology"],
            SYS + "thing/topo/get",
            '{"id":"123","version":"1.0","params":{},"method":"thing.topo.get"}',
        ),
    ],
    ids=["logout", "batch_logout", "delete", "found", "get"],
)
def test_the_other_requests_are_as_the_platform_expects(
    on_device: OnDevice, call: list[Any], topic: str, request_text: str
) -> None:
    assert said(talk(on_device, call)) == [(topic, request_text)]


def test_registration_by_product_secret_is_signed_with_the_secret(on_device: OnDevice) -> None:
    got = talk(
        on_device,
        ["product_register", [["pk", "unit-1"]], "product-secret"],
        ["stored"],
        timestamp="",
        random="00112233445566778899",
    )
    content = "deviceNameunit-1productKeypkrandom00112233445566778899"
    assert said(got) == [
        (
            SYS + "thing/proxy/provisioning/product_register",
            '{"id":"123","version":"1.0","params":{"proxieds":[{"productKey":"pk",'
            '"deviceName":"unit-1","random":"00112233445566778899","signMethod":"hmacSha256",'
            f'"sign":"{signed("product-secret", content)}"}}]}},'
            '"method":"thing.proxy.provisioning.product_register"}',
        )
    ]
    assert got["results"][1] == 1


def test_failures_of_product_register_are_distinguished_from_its_successes(
    on_device: OnDevice,
) -> None:
    reply = {
        "id": "123",
        "code": 200,
        "data": {
            "successes": [{"productKey": "pk", "deviceName": "unit-1", "deviceSecret": "s"}],
            "failures": [
                {"productKey": "pk", "deviceName": "unit-2", "errorDetail": {"code": 6288}}
            ],
        },
    }
    got = talk(
        on_device,
        ["product_register", TWO, "product-secret", "each"],
        ["stored"],
        edits={"1": [[20, None, json.dumps(reply)]]},
    )
    (_, _, first), (_, name, second) = got["each"]
    assert first is None
    assert (name, second[:2]) == ("unit-2", ["RefusedError", 6288])
    assert "pk/unit-2" in second[2]
    assert (got["results"][1], len(got["sent"])) == (1, 1)


def test_no_message_and_no_error_contains_a_secret(on_device: OnDevice) -> None:
    got = talk(
        on_device,
        ["bring_online", TWO, "each"],
        ["product_register", TWO, SECRET, "each"],
        secret=SECRET,
        rules=[{"tail": "batch_login", "refuse": {"unit-1": 6287}}],
    )
    assert SECRET not in json.dumps(got)
