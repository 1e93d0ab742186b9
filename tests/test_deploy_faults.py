"""Failed deployments: the message, and what the board holds afterwards."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.deploy import DeployError, Mpremote, Plan, transfer
from tools.deploy.follow import restart_and_follow
from tools.image import image_files

OLD = b"of an older release, but whole"


def old_package() -> dict[str, bytes]:
    """The files of an older release: every module differs from the current one."""
    return {path: OLD + path.encode() for path in image_files(roots=[]) if path != "/build.json"}


def test_a_board_unplugged_in_the_middle_of_a_copy_still_holds_the_old_release(
    plug_in: PlugIn, tmp_path: Path
) -> None:
    board = plug_in(old_package())
    if board.simulated is None:
        pytest.skip("needs a board that can be unplugged")
    arguments = ("--port", board.port, "--no-follow", "--no-shipped-roots")
    with board.unplugged_later() as now:
        run = run_tool("tools.deploy", *arguments, watch=now, until="device.mpy")
    assert run.status == 1
    assert f"error: {board.port}: the board was unplugged" in run.output
    assert {path: board.read(path) for path in old_package()} == old_package()
    left = [path for path in board.files() if path.endswith(".part")]
    assert left, "the copy had begun"

    again = Board(None, board.simulated.folder)
    with SerialPort(again) as line:
        link(line.path, tmp_path / "again")
        arguments = ("--port", str(tmp_path / "again"), "--no-follow", "--no-shipped-roots")
        run = run_tool("tools.deploy", *arguments)
    assert run.status == 0, run.output
    wanted = image_files(roots=[])
    assert {path: again.read(path) for path in wanted if path != "/build.json"} == {
        path: content for path, content in wanted.items() if path != "/build.json"
    }
    assert not [path for path in again.files() if path.endswith(".part")]


def test_a_full_file_system_is_reported_before_anything_is_written(plug_in: PlugIn) -> None:
    filler = os.urandom(2 * 1024 * 1024 - 22 * 4096)
    board = plug_in({**old_package(), "/data.bin": filler})
    run = run_tool("tools.deploy", "--port", board.port, "--no-follow")
    assert run.status == 1
    assert "the file system is full" in run.output
    assert "needed" in run.output
    assert board.files() == {*old_package(), "/data.bin", "/build.json"}


def test_a_file_system_that_fills_up_during_the_copy_keeps_its_old_files(
    plug_in: PlugIn,
) -> None:
    board = plug_in({"/main.py": OLD, "/data.bin": os.urandom(2 * 1024 * 1024 - 10 * 4096)})
    plan = Plan({"/main.py": b"# new\n", "/lib/big.bin": os.urandom(32 * 1024)}, (), 0)
    with Mpremote(board.port) as remote, pytest.raises(DeployError, match="full"):
        transfer(remote, plan)
    assert board.read("/main.py") == OLD
    assert not [path for path in board.files() if path.endswith(".part")]


@pytest.mark.parametrize(("version", "says"), [("1.22.2", "too old"), ("1.19.1", "too old")])
def test_a_board_with_too_old_a_firmware_is_refused_and_not_changed(
    plug_in: PlugIn, version: str, says: str
) -> None:
    board = plug_in({"/main.py": OLD}, firmware=version)
    run = run_tool("tools.deploy", "--port", board.port)
    assert run.status == 1
    assert f"MicroPython {version} is {says}" in run.output
    assert "1.23" in run.output
    assert board.read("/main.py") == OLD


def test_a_firmware_newer_than_any_tested_gives_a_note(plug_in: PlugIn) -> None:
    board = plug_in({**image_files(roots=[])}, firmware="1.31.0")
    arguments = ("--port", board.port, "--no-follow", "--no-shipped-roots")
    run = run_tool("tools.deploy", *arguments)
    assert run.status == 0, run.output
    assert "newer than what the package was tested with" in run.output


@contextlib.contextmanager
def something_else(folder: Path, says: bytes) -> Iterator[Path]:
    """A device without MicroPython, which answers `says` to any input."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stop_read, stop_write = os.pipe()

    def answer() -> None:
        while True:
            ready, _, _ = select.select([master, stop_read], [], [])
            if stop_read in ready:
                return
            os.read(master, 4096)
            os.write(master, says)

    thread = threading.Thread(target=answer)
    thread.start()
    path = folder / "ttyOTHER"
    path.symlink_to(os.ttyname(slave))
    try:
        yield path
    finally:
        os.write(stop_write, b"x")
        thread.join()
        for descriptor in (master, slave, stop_read, stop_write):
            os.close(descriptor)


def test_a_device_that_answers_with_garbage_is_reported_as_not_micropython(
    tmp_path: Path,
) -> None:
    with something_else(tmp_path, b"\xf8\x00\x80\xfe garbage \x1b[2J\r\n") as port:
        run = run_tool("tools.deploy", "--port", port)
    assert run.status == 1
    assert f"error: {port}: something answers, but not a MicroPython prompt" in run.output
    assert run.seconds < 30


def test_garbage_after_the_prompt_also_ends_the_wait(tmp_path: Path) -> None:
    """A device that sends the greeting of the raw REPL, but nothing else of it."""
    greeting = b"raw REPL; CTRL-B to exit\r\n>"
    with (
        something_else(tmp_path, greeting) as port,
        Mpremote(str(port)) as remote,
        pytest.raises(DeployError, match=str(port)),
    ):
        remote.run(remote.script("state", {"folders": [], "hash": []}), stalled=3)


def test_a_missing_port_is_reported_at_once(tmp_path: Path) -> None:
    run = run_tool("tools.deploy", "--port", tmp_path / "ttyUSB7")
    assert run.status == 1
    assert "no such port" in run.output


def test_a_missing_product_file_is_named(tmp_path: Path) -> None:
    run = run_tool("tools.deploy", "--port", "/dev/null", "--product", tmp_path / "nowhere.json")
    assert run.status == 1
    assert "nowhere.json: No such file" in run.output


@pytest.mark.parametrize(
    ("main", "why"),
    [
        (b"print('stopped: product.json: missing')\n", "product.json: missing"),
        (b"1/0\n", "main.py raised ZeroDivisionError"),
        (b"pass\n", "main.py ended"),
        (
            b"print('[iot] code 6100: not pre-registered; trying again in 900 s')\n"
            b"import time\ntime.sleep(60)\n",
            "code 6100: not pre-registered",
        ),
    ],
    ids=["stopped", "crashed", "ended", "waiting too long"],
)
def test_a_board_that_does_not_connect_says_why(plug_in: PlugIn, main: bytes, why: str) -> None:
    board = plug_in({"/main.py": main})
    outcome = restart_and_follow(board.port, 20)
    assert outcome.device_name is None
    assert why in outcome.why


@pytest.mark.parametrize("status", [b", status 202", b": wrong password (202)"])
def test_a_wifi_failure_is_distinguished_from_a_platform_failure(
    plug_in: PlugIn, status: bytes
) -> None:
    said = b"print('[iot] wifi: no connection%s')\nimport time\ntime.sleep(60)\n"
    board = plug_in({"/main.py": said % status})
    outcome = restart_and_follow(board.port, 1.5)
    assert outcome.why == "no Wi-Fi: the password is wrong: check wifi.json"
