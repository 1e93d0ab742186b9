"""The simulated board's radio and DNS: states, status codes and errors of the chip."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools.board import Board
from tools.board.air import Networks
from tools.image import build_image

JOIN = """
import network, time
wlan = network.WLAN(network.STA_IF)
def join(ssid, key, seconds=5, **config):
    wlan.active(True)
    if config: wlan.config(**config)
    wlan.connect(ssid, key)
    seen = [wlan.status()]
    end = time.ticks_add(time.ticks_ms(), int(seconds * 1000))
    while not wlan.isconnected() and time.ticks_diff(end, time.ticks_ms()) > 0:
        if wlan.status() != seen[-1]: seen.append(wlan.status())
        if seen[-1] < 1000: break
        time.sleep_ms(1)
    return seen + [wlan.status()]
"""


def make_board(
    folder: Path,
    main: str = "",
    wifi: Networks | None = None,
    resolve: Mapping[str, str] | None = None,
) -> Board:
    image = build_image(boot=JOIN, main=main, lib=None, roots=[])
    return Board(image, folder, wifi=wifi, resolve=resolve)


def printed(board: Board) -> str:
    return board.boot(r"\n", timeout=10).output.partition("\n")[0]


def test_joining_goes_from_idle_through_connecting_to_an_address(tmp_path: Path) -> None:
    script = "print(wlan.status(), join('home', 'password'), wlan.isconnected())"
    board = make_board(tmp_path, script, {"home": "password"})
    assert printed(board) == "1000 [1001, 1010] True"


def test_a_connected_board_has_an_address(tmp_path: Path) -> None:
    script = "print(wlan.ifconfig()[0], end=' '); join('home', ''); print(wlan.ifconfig()[0])"
    before, after = printed(make_board(tmp_path, script, {"home": None})).split()
    assert before == "0.0.0.0"
    assert re.fullmatch(r"(\d+\.){3}\d+", after) and after != before


@pytest.mark.parametrize(
    ("wifi", "status"),
    [
        ({}, 201),
        ({"home": "another"}, 202),
        ({"home": 200}, 1001),
        ({"home": 201}, 201),
        ({"home": 202}, 202),
    ],
)
def test_a_failure_to_join_has_the_status_of_the_chip(
    tmp_path: Path, wifi: Networks, status: int
) -> None:
    board = make_board(tmp_path, "print(join('home', 'password', 0.2)[-1])", wifi)
    assert printed(board) == str(status)


@pytest.mark.parametrize("status", [200, 203, 204])
def test_other_failures_show_once_the_driver_has_given_up(tmp_path: Path, status: int) -> None:
    script = "print(join('home', 'password', 2, reconnects=2)[-1])"
    assert printed(make_board(tmp_path, script, {"home": status})) == str(status)


def test_any_network_can_be_joined_by_default(tmp_path: Path) -> None:
    assert printed(make_board(tmp_path, "print(join('x', 'y')[-1])")) == "1010"


def test_connecting_without_an_active_interface_is_an_error(tmp_path: Path) -> None:
    board = make_board(tmp_path, "wlan.connect('home', 'password')")
    assert "OSError: Wifi Not Started" in board.boot().output


@pytest.mark.parametrize("when", ["connecting", "connected"])
def test_connect_while_connecting_or_connected_is_an_error(tmp_path: Path, when: str) -> None:
    first = "join('a', 'b')" if when == "connected" else "wlan.active(1); wlan.connect('a', 'b')"
    board = make_board(tmp_path, first + "\nwlan.connect('a', 'b')")
    assert "OSError: Wifi Internal Error" in board.boot().output


def test_connect_is_possible_again_after_disconnect(tmp_path: Path) -> None:
    board = make_board(tmp_path, "join('a', 'b'); wlan.disconnect(); print(join('c', 'd'))")
    assert printed(board) == "[1000, 1010]"


def test_the_radio_stays_up_through_a_soft_reset(tmp_path: Path) -> None:
    script = (
        "import machine\nprint('connected', wlan.isconnected())\n"
        "if machine.reset_cause() == 1: join('a', 'b'); machine.soft_reset()"
    )
    run = make_board(tmp_path, script).boot(timeout=10)
    assert re.findall("connected (True|False)", run.output) == ["False", "True"]


def test_the_radio_is_down_after_a_hard_reset(tmp_path: Path) -> None:
    script = (
        "import machine\nprint('connected', wlan.isconnected())\njoin('a', 'b')\nmachine.reset()"
    )
    run = make_board(tmp_path, script).boot(timeout=10, max_boots=2)
    assert re.findall("connected (True|False)", run.output) == ["False", "False"]


def test_the_board_rejoins_an_access_point_that_disappeared(tmp_path: Path) -> None:
    script = (
        "join('home', '')\nprint('up')\nwhile wlan.isconnected(): time.sleep_ms(1)\n"
        "while wlan.status() == 1001: time.sleep_ms(1)\nprint('down', wlan.status())\n"
        "while not wlan.isconnected(): time.sleep_ms(1)\nprint('again')"
    )
    board = make_board(tmp_path, script, {"home": None})
    with board.power_on() as session:
        assert session.wait("^up$", 10) == "until"
        board.wifi = {}
        assert session.wait("^down 201$", 10) == "until"
        board.wifi = {"home": None}
        assert session.wait("^again$", 10) == "until"


# --- names

LOOKUP = """
import socket
def lookup(host, port=443):
    try: return socket.getaddrinfo(host, port)[0][-1]
    except OSError as e: return e
