"""Registration over MQTT that is refused, gets no answer, or is interrupted by a power cut."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from boot_helpers import GUARD, MESSAGE, WAITING, boot
from boot_mqtt_helpers import (
    FIRST_BOOT,
    FREE_KEY,
    WAYS,
    MakeMqttBoard,
    connects,
    held,
    mqtt_boards,
    valid,
)
from conftest import MAC, PRODUCT_KEY, MakeBoard

from tools.board import Cut
from tools.iot_platform import Behaviour, LocalPlatform

IMPATIENT = "from aliyun_iot import device\ndevice.Device.timeout = 1500\ndevice.run()\n"


@pytest.fixture
def make(platform: LocalPlatform, make_board: MakeBoard) -> MakeMqttBoard:
    return mqtt_boards(platform, make_board)


def waits(output: str) -> list[int]:
    return [int(found) for found in re.findall(r"trying again in (\d+) s", output)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (1, "not what the platform expects"),
        (2, "not what the platform expects"),
        (3, "not available"),
        (4, "check productKey and productSecret"),
        (4, "already active, not pre-registered, or dynamic registration is switched off"),
        (5, "check productKey and productSecret"),
        (5, "already active, not pre-registered, or dynamic registration is switched off"),
    ],
)
def test_a_refusal_by_connack_says_what_to_do(
    platform: LocalPlatform, make: MakeMqttBoard, way: str, code: int, advice: str
) -> None:
    platform.faults.connack(code)
    board = make(way)
    result = boot(board, WAITING)
    assert f"CONNACK {code}" in result.output
    assert advice in result.output
    assert board.read("/device.json") is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "reason", ["already active", "switched off", "wrong secret", "not of this kind"]
)
def test_a_refusal_by_the_registry_stores_nothing(
    platform: LocalPlatform, make: MakeMqttBoard, way: str, reason: str
) -> None:
    board = make(way, **({"productSecret": "wrong"} if reason == "wrong secret" else {}))
    key = PRODUCT_KEY if way == "mqtt" else FREE_KEY
    if reason == "already active":
        # Without pre-registration, several physical devices may have the same DeviceName.
        for _ in range(1 if way == "mqtt" else Behaviour().registration_free_devices):
            boot(board)
            board.write("/device.json", None)
    elif reason == "switched off":
        platform.registry.set_dynamic_registration(key, False)
    elif reason == "not of this kind":  # the product or device does not allow this way
        other = {"mqtt": "mqtt-free", "mqtt-free": "mqtt"}[way]
        product = json.loads(board.read("/product.json") or b"") | {"registration": other}
        board.write("/product.json", json.dumps(product).encode())
    before = len(connects(platform))
    result = boot(board, WAITING)
    code = 5 if reason == "already active" else 4
    assert [code for _, code in connects(platform)[before:]] == [code]
    assert f"registration refused (CONNACK {code})" in result.output
    assert waits(result.output)[0] >= 30
    assert board.read("/device.json") is None


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_identity_is_kept_until_a_new_one_is_stored(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    board = make(way)
    boot(board)
    before = held(board)
    board.hurry = 1000
    if way == "mqtt":
        platform.reset(PRODUCT_KEY, MAC)
    for until in (WAITING, MESSAGE):
        assert held(board) == before
        platform.faults.connack(5)
        result = boot(board, until)
        assert "connect refused (CONNACK 5)" in result.output
    assert min(waits(result.output)) >= 30
    assert connects(platform)[-2:] == FIRST_BOOT[way]
    assert held(board) == valid(platform, way)
    assert held(board) != before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("piece", [1, 7])
def test_an_answer_in_pieces_is_put_together(
    platform: LocalPlatform, make: MakeMqttBoard, way: str, piece: int
) -> None:
    platform.faults.slow_register_answer(delay=0.1, piece=piece, pause=0.001)
    board = make(way)
    boot(board)
    assert platform.faults.take_slow_answer() is None
    assert connects(platform) == FIRST_BOOT[way]
    assert held(board) == valid(platform, way)


@pytest.mark.parametrize("way", WAYS)
def test_a_registration_without_an_answer_times_out_and_is_repeated(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    platform.faults.drop_next_register_answer(stay_open=True)
    board = make(way, IMPATIENT)
    boot(board, "registration: no answer in time; trying again")
    assert board.read("/device.json") is None
    boot(board, "connected as")
    assert held(board) == valid(platform, way)


@pytest.mark.parametrize("way", WAYS)
def test_silence_before_the_connack_ends_at_the_registrations_deadline(
    platform: LocalPlatform, make: MakeMqttBoard, way: str
) -> None:
    platform.faults.stall_handshake()
    board = make(way, IMPATIENT)
    boot(board, "localhost: no answer in time; trying again")
    assert connects(platform) == []
    boot(board, "connected as")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_power_cut_between_answer_and_store_costs_one_more_registration(
    platform: LocalPlatform, make: MakeMqttBoard, way: str, when: Any
) -> None:
    board = make(way)
    assert board.boot(timeout=GUARD, power_cut=Cut(1, when)).ending == "power cut"
    registering = FIRST_BOOT[way][:1]
    assert connects(platform) == registering
    assert board.read("/device.json") is None
    boot(board)
    assert connects(platform) == registering + FIRST_BOOT[way]
    assert held(board) == valid(platform, way)
