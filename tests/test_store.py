"""Records on flash: whole or absent, whatever happens while one is written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]
RECORD = {"productKey": "pk1", "deviceName": "unit", "deviceSecret": "s3cret"}


def checked(record: dict[str, str]) -> bytes:
    """A record as the board writes it: its check is a CRC-32 over the other members."""
    spliced = "".join(name + record[name] for name in sorted(record))
    return json.dumps(record | {"check": f"{zlib.crc32(spliced.encode()):08x}"}).encode()


def parse(on_device: OnDevice, data: bytes) -> Any:
    (got,) = on_device("call.py", [["records", "parse", [{"bytes": data.hex()}]]])
    return got


def test_a_whole_record_is_given_back(on_device: OnDevice) -> None:
    record, wrong = parse(on_device, checked(RECORD))
    assert wrong is None
    assert {name: record[name] for name in RECORD} == RECORD


def test_a_record_without_check_passes_for_a_person_wrote_it(on_device: OnDevice) -> None:
    assert parse(on_device, json.dumps(RECORD).encode()) == [RECORD, None]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff" * 40, "not JSON"),
        (b"\0" * 40, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"deviceName": 5}', "deviceName: expected text"),
        (json.dumps(RECORD | {"check": "00000000"}).encode(), "damaged"),
    ],
)
def test_what_is_not_a_whole_record_is_named(on_device: OnDevice, data: bytes, wrong: str) -> None:
    record, said = parse(on_device, data)
    assert record is None
    assert wrong in said


def test_every_shorter_or_flipped_record_is_noticed(on_device: OnDevice) -> None:
    whole = checked(RECORD)
    torn = [whole[:size] for size in range(len(whole))]
    flipped = [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for at in range(len(whole))
        for bit in range(8)
    ]
    calls = [["records", "parse", [{"bytes": data.hex()}]] for data in torn + flipped]
    passed = [record for record, _ in on_device("call.py", calls) if record is not None]
    # Only the check's own name may be hit without the record suffering for it.
    assert all({name: record[name] for name in RECORD} == RECORD for record in passed)
    assert len(passed) < len("check") * 8 + 1


@pytest.mark.parametrize("first", [True, False], ids=["first save", "replacing"])
def test_a_power_cut_at_any_operation_leaves_the_old_or_the_new_record(
    on_device: OnDevice, first: bool
) -> None:
    got = on_device("store_cuts.py", {"first": first})
    assert got["bad"] == []
    assert got["tried"] == got["operations"] * 3 > 0
    assert got["old"] > 0
    assert got["new"] > 0


@pytest.mark.parametrize("how", ["full", "broken", "read-only"])
def test_flash_that_does_not_take_a_record_keeps_the_old_one(
    on_device: OnDevice, how: str
) -> None:
    (error, text), secret = on_device("store_failures.py", how)
    assert error == "StoreError"
    assert text.startswith("/device.json: cannot be written")
    assert secret == "old" * 10
