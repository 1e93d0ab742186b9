"""A device moved by hand: product.json names another place, the identity stays the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY
from tools.faults.places import NEW, OLD, TwoPlaces
from tools.faults.proxy import Fault
from tools.image import RecordError
from tools.image.rules import check_product

GUARD = 90  # seconds after which it hangs, however busy the host
NOWHERE = {"instanceId": None, "mqttHost": "nowhere.invalid"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPlaces]:
    with TwoPlaces(tmp_path_factory.mktemp("bench")) as running:
        yield running


def boot(board: Board, until: str = CONNECTED) -> str:
    result = board.boot(until, GUARD)
    assert result.ending == "until", result.output
    return result.output


def registered(bench: TwoPlaces, main: str | None = None, **product: Any) -> Board:
    board = bench.board(bench.image(bench.product(**product)))
    boot(board)
    if main is not None:
        board.write("/main.py", main.encode())
    return board


def deploy(bench: TwoPlaces, board: Board, fields: Mapping[str, Any]) -> None:
    """Put a product.json on the board that names another place."""
    board.write("/product.json", json.dumps(bench.product(**fields)).encode())


def place_of(board: Board) -> str:
    return str(json.loads(board.read("/device.json") or b"")["place"])


def same_identity(bench: TwoPlaces, board: Board) -> bool:
    return bench.registrations(board) == 1 and bench.stored_secret(board) == bench.secret_of(
        board.mac
    )


def test_device_json_keeps_the_place_where_it_was_registered(bench: TwoPlaces) -> None:
    board = registered(bench)
    assert place_of(board) == f"None {OLD} cn-shanghai {bench.old.mqtt_tls_port}"
    assert board.boot(CONNECTED, GUARD).flash_operations == 0


def test_the_same_identity_connects_at_another_place_which_is_then_the_good_one(
    bench: TwoPlaces,
) -> None:
    board = registered(bench)
    bench.move(board)
    deploy(bench, board, bench.at_new)
    boot(board)
    assert bench.connects(board) == [OLD, NEW]
    assert place_of(board).split(" ")[1] == NEW
    assert board.boot(CONNECTED, GUARD).flash_operations == 0
    assert same_identity(bench, board)


@pytest.mark.parametrize("code", [1, 2, 4, 5])
def test_refused_at_the_new_place_it_is_back_at_the_old_one_and_never_registers(
    bench: TwoPlaces, code: int
) -> None:
    board = registered(bench)
    deploy(bench, board, bench.at_new)
    bench.platform.behaviour.wrong_instance_connack = code
    try:
        output = boot(board)
    finally:
        bench.platform.behaviour.wrong_instance_connack = 4
    assert bench.connects(board) == [OLD, OLD], output
    assert bench.connects(board, code) == [NEW]
    assert same_identity(bench, board)
    assert len(bench.platform.record.events("register", PRODUCT_KEY, board.mac)) == 1
    assert place_of(board).split(" ")[1] == OLD


def test_a_place_that_is_not_there_leads_back_to_the_old_one(bench: TwoPlaces) -> None:
    board = registered(bench)
    deploy(bench, board, NOWHERE)
    assert "no address found for nowhere.invalid" in boot(with_names(board))
    assert bench.connects(board) == [OLD, OLD]
    assert same_identity(bench, board)


def with_names(board: Board) -> Board:
    """The board, which no longer finds every name."""
    old = f"{OLD}.mqtt.iothub.aliyuncs.com"
    board.resolve = {
        old + name[1:] if name.startswith("*:") else "localhost": address
        for name, address in board.resolve.items()
    }
    return board


def test_a_board_at_the_old_place_goes_to_the_new_one_when_it_is_moved_at_last(
    bench: TwoPlaces,
) -> None:
    board = registered(bench)
    deploy(bench, board, bench.at_new)
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        assert bench.connects(board) == [OLD, OLD]
        bench.move(board)
        bench.platform.disconnect(PRODUCT_KEY, board.mac)
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
    assert bench.connects(board)[-1] == NEW
    assert same_identity(bench, board)
    assert len(bench.platform.record.events("register", PRODUCT_KEY, board.mac)) == 1


@pytest.mark.parametrize("moved", [True, False], ids=["moved", "not moved"])
def test_registered_but_never_connected_it_finds_its_place_too(
    bench: TwoPlaces, moved: bool
) -> None:
    board = bench.board(bench.image(bench.product()))
    boot(board, "identity stored")
    assert bench.connects(board) == []
    deploy(bench, board, bench.at_new)
    if moved:
        bench.move(board)
    boot(board)
    assert bench.connects(board) == [NEW if moved else OLD]
    assert same_identity(bench, board)


def test_an_identity_that_every_place_refuses_is_registered_again(bench: TwoPlaces) -> None:
    board = registered(bench)
    deploy(bench, board, bench.at_new)
    bench.platform.delete(PRODUCT_KEY, board.mac)
    bench.platform.registry.add_device(PRODUCT_KEY, board.mac)
    bench.move(board)
    boot(board)
    assert bench.connects(board, 4) == [NEW, OLD]
    assert bench.connects(board) == [OLD, NEW]
    assert bench.registrations(board) == 2
    assert bench.stored_secret(board) == bench.secret_of(board.mac)
    assert place_of(board).split(" ")[1] == NEW


def test_a_product_json_that_is_damaged_leaves_the_board_where_it_was(bench: TwoPlaces) -> None:
    board = registered(bench)
    board.write("/product.json", b"{")
    assert "going on with device.json" in boot(board)
    assert bench.connects(board) == [OLD, OLD]


AIO = "import asyncio\nfrom aliyun_iot import aio\nasyncio.run(aio.run())"


def of_the_factory(bench: TwoPlaces, **image: Any) -> Board:
    """A board whose device.json was written by somebody else: it tells no place."""
    board = bench.board(bench.image(bench.product(productSecret=None), **image))
    secret = bench.secret_of(board.mac)
    device = {"productKey": PRODUCT_KEY, "deviceName": board.mac, "deviceSecret": secret}
    board.write("/device.json", json.dumps(device).encode())
    return board


@pytest.mark.parametrize("main", [None, AIO], ids=["run", "coroutines"])
def test_an_identity_of_the_factory_is_back_at_the_old_place_too(
    bench: TwoPlaces, main: str | None
) -> None:
    board = of_the_factory(bench, **({"main": main} if main else {}))
    boot(board)
    assert place_of(board) == f"None {OLD} cn-shanghai {bench.old.mqtt_tls_port}"
    assert board.boot(CONNECTED, GUARD).flash_operations == 0, "it is written down once"
    deploy(bench, board, {**bench.at_new, "productSecret": None})
    boot(board)
    assert bench.connects(board) == [OLD, OLD, OLD]
    assert bench.connects(board, 4) == [NEW]
    bench.move(board)
    boot(board)
    assert bench.connects(board)[-1] == NEW
    assert bench.registrations(board) == 0
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


def test_an_identity_of_the_factory_learns_its_place_after_any_number_of_failures(
    bench: TwoPlaces,
) -> None:
    board = of_the_factory(bench)
    bench.mqtt.expect([Fault("cut", "down", 0), Fault("refuse"), Fault()])
    output = boot(board)
    assert output.count("trying again") == 2, output
    assert place_of(board).split(" ")[1] == OLD


def test_an_identity_alone_on_flash_learns_its_place_once(bench: TwoPlaces) -> None:
    """Without product.json, where the defaults lead is where it is good."""
    board = of_the_factory(bench)
    product = board.read("/product.json")
    board.write("/product.json", None)
    default = f"{PRODUCT_KEY}.iot-as-mqtt.cn-shanghai.aliyuncs.com:443"
    board.resolve = {default: f"127.0.0.1:{bench.mqtt.port}"} | dict(board.resolve)
    boot(board)
    assert place_of(board) == "None None cn-shanghai None"
    assert board.boot(CONNECTED, GUARD).flash_operations == 0
    assert product
    deploy(bench, board, {**bench.at_new, "productSecret": None})
    boot(board)
    assert bench.connects(board) == [OLD, OLD, OLD]
    assert bench.connects(board, 4) == [NEW]


def test_a_field_of_moving_that_is_wrong_is_said_before_it_is_burned() -> None:
    product = {"productKey": PRODUCT_KEY, "productSecret": "x"}
    good = {"bootstrap": True, "bootstrapHost": "localhost:8443", "spares": "8883 host.test:443 1"}
    check_product({**product, **good})
    for field, value, expected in (
        ("bootstrap", "yes", "expected true or false"),
        ("bootstrapHost", "https://host", "expected host or host:port"),
        ("bootstrapHost", "host:0", "expected host or host:port"),
        ("spares", "8883,443", "expected ports, or host:port"),
        ("spares", "65536", "expected ports, or host:port"),
        ("spares", "host:x", "expected ports, or host:port"),
    ):
        with pytest.raises(RecordError, match=f'"{field}": {expected}'):
            check_product({**product, field: value})
