"""Invalid ports and missing boards are reported in one line, before anything happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool

from tools.deploy import DeployError
from tools.deploy.follow import Line
from tools.deploy.line import why_closed
from tools.deploy.ports import LISTING, choose_port, find_ports
from tools.layout import ROOT

COMMANDS = ["deploy", "monitor", "identity", "erase-identity", "reset"]


@pytest.mark.parametrize(
    ("port", "why"),
    [
        ("COM3", "no such port"),
        ("/dev/ttyUSB77", "no such port; is the board plugged in?"),
        ("README.md", "is a file; expected a serial port"),
        ("docs", "is a folder; expected a serial port"),
        ("/dev/null", "is not a serial port"),
    ],
)
def test_the_error_says_what_an_invalid_port_is(port: str, why: str) -> None:
    run = run_tool("tools.deploy", "identity", "--port", port)
    assert run.status == 1
    assert run.output.startswith(f"error: {port}: {why}")
    assert run.output.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_why_a_port_cannot_be_used(command: str) -> None:
    run = run_tool("tools.deploy", command, "--port", "/dev/ttyUSB77")
    assert (run.status, run.output) == (
        1,
        "error: /dev/ttyUSB77: no such port; is the board plugged in?\n",
    )


def test_a_port_in_use_by_another_program_is_reported(plug_in: PlugIn) -> None:
    board = plug_in({"/main.py": b"import time\nwhile True: time.sleep(1)"})
    with Line(board.port):
        run = run_tool("tools.deploy", "identity", "--port", board.port)
    assert run.status == 1
    assert "another program has it" in run.output


def test_a_url_is_left_to_the_serial_library() -> None:
    assert why_closed("rfc2217://localhost:4000") is None


def test_a_missing_board_is_reported_in_one_sentence(tmp_path: Path) -> None:
    listing = tmp_path / "ports"
    listing.write_text("")
    run = run_tool(
        "tools.deploy", "identity", "--port", "id:0001", variables={LISTING: str(listing)}
    )
    assert run.output == "error: no board has the serial number 0001; no board is plugged in\n"


def test_without_a_board_no_port_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"^no board found"):
        choose_port(None, [])


def test_a_port_given_under_two_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to("/dev/null")
    with pytest.raises(DeployError, match="named twice"):
        find_ports(["/dev/null", str(tmp_path / "again")])


@pytest.mark.parametrize("port", ["/dev/ttyUSB77", "README.md"])
def test_the_tests_refuse_an_invalid_port_in_one_line(port: str) -> None:
    words = [sys.executable, "-m", "pytest", "-p", "no:xdist", f"--port={port}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert f"ERROR: --port: {port}: " in done.stderr
    assert len((done.stdout + done.stderr).split("\n")) < 5


def test_make_passes_the_port_to_the_tests() -> None:
    done = subprocess.run(
        ["make", "-n", "test", "PORT=/dev/ttyUSB77"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "--port=/dev/ttyUSB77" in done.stdout
