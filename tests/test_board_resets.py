"""The simulated board's REPL, its resets, and what survives them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tools.board import Board
from tools.board.interpreter import Interpreter
from tools.image import build_image


def make_board(folder: Path, boot: str = "", main: str = "") -> Board:
    return Board(build_image(boot=boot, main=main, lib=None, roots=[]), folder)


# --- exceptions and the REPL


def test_an_exception_in_boot_py_skips_main_py(tmp_path: Path) -> None:
    run = make_board(tmp_path, "1/0", "print('main')").boot()
    assert run.ending == "repl"
    assert run.output.startswith(
        'Traceback (most recent call last):\n  File "boot.py", line 1, in <module>\n'
        "ZeroDivisionError: divide by zero\n"
    )
    assert "main" not in run.output.replace("main.py", "")


def test_the_repl_is_usable_after_an_exception_in_main_py(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="kept = 7\nraise ValueError('broken')")
    run = board.boot(then=["print(kept * 6)"])
    assert "ValueError: broken\n" in run.output
    assert "\n42\n>>> " in run.output


def test_a_session_answers_at_the_prompt(tmp_path: Path) -> None:
    with make_board(tmp_path).power_on() as session:
        assert session.wait(timeout=10) == "repl"
        assert session.repl("1 + 1") == "2\n"
        assert "ZeroDivisionError" in session.repl("1/0")


def test_ctrl_c_stops_main_py_and_reaches_the_repl(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="print('busy')\nwhile True: pass")
    with board.power_on() as session:
        assert session.wait("busy", timeout=10) == "until"
        session.send("\x03")
        assert session.wait(timeout=10) == "repl"
        assert "KeyboardInterrupt" in session.output
        assert session.repl("1 + 1") == "2\n"


@pytest.mark.skipif("MICROPYTHON" in os.environ, reason="another interpreter raises it at once")
def test_ctrl_c_comes_between_two_bytecodes_not_within_one(tmp_path: Path) -> None:
    """As on a chip: C code, littlefs above all, always runs to its end."""
    busy = "x = b'a' * 200000\ny = x[:99999] + b'b'\nprint('busy')\nx.find(y)\nprint('whole')\n"
    with make_board(tmp_path, main=busy + "while True: pass").power_on() as session:
        assert session.wait("busy", timeout=10) == "until"
        session.send("\x03")
        assert session.wait(timeout=10) == "repl"
        assert "busy\nwhole\nTraceback" in session.output


def test_ctrl_c_at_power_on_stops_boot_py(tmp_path: Path) -> None:
    board = make_board(tmp_path, "import time\ntime.sleep(20)", "print('main')")
    run = board.boot(send="\x03", timeout=10, then=["1 + 1"])
    assert run.ending == "repl"
    assert "KeyboardInterrupt" in run.output
    assert "chip/" not in run.output
    assert "\n2\n" in run.output


def test_ctrl_c_interrupts_a_sleep(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="import time\nprint('busy')\ntime.sleep(60)")
    with board.power_on() as session:
        session.wait("busy", timeout=10)
        session.send("\x03")
        assert session.wait(timeout=10) == "repl"


@pytest.mark.skipif("MICROPYTHON" in os.environ, reason="another interpreter raises it at once")
def test_ctrl_c_as_main_py_ends_leaves_the_board_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host is slow: it sees the program running, and interrupts it only later."""

    class SlowInterpreter(Interpreter):
        @property
        def executing(self) -> bool:
            found = super().executing
            time.sleep(0.05)
            return found

    monkeypatch.setattr("tools.board.session.Interpreter", SlowInterpreter)
    board = make_board(tmp_path, main="import time\nprint('busy')\ntime.sleep_ms(20)")
    with board.power_on() as session:
        session.wait("busy", timeout=10)
        session.send("\x03")
        assert session.wait(timeout=10) == "repl"
        assert session.repl("1 + 1") == "2\n"


# --- resets


def test_a_hard_reset_ends_the_power_cycle(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="import machine\nprint('now')\nmachine.reset()\nprint('on')")
    run = board.boot()
    assert (run.ending, run.output, run.resets) == ("reset", "now\n", 0)


