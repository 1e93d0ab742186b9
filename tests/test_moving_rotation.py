"""A new DeviceSecret in place of the old one, which goes only when the new one has connected.

The table in docs/moving.md: a row is a state of the platform, seen here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.iot_platform import Identity

GUARD = 90  # seconds after which it hangs, however busy the host
ROTATING = """
from aliyun_iot import IotError, device
def on_connect(session):
    print('online')
def on_message(session, topic, payload):
    if payload == b'rotate':
        try:
            session.device.rotate()
        except IotError as e:
            print('not rotated:', e)
device.run(on_connect, on_message)
"""
OWN = """
import time
from aliyun_iot import IotError
from aliyun_iot.device import Device
board = Device.open()
while True:
    try:
        session = board.connect()
        print('online')
        while True:
            message = session.wait(60000)
            if message and message[1] == b'rotate':
                board.rotate()
    except IotError as e:
        print('failed:', e)
    time.sleep(2)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


def registered(bench: Bench, main: str = ROTATING, **product: object) -> Board:
    """A board that connected, and now runs `main`."""
    board = bench.board(bench.image(bench.product(**product)))
    assert board.boot(CONNECTED, GUARD).ending == "until"
    board.write("/main.py", main.encode())
    return board


def record_of(board: Board) -> dict[str, str]:
    record: dict[str, str] = json.loads(board.read("/device.json") or b"{}")
    return record


def rotate(
    bench: Bench,
    board: Board,
    prepare: Callable[[], object] = lambda: None,
    until: Sequence[str] = ("online",),
) -> str:
    """Have a board rotate while it runs, `prepare` called before it does; then `until` is seen."""
    with board.power_on() as session:
        assert session.wait("online", GUARD) == "until", session.output
        prepare()
        topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
        assert bench.platform.publish(PRODUCT_KEY, board.mac, topic, b"rotate")
        for line in until:
            assert session.wait(line, GUARD, session.matched) == "until", session.output
        return session.output


def reset(bench: Bench, board: Board) -> Callable[[], object]:
    return lambda: bench.platform.reset(PRODUCT_KEY, board.mac)


def codes(bench: Bench, board: Board) -> list[int | None]:
    return [e.code for e in bench.platform.record.events("connect", PRODUCT_KEY, board.mac)]


def proved(bench: Bench, board: Board) -> bool:
    """Whether flash holds the platform's one secret, and no other."""
    record = record_of(board)
    good = record["deviceSecret"] == bench.secret_of(board.mac)
    return good and "oldSecret" not in record and not record["place"].endswith("?")


@pytest.mark.parametrize("main", [ROTATING, OWN], ids=["run", "own loop"])
def test_after_reset_thing_the_new_secret_is_proved_and_the_old_one_goes(
    bench: Bench, main: str
) -> None:
    board = registered(bench, main)
    old = bench.stored_secret(board)
    output = rotate(bench, board, reset(bench, board), ["beside the old one", "online"])
    assert bench.stored_secret(board) != old, output
    assert proved(bench, board)
    assert codes(bench, board) == [0, 0, 0]
    assert board.boot("online", GUARD).flash_operations == 0


def test_coroutines_rotate_too(bench: Bench) -> None:
    main = (
        "import asyncio\nfrom aliyun_iot import aio\n"
        "async def on_message(session, topic, payload):\n"
        "    if payload == b'rotate': session.plain.device.rotate()\n"
        "asyncio.run(aio.run(lambda session: print('online'), on_message))\n"
    )
    board = registered(bench, main)
    old = bench.stored_secret(board)
    rotate(bench, board, reset(bench, board), ["beside the old one", "online"])
    assert bench.stored_secret(board) != old
    assert proved(bench, board)


def test_a_token_of_a_registration_without_preregistration_is_rotated_too(bench: Bench) -> None:
    board = registered(bench, registration="mqtt-free")
    old = record_of(board)
    rotate(bench, board, until=["beside the old one", "online"])
    new = record_of(board)
    assert (new["clientId"], new["deviceToken"]) != (old["clientId"], old["deviceToken"])
    assert "oldSecret" not in new
    assert "deviceSecret" not in new


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("active", "code 6289"),
        ("deleted", "code 6100"),
        ("switched off", "code 6288"),
        ("busy", r"busy \(code 500\)"),
    ],
)
def test_where_the_platform_refuses_the_old_secret_stays_and_connects(
    bench: Bench, state: str, said: str
) -> None:
    board = registered(bench)
    before = board.read("/device.json")
    code = {"deleted": 6100, "switched off": 6288, "busy": 500}.get(state)

    def prepare() -> None:
        if code:
            bench.platform.faults.register_code(code)

    output = rotate(bench, board, prepare, ["not rotated: .*" + said, "online"])
    assert board.read("/device.json") == before, output
    assert codes(bench, board) == [0, 0, 0]


