"""product.json: the DeviceName it gives, and the error for each mistake in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]
PRODUCT = {"productKey": "a1ExpAkj9Hi", "productSecret": "ffFnFlKQW3HYjjPR"}


def check(on_device: OnDevice, fields: Any) -> Any:
    (got,) = on_device("product_cases.py", [fields])
    return got


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "246f28aabbcc"),
        ({"deviceName": "mac"}, "246f28aabbcc"),
        ({"deviceNamePrefix": "pump-"}, "pump-246f28aabbcc"),
        ({"deviceName": "SN:2026@line.1_a-b"}, "SN:2026@line.1_a-b"),
        ({"deviceName": "0042", "deviceNamePrefix": "SN-"}, "SN-0042"),
        ({"deviceName": "x" * 32}, "x" * 32),
        ({"deviceName": None}, "246f28aabbcc"),
    ],
)
def test_the_device_name_is_the_mac_or_comes_from_the_file(
    on_device: OnDevice, fields: dict[str, Any], name: str
) -> None:
    assert check(on_device, PRODUCT | fields) == [name]


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"productKey": ""}, "productKey", "1 to 20"),
        ({"productKey": "x" * 21}, "productKey", "1 to 20"),
        ({"productKey": 5}, "productKey", "1 to 20 characters of text"),
        ({"productKey": "a b"}, "productKey", "letters and digits"),
        ({"productKey": "ключ"}, "productKey", "letters and digits"),
        ({"productSecret": ""}, "productSecret", "1 to 64"),
        ({"productSecret": "x" * 65}, "productSecret", "1 to 64"),
        ({"productSecret": "a b"}, "productSecret", "no space"),
        ({"productSecret": ["x"]}, "productSecret", "characters of text"),
        ({"deviceName": "abc"}, "deviceName", "4 to 32"),
        ({"deviceName": "x" * 33}, "deviceName", "1 to 32"),
        ({"deviceName": "a&b|c"}, "deviceName", "letters, digits"),
        ({"deviceName": "设备名称"}, "deviceName", "letters, digits"),
        ({"deviceName": "x" * 20, "deviceNamePrefix": "y" * 20}, "deviceName", "4 to 32"),
        ({"deviceName": 42}, "deviceName", "characters of text"),
        ({"signMethod": "hmacsha512"}, "signMethod", "hmacmd5 or hmacsha1 or hmacsha256"),
        ({"registration": "coap"}, "registration", "https or mqtt or mqtt-free"),
        ({"registrationSecuremode": 1}, "registrationSecuremode", "2 or -2"),
        ({"securemode": 1}, "securemode", "2 to 3 as a number"),
        ({"securemode": "2"}, "securemode", "as a number"),
        ({"mqttPort": 0}, "mqttPort", "1 to 65535"),
        ({"mqttPort": 1883.0}, "mqttPort", "as a number"),
        ({"registerPort": 65536}, "registerPort", "1 to 65535"),
        ({"mqttPort": True}, "mqttPort", "as a number"),
        ({"keepalive": 29}, "keepalive", "30 to 1200"),
        ({"keepalive": 1201}, "keepalive", "30 to 1200"),
        ({"region": ""}, "region", "1 to 32"),
        ({"mqttHost": 5}, "mqttHost", "text"),
        ({"forgetProductSecret": 1}, "forgetProductSecret", "true or false"),
        ({"productsecret": "x"}, "productsecret", "no such field"),
    ],
)
def test_an_error_names_the_wrong_field_and_what_was_expected(
    on_device: OnDevice, fields: dict[str, Any], field: str, expected: str
) -> None:
    got = check(on_device, PRODUCT | fields)
    assert got["error"] == "ConfigError"
    assert got["text"].startswith(f"product.json: {field}: ")
    assert expected in got["text"]


@pytest.mark.parametrize("fields", [[], "text", 5, None, [PRODUCT]])
def test_product_json_must_be_an_object(on_device: OnDevice, fields: Any) -> None:
    assert check(on_device, fields)["text"] == "product.json: expected a JSON object"


def test_a_secret_in_the_wrong_place_is_not_repeated(on_device: OnDevice) -> None:
    got = check(on_device, {"productKey": "my secret is here, and too long"})
    assert "secret" not in got["text"]
