"""The simulated board's radio is as unkind as the chip's: what stock firmware 1.25.0 showed."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tools.board import AccessPoint, Board
from tools.board.air import Networks
from tools.image import build_image

HELPERS = """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
def watch(end, seconds=5):
    '''Each status in turn until `end`.'''
    seen = [wlan.status()]
    until = time.ticks_add(time.ticks_ms(), int(seconds * 1000))
    while seen[-1] != end and time.ticks_diff(until, time.ticks_ms()) > 0:
        if wlan.status() != seen[-1]: seen.append(wlan.status())
        time.sleep_ms(1)
    return seen
def wait(condition):
    until = time.ticks_add(time.ticks_ms(), 5000)
    while not condition() and time.ticks_diff(until, time.ticks_ms()) > 0: time.sleep_ms(1)
"""
HOME = {"home": "password"}


def make_board(
    folder: Path, main: str, wifi: Networks | None, join_seconds: float = 0.02
) -> Board:
    image = build_image(boot=HELPERS, main=main, lib=None, roots=[])
    return Board(image, folder, wifi=wifi, join_seconds=join_seconds)


def said(folder: Path, main: str, wifi: Networks | None) -> str:
    """The first line that the board prints."""
    run = make_board(folder, main, wifi).boot(r"\n", timeout=15)
    return run.output.partition("\n")[0]


# --- status() remembers


def test_a_first_absent_network_is_1001_and_then_201(tmp_path: Path) -> None:
    assert said(tmp_path, "wlan.connect('none', 'x'); print(watch(201))", HOME) == "[1001, 201]"


def test_an_absent_network_is_reported_after_more_than_twice_the_time_of_joining(
    tmp_path: Path,
) -> None:
    script = (
        "t = time.ticks_ms(); wlan.connect('none', ''); watch(201)\n"
        "absent = time.ticks_diff(time.ticks_ms(), t)\nwlan.disconnect()\n"
        "t = time.ticks_ms(); wlan.connect('home', 'password'); watch(1010)\n"
        "print(absent >= 229, time.ticks_diff(time.ticks_ms(), t) >= 100)"
    )
    board = make_board(tmp_path, script, HOME, join_seconds=0.1)
    assert board.boot(r"\n", timeout=15).output.startswith("True True\n")


FAILED = "wlan.connect('none', 'x'); watch(201); "


@pytest.mark.parametrize(
    "between",
    [
        "wlan.disconnect()",
        "wlan.disconnect(); time.sleep_ms(100)",
        "wlan.active(False); wlan.active(True)",
        "wlan.disconnect(); wlan.config(reconnects=0)",
    ],
)
def test_an_old_failure_stays_until_there_is_an_address(tmp_path: Path, between: str) -> None:
    script = FAILED + between + "; wlan.connect('home', 'password'); print(watch(1010))"
    assert said(tmp_path, script, HOME) == "[201, 1010]"


def test_a_refused_attempt_replaces_the_old_failure(tmp_path: Path) -> None:
    script = FAILED + "wlan.disconnect(); wlan.connect('home', 'wrong'); print(watch(202))"
    assert said(tmp_path, script, HOME) == "[201, 202]"


def test_after_a_connection_an_absent_network_is_1000_and_then_201(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', 'password'); watch(1010); wlan.disconnect()\n"
        "wlan.connect('none', 'x'); print(watch(201))"
    )
    assert said(tmp_path, script, HOME) == "[1000, 201]"


def test_the_driver_tries_an_absent_network_for_ever(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', 'password'); watch(201)\nprint('absent')\n"
        "wait(wlan.isconnected); print('joined', wlan.isconnected())"
    )
    board = make_board(tmp_path, script, {})
    with board.power_on() as session:
        assert session.wait("^absent$", 10) == "until"
        board.wifi = HOME
        assert session.wait("^joined True$", 10) == "until"


def test_connect_while_the_driver_still_tries_is_an_error(tmp_path: Path) -> None:
    board = make_board(tmp_path, FAILED + "wlan.connect('home', 'password')", HOME)
    assert "OSError: Wifi Internal Error" in board.boot().output


def test_settings_are_refused_while_the_driver_tries(tmp_path: Path) -> None:
    board = make_board(tmp_path, FAILED + "wlan.config(reconnects=3)", HOME)
    assert "OSError: Wifi Internal State Error" in board.boot().output


def test_an_attempt_that_was_under_way_goes_on_through_a_soft_reset(tmp_path: Path) -> None:
    script = (
        "import machine\n"
        "if machine.reset_cause() == 1: wlan.connect('none', 'x'); machine.soft_reset()\n"
        "print('then', watch(201))\nwlan.connect('home', 'password')"
    )
    output = make_board(tmp_path, script, HOME, join_seconds=0.4).boot(timeout=10).output
    assert "then [1001, 201]" in output
    assert "OSError: Wifi Internal Error" in output


@pytest.mark.parametrize(
    ("reason", "shown"),
    [(200, 200), (201, 201), (202, 202), (203, 203), (204, 204), (205, 202), (15, 15)],
)
def test_a_reason_is_shown_when_the_driver_has_given_up(
    tmp_path: Path, reason: int, shown: int
) -> None:
    """205 is shown as 202: so the firmware has it."""
    script = f"wlan.config(reconnects=0); wlan.connect('home', 'x'); print(watch({shown})[-1])"
    assert said(tmp_path, script, {"home": reason}) == str(shown)


@pytest.mark.parametrize("reason", [200, 203, 204, 15])
def test_most_reasons_are_hidden_while_the_driver_tries_on(tmp_path: Path, reason: int) -> None:
    script = "wlan.connect('home', 'x'); print(watch(0, 0.2))"
    assert said(tmp_path, script, {"home": reason}) == "[1001]"


# --- losing it


def test_a_lost_access_point_is_missed_late_and_joined_again_by_the_driver(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', 'password'); watch(1010); print('up')\n"
        "print('down', watch(201))\nwait(wlan.isconnected); print('again', wlan.status())"
    )
    board = make_board(tmp_path, script, HOME)
    with board.power_on() as session:
        assert session.wait("^up$", 10) == "until"
        board.wifi = {}
        assert session.wait(r"^down \[1010, 1001, 201\]$", 10) == "until", session.output
        board.wifi = HOME
        assert session.wait("^again 1010$", 10) == "until"


def test_an_access_point_that_is_away_for_a_moment_is_not_missed(tmp_path: Path) -> None:
    script = "wlan.connect('home', 'password'); watch(1010); print('up')\nprint(watch(0, 0.3))"
    board = make_board(tmp_path, script, HOME, join_seconds=0.3)
    with board.power_on() as session:
        assert session.wait("^up$", 10) == "until"
        board.wifi = {}
        session.step(0.05)
        board.wifi = HOME
        assert session.wait(r"^\[1010\]$", 10) == "until", session.output


# --- addresses

LEASE = """
import socket
def name():
    try: return bool(socket.getaddrinfo('iot.test', 443))
    except OSError as e: return e.args[0]