def test_the_same_secret_given_again_changes_nothing(bench: Bench) -> None:
    board = registered(bench)
    before = board.read("/device.json")
    bench.platform.behaviour.new_secret_each_registration = False
    try:
        rotate(bench, board, reset(bench, board), ["the same secret again", "online"])
    finally:
        bench.platform.behaviour.new_secret_each_registration = True
    assert board.read("/device.json") == before


def unproved(bench: Bench) -> tuple[Board, str, str]:
    """A board that lost its power with a new secret stored and not proved; old and new secret."""
    board = registered(bench)
    old = bench.stored_secret(board)
    rotate(bench, board, reset(bench, board), ["beside the old one"])
    new = bench.stored_secret(board)
    assert old and new and old != new
    assert record_of(board)["oldSecret"] == old
    return board, old, new


def test_a_new_secret_is_proved_by_the_next_boot_too(bench: Bench) -> None:
    board, _, new = unproved(bench)
    assert board.boot("online", GUARD).ending == "until"
    assert proved(bench, board)
    assert bench.stored_secret(board) == new


def test_a_new_secret_that_is_refused_gives_way_to_the_old_one(bench: Bench) -> None:
    """The device was deleted and added again with the old secret."""
    board, old, _ = unproved(bench)
    bench.platform.delete(PRODUCT_KEY, board.mac)
    bench.platform.registry.add_device(PRODUCT_KEY, board.mac, old)
    result = board.boot("online", GUARD)
    assert result.ending == "until", result.output
    assert bench.stored_secret(board) == old
    assert proved(bench, board)
    assert codes(bench, board)[-2:] == [4, 0]


def test_where_both_are_refused_the_device_registers_again(bench: Bench) -> None:
    board, _, _ = unproved(bench)
    bench.platform.reset(PRODUCT_KEY, board.mac)
    bench.platform.registry.issue_secret(Identity(PRODUCT_KEY, board.mac), fresh=True)
    result = board.boot("online", GUARD)
    assert result.ending == "until", result.output
    assert codes(bench, board)[-3:] == [4, 4, 0]
    assert proved(bench, board)


def test_a_disabled_device_keeps_both_secrets_until_it_is_enabled(bench: Bench) -> None:
    board, _, _ = unproved(bench)
    before = record_of(board)
    bench.platform.disable(PRODUCT_KEY, board.mac)
    with board.power_on() as session:
        assert session.wait("next: the old secret", GUARD) == "until", session.output
        assert session.wait("trying again", GUARD, session.matched) == "until"
        assert record_of(board) == before
        bench.platform.enable(PRODUCT_KEY, board.mac)
        assert session.wait("online", GUARD, session.matched) == "until", session.output
    assert proved(bench, board)


def test_a_lost_answer_costs_one_registration_more(bench: Bench) -> None:
    """The platform has given a new secret; the board has only the old one, which is void."""
    board = registered(bench)

    def prepare() -> None:
        bench.platform.reset(PRODUCT_KEY, board.mac)
        bench.platform.faults.drop_next_register_answer()

    rotate(bench, board, prepare, ["not rotated: ", "identity stored", "online"])
    assert proved(bench, board)


def test_two_rotations_without_a_connect_keep_the_secret_that_worked(bench: Bench) -> None:
    main = (
        "from aliyun_iot.device import Device\n"
        "board = Device.open()\nboard.rotate()\nboard.rotate()\nprint('twice')\n"
    )
    board = registered(bench, main)
    old = bench.stored_secret(board)
    bench.platform.reset(PRODUCT_KEY, board.mac)
    result = board.boot("twice", GUARD)
    assert result.ending == "until", result.output
    assert record_of(board)["oldSecret"] == old
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


def test_without_a_product_secret_there_is_nothing_to_ask_with(bench: Bench) -> None:
    board = registered(bench)
    product = bench.product(productSecret=None)
    board.write("/product.json", json.dumps(product).encode())
    before = board.read("/device.json")
    with board.power_on() as session:
        assert session.wait("online", GUARD) == "until", session.output
        topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, b"rotate")
        said = "not rotated: product.json: productSecret: missing"
        assert session.wait(said, GUARD) == "until", session.output
    assert board.read("/device.json") == before
    assert codes(bench, board) == [0, 0], "the connection goes on"
