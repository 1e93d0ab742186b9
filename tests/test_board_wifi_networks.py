"""The simulated board finds and joins networks as stock firmware 1.25.0 does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from board_wifi_helpers import HOME, make_board, said

from tools.board import AccessPoint
from tools.board.air import Networks


def test_a_scan_lists_the_strongest_first_and_hidden_ones_without_their_names(
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


def test_a_scan_is_empty_on_a_board_that_can_join_any_network(tmp_path: Path) -> None:
    assert said(tmp_path, "print(wlan.scan())", None) == "[]"


def test_a_scan_is_empty_while_the_driver_is_trying(tmp_path: Path) -> None:
    script = "wlan.connect('none', 'x'); print(wlan.scan(), end=' '); wlan.disconnect(); "
    assert said(tmp_path, script + "print(len(wlan.scan()))", HOME) == "[] 1"


def test_a_scan_without_an_active_interface_is_an_error(tmp_path: Path) -> None:
    board = make_board(tmp_path, "wlan.active(False); wlan.scan()", HOME)
    assert "OSError: STA must be active" in board.boot().output


def test_a_hidden_network_is_joined_by_name(tmp_path: Path) -> None:
    script = "wlan.connect('secret', 'password'); print(watch(1010)[-1])"
    wifi = {"secret": AccessPoint("password", hidden=True)}
    assert said(tmp_path, script, wifi) == "1010"


def test_of_two_access_points_with_one_name_the_board_joins_the_stronger_or_the_given_one(
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
def test_an_ssid_is_any_1_to_32_bytes(tmp_path: Path, ssid: bytes) -> None:
    script = (
        f"print({ssid!r} == wlan.scan()[0][0], end=' ')\n"
        f"wlan.connect({ssid!r}, 'password'); print(watch(1010)[-1])"
    )
    assert said(tmp_path, script, {os.fsdecode(ssid): "password"}) == "True 1010"


def test_the_33rd_byte_of_an_ssid_is_dropped_as_in_the_firmware(tmp_path: Path) -> None:
    script = f"wlan.connect('{'x' * 33}', ''); print(watch(1010)[-1])"
    assert said(tmp_path, script, {"x" * 32: None}) == "1010"


def test_an_impossible_ssid_is_refused_on_the_host(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 32 bytes, this one 33"):
        make_board(tmp_path, "", {"x" * 33: None})