"""


def test_a_name_is_unknown_without_wifi(tmp_path: Path) -> None:
    script = LOOKUP + "print(repr(lookup('iot.test')))"
    assert printed(make_board(tmp_path, script, {}, {"*": "127.0.0.1"})) == "OSError(-202,)"


def test_an_unknown_name_fails_as_in_lwip(tmp_path: Path) -> None:
    script = LOOKUP + "join('a', 'b'); print(repr(lookup('other.test')))"
    board = make_board(tmp_path, script, resolve={"iot.test": "127.0.0.1"})
    assert printed(board) == "OSError(-202,)"


@pytest.mark.parametrize("module", ["socket", "usocket"])
@pytest.mark.parametrize("key", ["iot.test", "iot.test:443", "*:443", "*"])
def test_a_known_name_resolves_to_the_address_in_the_table(
    tmp_path: Path, module: str, key: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        greeter = threading.Thread(target=lambda: server.accept()[0].sendall(b"hello"))
        greeter.start()
        script = (
            f"import {module} as socket\njoin('a', 'b')\ns = socket.socket()\n"
            "s.connect(socket.getaddrinfo('iot.test', 443)[0][-1])\nprint(s.recv(5))"
        )
        board = make_board(tmp_path, script, resolve={key: f"127.0.0.1:{port}"})
        assert printed(board) == "b'hello'"
        greeter.join(5)


def test_the_port_is_kept_when_the_table_gives_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = (
            f"import socket\njoin('a', 'b')\ns = socket.socket()\n"
            f"s.connect(socket.getaddrinfo('iot.test', {port})[0][-1])\nprint('in')"
        )
        board = make_board(tmp_path, script, resolve={"iot.test": "127.0.0.1"})
        assert printed(board) == "in"


def test_names_can_change_while_the_board_runs(tmp_path: Path) -> None:
    script = LOOKUP + (
        "join('a', 'b')\nprint('ask')\nwhile isinstance(lookup('iot.test'), OSError): "
        "time.sleep_ms(1)\nprint('found')"
    )
    board = make_board(tmp_path, script)
    with board.power_on() as session:
        assert session.wait("^ask$", 10) == "until"
        board.resolve = {"iot.test": "127.0.0.1"}
        assert session.wait("^found$", 10) == "until"
