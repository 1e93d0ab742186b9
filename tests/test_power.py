"""The power goes, the flash fails, somebody resets: the identity is whole, the board comes back.

The exhaustive sets run by `make faults`; here are those that are small, and a share of the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tools.board import Board, FlashFault, Session
from tools.faults import power
from tools.faults.bench import CONNECTED, PRODUCT_KEY, PRODUCT_SECRET, Bench
from tools.image import FlashLayout
from tools.layout import ROOT

OnDevice = Callable[..., Any]
WAITING = r"trying again in .*\n"
FULL = r"device.json: cannot be written \(error 28\).*\n"
GUARD = 90  # seconds after which it hangs, however busy the host


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.mark.parametrize(
    ("scenario", "most"),
    [
        (power.FIRST_BOOT, None),
        (power.MQTT_FIRST_BOOT, 6),
        (power.REPLACING, 9),
        (power.SUBDEVICES_STORED, 9),
        (power.FORGETTING, 8),
    ],
    ids=lambda value: value.name if isinstance(value, power.Scenario) else "",
)
def test_after_a_power_cut_the_board_ends_connected_with_the_one_valid_secret(
    bench: Bench, scenario: power.Scenario, most: int | None
) -> None:
    tally = power.cut_everywhere(bench, scenario, most, seed=3)
    assert tally.problems == []
    assert tally.tried == (most or 18)


@pytest.mark.parametrize("what", ["first", "replace", "subdevices"])
def test_an_exception_at_any_call_leaves_what_was_or_what_was_to_come(
    on_device: OnDevice, what: str
) -> None:
    told = on_device("store_interrupts.py", {"what": what})
    assert told["bad"] == []
    assert told["tried"] == told["calls"] * 9
    assert told["old"] > 0
    assert told["new"] > 0
    assert (told["part"] > 0) == (what == "subdevices")


def interrupt(session: Session) -> None:
    """Ctrl-C, and wait for the REPL that it leads to."""
    session.send("\x03")
    assert session.wait(None, GUARD) == "repl", session.output


@contextmanager
def interrupted(board: Board, line: str) -> Iterator[Session]:
    """The board under power, at the REPL that a Ctrl-C led to when it had said `line`."""
    with board.power_on() as session:
        assert session.wait(line, GUARD) == "until", session.output
        interrupt(session)
        yield session


@pytest.mark.parametrize("line", ["is not registered yet", "identity stored", "connected as"])
def test_a_soft_reset_at_any_line_ends_connected(bench: Bench, line: str) -> None:
    for board in [bench.board() for _ in range(3)]:
        with board.power_on(max_boots=3) as session:
            assert session.wait(line, GUARD) == "until"
            interrupt(session)
            session.send("\x04")
            assert session.wait("soft reboot", GUARD) == "until"
            assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
        assert bench.stored_secret(board) == bench.secret_of(board.mac)


FILL = """
n = 0
try:
    while True:
        with open("/fill%d" % n, "wb") as file:
            file.write(bytes(3000))
        n += 1
except OSError:
    pass
