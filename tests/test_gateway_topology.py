"""The answer to thing/topo/get, which may be longer than a board's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]


def read(on_device: OnDevice, **given: Any) -> Any:
    return on_device("topology_pieces.py", given, heap="4M")


@pytest.mark.parametrize("count", [0, 1, 100, 150, 2000])
def test_every_sub_device_of_a_long_answer_is_given_once(on_device: OnDevice, count: int) -> None:
    ends = ["sensor-0000", f"sensor-{count - 1:04}"] if count else []
    for got in read(on_device, count=count):
        assert got == [count, count, ends, 200, None]


@pytest.mark.parametrize(
    "extra",
    [',"deviceSecret":"a]b}c{d[e\\\\\\"f,"', ',"more":{"deviceName":"x","list":[1,2]}'],
)
def test_other_members_of_an_entry_do_not_disturb(on_device: OnDevice, extra: str) -> None:
    for count in (3, 200):
        for got in read(on_device, count=count, extra=extra):
            assert got[:2] == [count, count]
            assert got[3:] == [200, None]


def test_an_answer_to_another_request_is_no_answer(on_device: OnDevice) -> None:
    for got in read(on_device, count=200, id="122"):
        assert got[3:] == [None, None]
    for got in read(on_device, count=3, id="122"):
        assert got == [0, 0, [], None, None]


def test_a_long_message_of_another_topic_is_left_alone(on_device: OnDevice) -> None:
    for got in read(on_device, count=200, topic="/sys/a1GatewayKey/gateway-1/thing/topo/change"):
        assert got[0] == 0
        assert got[3] > 8192


def test_what_the_application_raises_reaches_it(on_device: OnDevice) -> None:
    for got in read(on_device, count=200, **{"raise": 50}):
        assert got[0] == 50
        assert got[4] == "the application's"
