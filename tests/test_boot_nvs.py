"""The product certificate in NVS: read once, copied to a file, and reported when it is bad."""

from __future__ import annotations

import json

import pytest
from boot_helpers import MESSAGE
from conftest import MAC, MakeBoard, product_of

from tools.board import Board
from tools.iot_platform import LocalPlatform


def put_in_nvs(board: Board, blob: bytes) -> None:
    (board.folder / "nvs").write_text(f"aliyun_iot product blob {blob.hex()}\n")


def nvs_of(platform: LocalPlatform) -> bytes:
    return json.dumps(product_of(platform)).encode()


def test_a_board_with_its_product_certificate_in_nvs_registers_and_connects(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    board = make_board({})
    put_in_nvs(board, nvs_of(platform))
    assert board.boot(MESSAGE, timeout=20).ending == "until"
    assert [event.code for event in platform.record.events("register")] == [200]


def test_nvs_is_not_needed_again_once_it_was_read(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    board = make_board({})
    put_in_nvs(board, nvs_of(platform))
    board.boot(MESSAGE, timeout=20)
    assert board.read("/product.json") == nvs_of(platform)
    (board.folder / "nvs").unlink()
    later = board.boot(MESSAGE, timeout=20)
    assert later.ending == "until"
    assert later.flash_operations == 0


def test_product_json_comes_before_nvs(platform: LocalPlatform, make_board: MakeBoard) -> None:
    board = make_board()
    put_in_nvs(board, b'{"productKey":"another"}')
    assert board.boot(MESSAGE, timeout=20).ending == "until"
    assert f"connected as {MAC}" in board.boot(MESSAGE, timeout=20).output


@pytest.mark.parametrize(
    ("blob", "says"),
    [
        (None, "product.json: missing"),
        (b"\xff\xff", "not JSON, or not UTF-8"),
        (b'{"productKey":"a1Exp', "not JSON, or not UTF-8"),
        (b" " * 2000, "product.json: missing"),
    ],
    ids=["none", "not text", "cut off", "too long"],
)
def test_nvs_without_a_whole_certificate_is_reported_and_not_copied(
    make_board: MakeBoard, blob: bytes | None, says: str
) -> None:
    board = make_board({})
    if blob is not None:
        put_in_nvs(board, blob)
    result = board.boot("stopped: .*\n", timeout=20)
    assert says in result.output
    assert board.read("/product.json") is None
