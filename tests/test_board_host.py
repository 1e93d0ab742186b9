"""The simulator on the engineer's machine: odd paths, second boards, interpreters, radio input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.board import Board, InUse
from tools.board import interpreter as interpreter_module
from tools.board.air import AccessPoint, parse
from tools.board.serial_port import link, unlink
from tools.image import build_image
from tools.layout import ROOT

COMMAND = (sys.executable, "-m", "tools.board")


def image_of(main: str) -> bytes:
    return build_image(boot=None, main=main, lib=None, roots=[])


def run(
    *arguments: object, typed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        input=typed,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- paths


def test_a_path_with_a_space_and_a_colon_keeps_the_boards_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the board and of libfaketime: the loader splits paths at both characters."""
    real = interpreter_module._package_folder
    odd = tmp_path / "my project: the board"
    odd.mkdir()
    (odd / "libfaketime").symlink_to(real("libfaketime"))
    monkeypatch.setattr(
        interpreter_module,
        "_package_folder",
        lambda name: odd / name if name == "libfaketime" else real(name),
    )
    board = Board(image_of("import time; print('year', time.gmtime()[0])"), odd / "a board")
    assert board.boot().output.startswith("year 2000\n")


@pytest.mark.parametrize("name", ["{rom}{shared}", "100%", "a\nb", "'\"\\", "käse 📶"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    assert Board(image_of("print('up')"), tmp_path / name).boot("up").ending == "until"


def test_a_folder_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"folder: .*udcff'; expected a name in UTF-8"):
        Board(image_of(""), tmp_path / os.fsdecode(b"\xff"))


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_serial_port_link_replaces_no_existing_file(tmp_path: Path, kind: str) -> None:
    name = tmp_path / "port"
    if kind == "file":
        name.write_text("mine")
    elif kind == "folder":
        name.mkdir()
    else:
        (tmp_path / "mine").touch()
        name.symlink_to(tmp_path / "mine")
    before = name.lstat()
    with pytest.raises(FileExistsError):
        link("/dev/pts/99", name)
    unlink("/dev/pts/99", name)
    assert name.lstat() == before


def test_a_serial_port_link_replaces_an_old_one_and_is_removed_at_the_end(tmp_path: Path) -> None:
    name = tmp_path / "port"
    name.symlink_to("/dev/pts/4711")
    link("/dev/pts/99", name)
    assert str(name.readlink()) == "/dev/pts/99"
    unlink("/dev/pts/99", name)
    assert not name.is_symlink()


def test_the_command_refuses_a_name_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "flash.img").write_bytes(image_of(""))
    mine = tmp_path / "port"
    mine.write_text("mine")
    done = run("--image", tmp_path / "flash.img", "--folder", tmp_path / "b", "--pty", mine)
    assert (done.returncode, mine.read_text()) == (1, "mine")
    assert f"error: {mine}: exists already, and is no link to a serial port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["missing/port", "file/port"])
def test_a_serial_port_link_that_cannot_be_made_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:
        link("/dev/pts/99", tmp_path / where)
    assert caught.value.filename == str(tmp_path / where)


# --- one board, one folder


def test_a_second_running_board_in_one_folder_is_refused(tmp_path: Path) -> None:
    board = Board(image_of("print('up')"), tmp_path)
    with board.power_on() as session:
        assert session.wait("up", 10) == "until"
        with pytest.raises(InUse, match="under power there already"):
            Board(None, tmp_path).boot()
        assert session.ending is None
    assert Board(None, tmp_path).boot("up").ending == "until"


