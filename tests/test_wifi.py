"""The board joins the best of its networks, gives each the time it needs, and says what failed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools.board import AccessPoint, Board
from tools.board.air import Networks
from tools.image import build_image

A, B, C = ({"ssid": name, "password": "password-" + name} for name in "abc")
HERE: Networks = {"b": "password-b"}
UP = (
    "import network\nwlan = network.WLAN()\n"
    "print('joined', wlan.isconnected() and wlan.config('ssid'))\n"
)
AGAIN = (
    "from aliyun_iot import phase\nimport network, time\nwlan = network.WLAN()\n"
    "print('first', wlan.isconnected())\n"
    "for n in range(6):\n    if wlan.isconnected() and wlan.ifconfig()[0] != '0.0.0.0': break\n"
    "    phase('network.restore')\nprint('joined', wlan.config('ssid'), wlan.isconnected())\n"
)
END = r"joined .*\n"


def make_board(
    folder: Path, wifi: Any, air: Networks | None, main: str = UP, **options: Any
) -> Board:
    image = build_image(wifi=wifi, main=main, roots=[], check=False)
    # The radio's times are real; only the board's own waits pass faster.
    return Board(image, folder, wifi=air, ntp="blocked", **{"hurry": 20, **options})


def booted(folder: Path, wifi: Any, air: Networks | None, main: str = UP, **options: Any) -> str:
    board = make_board(folder, wifi, air, main, **options)
    result = board.boot(END, timeout=60)
    assert result.ending == "until", result.output
    return result.output


def tried(output: str) -> list[str]:
    """Names of the networks, in the order in which they were tried."""
    mark = "wifi: connecting to "
    return [line.partition(mark)[2] for line in output.splitlines() if mark in line]


# --- which, and in what order


@pytest.mark.parametrize("main", [UP, AGAIN], ids=["boot", "retry"])
@pytest.mark.parametrize(
    "networks", [[A, B, C], [A, B], [B, A], [A, C, B]], ids=["middle", "last", "first", "third"]
)
def test_a_network_that_is_there_is_joined_whichever_it_is(
    tmp_path: Path, networks: Sequence[dict[str, str]], main: str
) -> None:
    output = booted(tmp_path, {"networks": networks}, HERE, main)
    assert "joined b" in output
    assert tried(output) == ["b"]  # a scan has shown that it is there


def test_the_strongest_comes_first(tmp_path: Path) -> None:
    air: Networks = {
        "a": AccessPoint("password-a", rssi=-85),
        "b": [AccessPoint("password-b", rssi=-90), AccessPoint("password-b", rssi=-40)],
        "c": AccessPoint("password-c", rssi=-60),
    }
    assert "joined b" in booted(tmp_path / "1", {"networks": [A, C, B]}, air)
    output = booted(
        tmp_path / "2", {"networks": [A, {"ssid": "b", "password": "wrong-one"}, C]}, air
    )
    assert tried(output) == ["b", "c"]
    assert "joined c" in output


def test_a_hidden_network_gets_its_turn_after_those_that_were_seen(tmp_path: Path) -> None:
    air: Networks = {
        "a": AccessPoint("another", rssi=-40),
        "b": AccessPoint("password-b", hidden=True),
    }
    output = booted(tmp_path, {"networks": [B, A]}, air)
    assert tried(output) == ["a", "b"]
    assert "joined b" in output


@pytest.mark.parametrize("order", [[A, B], [B, A]])
def test_where_a_scan_shows_nothing_all_are_tried(
    tmp_path: Path, order: Sequence[dict[str, str]]
) -> None:
    air: Networks = {"b": AccessPoint("password-b", hidden=True)}
    output = booted(tmp_path, {"networks": order}, air)
    assert "joined b" in output


def test_a_single_network_is_not_scanned_for(tmp_path: Path) -> None:
    main = "import time\n" + UP + "print('after', time.ticks_ms() - began)\n"
    image = build_image(
        wifi=B,
        boot="import time\nbegan = time.ticks_ms()\nfrom aliyun_iot import phase\n"
        "import network\nnetwork.WLAN.scan = None\nphase('network.up')\n",
        main=main,
        roots=[],
    )
    assert "joined b" in Board(image, tmp_path, wifi=HERE).boot(END, 20).output


def test_a_board_whose_first_network_is_gone_for_good_ends_on_the_second(tmp_path: Path) -> None:
    air: Networks = {"a": "password-a", "b": AccessPoint("password-b", rssi=-80)}
    main = (
        "import network, time\nwlan = network.WLAN()\nprint('on', wlan.config('ssid'))\n"
        "while wlan.isconnected(): time.sleep_ms(100)\n" + AGAIN
    )
    board = make_board(tmp_path, {"networks": [A, B]}, air, main)
    with board.power_on() as session:
        assert session.wait("^on a$", 20) == "until", session.output
        board.wifi = {"b": "password-b"}
        assert session.wait("joined b True", 30) == "until", session.output


def test_a_network_that_appears_later_is_joined(tmp_path: Path) -> None:
    board = make_board(tmp_path, {"networks": [A, B]}, {}, "print('none')\n" + AGAIN)
    with board.power_on() as session:
        assert session.wait("^none$", 30) == "until", session.output
        board.wifi = HERE
        assert session.wait("joined b True", 30) == "until", session.output


def test_the_radio_goes_on_trying_when_nobody_else_does(tmp_path: Path) -> None:
    """For an application that only has boot.py's help."""
    main = (
        "import network, time\nprint('none')\n"
        "while not network.WLAN().isconnected(): time.sleep_ms(100)\nprint('joined')\n"
    )
    board = make_board(tmp_path, B, {}, main)
    with board.power_on() as session:
        assert session.wait("^none$", 30) == "until", session.output
        board.wifi = HERE
        assert session.wait("^joined$", 30) == "until", session.output


