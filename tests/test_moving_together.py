"""Moves, notices and rotations that meet, or follow each other closely."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY
from tools.faults.places import NEW, OLD, TwoPlaces

GUARD = 90  # seconds after which it hangs, however busy the host
TIMES = 10
RUN = """
import json
from aliyun_iot import IotError, device
def on_connect(session):
    print("at", session.server)
def on_message(session, topic, payload):
    if payload == b"rotate":
        try:
            session.device.rotate()
        except IotError as e:
            print("not rotated:", e)
    elif topic.endswith(b"user/get"):
        session.device.relocate(**json.loads(payload))
device.run(on_connect, on_message)
"""
# Idle time in a hurry, as the simulator has it for `run`.
AIO = """
import asyncio, time
sleep_ms = asyncio.sleep_ms
async def hurried(ms):
    if ms > 2000:
        time.sleep_ms(ms - 2000)
        ms = 0
    await sleep_ms(ms)
asyncio.sleep_ms = hurried
from aliyun_iot import IotError, aio
"""
COROUTINES = (
    AIO
    + """
asyncio.run(aio.run(lambda session: print("at", session.plain.server)))
"""
)
BUSY = (
    AIO
    + """
face = order = None
async def work(n):
    while True:
        try:
            await face.publish(face.topic("user/update"), b"of task %d" % n, qos=1)
        except IotError:
            pass
        await asyncio.sleep_ms(1)  # one of them is always under way
async def rotating():
    while True:
        await order.wait()
        order.clear()
        face.plain.device.rotate()
def on_connect(session):
    global face, order
    if face is None:
        face = session
        order = asyncio.Event()
        for task in (work(0), work(1), rotating()):
            asyncio.create_task(task)
    print("at", session.plain.server)
def on_message(session, topic, payload):
    if payload == b"rotate":
        session.plain.device.rotate()
    else:
        order.set()
asyncio.run(aio.run(on_connect, on_message))
"""
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPlaces]:
    with TwoPlaces(tmp_path_factory.mktemp("bench")) as running:
        yield running


def send(bench: TwoPlaces, board: Board, payload: bytes) -> bool:
    """Send the board a message: whether it was online."""
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
    return bench.platform.publish(PRODUCT_KEY, board.mac, topic, payload)


def tell(bench: TwoPlaces, board: Board, payload: bytes) -> None:
    assert send(bench, board, payload)


def proved(bench: TwoPlaces, board: Board) -> bool:
    """Whether flash holds the platform's one secret, and no other."""
    record: dict[str, Any] = json.loads(board.read("/device.json") or b"{}")
    good = record["deviceSecret"] == bench.secret_of(board.mac)
    return good and "oldSecret" not in record and not record["place"].endswith("?")


@pytest.mark.parametrize("main", [RUN, COROUTINES], ids=["run", "coroutines"])
def test_a_device_is_told_to_move_back_and_forth(bench: TwoPlaces, main: str) -> None:
    board = bench.board(bench.image(bench.asking(), main=main))
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        for turn in range(TIMES):
            host = (bench.old if turn % 2 else bench.new).host
            assert bench.move(board, OLD if turn % 2 else NEW)
            assert session.wait(f"at {host}", GUARD, session.matched) == "until", session.output
    assert bench.connects(board) == [OLD] + [NEW, OLD] * (TIMES // 2)
    assert bench.registrations(board) == 1
    assert board.boot(CONNECTED, GUARD).flash_operations == 0


def test_a_device_is_relocated_back_and_forth(bench: TwoPlaces) -> None:
    board = bench.board(bench.image(bench.product(), main=RUN))
    at_old = {"instanceId": OLD, "mqttPort": bench.old.mqtt_tls_port}
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        for turn in range(TIMES):
            host = (bench.old if turn % 2 else bench.new).host
            bench.move(board, OLD if turn % 2 else NEW)
            tell(bench, board, json.dumps(at_old if turn % 2 else bench.at_new).encode())
            assert session.wait(f"at {host}", GUARD, session.matched) == "until", session.output
    assert bench.connects(board) == [OLD] + [NEW, OLD] * (TIMES // 2)
    assert bench.registrations(board) == 1
    assert board.boot(CONNECTED, GUARD).flash_operations == 0


@pytest.mark.parametrize("first", ["rotate", "move"])
def test_a_device_rotates_while_it_is_told_to_move(bench: TwoPlaces, first: str) -> None:
    board = bench.board(bench.image(bench.asking(), main=RUN))
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        old = bench.secret_of(board.mac)
        bench.platform.reset(PRODUCT_KEY, board.mac)
        if first == "move":
            bench.move(board)
            send(bench, board, b"rotate")  # the board may have left already
        else:
            tell(bench, board, b"rotate")
            bench.move(board)
        assert session.wait(f"at {bench.new.host}", GUARD) == "until", session.output
        if bench.stored_secret(board) == old:  # too late for that connection
            bench.platform.reset(PRODUCT_KEY, board.mac)
            tell(bench, board, b"rotate")
            for line in ("beside the old one", "at "):
                assert session.wait(line, GUARD, session.matched) == "until", session.output
    assert bench.stored_secret(board) != old
    assert proved(bench, board)


def test_a_lost_answer_then_no_power_then_another_place_cost_one_registration(
    bench: TwoPlaces,
) -> None:
    """The platform has given a secret that nobody has; the board's own is void everywhere."""
    board = bench.board(bench.image(bench.product()))
    assert board.boot(CONNECTED, GUARD).ending == "until"
    rotate = "from aliyun_iot import device\ndevice.Device.open().rotate()\n"
    board.write("/main.py", rotate.encode())
    bench.platform.reset(PRODUCT_KEY, board.mac)
    bench.platform.faults.drop_next_register_answer()
    result = board.boot("(Network|Protocol)Error", GUARD)
    assert result.ending == "until", result.output
    relocate = (
        "from aliyun_iot import device\n"
        f"device.Device.load().relocate(instanceId={NEW!r}, mqttPort={bench.new.mqtt_tls_port})\n"
    )
    board.write("/main.py", (relocate + RUN).encode())
    bench.move(board)
    result = board.boot(f"at {bench.new.host}", GUARD)
    assert result.ending == "until", result.output
    assert bench.connects(board, 4) == [NEW, OLD]
    assert proved(bench, board)


@pytest.mark.parametrize("order", [b"rotate", b"have a task rotate"])
def test_coroutines_that_publish_go_on_when_another_one_rotates(
    bench: TwoPlaces, order: bytes
) -> None:
    board = bench.board(bench.image(bench.product(), main=BUSY))
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/update"
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        for _ in range(5):
            bench.platform.reset(PRODUCT_KEY, board.mac)
            tell(bench, board, order)
            for line in ("beside the old one", "at "):
                assert session.wait(line, GUARD, session.matched) == "until", session.output
            before = len(bench.platform.record.messages(topic))
            session.wait("no such line", 0.3, session.matched)
            later = [m.payload for m in bench.platform.record.messages(topic)[before:]]
            assert {b"of task 0", b"of task 1"} <= set(later), session.output
        assert "Traceback" not in session.output, session.output
    assert proved(bench, board)