def test_a_board_restarts_at_most_max_boots_times(tmp_path: Path) -> None:
    script = "import machine\nprint('cause', machine.reset_cause())\nmachine.reset()"
    run = make_board(tmp_path, script).boot(max_boots=3)
    assert run.ending == "reset"
    assert run.output == "cause 1\ncause 2\ncause 2\n"
    assert run.resets == 2


COUNTED = """
import machine
n = int(open('n').read()) if 'n' in __import__('os').listdir() else 0
with open('n', 'w') as f: f.write(str(n + 1))
print('start', n, machine.reset_cause())
"""


def test_a_soft_reset_runs_boot_py_again(tmp_path: Path) -> None:
    run = make_board(tmp_path, COUNTED, "if n < 2: machine.soft_reset()").boot()
    assert run.ending == "repl"
    assert run.resets == 2
    assert run.output.startswith(
        "start 0 1\nMPY: soft reboot\nstart 1 5\nMPY: soft reboot\nstart 2 5\n"
    )


def test_system_exit_in_boot_py_is_a_soft_reset(tmp_path: Path) -> None:
    run = make_board(tmp_path, COUNTED + "if n < 1: raise SystemExit", "print('main')").boot()
    assert run.resets == 1
    assert run.output.startswith("start 0 1\nMPY: soft reboot\nstart 1 5\nmain\n")


def test_ctrl_d_at_the_prompt_is_a_soft_reset(tmp_path: Path) -> None:
    with make_board(tmp_path, COUNTED).power_on() as session:
        assert session.wait(timeout=10) == "repl"
        session.send("\x04")
        assert session.wait("^start 1 5$", timeout=10) == "until"


def test_a_soft_reset_commits_open_files(tmp_path: Path) -> None:
    board = make_board(
        tmp_path, main="f = open('torn', 'w')\nf.write('half')\nraise SystemExit", boot=COUNTED
    )
    board.boot("^start 1", timeout=10)
    assert board.read("/torn") == b"half"


def test_a_hard_reset_loses_the_content_of_open_files(tmp_path: Path) -> None:
    board = make_board(
        tmp_path, main="import machine\nopen('torn', 'w').write('half')\nmachine.reset()"
    )
    board.boot()
    assert board.read("/torn") == b""


def test_a_watchdog_that_is_not_fed_resets_the_chip(tmp_path: Path) -> None:
    script = (
        "import machine, time\nprint('cause', machine.reset_cause())\n"
        "if machine.reset_cause() == machine.PWRON_RESET:\n"
        "  w = machine.WDT(timeout=200)\n  time.sleep(0.1)\n  w.feed()\n  time.sleep(20)"
    )
    run = make_board(tmp_path, script).boot(max_boots=2, timeout=15)
    assert run.output.startswith("cause 1\ncause 3\n")
    assert run.seconds < 10


def test_rtc_memory_survives_a_reset_but_not_a_power_cut(tmp_path: Path) -> None:
    script = (
        "import machine\nm = machine.RTC().memory()\nprint(m)\n"
        "machine.RTC().memory(m + b'x')\nif len(m) < 1: machine.reset()"
    )
    board = make_board(tmp_path, script)
    assert board.boot(max_boots=2).output.startswith("b''\nb'x'\n")
    assert board.boot(max_boots=1).output.startswith("b''\n")


# --- NVS


def test_nvs_keeps_only_committed_values(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    first = board.boot(
        then=[
            "from esp32 import NVS; n = NVS('id'); b = bytearray(8)",
            "n.set_blob('k', b'secret'); n.set_i32('i', -5); n.commit()",
            "n.set_blob('lost', b'x')",
        ]
    )
    assert "Error" not in first.output
    second = board.boot(
        then=[
            "from esp32 import NVS; n = NVS('id'); b = bytearray(8)",
            "print(n.get_blob('k', b), b, n.get_i32('i'))",
            "n.get_blob('lost', b)",
            "n.erase_key('k'); n.commit()",
        ]
    )
    assert "6 bytearray(b'secret\\x00\\x00') -5" in second.output
    assert "OSError: (-4354, 'ESP_ERR_NVS_NOT_FOUND')" in second.output
    third = board.boot(then=["from esp32 import NVS; NVS('id').get_blob('k', bytearray(8))"])
    assert "ESP_ERR_NVS_NOT_FOUND" in third.output
