"""Batches of requests, and replies that are lost, duplicated, late or foreign."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_helpers import ONE, SYS, TWO, OnDevice, granted, reply, requests, sensors, talk

# --- batches


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (5, [5]),
        (6, [6]),
        (7, [6, 1]),
        (12, [6, 6]),
        (2000, [6] * 333 + [2]),
    ],
)
def test_registrations_are_sent_in_batches_of_at_most_6(
    on_device: OnDevice, count: int, sizes: list[int]
) -> None:
    got = talk(on_device, ["register", sensors(count)], ["stored"])
    assert [len(params) for params in requests(got)] == sizes
    assert got["results"][1] == count
    asked = [entry["deviceName"] for params in requests(got) for entry in params]
    assert asked == [f"sensor-{number:04}" for number in range(count)]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (2, [2]),
        (3, [3]),
        (4, [3, 1]),
        (6, [3, 3]),
        (7, [3, 3, 1]),
        (11, [3, 3, 3, 2]),
        (30, [3] * 10),
        (49, [3] * 16 + [1]),
    ],
)
def test_additions_and_logins_are_sent_in_batches_of_3_though_the_platform_takes_50(
    on_device: OnDevice, count: int, sizes: list[int]
) -> None:
    got = talk(on_device, ["bring_online", sensors(count), "each"])
    names = [f"sensor-{number:04}" for number in range(count)]
    added = requests(got, "topo/add")
    assert [len(params) for params in added] == sizes
    assert [entry["deviceName"] for params in added for entry in params] == names
    alone = requests(got, "combine/login")  # a single one left over is sent as combine/login
    logins = requests(got, "combine/batch_login") + [{"deviceList": [each]} for each in alone]
    assert [len(params["deviceList"]) for params in logins] == sizes
    assert [entry["deviceName"] for params in logins for entry in params["deviceList"]] == names
    assert len(alone) == sizes.count(1)
    assert got["results"] == [count]


def test_ids_are_unique_and_stay_within_32_bits(on_device: OnDevice) -> None:
    got = talk(on_device, ["bring_online", sensors(61)], number=0xFFFFFFFD)
    ids = [json.loads(payload)["id"] for _, _, payload in got["sent"]]
    assert ids[:4] == ["4294967294", "4294967295", "0", "1"]
    assert len(set(ids)) == len(ids)


def test_requests_stay_below_30_a_second_and_logins_below_200(on_device: OnDevice) -> None:
    got = talk(on_device, ["bring_online", sensors(600)])
    for at, _, _ in got["sent"]:
        window = [sent for sent in got["sent"] if at <= sent[0] < at + 1000]
        assert len(window) <= 30
        logins = requests({"sent": window}, "combine/batch_login")
        assert sum(len(params["deviceList"]) for params in logins) <= 200


# --- replies


@pytest.mark.parametrize("method", ["register", "found", "logout", "delete_topology"])
def test_a_request_without_a_reply_is_repeated_and_fails_after_three_tries(
    on_device: OnDevice, method: str
) -> None:
    lost = {"lost": True}
    got = talk(on_device, [method, ONE], [method, TWO], edits={"1": lost, "2": lost, "4": lost})
    assert got["results"] == [None, None]
    got = talk(on_device, [method, ONE], edits={"1": lost, "2": lost, "3": lost})
    assert got["results"][0]["error"] == "NetworkError"
    assert "no answer in time" in got["results"][0]["text"]
    assert len(got["sent"]) == 3
    assert got["now"] == 1000 + 3 * 10000


def test_after_a_lost_reply_the_latest_secret_is_stored(on_device: OnDevice) -> None:
    # The first request took effect; its reply arrives late, before and after the second reply.
    first, second = reply([granted("unit-1", "old")], "$prev"), reply([granted("unit-1", "new")])
    edits = {
        "1": {"lost": True},
        "2": [[5, None, first], [20, None, second], [30, None, first]],
    }
    got = talk(
        on_device,
        ["register", ONE],
        ["wait", 100],
        ["login", ONE],
        edits=edits,
        timestamp="1",
        random="",
    )
    direct = talk(
        on_device,
        ["register", ONE],
        ["login", ONE],
        edits={"1": [[20, None, second]]},
        timestamp="1",
        random="",
    )
    assert got["results"] == [None, None, None]
    signs = [requests(each, "combine/login")[0]["sign"] for each in (got, direct)]
    assert signs[0] == signs[1]


@pytest.mark.parametrize(
    "edit",
    [
        [[20, None, reply([granted("unit-1")])], [21, None, reply([granted("unit-1", "x")])]],
        [[10, None, reply([granted("unit-1")], "7")], [20, None, reply([granted("unit-1")])]],
        [[10, None, reply({}, "$prev", 460)], [20, None, reply([granted("unit-1")])]],
        [[10, SYS + "thing/topo/add_reply", reply({}, code=460)]]
        + [[20, None, reply([granted("unit-1")])]],
        [[10, None, "not JSON"], [11, None, "[]"], [12, None, "{}"], [13, None, "null"]]
        + [[14, None, '{"id":"$id"}'], [15, None, '{"id":"$id","code":"x"}']]
        + [[20, None, reply([granted("unit-1")])]],
        [[9999, None, reply([granted("unit-1")])]],
    ],
    ids=["duplicated", "foreign id", "late", "other topic", "garbled", "last moment"],
)
def test_only_the_reply_to_this_request_counts(on_device: OnDevice, edit: Any) -> None:
    got = talk(on_device, ["register", ONE], ["stored"], ["wait", 1000], edits={"1": edit})
    assert got["results"] == [None, 1, None]
    assert (got["inbox"], len(got["sent"])) == ([], 1)


def test_a_foreign_sub_device_in_a_reply_is_not_stored(on_device: OnDevice) -> None:
    data = [granted("unit-9"), granted("unit-1")]
    got = talk(on_device, ["register", ONE], ["stored"], edits={"1": [[20, None, reply(data)]]})
    assert got["results"] == [None, 1]


def test_a_batch_reply_may_list_sub_devices_in_any_order(on_device: OnDevice) -> None:
    data = [granted("unit-2", "two"), granted("unit-1", "one")]
    common = {"timestamp": "1", "random": ""}
    got = talk(
        on_device,
        ["register", TWO],
        ["login", ONE],
        edits={"1": [[20, None, reply(data)]]},
        **common,
    )
    direct = talk(
        on_device,
        ["register", ONE],
        ["login", ONE],
        edits={"1": [[20, None, reply([granted("unit-1", "one")])]]},
        **common,
    )
    signs = [requests(each, "combine/login")[0]["sign"] for each in (got, direct)]
    assert signs[0] == signs[1]


def test_a_sub_device_missing_from_a_batch_reply_is_requested_alone(on_device: OnDevice) -> None:
    edits = {"1": [[20, None, reply([granted("unit-1")])]], "2": {"code": 6100}}
    got = talk(on_device, ["register", TWO, "each"], ["stored"], edits=edits)
    assert [len(params) for params in requests(got)] == [2, 1]
    assert [error and error[1] for _, _, error in got["each"]] == [None, 6100]
    assert got["results"][1] == 1


def test_messages_for_the_application_stay_in_the_inbox_in_order(on_device: OnDevice) -> None:
    mine = [[5 * n, "/sys/pk/unit-1/thing/service/x", str(n)] for n in range(1, 4)]
    edit = [*mine, [20, None, reply([granted("unit-1")])]]
    got = talk(on_device, ["come", [[0, "/first", "0"]]], ["register", ONE], edits={"1": edit})
    assert [payload for _, payload in got["inbox"]] == ["0", "1", "2", "3"]


def test_a_broken_connection_ends_the_request_at_once(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", ONE], edits={"1": {"break": True}})
    assert got["results"][0]["error"] == "NetworkError"
    assert len(got["sent"]) == 1