def test_a_second_command_with_the_same_mac_and_platform_says_so(tmp_path: Path) -> None:
    flash = tmp_path / "flash.img"
    flash.write_bytes(image_of("print('up')"))
    place = ("--image", flash, "--mac", "24:6f:28:00:13:57", "--https-port", "1")
    first = subprocess.Popen(
        [*COMMAND, *map(str, (*place, "--folder", tmp_path / "a"))],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    said = "note: a simulated board with this MAC address is under power already"
    try:
        assert first.stdout is not None and first.stdout.readline() == "up\n"
        second = run(*place, "--folder", tmp_path / "b", typed="1\n")
        assert said in second.stderr
        other = run(*place, "--mac", "24:6f:28:00:13:58", "--folder", tmp_path / "b", typed="1\n")
        assert said not in other.stderr
        third = run(*place, "--folder", tmp_path / "a", typed="1\n")
        assert third.returncode == 1
        assert "under power there already" in third.stderr
    finally:
        first.terminate()
        first.communicate()


def test_a_second_command_does_not_take_over_a_serial_port_link(tmp_path: Path) -> None:
    flash = tmp_path / "flash.img"
    flash.write_bytes(image_of(""))
    place = ("--image", flash, "--pty", tmp_path / "port", "--mac", "24:6f:28:00:13:59")
    first = subprocess.Popen(
        [*COMMAND, *map(str, (*place, "--folder", tmp_path / "a"))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert first.stdout is not None and "port" in first.stdout.readline()
        leads_to = (tmp_path / "port").readlink()
        second = run(*place, "--folder", tmp_path / "b")
        assert second.returncode == 1
        assert f"{tmp_path / 'port'}: another simulated board is at this link" in second.stderr
        assert (tmp_path / "port").readlink() == leads_to
    finally:
        first.terminate()
        first.communicate()


# --- other interpreters


def program(folder: Path, text: str) -> str:
    path = folder / "interpreter"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_has_a_home_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without HOME, libfaketime calls `snprintf`, which an ordinary unix port defines itself."""
    monkeypatch.setenv("MICROPYTHON", program(tmp_path, 'echo "home is $HOME"\n'))
    result = Board(image_of(""), tmp_path / "board").boot()
    assert result.output == f"home is {tmp_path / 'board'}\n"
    assert (result.ending, result.died_of) == ("exit", None)


def test_the_signal_that_killed_an_interpreter_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROPYTHON", program(tmp_path, "kill -SEGV $$\n"))
    result = Board(image_of(""), tmp_path / "board").boot()
    assert (result.ending, result.died_of) == ("exit", "SIGSEGV")
    (tmp_path / "flash.img").write_bytes(image_of(""))
    done = run("--image", tmp_path / "flash.img", "--folder", tmp_path / "b")
    assert done.returncode == 1
    assert done.stderr.endswith("error: the interpreter died of SIGSEGV\n")


# --- the networks in range


def test_by_default_any_network_can_be_joined_and_the_command_says_so(tmp_path: Path) -> None:
    (tmp_path / "flash.img").write_bytes(image_of(""))
    done = run("--image", tmp_path / "flash.img", "--folder", tmp_path / "b", typed="1\n")
    assert "any network can be joined" in done.stderr


JOIN = (
    "import network, time\nw = network.WLAN(); w.active(True); w.config(reconnects=0)\n"
    "w.connect('home', 'password')\nfor _ in range(200): w.isconnected(); time.sleep_ms(1)\n"
    "print('status', w.status())"
)


@pytest.mark.parametrize(
    ("air", "status"),
    [
        ({"home": "password"}, 1010),
        ({"home": "another"}, 202),
        ({"other": None}, 201),
        ({"home": 203}, 203),
        ({"home": {"password": "password", "hidden": True, "dhcp_seconds": None}}, 1001),
    ],
)
@pytest.mark.parametrize("as_file", [True, False])
def test_the_networks_in_range_can_be_given(
    tmp_path: Path, air: dict[str, object], status: int, as_file: bool
) -> None:
    (tmp_path / "flash.img").write_bytes(image_of(JOIN))
    said = json.dumps(air)
    if as_file:
        (tmp_path / "air.json").write_text(said)
        said = str(tmp_path / "air.json")
    place = ("--image", tmp_path / "flash.img", "--folder", tmp_path / "b", "--air", said)
    done = run(*place, typed="1\n")
    assert f"status {status}\n" in done.stdout
    assert "any network" not in done.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "air: not JSON"),
        ("[" * 3000, "air: not JSON"),
        ("[]", "air: expected an object"),
        ('{"home": true}', "air: home: expected a password"),
        ('{"home": {"pasword": "x"}}', "air: home: pasword: expected one of password, rssi"),
        ('{"home": {"rssi": "far"}}', "air: home: rssi: a value of another type"),
        ('{"home": {"rssi": true}}', "air: home: rssi: a value of another type"),
        ('{"home": {"bssid": "02:00"}}', 'bssid: "02:00"; expected 12 hex digits'),
        ('{"": "password"}', "an SSID has 1 to 32 bytes"),
    ],
)
def test_a_wrong_air_option_is_reported_in_one_sentence(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_access_points_can_have_the_same_name() -> None:
    given = parse('{"home": [{"password": "a", "rssi": -80}, {"status": 15}]}')
    assert given == {"home": [AccessPoint("a", rssi=-80), AccessPoint(status=15)]}
