"""Power cuts while a board is moved, or changes its secret; see `power`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.faults.places import NEW, OLD, TwoPlaces
from tools.faults.power import Scenario, one_secret
from tools.image import BLOCK_SIZE, FlashLayout
from tools.image.records import with_check

_LAYOUT = FlashLayout(size=64 * BLOCK_SIZE)
_ONLINE = r"online there\n"
_ROTATE = """
from aliyun_iot import IotError, device
try:
    device.Device.open().rotate()
except IotError as e:
    print("not rotated:", e)
device.run(lambda session: print("online there"))
"""
_RELOCATE = """
from aliyun_iot import device
board = device.Device.load()
board.relocate(instanceId="{}", mqttPort={})
device.run(lambda session: print("online there"))
"""


def _record(board: Board, path: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(board.read(path) or b"{}")
    return record


def _two(bench: Bench) -> TwoPlaces:
    assert isinstance(bench, TwoPlaces)
    return bench


def _registered(bench: Bench, product: dict[str, Any]) -> tuple[Board, set[str | None]]:
    """A board that has connected at the old place, and its secret."""
    board = bench.board(bench.image(product, layout=_LAYOUT))
    result = board.boot(CONNECTED, 60)
    if result.ending != "until":
        raise RuntimeError(result.output)
    return board, {bench.stored_secret(board)}


def _of_the_factory(bench: Bench) -> tuple[Board, set[str | None]]:
    """A board whose identity was written by somebody else, before its first connect."""
    board = bench.board(bench.image(bench.product(productSecret=None), layout=_LAYOUT))
    secret = bench.secret_of(board.mac)
    record = {"productKey": PRODUCT_KEY, "deviceName": board.mac, "deviceSecret": secret}
    board.write("/device.json", json.dumps(record).encode())
    return board, {secret}


def _knows(bench: Bench, board: Board) -> Iterator[str]:
    yield from one_secret(bench, board)
    if _record(board, "/device.json").get("place", "").split(" ")[1:2] != [OLD]:
        yield "device.json does not tell where it is good"


def _deployed(bench: Bench) -> tuple[Board, set[str | None]]:
    """Such a board, after its first connect: product.json is another one, and it was moved."""
    two = _two(bench)
    board, secrets = _of_the_factory(two)
    result = board.boot(CONNECTED, 60)
    if result.ending != "until":
        raise RuntimeError(result.output)
    product = two.product(**two.at_new, productSecret=None)
    board.write("/product.json", json.dumps(product).encode())
    two.move(board)
    return board, secrets


def _there(bench: Bench, board: Board) -> Iterator[str]:
    yield from _moved(bench, board)
    if _record(board, "/device.json")["place"].split(" ")[1] != NEW:
        yield "device.json does not tell the new place"


def _rotating(bench: Bench) -> tuple[Board, set[str | None]]:
    board, secrets = _registered(bench, bench.product())
    bench.platform.reset(PRODUCT_KEY, board.mac)
    board.write("/main.py", _ROTATE.encode())
    return board, secrets


def _rotated(bench: Bench, board: Board) -> Iterator[str]:
    yield from one_secret(bench, board)
    record = _record(board, "/device.json")
    if "oldSecret" in record or record["place"].endswith("?"):
        yield "the old secret is still there"


def _relocating(bench: Bench) -> tuple[Board, set[str | None]]:
    """A board whose identity is from a factory: its old place is to be written first."""
    two = _two(bench)
    board, secrets = _registered(bench, two.product())
    record = _record(board, "/device.json")
    del record["place"], record["check"]
    board.write("/device.json", json.dumps(record).encode())
    two.move(board)
    board.write("/main.py", _RELOCATE.format(NEW, two.new.mqtt_tls_port).encode())
    return board, secrets


def _moved(bench: Bench, board: Board) -> Iterator[str]:
    """What is wrong with a board that was moved to the new place."""
    yield from one_secret(bench, board)
    two = _two(bench)
    if two.connects(board)[-1] != NEW:
        yield "it is not at the new place"
    if board.read("/product.json.new") is not None:
        yield "/product.json.new is left over"


def _relocated(bench: Bench, board: Board) -> Iterator[str]:
    yield from _there(bench, board)
    two = _two(bench)
    if two.registrations(board) != 1:
        yield "it registered again"
    if _record(board, "/product.json") != with_check(two.product(**two.at_new)):
        yield "product.json does not tell the new place"


def _first_asking(bench: Bench) -> tuple[Board, set[str | None]]:
    """A blank board that registers at the old place and is told the new one."""
    two = _two(bench)
    board = two.board(two.image(two.asking(), layout=_LAYOUT))
    two.move(board)
    return board, {None}


def _moving(bench: Bench) -> tuple[Board, set[str | None]]:
    """A board that served at the old place, and is moved while it is off."""
    two = _two(bench)
    board, secrets = _registered(bench, two.asking())
    if _record(board, "/place.json")["host"] != two.old.host:
        raise RuntimeError(f"not at {OLD}")
    two.move(board)
    return board, secrets


def _once(bench: Bench, board: Board) -> Iterator[str]:
    yield from _told(bench, board)
    if _two(bench).registrations(board) != 1:
        yield "it registered again"


def _told(bench: Bench, board: Board) -> Iterator[str]:
    yield from _moved(bench, board)
    if _record(board, "/place.json")["host"] != _two(bench).new.host:
        yield "place.json does not tell the new place"
    if board.read("/place.json.new") is not None:
        yield "/place.json.new is left over"


FACTORY = Scenario("first connect of a factory's identity", CONNECTED, _of_the_factory, _knows)
DEPLOYED = Scenario("a move by product.json", CONNECTED, _deployed, _there)
ROTATED = Scenario("rotating the DeviceSecret", _ONLINE, _rotating, _rotated)
RELOCATED = Scenario("a move by hand", _ONLINE, _relocating, _relocated)
FIRST_ASKED = Scenario("first boot with bootstrap", CONNECTED, _first_asking, _told)
MOVED = Scenario("a move by bootstrap", CONNECTED, _moving, _once)
SCENARIOS = (ROTATED, FACTORY, DEPLOYED, RELOCATED, FIRST_ASKED, MOVED)
