"""The simulated board's `WLAN.status()` and addresses behave as in stock firmware 1.25.0."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from board_wifi_helpers import HOME, make_board, said

from tools.board import AccessPoint

# --- status() keeps the last failure


def test_an_absent_network_is_at_first_1001_and_then_201(tmp_path: Path) -> None:
    assert said(tmp_path, "wlan.connect('none', 'x'); print(watch(201))", HOME) == "[1001, 201]"


def test_an_absent_network_is_reported_after_more_than_twice_the_joining_time(
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


def test_the_driver_retries_an_absent_network_forever(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', 'password'); watch(201)\nprint('absent')\n"
        "wait(wlan.isconnected); print('joined', wlan.isconnected())"
    )
    board = make_board(tmp_path, script, {})
    with board.power_on() as session:
        assert session.wait("^absent$", 10) == "until"
        board.wifi = HOME
        assert session.wait("^joined True$", 10) == "until"


def test_connect_is_an_error_while_the_driver_is_still_trying(tmp_path: Path) -> None:
    board = make_board(tmp_path, FAILED + "wlan.connect('home', 'password')", HOME)
    assert "OSError: Wifi Internal Error" in board.boot().output


def test_config_is_refused_while_the_driver_is_trying(tmp_path: Path) -> None:
    board = make_board(tmp_path, FAILED + "wlan.config(reconnects=3)", HOME)
    assert "OSError: Wifi Internal State Error" in board.boot().output


def test_an_attempt_continues_through_a_soft_reset(tmp_path: Path) -> None:
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
def test_the_reason_is_shown_once_the_driver_has_given_up(
    tmp_path: Path, reason: int, shown: int
) -> None:
    """The firmware shows 205 as 202."""
    script = f"wlan.config(reconnects=0); wlan.connect('home', 'x'); print(watch({shown})[-1])"
    assert said(tmp_path, script, {"home": reason}) == str(shown)


@pytest.mark.parametrize("reason", [200, 203, 204, 15])
def test_most_reasons_are_hidden_while_the_driver_keeps_trying(
    tmp_path: Path, reason: int
) -> None:
    script = "wlan.connect('home', 'x'); print(watch(0, 0.2))"
    assert said(tmp_path, script, {"home": reason}) == "[1001]"


# --- a lost access point


def test_the_driver_notices_a_lost_access_point_late_and_rejoins_it(tmp_path: Path) -> None:
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


def test_a_brief_absence_of_the_access_point_goes_unnoticed(tmp_path: Path) -> None:
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


def test_until_it_has_an_address_the_board_is_associated_but_not_connected(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', ''); time.sleep_ms(100)\n"
        "print(wlan.isconnected(), wlan.status(), wlan.status('rssi'), watch(1010))"
    )
    wifi = {"home": AccessPoint(dhcp_seconds=0.4, rssi=-70)}
    assert said(tmp_path, script, wifi) == "False 1001 -70 [1001, 1010]"


def test_an_old_failure_is_shown_while_waiting_for_dhcp(tmp_path: Path) -> None:
    script = FAILED + "wlan.disconnect(); wlan.connect('home', ''); print(watch(1010))"
    assert said(tmp_path, script, {"home": AccessPoint(dhcp_seconds=0.1)}) == "[201, 1010]"


def test_without_an_address_the_status_stays_1001(tmp_path: Path) -> None:
    script = "wlan.connect('home', ''); print(watch(1010, 0.3), wlan.isconnected())"
    assert said(tmp_path, script, {"home": AccessPoint(dhcp_seconds=math.inf)}) == "[1001] False"


def test_a_lost_address_shows_only_in_ifconfig(tmp_path: Path) -> None:
    """The firmware ignores the lost-address event: `isconnected()` still returns True."""
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


def test_the_address_of_a_lost_connection_is_still_shown(tmp_path: Path) -> None:
    script = (
        "wlan.connect('home', 'password'); watch(1010); wlan.disconnect()\n"
        "print(wlan.isconnected(), wlan.ifconfig()[0] != '0.0.0.0')"
    )
    assert said(tmp_path, script, HOME) == "False True"
