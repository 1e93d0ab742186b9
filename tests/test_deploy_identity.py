"""The identity of a gateway, and questions without anyone to answer them."""

from __future__ import annotations

import json
import re

import pytest
from serial_boards import PlugIn, run_tool
from test_deploy import DEVICE, PRODUCT

from tools.image.records import check_of

SECRET = "secretOfASubdevice"


def page(*names: str) -> bytes:
    """A page of sub-devices, as the gateway stores it."""
    record = {str(n): f"a1SubDevice {name} {SECRET}{n}" for n, name in enumerate(names)}
    return json.dumps({**record, "check": check_of(record)}).encode()


PAGES = {"/subdevices/00.json": page("lamp-1", "lamp-2"), "/subdevices/01.json": page("door-1")}


def test_the_sub_devices_of_a_gateway_are_listed_without_their_secrets(plug_in: PlugIn) -> None:
    torn = {"/subdevices/02.json": page("gone-1")[:-20], "/subdevices/03.json.new": b""}
    board = plug_in({"/device.json": DEVICE, **PAGES, **torn})
    run = run_tool("tools.deploy", "identity", "--port", board.port)
    assert run.status == 0, run.output
    for text in (
        r"whole: 2 sub-devices *\n",
        r"whole: 1 sub-device *\n",
        "lamp-1",
        "lamp-2",
        "door-1",
    ):
        assert re.search(text, run.output)
    assert "/subdevices/02.json" in run.output and "not JSON: 0 sub-devices" in run.output
    assert SECRET not in run.output


def test_erase_identity_also_removes_the_sub_devices(plug_in: PlugIn) -> None:
    board = plug_in({"/device.json": DEVICE, "/product.json": PRODUCT, **PAGES})
    run = run_tool("tools.deploy", "erase-identity", "--port", board.port, typed="y\n")
    assert run.status == 0, run.output
    assert "of 3 sub-devices in /subdevices" in run.output
    assert board.files() == {"/product.json", "/build.json"}
    for path in PAGES:
        assert f"removed {path}" in run.output


def test_sub_devices_alone_also_count_as_an_identity(plug_in: PlugIn) -> None:
    board = plug_in(PAGES)
    run = run_tool("tools.deploy", "erase-identity", "--port", board.port, "--yes")
    assert run.status == 0, run.output
    assert not any(path.startswith("/subdevices") for path in board.files())


def test_an_unanswered_question_ends_with_one_sentence(plug_in: PlugIn) -> None:
    board = plug_in({"/device.json": DEVICE})
    run = run_tool("tools.deploy", "erase-identity", "--port", board.port)
    assert run.status == 2
    last = run.output.splitlines()[-1]
    assert (
        last.startswith('error: no answer to "Erase it?"; nothing was changed') and "--yes" in last
    )
    assert "Traceback" not in run.output
    assert board.read("/device.json") == DEVICE


# boot.py that imitates firmware before 1.26, whose reader accepts truncated JSON.
LENIENT = b"""
import json, sys
class Lenient:
    dumps = json.dumps
    def loads(text, loads=json.loads):
        for end in ("", "}", "}}", '"}'):
            try:
                return loads(text + end)
            except ValueError:
                pass
        raise ValueError
sys.modules["json"] = Lenient
"""


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (DEVICE[:-1], "cut off"),
        (b'{"deviceName":"SN-0042","a":{"b":"}"', "cut off"),
        (b'{"deviceName":"SN-00', "cut off"),
        (DEVICE, "whole"),
        (b'{"deviceName":"SN-0042","x":"}{\\\\\\""}', "whole (no check)"),
    ],
)
def test_a_truncated_record_is_not_whole(plug_in: PlugIn, content: bytes, state: str) -> None:
    board = plug_in({"/boot.py": LENIENT, "/device.json": content})
    run = run_tool("tools.deploy", "identity", "--port", board.port)
    assert re.search(rf"/device.json +{re.escape(state)} *\n", run.output), run.output
    assert ("registered as SN-0042" in run.output) == state.startswith("whole")


def test_the_build_time_is_shown_as_a_date(plug_in: PlugIn) -> None:
    board = plug_in({"/build.json": b'{"time":1795625340,"version":"0.1.0"}'})
    run = run_tool("tools.deploy", "identity", "--port", board.port)
    assert "2026-11-25 16:49:00 UTC" in run.output
    assert "1795625340" not in run.output
