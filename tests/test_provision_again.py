"""Provisioning units that were provisioned, or have connected, before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool
from test_provision import (
    SECRETS,
    assert_no_secret,
    device_json,
    logged,
    package,
    provision,
    statuses,
)
from test_provision import unique_csv as unique_csv

from tools.image.records import with_check


def test_a_later_run_passes_over_what_is_done_and_right(plug_in: PlugIn, unique_csv: Path) -> None:
    first, second = plug_in(package()), plug_in(package())
    provision(unique_csv, [first.port])
    before = len(logged(unique_csv))
    run = provision(unique_csv, [first.port, second.port])
    assert run.status == 0, run.output
    assert "1 done, 1 done before, 0 failed" in run.output
    assert [status for status, _ in statuses(unique_csv)[before:]] == ["started", "done"]
    assert json.loads(second.read("/device.json") or b"{}") == device_json(1, SECRETS[1])


def as_the_board_writes(number: int, secret: str, **more: str) -> bytes:
    """device.json of a unit that has connected: with its place, in the board's own order."""
    record = dict(reversed(device_json(number, secret).items()))
    record |= {"place": "None iot-060a0bgd cn-shanghai None", **more}
    return json.dumps(with_check(record)).encode()


def test_a_unit_that_has_connected_or_was_moved_is_still_right(
    plug_in: PlugIn, unique_csv: Path
) -> None:
    mac = "246f28aabb77"
    provision(unique_csv, [plug_in(package(), mac=mac).port])
    record = as_the_board_writes(0, SECRETS[0])
    again = plug_in({**package(), "/device.json": record}, mac=mac)
    run = provision(unique_csv, [again.port])
    assert "0 done, 1 done before, 0 failed" in run.output
    assert again.read("/device.json") == record
    assert_no_secret(unique_csv, run)


def test_a_unit_that_has_connected_is_written_anew_without_its_identity(
    plug_in: PlugIn, unique_csv: Path
) -> None:
    mac = "246f28aabb78"
    provision(unique_csv, [plug_in(package(), mac=mac).port])
    record = as_the_board_writes(0, SECRETS[0])
    again = plug_in({"/device.json": record}, mac=mac)  # the package is gone
    run = provision(unique_csv, [again.port])
    assert "1 done, 0 done before, 0 failed" in run.output, run.output
    assert again.read("/device.json") == record


@pytest.mark.parametrize(
    "record",
    [
        as_the_board_writes(0, "another"),
        as_the_board_writes(0, "new", oldSecret=SECRETS[0]),
        as_the_board_writes(0, SECRETS[0], oldSecret="old"),
        as_the_board_writes(0, SECRETS[0])[:-1],
        as_the_board_writes(0, SECRETS[0]).replace(b"060a0", b"060a1"),
        b"[]",
    ],
    ids=["secret", "rotating", "rotated back", "cut off", "damaged", "no object"],
)
def test_a_record_that_is_not_the_units_own_does_not_pass_for_it(
    plug_in: PlugIn, unique_csv: Path, record: bytes
) -> None:
    mac = "246f28aabb79"
    provision(unique_csv, [plug_in(package(), mac=mac).port])
    board = plug_in({**package(), "/device.json": record}, mac=mac)
    run = provision(unique_csv, [board.port])
    assert "holds another identity (/device.json)" in run.output
    assert board.read("/device.json") == record
    assert_no_secret(unique_csv, run)


def test_what_the_log_calls_done_is_done_again_if_the_flash_says_otherwise(
    plug_in: PlugIn, unique_csv: Path
) -> None:
    board = plug_in(package())
    provision(unique_csv, [board.port])
    erased = run_tool("tools.deploy", "erase-identity", "--yes", "--port", board.port)
    assert erased.status == 0
    run = provision(unique_csv, [board.port])
    assert "1 done, 0 done before" in run.output
    assert json.loads(board.read("/device.json") or b"{}") == device_json(0, SECRETS[0])
