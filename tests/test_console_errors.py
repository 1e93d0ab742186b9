"""Errors of the console's API name the wrong field and what was expected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from console_client import ConsoleClient
from platform_clients import PK

from tools.iot_platform import LocalPlatform

DN = "246f28aabbcc"
DEVICE = ("devices", PK, DN)


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("", "expected a non-empty string"),
        (" \n", "empty; expected a first row with DeviceName"),
        ("aaaa\nbbbb", "line 1: expected the names of the columns, with DeviceName once"),
        ("DeviceName,devicename\na,b", "line 1: expected the names of the columns"),
        ("DeviceName\n", "no device below the first row"),
        ("DeviceName\naaaa\nb b\nccc", "line 3: DeviceName: expected 4 to 32"),
        ("Nickname,DeviceName\nonly one", "line 2: DeviceName: expected 4 to 32"),
        ("DeviceName\naaaa\n\naaaa", "line 4: DeviceName: it is in line 2 already"),
        ('DeviceName\n"aaaa', "not CSV"),
    ],
)
def test_a_wrong_list_adds_nothing_and_the_error_names_the_line(
    console: ConsoleClient,
    hub: LocalPlatform,
    csv: str,
    message: str,
) -> None:
    status, field, said = console.error(
        console.try_post("devices", "import", productKey=PK, csv=csv)
    )

    assert (status, field) == (400, "csv")
    assert message in said
    assert hub.registry.devices() == []


BAD_POSTS: list[tuple[tuple[str, ...], dict[str, Any], int, str | None]] = [
    (("products",), {"productKey": "a b"}, 400, "productKey"),
    (("products",), {"productKey": 1}, 400, "productKey"),
    (("products",), {"productKey": ""}, 400, "productKey"),
    (("products",), {"productKey": PK}, 409, "productKey"),
    (("products",), {"productSecret": "a b"}, 400, "productSecret"),
    (("products",), {"nodeType": "toaster"}, 400, "nodeType"),
    (("products",), {"dynamicRegistration": 1}, 400, "dynamicRegistration"),
    (("products",), {"colour": "red"}, 400, "colour"),
    (("products", PK), {}, 400, "dynamicRegistration"),
    (("products", "nothing"), {"dynamicRegistration": True}, 404, "productKey"),
    (("products", PK, "secret"), {"why": 1}, 400, "why"),
    (("devices",), {"deviceName": "aaaa"}, 400, "productKey"),
    (("devices",), {"productKey": "nothing", "deviceName": "aaaa"}, 404, "productKey"),
    (("devices",), {"productKey": PK}, 400, "deviceName"),
    (("devices",), {"productKey": PK, "deviceName": "a"}, 400, "deviceName"),
    (("devices",), {"productKey": PK, "deviceName": ["aaaa"]}, 400, "deviceName"),
    (("devices",), {"productKey": PK, "deviceName": DN}, 409, "deviceName"),
    (
        ("devices",),
        {"productKey": PK, "deviceName": "aaaa", "deviceSecret": "é"},
        400,
        "deviceSecret",
    ),
    (("devices", PK, "nobody", "reset"), {}, 404, "deviceName"),
    ((*DEVICE, "publish"), {}, 400, "topic"),
    ((*DEVICE, "publish"), {"topic": "/a/#"}, 400, "topic"),
    ((*DEVICE, "publish"), {"topic": "/a" * 100}, 400, "topic"),
    ((*DEVICE, "publish"), {"topic": "/a", "payload": 1}, 400, "payload"),
    ((*DEVICE, "publish"), {"topic": "/a", "payload": "\ud800"}, 400, "payload"),
    ((*DEVICE, "publish"), {"topic": "/\udcff"}, 400, "topic"),
    (("devices",), {"productKey": "\ud800", "deviceName": "aaaa"}, 400, "productKey"),
    (
        ("devices", "import"),
        {"productKey": "\udfff", "csv": "DeviceName\naaaa"},
        400,
        "productKey",
    ),
    (("devices", "import"), {"productKey": PK, "csv": "DeviceName,x\naaaa,\ud83d"}, 400, "csv"),
    ((*DEVICE, "publish"), {"topic": "/a", "payload": "0", "encoding": "hex"}, 400, "payload"),
    ((*DEVICE, "publish"), {"topic": "/a", "payload": "x" * 262145}, 400, "payload"),
    ((*DEVICE, "publish"), {"topic": "/a", "encoding": "morse"}, 400, "encoding"),
    ((*DEVICE, "publish"), {"topic": "/a", "qos": 2}, 400, "qos"),
    ((*DEVICE, "publish"), {"topic": "/a", "qos": True}, 400, "qos"),
    ((*DEVICE, "faults"), {}, 400, "fault"),
    ((*DEVICE, "faults"), {"fault": "fire"}, 400, "fault"),
    ((*DEVICE, "faults"), {"fault": "lost", "times": 0}, 400, "times"),
    ((*DEVICE, "faults"), {"fault": "lost", "seconds": 1}, 400, "seconds"),
    ((*DEVICE, "faults"), {"fault": "slow", "seconds": 1e9}, 400, "seconds"),
    ((*DEVICE, "faults"), {"fault": "refuse", "code": 300}, 400, "code"),
    ((*DEVICE, "faults"), {"fault": "certificate"}, 400, "address"),
    ((*DEVICE, "faults"), {"fault": "certificate", "address": "home"}, 400, "address"),
    (
        (*DEVICE, "faults"),
        {"fault": "certificate", "address": "::1", "problem": "ugly"},
        400,
        "problem",
    ),
    ((*DEVICE, "faults", "clear"), {"fault": "fire"}, 400, "fault"),
    (("nothing",), {}, 404, None),
    (("status",), {}, 405, None),
]


@pytest.mark.parametrize(("path", "body", "status", "field"), BAD_POSTS)
def test_a_wrong_change_names_its_field(
    console: ConsoleClient,
    hub: LocalPlatform,
    path: tuple[str, ...],
    body: dict[str, Any],
    status: int,
    field: str | None,
) -> None:
    hub.registry.add_device(PK, DN)
    given, named, message = console.error(console.try_post(*path, **body))

    assert (given, named) == (status, field)
    assert "expected" in message or status != 400 or field in ("colour", "why", "seconds")


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("devices", {"limit": "201"}, "limit"),
        ("devices", {"limit": "-1"}, "limit"),
        ("devices", {"offset": "x"}, "offset"),
        ("devices", {"offset": "9" * 5000}, "offset"),
        ("devices", {"identity": "young"}, "identity"),
        ("devices", {"connection": "x"}, "connection"),
        ("devices", {"failing": "1"}, "failing"),
        ("devices", {"gateway": "x"}, "gateway"),
        ("devices", {"size": "1"}, "size"),
        ("products", {"limit": "²"}, "limit"),
        ("events", {"before": "x"}, "before"),
        ("events", {"group": "x"}, "group"),
        ("events", {"device": "/"}, "device"),
    ],
)
def test_a_wrong_query_names_its_field(
    console: ConsoleClient,
    path: str,
    query: dict[str, str],
    field: str,
) -> None:
    status, named, message = console.error(console.try_get(path, **query))

    assert (status, named) == (400, field)
    assert "expected" in message


@pytest.mark.parametrize(
    "body", ["{", "[]", "1", "null", '"x"', "{" * 100_000, b"\xff", '{"a": "\\ud800"}', "NaN"]
)
def test_a_body_that_is_not_an_object_is_refused(
    console: ConsoleClient, body: str | bytes
) -> None:
    answer = console.ask("POST", "/api/devices", body, {"Content-Type": "application/json"})

    assert answer.status == 400
    assert answer.json["error"]["message"]


def test_a_body_that_is_too_long_is_refused(console: ConsoleClient) -> None:
    body = json.dumps({"productKey": PK, "csv": "x" * 1_100_000})
    answer = console.ask("POST", "/api/devices/import", body, {"Content-Type": "application/json"})

    assert (answer.status, answer.json["error"]["message"]) == (
        413,
        "the body is longer than 1 MiB",
    )
