"""The answer to thing/topo/get, which may be longer than a board's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]


def read(on_device: OnDevice, **given: Any) -> Any:
    return on_device("topology_pieces.py", given, heap="4M")


LOST = "thing/topo/get: no answer in time"


@pytest.mark.parametrize("count", [0, 1, 100, 150, 2000])
def test_every_sub_device_of_a_long_answer_is_passed_on_once(
    on_device: OnDevice, count: int
) -> None:
    ends = ["sensor-0000", f"sensor-{count - 1:04}"] if count else []
    for got in read(on_device, count=count):
        assert got == [count, count, ends, None]


@pytest.mark.parametrize(
    "extra",
    [
        ',"deviceSecret":"a]b}c{d[e\\\\\\"f,"',
        ',"more":{"deviceName":"x","list":[1,2]}',
        ',"more":[{"deviceName":"xxxx","productKey":"a"}]',
    ],
)
@pytest.mark.parametrize("space", ["", " ", "\n\t"])
def test_other_members_of_an_entry_and_spaces_are_ignored(
    on_device: OnDevice, extra: str, space: str
) -> None:
    for count in (1, 3, 200):
        for got in read(on_device, count=count, extra=extra, space=space):
            assert (got[:2], got[3]) == ([count, count], None)


def test_an_answer_to_another_request_is_ignored(on_device: OnDevice) -> None:
    for got in read(on_device, count=200, id="122"):
        assert got[3] == LOST
    for got in read(on_device, count=1, id="122"):
        assert got == [0, None, [], LOST]


@pytest.mark.parametrize(
    "spoil",
    [["}", ""], ["[", ""], ["]", ""], ['"success"', '"success'], ["[", "[" * 40], ["}", "}}"]],
    ids=str,
)
def test_a_garbled_answer_is_ignored(on_device: OnDevice, spoil: list[str]) -> None:
    for count in (1, 40):
        for got in read(on_device, count=count, spoil=spoil):
            assert got[3] == LOST


def test_an_entry_that_is_too_long_is_left_out(on_device: OnDevice) -> None:
    for got in read(on_device, count=3, extra=',"more":"' + "x" * 1100 + '"'):
        assert got == [0, 0, [], None]


def test_the_rest_of_a_late_answer_is_ignored(on_device: OnDevice) -> None:
    for got in read(on_device, count=200, stall=True):
        assert (got[1], got[3]) == (200, None)
        assert (
            200 < got[0] < 320
        )  # the sub-devices of the half that arrived in time are passed on twice


def test_an_exception_of_the_application_reaches_it(on_device: OnDevice) -> None:
    for got in read(on_device, count=200, **{"raise": 50}):
        assert (got[0], got[3]) == (50, "the application's")
