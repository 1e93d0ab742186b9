"""A bad product.json or device.json: the board says what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from boot_helpers import boot, secret_of_platform, secret_on_flash
from conftest import MAC, PRODUCT_KEY, PRODUCT_SECRET, MakeBoard

from tools.iot_platform import LocalPlatform


@pytest.mark.parametrize(
    ("product", "sentence"),
    [
        ({}, "product.json: missing (and device.json: missing)"),
        (b"", "product.json: not JSON, or not UTF-8 (and"),
        (b"not json", "product.json: not JSON, or not UTF-8 (and"),
        (b'{"productKey": "a1', "product.json: not JSON, or not UTF-8 (and"),
        (b"\xff\xfe\x00", "product.json: not JSON, or not UTF-8 (and"),
        (b"[]", "product.json: expected a JSON object (and"),
        (b"{}", "product.json: productKey: missing (and"),
        ({"productKey": PRODUCT_KEY}, "product.json: productSecret: missing (and"),
        ({"productKey": 12}, "product.json: productKey: expected 1 to 20"),
        (
            {"productKey": PRODUCT_KEY, "productSecret": ""},
            "product.json: productSecret: expected 1 to 64",
        ),
        (
            {"productKey": PRODUCT_KEY, "productSecret": PRODUCT_SECRET, "deviceName": "a b c d"},
            "product.json: deviceName: expected ",
        ),
    ],
    ids=str,
)
def test_a_bad_product_json_gives_one_sentence_and_a_usable_repl(
    make_board: MakeBoard, product: Any, sentence: str
) -> None:
    board = make_board(product or b"-")
    if product == {}:
        board.write("/product.json", None)
    elif isinstance(product, bytes):
        board.write("/product.json", product)
    result = board.boot(timeout=10, then=["print(6 * 7)"])
    assert result.ending == "repl"
    (said,) = [line for line in result.output.splitlines() if line.startswith("stopped:")]
    assert sentence in said
    assert result.output.rstrip("> \n").endswith("42")


def test_a_registered_board_reports_a_bad_product_json_and_continues(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    board = make_board()
    boot(board)
    board.write("/product.json", b'{"productKey": "a1ExpAkj9Hi", "mqttHots": "x"}')
    board.resolve = {"*:443": f"127.0.0.1:{platform.mqtt_tls_port}"}
    result = boot(board)
    (said,) = [line for line in result.output.splitlines() if "going on" in line]
    assert "product.json: mqttHots: no such field" in said


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "empty"),
        (b'{"productKey":"a1ExpAkj9Hi","deviceName":"246f28aabbcc","devi', "not JSON"),
        (
            {"productKey": PRODUCT_KEY, "deviceName": "246f28000000", "deviceSecret": "x"},
            "another device's",
        ),
        ({"productKey": "a1Another00", "deviceName": MAC, "deviceSecret": "x"}, "another product"),
        ({"productKey": PRODUCT_KEY, "deviceName": MAC, "deviceSecret": ""}, "deviceSecret"),
        (
            {"productKey": PRODUCT_KEY, "deviceName": MAC, "deviceSecret": "x", "check": "0" * 8},
            "damaged",
        ),
    ],
)
def test_a_damaged_or_foreign_device_json_counts_as_missing_and_the_board_says_why(
    platform: LocalPlatform, make_board: MakeBoard, record: Any, reason: str
) -> None:
    board = make_board(device=record or None)
    if record == b"":
        board.write("/device.json", b"")
    result = boot(board)
    (said,) = [line for line in result.output.splitlines() if "is not registered yet" in line]
    assert reason in said
    assert secret_on_flash(board) == secret_of_platform(platform)