def test_the_radio_comes_back_by_itself_after_an_access_point_was_off(tmp_path: Path) -> None:
    main = (
        "import network, time\nwlan = network.WLAN()\nprint('up')\n"
        "while wlan.isconnected(): time.sleep_ms(100)\nprint('down')\n"
        "while not wlan.isconnected(): time.sleep_ms(100)\nprint('again')\n"
    )
    board = make_board(tmp_path, B, HERE, main, join_seconds=0.01)
    with board.power_on() as session:
        assert session.wait("^up$", 20) == "until", session.output
        board.wifi = {}
        assert session.wait("^down$", 20) == "until", session.output
        session.step(0.3)  # a dozen attempts of the driver's
        board.wifi = HERE
        assert session.wait("^again$", 20) == "until", session.output


# --- how long


def test_ten_seconds_of_dhcp_are_waited_for(tmp_path: Path) -> None:
    air: Networks = {"b": AccessPoint("password-b", dhcp_seconds=10 / 20)}
    output = booted(tmp_path, {"networks": [B]}, air, join_seconds=1.07 / 20)
    assert "joined b" in output


def test_dhcp_is_waited_for_after_an_older_failure_too(tmp_path: Path) -> None:
    """While there is no address the chip goes on telling the old reason."""
    air: Networks = {"b": AccessPoint("password-b", dhcp_seconds=10 / 20, hidden=True)}
    output = booted(tmp_path, {"networks": [A, B]}, air, join_seconds=1.07 / 20)
    assert tried(output) == ["a", "b"]
    assert "joined b" in output


def test_without_an_address_the_next_network_is_tried_and_the_log_says_why(tmp_path: Path) -> None:
    air: Networks = {
        "a": AccessPoint("password-a", dhcp_seconds=math.inf, rssi=-30),
        "b": "password-b",
    }
    output = booted(tmp_path, {"networks": [A, B]}, air)
    assert "joined b" in output
    assert "wifi: no connection: no address from DHCP" in output


def test_an_address_that_is_lost_is_asked_for_anew(tmp_path: Path) -> None:
    """The chip's `isconnected()` stays true then."""
    main = (
        "import network, time\nwlan = network.WLAN()\nprint('up')\n"
        "while wlan.ifconfig()[0] != '0.0.0.0': time.sleep_ms(100)\n" + AGAIN
    )
    board = make_board(tmp_path, {"networks": [A, B]}, {"a": "password-a"}, main)
    with board.power_on() as session:
        assert session.wait("^up$", 20) == "until", session.output
        board.wifi = {"a": AccessPoint("password-a", dhcp_seconds=math.inf), "b": "password-b"}
        assert session.wait("^first True$", 20) == "until", session.output
        assert session.wait("joined b True", 30) == "until", session.output