"""


def blank(bench: Bench) -> tuple[Board, set[str | None]]:
    return bench.board(bench.image(layout=FlashLayout(size=64 * 4096))), {None}


@pytest.mark.parametrize(
    "prepare", [blank, power.REPLACING.prepare], ids=["first store", "replacing"]
)
def test_a_full_flash_is_said_the_old_record_kept_and_the_repl_reachable(
    bench: Bench, prepare: Callable[[Bench], tuple[Board, set[str | None]]]
) -> None:
    board, before = prepare(bench)
    record = board.read("/device.json")
    assert (record is None) == (before == {None})
    board.write("/boot.py", (FILL + (ROOT / "boot.py").read_text()).encode())
    with interrupted(board, FULL) as session:
        assert session.repl("print(6 * 7)") == "42\n"
    assert board.read("/device.json") == record
    for path in board.files():
        if path.startswith("/fill"):
            board.write(path, None)
    board.write("/boot.py", (ROOT / "boot.py").read_bytes())
    assert board.boot(CONNECTED, GUARD).ending == "until"
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "forgets silently"])
def test_flash_that_cannot_be_written_keeps_the_old_secret_and_is_said(
    bench: Bench, silent: bool
) -> None:
    board, before = power.REPLACING.prepare(bench)
    board.flash_fault = FlashFault(None, silent)
    with interrupted(board, "device.json: (cannot|flash did not keep)"):
        pass
    assert {bench.stored_secret(board)} == before
    board.flash_fault = None
    result = board.boot(CONNECTED, GUARD)
    assert result.ending == "until", result.output
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


def test_flash_that_cannot_be_written_still_connects_with_what_it_holds(bench: Bench) -> None:
    board = bench.board()
    assert board.boot(CONNECTED, GUARD).ending == "until"
    board.flash_fault = FlashFault()
    assert board.boot(CONNECTED, GUARD).ending == "until"


@pytest.mark.parametrize("wrong", ["zeros", "half of it", "another board's"])
def test_a_record_gone_bad_is_named_and_an_active_device_says_what_to_do(
    bench: Bench, wrong: str
) -> None:
    board = bench.board()
    assert board.boot(CONNECTED, GUARD).ending == "until"
    record = board.read("/device.json")
    assert record is not None
    other = json.loads(record) | {"deviceName": "246f28999999"}
    del other["check"]
    bad = {
        "zeros": bytes(len(record)),
        "half of it": record[: len(record) // 2],
        "another board's": json.dumps(other).encode(),
    }[wrong]
    board.write("/device.json", bad)
    result = board.boot(WAITING, GUARD)
    assert "device.json: not JSON" in result.output or "another device's" in result.output
    assert "already active" in result.output
    assert "reset or re-add it" in result.output
    assert board.read("/device.json") == bad
    bench.platform.reset(PRODUCT_KEY, board.mac)
    assert board.boot(CONNECTED, GUARD).ending == "until"
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


def test_a_block_gone_bad_under_the_record_is_named(bench: Bench) -> None:
    board = bench.board()
    assert board.boot(CONNECTED, GUARD).ending == "until"
    flash = board.flash
    at = flash.rindex(bench.secret_of(board.mac).encode())
    board.flash = flash[: at - 40] + bytes(60) + flash[at + 20 :]
    result = board.boot(WAITING, GUARD)
    assert "device.json: not JSON" in result.output
    assert "already active" in result.output
    bench.platform.reset(PRODUCT_KEY, board.mac)
    assert board.boot(CONNECTED, GUARD).ending == "until"
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


def test_a_refused_secret_is_kept_until_its_successor_is_stored(bench: Bench) -> None:
    board, before = power.REPLACING.prepare(bench)
    bench.platform.faults.register_code(6289, 2)
    with board.power_on() as session:
        assert session.wait(r"code 6289.*\n", GUARD) == "until", session.output
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
    waits = [int(x) for x in _waits(session.output)]
    assert waits
    assert min(waits) >= 30
    assert bench.stored_secret(board) == bench.secret_of(board.mac)
    assert {bench.secret_of(board.mac)} != before


def test_a_refused_secret_without_product_secret_is_kept_and_tried_slowly(bench: Bench) -> None:
    name = bench.devices(1)[0]
    device = {"productKey": PRODUCT_KEY, "deviceName": name, "deviceSecret": "wrong"}
    board = bench.board(bench.image(bench.product(productSecret=None), device=device))
    with board.power_on() as session:
        for _ in range(3):
            assert session.wait(WAITING, GUARD, session.matched) == "until"
    assert "CONNACK 4" in session.output
    assert min(int(wait) for wait in _waits(session.output)) >= 30
    assert bench.platform.record.events("register", PRODUCT_KEY, name) == []
    assert bench.stored_secret(board) == "wrong"


def _waits(output: str) -> list[str]:
    return [line.split()[-2] for line in output.splitlines() if "trying again in" in line]


@pytest.mark.parametrize("small", [True, False], ids=["in the directory", "in blocks"])
def test_a_forgotten_product_secret_is_nowhere_on_the_flash(bench: Bench, small: bool) -> None:
    product = bench.product(forgetProductSecret=True)
    if small:  # a file this small lies in the log of its directory
        product = {name: product[name] for name in ("productKey", "productSecret")}
        product["forgetProductSecret"] = True
    board = bench.board(bench.image(product, layout=FlashLayout(size=64 * 4096)))
    board.resolve = {
        "iot-auth.cn-shanghai.aliyuncs.com": f"127.0.0.1:{bench.https.port}",
        f"{PRODUCT_KEY}.iot-as-mqtt.cn-shanghai.aliyuncs.com": f"127.0.0.1:{bench.mqtt.port}",
        "localhost": "127.0.0.1",
    }
    assert PRODUCT_SECRET.encode() in board.flash
    result = board.boot("message on", GUARD)
    assert result.ending == "until", result.output
    assert PRODUCT_SECRET.encode() not in board.flash
    assert board.boot("message on", GUARD).flash_operations == 0


def test_a_board_that_forgot_still_knows_whose_record_is_its_own(bench: Bench) -> None:
    boards = [bench.board(bench.image(bench.product(forgetProductSecret=True))) for _ in range(2)]
    for board in boards:
        assert board.boot("message on", GUARD).ending == "until"
    boards[0].write("/device.json", boards[1].read("/device.json"))
    result = boards[0].boot(r"stopped.*\n", GUARD)
    assert "productSecret: missing (and device.json: it is another device's)" in result.output


def test_a_product_secret_is_not_forgotten_before_the_device_secret_worked(bench: Bench) -> None:
    board = bench.board(bench.image(bench.product(forgetProductSecret=True)))
    bench.platform.faults.connack(5)
    assert board.boot(WAITING, GUARD).ending == "until"
    assert PRODUCT_SECRET.encode() in (board.read("/product.json") or b"")
