"""Following a board's log: the application runs, or the reason why it ended is reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import MAC, WIFI, product_of
from serial_boards import PlugIn, run_tool

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.deploy.follow import Judge, Outcome, restart_and_follow
from tools.image import build_image
from tools.iot_platform import LocalPlatform
from tools.layout import ROOT

CONNECTED = "[iot] connected as lamp-1"


def judged(*lines: str, settle: float = 60) -> Outcome | None:
    """The outcome of these lines after a soft reset; None while it is undecided."""
    judge = Judge(timeout=60, settle=settle)
    assert judge.read("MPY: soft reboot") is None
    for line in lines:
        outcome = judge.read(line)
        if outcome is not None:
            return outcome
    return None


def test_a_running_application_has_no_outcome_before_the_settle_time() -> None:
    assert judged(CONNECTED, "message on /x {}") is None


def test_an_application_that_ran_long_enough_is_connected() -> None:
    judge = Judge(timeout=60, settle=0)
    judge.read("MPY: soft reboot")
    judge.read(CONNECTED)
    assert judge.end() == Outcome("lamp-1")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            [
                "Traceback (most recent call last):",
                '  File "main.py", line 21, in <module>',
                '  File "device.py", line 300, in run',
                '  File "main.py", line 9, in on_connect',
                "ZeroDivisionError: divide by zero",
            ],
            "main.py raised ZeroDivisionError: divide by zero (main.py, line 9, in on_connect)",
        ),
        (
            [
                "Traceback (most recent call last):",
                '  File "main.py", line 2, in <module>',
                "MemoryError: ",
            ],
            "main.py raised MemoryError (main.py, line 2)",
        ),
        (["stopped: product.json: region: no such field"], "product.json: region: no such field"),
        (['Type "help()" for more information.'], "main.py ended; the board is at its prompt"),
        (["ets Jul 29 2019 12:21:46", "", "rst:0xc (SW_CPU_RESET)"], "the board reset itself"),
        (["Guru Meditation Error: Core 1 panic'ed"], "the board reset itself"),
        (["MPY: soft reboot"], "the board reset itself"),
        (["[iot] wifi: connecting to bench"], "the board reset itself"),
    ],
    ids=[
        "exception",
        "without a text",
        "stopped",
        "ended",
        "reset",
        "panic",
        "soft reset",
        "boots again",
    ],
)
def test_the_reason_why_a_connected_application_ended_is_reported(
    lines: list[str], why: str
) -> None:
    assert judged(CONNECTED, *lines) == Outcome(None, why, "lamp-1")


def test_a_board_that_goes_to_deep_sleep_is_no_failure() -> None:
    woke = ["ets Jul 29 2019 12:21:46", "", "rst:0x5 (DEEPSLEEP_RESET),boot:0x13"]
    assert judged(CONNECTED, *woke) == Outcome("lamp-1")


def test_the_settle_time_starts_again_after_a_reconnect() -> None:
    lost = "[iot] connection: closed by the other end; trying again in 3 s"
    assert judged(CONNECTED, lost) is None
    assert judged(CONNECTED, lost, CONNECTED) is None
    judge = Judge(timeout=60, settle=0)
    for line in ("MPY: soft reboot", CONNECTED, lost):
        judge.read(line)
    assert judge.end() == Outcome(None, "connection: closed by the other end")


def test_firmware_log_lines_do_not_hide_the_line_they_interrupt(plug_in: PlugIn) -> None:
    said = (
        "[iot] conE (2210) wifi:sta is connecting, return error\nnected as lamp-1\n"
        "\x1b[0;31mE (2300) wifi:again\x1b[0m\n"
    )
    main = f"print({said!r})\nimport time\ntime.sleep(60)\n".encode()
    board = plug_in({"/main.py": main})
    lines: list[str] = []
    outcome = restart_and_follow(board.port, 20, lines.append, settle=0.2)
    assert outcome.device_name == "lamp-1"
    assert "E (2210) wifi:sta is connecting, return error" in lines, "the log line is still shown"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("    1 / 0", "ZeroDivisionError: divide by zero (main.py, line "),
        (
            "def on_connect():",
            "TypeError: on_connect() takes 0 positional arguments but 1 were given",
        ),
    ],
    ids=["1/0 in on_connect", "on_connect without argument"],
)
def test_an_application_that_crashes_once_connected_fails_the_deployment(
    platform: LocalPlatform, tmp_path: Path, line: str, says: str
) -> None:
    files = {"p.json": json.dumps(product_of(platform)), "w.json": json.dumps(WIFI)}
    source = (ROOT / "main.py").read_text()
    head = "def on_connect(session):"
    assert head in source
    files["main.py"] = source.replace(head, line if line.startswith("def") else f"{head}\n{line}")
    if line.startswith("def"):
        files["main.py"] = files["main.py"].replace("session.", "None and session.")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "own.der").write_bytes(platform.ca_der)
    image = build_image(roots=[])
    board = Board(image, tmp_path / "board", MAC, resolve={"*": "127.0.0.1"})
    with SerialPort(board) as port:
        link(port.path, tmp_path / "tty")
        words: list[str | Path] = ["--product", tmp_path / "p.json", "--wifi", tmp_path / "w.json"]
        words += ["--main", tmp_path / "main.py", "--root", tmp_path / "own.der"]
        run = run_tool("tools.deploy", "--port", tmp_path / "tty", *words)
    assert run.status == 1, run.output
    last = run.output.splitlines()[-1]
    assert last.startswith(f"connected as {MAC}, but died: main.py raised ")
    assert says in last


@pytest.mark.parametrize(
    "source", ["def on_connect(:\n", "x = 'open\n", "async def f(): yield 1\n1 = 2"]
)
def test_a_syntax_error_is_found_before_anything_is_copied(
    plug_in: PlugIn, tmp_path: Path, source: str
) -> None:
    main = tmp_path / "main.py"
    main.write_text("import sys\n" + source)
    board = plug_in({"/main.py": b"# old\n"})
    run = run_tool("tools.deploy", "--port", board.port, "--main", main)
    assert run.status == 1
    assert "SyntaxError" in run.output and f'File "{main}", line ' in run.output
    assert run.output.count("\n") == 1
    assert board.read("/main.py") == b"# old\n"
