"""`aliyun-iot monitor` and `reset`: several boards, unplugged and plugged in again."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.deploy.ports import LISTING

TICKS = b"import time\nn = 0\nwhile 1:\n print('%s', n)\n n += 1\n time.sleep(.05)\n"


@pytest.mark.parametrize("named", [True, False], ids=["by port", "all on USB"])
def test_several_boards_are_shown_at_once_and_each_line_names_its_board(
    plug_in: PlugIn, tmp_path: Path, named: bool
) -> None:
    boards = [plug_in({"/main.py": TICKS % name}) for name in (b"hall", b"yard")]
    ports = [word for board in boards for word in ("--port", board.port)] if named else []
    listing = tmp_path / "ports"
    listing.write_text("".join(f"{board.port} None 1a86:7523 None CH340\n" for board in boards))
    with boards[0].unplugged_later() as now, boards[1].unplugged_later() as also:
        done = threading.Event()

        def both() -> None:
            done.wait(30)
            now.set()
            also.set()

        hand = threading.Thread(target=both)
        hand.start()
        words = ("monitor", *ports, "--wait", "0")
        variables = {LISTING: str(listing)}
        run = run_tool("tools.deploy", *words, watch=done, until="yard 9", variables=variables)
        done.set()
        hand.join()
    for number, name in enumerate(("hall", "yard")):
        assert re.search(rf"^\d\d:\d\d:\d\d ttySIM{number} {name} \d+$", run.output, re.MULTILINE)
        assert not re.search(rf"ttySIM{1 - number} {name}", run.output)
    assert run.status == 1
    assert run.output.count("the board was unplugged") == 2


def test_monitor_waits_for_an_unplugged_board(plug_in: PlugIn) -> None:
    board = plug_in({"/main.py": TICKS % b"before"})
    assert board.simulated is not None
    port = Path(board.port)
    again = SerialPort(Board(None, board.simulated.folder, board.simulated.mac))
    seen = threading.Event()
    enough = threading.Event()

    def replug() -> None:
        seen.wait(30)
        board.unplug()
        assert board.simulated is not None
        board.simulated.write("/main.py", TICKS % b"after")
        time.sleep(0.5)
        again.__enter__()
        link(again.path, port)
        enough.wait(30)
        port.unlink()
        again.close()

    hand = threading.Thread(target=replug)
    hand.start()

    words = ("monitor", "--port", port, "--wait", "3")
    run = run_tool("tools.deploy", *words, watch=seen, until="before 3", then=(enough, "after 3"))
    enough.set()
    hand.join()
    said = run.output
    assert "unplugged; waiting 3 s for it" in said and "plugged in again" in said
    assert re.search(r"after 3\n", said)
    assert said.index("before 3") < said.index("plugged in again") < said.index("after 3")


def test_reset_restarts_the_board(plug_in: PlugIn) -> None:
    board = plug_in({"/main.py": b"import machine\nprint('cause', machine.reset_cause())\n"})
    run = run_tool("tools.deploy", "reset", "--port", board.port)
    assert (run.status, run.output) == (0, f"{board.port}: reset\n")
    assert board.line is not None
    shown = run_tool("tools.deploy", "identity", "--port", board.port)
    assert shown.status == 0, "it answers again"
