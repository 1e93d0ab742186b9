"""The JSON files are checked before they are burned; one sentence names the file and field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.image import RecordError, build_image, read_file
from tools.image.records import BOM, check_of, plain, with_check
from tools.image.rules import (
    REGIONS,
    check_complete,
    check_device,
    check_product,
    check_wifi,
    product_remarks,
)

PRODUCT = {"productKey": "a1ExpAkj9Hi", "productSecret": "ffFnFlKQW3HYjjPR"}
DEVICE = {
    "productKey": "a1ExpAkj9Hi",
    "deviceName": "Example_dyn1",
    "deviceSecret": "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4",
}

BAD_PRODUCTS: list[tuple[str, Any, str]] = [
    ("productKey", None, "is missing"),
    ("productKey", "", "must not be empty"),
    ("productKey", "with space", "letters and digits"),
    ("productSecret", 5, "expected text"),
    ("productSecret", "...", "a placeholder"),
    ("productSecret", "....", "a placeholder"),
    ("productSecret", "sécret", "printable ASCII"),
    ("productSecret", "x" * 65, "1 to 64"),
    ("deviceName", "abc", "4 to 32 characters"),
    ("deviceName", "has space", "4 to 32 characters"),
    ("deviceNamePrefix", "x" * 21, "0 to 20"),
    ("deviceNamePrefix", "line 1 ", "letters, digits, hyphen"),
    ("deviceNamePrefix", "ü", "letters, digits, hyphen"),
    ("signMethod", "sha1", "hmacsha1"),
    ("securemode", 4, "2 to 3"),
    ("securemode", True, "whole number"),
    ("mqttPort", 0, "1 to 65535"),
    ("mqttPort", "1883", "whole number"),
    ("keepalive", 10, "30 to 1200"),
    ("forgetProductSecret", "yes", "true or false"),
    ("registration", "post", "https or mqtt"),
    ("productsecret", "x", 'unknown field; did you mean "productSecret"?'),
    ("deviceName", "MAC", 'did you mean "mac"'),
    ("deviceName", "x" * 33, "4 to 32 characters"),
    ("deviceName", "", "must not be empty"),
    ("region", "cn shanghai", "letters, digits and hyphens"),
    ("region", "cn-shanghai.aliyuncs.com", "letters, digits and hyphens"),
    ("instanceId", "https://iot-060a", "letters, digits and hyphens"),
    ("registerHost", "https://iot-auth.cn-shanghai.aliyuncs.com", "a host name alone"),
    ("registerHost", "iot-auth.cn-shanghai.aliyuncs.com:443", "no port"),
    ("registerHost", "iot-auth.cn-shanghai.aliyuncs.com/auth", "no path"),
    ("mqttHost", " a1.iot-as-mqtt.cn-shanghai.aliyuncs.com", "no blank"),
    ("mqttHost", "mqtts://host", "a host name alone"),
    ("mqttHost", "host..test", "a host name alone"),
    ("mqttHost", "host.test\n", "a host name alone"),
]


@pytest.mark.parametrize(("field", "value", "expected"), BAD_PRODUCTS)
def test_a_wrong_product_is_refused_and_the_error_names_file_and_field(
    field: str, value: Any, expected: str
) -> None:
    product = {**PRODUCT, field: value}
    if value is None:
        del product[field]
    with pytest.raises(RecordError) as raised:
        build_image(product)
    message = str(raised.value)
    assert message.startswith(f'product.json: "{field}": ')
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "extra",
    [
        {"deviceName": "mac", "deviceNamePrefix": "gw-"},
        {"signMethod": "HmacSHA1", "securemode": 3},
        {"registration": "mqtt-free", "keepalive": 1200, "forgetProductSecret": True},
    ],
)
def test_good_products_pass(extra: Mapping[str, Any]) -> None:
    check_product({**PRODUCT, **extra})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b'{"productKey": "a1"', "line 1, column 20"),
        (b"[1]", "JSON object"),
        (b'"text"', "JSON object"),
        (b"\xff\xfe{}", "UTF-8"),
    ],
)
def test_a_file_that_is_not_a_json_object_is_refused(content: bytes, expected: str) -> None:
    with pytest.raises(RecordError, match=f"^product.json: .*{expected}"):
        build_image(content)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'{"productKey": "a1", "productKey": "a1"}', "productKey"),
        (b'{"productKey": "a1", "product\\u004bey": "a2"}', "productKey"),
        (b'{"productKey": "a1", "more": [{"x": 1, "x": 2}]}', "x"),
    ],
)
def test_a_duplicate_member_is_refused(content: bytes, name: str) -> None:
    with pytest.raises(RecordError, match=f'^product.json: "{name}" stands twice'):
        build_image(content)


def test_a_byte_order_mark_is_removed(tmp_path: Path) -> None:
    """Windows editors add one, and the board would refuse the file."""
    path = tmp_path / "product.json"
    content = json.dumps(PRODUCT).encode()
    path.write_bytes(BOM + content)
    for given in (path, BOM + content):
        written = read_file(build_image(given), "/product.json")
        assert written == plain(with_check(PRODUCT))


def test_an_unknown_region_gives_a_warning_that_lists_the_known_ones() -> None:
    (remark,) = product_remarks({**PRODUCT, "region": "shanghai"})
    assert 'did you mean "cn-shanghai"?' in remark
    assert all(region in remark for region in REGIONS)
    for region in REGIONS:
        assert product_remarks({**PRODUCT, "region": region}) == []
    assert product_remarks(PRODUCT) == []
    check_product({**PRODUCT, "region": "shanghai"})


@pytest.mark.parametrize("host", ["localhost", "iot_lab.test", "10.0.0.7", "a-1.b.test"])
def test_good_hosts_pass(host: str) -> None:
    check_product({**PRODUCT, "registerHost": host, "mqttHost": host})
    check_wifi({"ssid": "a", "ntpHost": host})


def test_a_board_needs_something_to_register_or_connect_with() -> None:
    check_complete(PRODUCT, None)
    check_complete(None, DEVICE)
    check_complete({"productKey": "a1"}, DEVICE)
    for product in (None, {"productKey": "a1"}):
        with pytest.raises(RecordError, match="could neither register nor connect"):
            check_complete(product, None)


def test_messages_name_the_file_as_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"productKey": 7}')
    with pytest.raises(RecordError, match=re.escape(f'{path}: "productKey"')):
        build_image(path)


def test_messages_never_repeat_a_secret() -> None:
    secret = "ünprintable-Secret-1234"
    for check, record in (
        (check_product, {**PRODUCT, "productSecret": secret}),
        (check_device, {**DEVICE, "deviceSecret": secret}),
        (check_device, {**DEVICE, "check": "00000000"}),
        (check_wifi, {"ssid": "bench", "password": secret[:5]}),
    ):
        with pytest.raises(RecordError) as raised:
            check(record)
        assert not any(value in str(raised.value) for value in record.values() if len(value) > 6)


def test_records_can_be_burned_unchecked() -> None:
    assert read_file(build_image(b"{broken", check=False), "/product.json") == b"{broken"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, '"ssid": is missing'),
        ({"networks": []}, '"ssid": is missing'),
        ({"networks": [{"ssid": "a"}, {"password": "12345678"}]}, 'network 2: "ssid": is missing'),
        ({"networks": ["a"]}, "network 1: expected an object"),
        ({"ssid": ""}, '"ssid": must not be empty'),
        ({"ssid": "ü" * 17}, "longer than 32 bytes"),
        ({"ssid": "a\0b"}, "holds a zero byte"),
        ({"ssid": "a", "password": "short"}, "8 to 63 bytes"),
        ({"ssid": "a", "password": "x" * 64}, "8 to 63 bytes"),
        ({"ssid": "a", "password": "ü" * 32}, "8 to 63 bytes"),
        (
            {"ssid": "a", "pasword": "12345678"},
            '"pasword": unknown field; did you mean "password"?',
        ),
        ({"ssid": "a", "ntpHost": "ntp://ntp.test"}, '"ntpHost": expected a host name alone'),
    ],
)
def test_wrong_networks_are_refused(record: Mapping[str, Any], expected: str) -> None:
    with pytest.raises(RecordError) as raised:
        check_wifi(record)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    "record",
    [
        {"ssid": "a", "password": ""},
        {"ssid": "a", "password": "12345678", "ntpHost": "ntp.test"},
        {"networks": [{"ssid": "a"}, {"ssid": "b", "password": "x" * 63}]},
        {"ssid": "📶 " + "x" * 27, "password": "ü" * 31},
        {"ssid": 'a "quoted" one ', "password": "0aF1" * 16},
    ],
)
def test_good_networks_pass(record: Mapping[str, Any]) -> None:
    check_wifi(record)


WIFI_ESCAPED = {"ssid": "📶 Home", "password": "🔑 passwörd"}


@pytest.mark.parametrize("escaped", [True, False])
def test_an_escaped_character_is_written_unescaped(escaped: bool) -> None:
    text = json.dumps(WIFI_ESCAPED, ensure_ascii=escaped).encode()
    assert (b"\\ud83d" in text) is escaped
    written = read_file(build_image(wifi=text), "/wifi.json") or b""
    assert "📶 Home".encode() in written
    assert json.loads(written) == WIFI_ESCAPED


def test_a_file_without_escapes_is_burned_unchanged() -> None:
    text = b'{ "ssid" : "bench",\n "password": "" }\n'
    assert read_file(build_image(wifi=text), "/wifi.json") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"ssid": "\\ud83d"}', "half of a character"),
        (b'{"ssid": "a", "password": "\\udcf6 longer"}', "half of a character"),
        (b'{"ssid": "a", "\\ud83d": 1}', "half of a character"),
        (b"[" * 3000, "nested too deeply"),
        (b'{"ssid": ' * 3000, "nested too deeply"),
        (b'{"networks": ' + b"[" * 900 + b"]" * 900 + b"}", "network 1: expected an object"),
        (b'{"ssid": ' + b"1" * 5000 + b"}", "number that is too long"),
    ],
    ids=["lone", "lone second", "lone name", "brackets", "braces", "900 brackets", "digits"],
)
def test_text_that_a_board_cannot_read_is_refused_in_one_sentence(
    text: bytes, expected: str
) -> None:
    with pytest.raises(RecordError, match=f"^wifi.json: .*{expected}") as raised:
        build_image(wifi=text)
    assert "\n" not in str(raised.value)


def test_half_of_a_character_is_also_refused_in_a_dict() -> None:
    with pytest.raises(RecordError, match="half of a character"):
        build_image(wifi={"ssid": "\ud83d"})


def test_a_device_certificate_may_have_a_token_instead_of_a_secret() -> None:
    record = {k: v for k, v in DEVICE.items() if k != "deviceSecret"}
    with pytest.raises(RecordError, match="deviceSecret"):
        check_device(record)
    check_device({**record, "clientId": "c", "deviceToken": "t"})


def test_the_check_of_a_device_certificate_is_the_crc_of_its_sorted_fields() -> None:
    # the CRC-32 of "aXbY": sorted names, each followed by its value, without "check"
    assert check_of({"b": "Y", "a": "X", "check": "ignored"}) == "850dd007"
    check_device({**DEVICE, "check": check_of(DEVICE)})
    with pytest.raises(RecordError, match='"check"'):
        check_device({**DEVICE, "check": "00000000"})
