"""Bringing sub-devices online, and again after a reconnect."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from gateway_helpers import ERROR, ONE, TWO, OnDevice, granted, kinds, requests, sensors, talk

# --- bringing sub-devices online


def test_bring_online_registers_stores_adds_and_logs_in(on_device: OnDevice) -> None:
    got = talk(on_device, ["bring_online", sensors(31), "each"])
    assert kinds(got) == [
        *["thing/sub/register", *["thing/topo/add"] * 2, *["combine/batch_login"] * 2] * 5,
        *["thing/sub/register", "thing/topo/add", "combine/login"],
    ]
    assert [(name, error) for _, name, error in got["each"]] == [
        (f"sensor-{number:04}", None) for number in range(31)
    ]
    assert got["results"] == [31]


@pytest.mark.parametrize("again", [sensors(31), None], ids=["listed", "all stored"])
def test_after_a_reboot_sub_devices_are_only_logged_in(on_device: OnDevice, again: Any) -> None:
    got = talk(on_device, ["register", sensors(31)], ["reboot"], ["bring_online", again, "each"])
    assert kinds(got)[6:] == ["combine/batch_login"] * 10 + ["combine/login"]
    assert got["results"][-1] == 31


def test_a_stored_sub_device_is_not_registered_again(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", sensors(40)], ["reboot"], ["register", sensors(41)])
    assert [len(params) for params in requests(got)] == [6] * 6 + [4, 1]


def test_a_stored_sub_device_missing_from_the_topology_is_added(on_device: OnDevice) -> None:
    """The state after a power cut between storing and adding."""
    got = talk(
        on_device,
        ["register", sensors(5)],
        ["bring_online", sensors(5), "each"],
        edits={
            str(n): {"code": 6401} for n in range(2, 9)
        },  # the batches of three and two, then each alone
    )
    assert Counter(kinds(got)) == {
        "thing/sub/register": 1,
        "combine/batch_login": 4,
        "combine/login": 5,
        "thing/topo/add": 2,
    }
    assert got["results"][-1] == 5


def test_an_outdated_stored_secret_is_replaced(on_device: OnDevice) -> None:
    got = talk(
        on_device,
        ["register", ONE],
        ["bring_online", ONE, "each"],
        ["stored"],
        edits={"2": {"code": 6287}},
    )
    assert kinds(got) == [
        *["thing/sub/register", "combine/login"],
        *["thing/sub/register", "thing/topo/add", "combine/login"],
    ]
    first, second = requests(got, "combine/login")
    assert first["sign"] != second["sign"]
    assert got["results"][1:] == [1, 1]


def test_a_refused_sub_device_does_not_keep_the_others_offline(on_device: OnDevice) -> None:
    rules = [
        {"tail": "sub/register", "refuse": {"sensor-0001": 6100}},
        {"tail": "topo/add", "refuse": {"sensor-0002": 6204}},
        {"tail": "login", "refuse": {"sensor-0003": 522}},
    ]
    got = talk(on_device, ["bring_online", sensors(6), "each"], rules=rules)
    assert got["results"] == [3]
    errors = {name: error[1] for _, name, error in got["each"] if error}
    assert errors == {"sensor-0001": 6100, "sensor-0002": 6204, "sensor-0003": 522}


def test_the_callback_may_use_the_gateway_for_others_on_the_list(on_device: OnDevice) -> None:
    # What the callback stores must be neither overwritten nor registered again.
    got = talk(on_device, ["inside", sensors(40), "login", sensors(0)], ["stored"])
    assert (got["results"], len(got["each"])) == ([40, 40], 40)
    got = talk(on_device, ["inside", sensors(40), "register", sensors(3, 37)], ["stored"])
    assert got["results"] == [40, 40]
    asked = [entry["deviceName"] for each in requests(got, "sub/register") for entry in each]
    assert len(asked) == len(set(asked)) == 40


# --- reconnect


def test_after_a_reconnect_only_the_online_sub_devices_are_logged_in_again(
    on_device: OnDevice,
) -> None:
    got = talk(
        on_device,
        ["register", sensors(40)],
        ["login", sensors(35)],
        ["logout", sensors(1)],
        ["reconnect"],
        ["reconnected", "each"],
    )
    assert got["results"][-1] == 34
    assert sorted(name for _, name, _ in got["each"]) == [f"sensor-{n:04}" for n in range(1, 35)]


def test_a_sub_device_that_was_forced_offline_is_not_logged_in_again(on_device: OnDevice) -> None:
    notice = {"id": "1", "code": 522, "message": "device forbidden", "data": granted("unit-1")}
    got = talk(
        on_device,
        ["bring_online", TWO],
        ["come", [[0, ERROR, json.dumps(notice)]]],
        ["wait", 10],
        ["reconnected", "each"],
    )
    assert [name for _, name, _ in got["each"]] == ["unit-2"]
    assert got["notes"] == [["notice", "pk", "unit-1", 522, "1"]]


def test_a_login_interrupted_by_a_lost_connection_is_repeated(on_device: OnDevice) -> None:
    got = talk(
        on_device,
        ["register", TWO],
        ["login", TWO],
        ["reconnect"],
        ["reconnected", "each"],
        edits={"2": {"break": True}},
    )
    assert got["results"][1]["error"] == "NetworkError"
    assert got["results"][3] == 2


def test_logins_after_reconnects_keep_to_five_a_minute_for_each_sub_device(
    on_device: OnDevice,
) -> None:
    steps: list[list[Any]] = [["reconnect"], ["reconnected"]]
    got = talk(on_device, ["bring_online", sensors(3)], *(steps * 12))
    logins = [at for at, topic, _ in got["sent"] if topic.endswith("login")]
    assert len(logins) == 13
    assert all(sum(at <= other < at + 60000 for other in logins) <= 5 for at in logins)