# --- the radio that is up already


def test_after_a_soft_reset_with_the_radio_up_nothing_is_joined_again(tmp_path: Path) -> None:
    main = "import machine\nif machine.reset_cause() == 1: machine.soft_reset()\n" + UP
    output = booted(tmp_path, B, HERE, main)
    assert tried(output) == ["b"]


def test_after_a_soft_reset_while_the_driver_tries_it_is_joined(tmp_path: Path) -> None:
    main = "import machine\nif machine.reset_cause() == 1: machine.soft_reset()\n" + UP
    board = make_board(tmp_path, {"networks": [A, B]}, {}, main)
    with board.power_on() as session:
        assert session.wait("soft reboot", 30) == "until", session.output
        board.wifi = HERE
        assert session.wait("joined b", 30) == "until", session.output
    assert "boot:" not in session.output


# --- what the log says


@pytest.mark.parametrize(
    ("air", "said"),
    [
        ({}, "not in reach (201)"),
        ({"b": "another"}, "wrong password (202)"),
        ({"b": 202}, "wrong password (202)"),
        ({"b": 203}, "refused by the access point (203)"),
        ({"b": 204}, "no handshake, perhaps a wrong password (204)"),
        ({"b": 15}, "no handshake, perhaps a wrong password (15)"),
        ({"b": 205}, "wrong password (202)"),  # the firmware shows it so
        ({"b": 200}, "the access point fell silent (200)"),
        ({"b": 211}, "status (211)"),
        ({"b": 2}, "status (2)"),
    ],
)
@pytest.mark.parametrize("before", [False, True], ids=["first", "after the same failure"])
def test_a_failure_is_told_in_words(
    tmp_path: Path, air: Networks, said: str, before: bool
) -> None:
    output = booted(tmp_path, {"networks": [B, B] if before else [B]}, air)
    assert output.count(f"wifi: no connection: {said}\n") == 1 + before
    assert "joined False" in output


def test_no_log_line_shows_a_password(tmp_path: Path) -> None:
    assert "password-b" not in booted(tmp_path, {"networks": [A, B]}, {"b": "another"})


# --- names and passwords of every form


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize(
    "ssid",
    ["📶 Home", "𝔸\\📶", "ü" * 16, 'a "b" \\ c ', "\\ud83d\\udcf6", "x" * 32, "\t", "é\\u00e9"],
)
def test_a_name_is_the_bytes_that_were_meant_however_it_is_escaped(
    tmp_path: Path, ssid: str, escaped: bool
) -> None:
    """Python writes an emoji as two escapes, of which MicroPython makes six other bytes."""
    text = json.dumps({"ssid": ssid, "password": ssid + "🔑 12345678"}, ensure_ascii=escaped)
    assert "joined" in (output := booted(tmp_path, text.encode(), {ssid: ssid + "🔑 12345678"}))
    assert "joined False" not in output


@pytest.mark.parametrize(
    "text", ['{"ssid": "\\ud83d"}', '{"ssid": "\\udcf6 x"}', '{"ssid": "\\ud83d\\u0041"}']
)
def test_half_a_character_is_no_json(tmp_path: Path, text: str) -> None:
    assert "wifi.json: not JSON" in booted(tmp_path, text.encode(), None)


@pytest.mark.parametrize(
    "text",
    [
        '{"ssid": "b"',
        '{"networks": [{"ssid": "b"}]',
        '{"networks": [{"ssid": "b"}',
        '{"ssid": "b", ',
    ],
)
@pytest.mark.parametrize("firmware", ["1.23.0", "1.25.0", "1.28.0"])
def test_a_torn_file_is_no_json_on_any_release(tmp_path: Path, text: str, firmware: str) -> None:
    output = booted(tmp_path, text.encode(), {"b": None}, firmware=firmware)
    assert "wifi.json: not JSON" in output
