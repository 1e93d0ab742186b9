"""`Device.relocate`: an application moves its device by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from test_moving_by_hand import GUARD, boot, of_the_factory, place_of, registered, same_identity
from test_moving_by_hand import bench as bench

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY
from tools.faults.places import NEW, OLD, TwoPlaces
from tools.image.records import with_check

RELOCATING = """
from aliyun_iot import ConfigError, device
import json
def on_connect(session):
    print('at', session.server)
def on_message(session, topic, payload):
    try:
        session.device.relocate(**json.loads(payload))
    except ConfigError as e:
        print('not moved:', e)
device.run(on_connect, on_message)
"""


def tell(bench: TwoPlaces, board: Board, fields: Mapping[str, Any]) -> None:
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
    assert bench.platform.publish(PRODUCT_KEY, board.mac, topic, json.dumps(fields).encode())


def test_an_application_relocates_its_device(bench: TwoPlaces) -> None:
    board = registered(bench, RELOCATING)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        bench.move(board)
        tell(bench, board, bench.at_new)
        assert session.wait(f"at {bench.new.host}", GUARD) == "until", session.output
    assert bench.connects(board, 4) == []
    product = json.loads(board.read("/product.json") or b"")
    assert product == with_check(bench.product(**bench.at_new))
    assert board.boot(CONNECTED, GUARD).flash_operations == 0
    assert same_identity(bench, board)


def test_a_relocation_to_where_the_identity_is_refused_leads_back(bench: TwoPlaces) -> None:
    board = registered(bench, RELOCATING)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        tell(bench, board, bench.at_new)
        assert session.wait(f"at {bench.old.host}", GUARD, session.matched) == "until"
    assert bench.connects(board, 4) == [NEW]
    assert same_identity(bench, board)


def test_a_relocation_by_host_replaces_the_instance_and_back(bench: TwoPlaces) -> None:
    board = registered(bench, RELOCATING)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        for host in ("localhost", bench.old.host):
            tell(bench, board, {"mqttHost": host})
            assert session.wait(f"at {host}", GUARD, session.matched) == "until", session.output
    assert json.loads(board.read("/product.json") or b"")["mqttHost"] == bench.old.host


@pytest.mark.parametrize("moved", [True, False])
def test_an_identity_alone_on_flash_is_relocated_too(bench: TwoPlaces, moved: bool) -> None:
    board = of_the_factory(bench, main=RELOCATING)
    board.write("/product.json", None)
    default = f"{PRODUCT_KEY}.iot-as-mqtt.cn-shanghai.aliyuncs.com"
    board.resolve = {f"{default}:443": f"127.0.0.1:{bench.mqtt.port}"} | dict(board.resolve)
    with board.power_on() as session:
        assert session.wait(f"at {default}", GUARD) == "until", session.output
        if moved:
            bench.move(board)
        tell(bench, board, bench.at_new)
        there = bench.new.host if moved else default
        assert session.wait(f"at {there}", GUARD, session.matched) == "until", session.output
    product = {"productKey": PRODUCT_KEY, **bench.at_new}
    assert json.loads(board.read("/product.json") or b"") == with_check(product)
    boot(board)
    assert bench.connects(board) == ([OLD, NEW, NEW] if moved else [OLD, OLD, OLD])
    assert bench.registrations(board) == 0


def test_an_identity_of_the_factory_learns_its_old_place_before_it_is_relocated(
    bench: TwoPlaces,
) -> None:
    board = of_the_factory(bench, main=RELOCATING)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        tell(bench, board, bench.at_new)
        assert session.wait(f"at {bench.old.host}", GUARD, session.matched) == "until"
    assert bench.connects(board, 4) == [NEW]
    assert place_of(board).split(" ")[1] == OLD


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mqttHost": "https://host"}, "product.json: mqttHost: expected a part of a host name"),
        ({"instanceId": "iot 1"}, "product.json: instanceId: expected a part of a host name"),
        ({"mqttPort": 65536}, "product.json: mqttPort: expected 1 to 65535 as a number"),
        ({"mqttPort": "443"}, "product.json: mqttPort: expected 1 to 65535 as a number"),
        ({"registerHost": "x"}, "relocate: registerHost: not a field that tells the place"),
        ({}, "relocate: expected instanceId, region, mqttHost or mqttPort"),
    ],
)
def test_a_wrong_place_is_refused_and_nothing_changes(
    bench: TwoPlaces, fields: Mapping[str, Any], said: str
) -> None:
    board = registered(bench, RELOCATING)
    before = board.read("/product.json")
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        tell(bench, board, fields)
        assert session.wait("not moved: " + said, GUARD) == "until", session.output
    assert board.read("/product.json") == before