"""


def test_without_an_address_yet_it_is_associated_but_not_connected(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', ''); time.sleep_ms(100)\n"
        "print(wlan.isconnected(), wlan.status(), wlan.status('rssi'), watch(1010))"
    )
    wifi = {"home": AccessPoint(dhcp_seconds=0.4, rssi=-70)}
    assert said(tmp_path, script, wifi) == "False 1001 -70 [1001, 1010]"


def test_an_old_failure_is_shown_while_dhcp_is_waited_for(tmp_path: Path) -> None:
    script = FAILED + "wlan.disconnect(); wlan.connect('home', ''); print(watch(1010))"
    assert said(tmp_path, script, {"home": AccessPoint(dhcp_seconds=0.1)}) == "[201, 1010]"


def test_an_address_that_never_comes(tmp_path: Path) -> None:
    script = "wlan.connect('home', ''); print(watch(1010, 0.3), wlan.isconnected())"
    assert said(tmp_path, script, {"home": AccessPoint(dhcp_seconds=math.inf)}) == "[1001] False"


def test_an_address_that_is_lost_is_only_seen_in_ifconfig(tmp_path: Path) -> None:
    """The firmware heeds no event of a lost address: `isconnected()` goes on saying True."""
    script = LEASE + (
        "wlan.connect('home', ''); watch(1010); print('up', wlan.ifconfig()[0] != '0.0.0.0')\n"
        "wait(lambda: wlan.ifconfig()[0] == '0.0.0.0')\n"
        "print(wlan.isconnected(), wlan.status(), name())"
    )
    board = make_board(tmp_path, script, {"home": None})
    board.resolve = {"*": "127.0.0.1"}
    with board.power_on() as session:
        assert session.wait("^up True$", 10) == "until"
        board.wifi = {"home": AccessPoint(dhcp_seconds=math.inf)}
        assert session.wait("^True 1010 -202$", 10) == "until", session.output


def test_a_lost_connections_address_is_still_shown(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', 'password'); watch(1010); wlan.disconnect()\n"
        "print(wlan.isconnected(), wlan.ifconfig()[0] != '0.0.0.0')"
    )
    assert said(tmp_path, script, HOME) == "False True"


# --- who is there


def test_a_scan_tells_the_strongest_first_and_hidden_ones_without_their_names(
    tmp_path: Path,
) -> None:
    wifi: Networks = {
        "weak": AccessPoint(rssi=-90, channel=11),
        "home": [
            AccessPoint("password", rssi=-40, bssid="61:62:63:64:65:66"),
            AccessPoint(rssi=-80),
        ],
        "secret": AccessPoint("password", hidden=True, rssi=-50),
    }
    board = make_board(tmp_path, "for one in wlan.scan(): print(one)", wifi)
    assert board.boot(timeout=10).output.splitlines()[:4] == [
        "(b'home', b'abcdef', 1, -40, 3, False)",
        "(b'', b'\\x02\\x00\\x00\\x00\\x00\\x01', 1, -50, 3, False)",
        "(b'home', b'\\x02\\x00\\x00\\x00\\x00\\x01', 1, -80, 0, False)",
        "(b'weak', b'\\x02\\x00\\x00\\x00\\x00\\x01', 11, -90, 0, False)",
    ]


def test_a_scan_finds_nothing_where_any_network_can_be_joined(tmp_path: Path) -> None:
    assert said(tmp_path, "print(wlan.scan())", None) == "[]"


def test_a_scan_while_the_driver_tries_is_empty(tmp_path: Path) -> None:
    script = "wlan.connect('none', 'x'); print(wlan.scan(), end=' '); wlan.disconnect(); "
    assert said(tmp_path, script + "print(len(wlan.scan()))", HOME) == "[] 1"


def test_a_scan_without_an_active_interface_is_an_error(tmp_path: Path) -> None:
    board = make_board(tmp_path, "wlan.active(False); wlan.scan()", HOME)
    assert "OSError: STA must be active" in board.boot().output


def test_a_hidden_network_is_joined_by_name(tmp_path: Path) -> None:
    script = "wlan.connect('secret', 'password'); print(watch(1010)[-1])"
    wifi = {"secret": AccessPoint("password", hidden=True)}
    assert said(tmp_path, script, wifi) == "1010"


def test_of_two_access_points_with_one_name_the_stronger_is_taken_or_the_named_one(
    tmp_path: Path,
) -> None:
    wifi = {
        "home": [
            AccessPoint("one", rssi=-80, bssid="66:61:72:2e:2e:2e"),
            AccessPoint("two", rssi=-40),
        ]
    }
    script = (
        "wlan.config(reconnects=0)\nwlan.connect('home', 'one'); print(watch(202)[-1], end=' ')\n"
        "wlan.connect('home', 'one', bssid=b'far...'); print(watch(1010)[-1])"
    )
    assert said(tmp_path, script, wifi) == "202 1010"


@pytest.mark.parametrize(
    "ssid",
    [b"x" * 32, b"a 'quoted' \"name\"", b"end ", b" ", "📶 Home".encode(), b"\xff\x00\n\t", b"-"],
)
def test_an_ssid_is_any_one_to_32_bytes(tmp_path: Path, ssid: bytes) -> None:
    script = (
        f"print({ssid!r} == wlan.scan()[0][0], end=' ')\n"
        f"wlan.connect({ssid!r}, 'password'); print(watch(1010)[-1])"
    )
    assert said(tmp_path, script, {os.fsdecode(ssid): "password"}) == "True 1010"


def test_the_33rd_byte_of_an_ssid_is_dropped_as_the_firmware_does(tmp_path: Path) -> None:
    script = f"wlan.connect('{'x' * 33}', ''); print(watch(1010)[-1])"
    assert said(tmp_path, script, {"x" * 32: None}) == "1010"


def test_an_ssid_that_cannot_be_is_refused_on_the_host(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 32 bytes, this one 33"):
        make_board(tmp_path, "", {"x" * 33: None})
