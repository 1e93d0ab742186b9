"""Notices of the platform to a gateway, and messages of sub-devices."""

from __future__ import annotations

import json

import pytest
from gateway_helpers import ERROR, EXT, ONE, SYS, TWO, OnDevice, granted, reply, requests, talk

# --- notices of the platform


def test_a_failed_message_is_reported_by_its_id(on_device: OnDevice) -> None:
    text = '{"id":"77","code":520,"message":"device session error"}'
    got = talk(on_device, ["come", [[0, ERROR, text]]], ["wait", 10])
    assert got["notes"] == [["notice", None, None, 520, "77"]]


def test_notices_that_arrive_during_a_request_are_kept_for_later(on_device: OnDevice) -> None:
    text = '{"id":"77","code":520,"message":"device session error"}'
    edit = [[5, ERROR, text], [20, None, reply([granted("unit-1")])]]
    got = talk(on_device, ["register", ONE], ["wait", 10], edits={"1": edit})
    assert got["notes"] == [["notice", None, None, 520, "77"]]
    assert got["results"] == [None, None]


def test_add_notify_is_answered_and_reaches_the_application(on_device: OnDevice) -> None:
    topic = SYS + "thing/topo/add/notify"
    names = {"deviceName": "unit-1", "productKey": "pk"}
    text = json.dumps({"id": "9", "version": "1.0", "params": [names], "method": "x"})
    got = talk(on_device, ["come", [[0, topic, text]]], ["wait", 10])
    assert got["notes"] == [["add", [["pk", "unit-1"]]]]
    assert got["sent"][0][1:] == [topic + "_reply", '{"id":"9","code":200,"data":{}}']


@pytest.mark.parametrize("status", [0, 1, 2, 8])
def test_topology_changes_reach_the_application(on_device: OnDevice, status: int) -> None:
    names = {"deviceName": "unit-1", "productKey": "pk"}
    text = json.dumps({"id": "9", "params": {"status": status, "subList": [names, {}, 5]}})
    got = talk(
        on_device,
        ["bring_online", TWO],
        ["come", [[0, SYS + "thing/topo/change", text]]],
        ["wait", 10],
        ["reconnected", "each"],
    )
    assert got["notes"] == [["change", status, [["pk", "unit-1"]]]]
    assert len(got["each"]) == (
        1 if status == 1 else 2
    )  # status 1: the deleted one is not logged in again


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id":"1"}', '{"id":"1","code":"x"}', "\x00"])
@pytest.mark.parametrize(
    "topic", [ERROR, SYS + "thing/topo/add/notify", SYS + "thing/topo/change"]
)
def test_a_garbled_notice_is_dropped(on_device: OnDevice, topic: str, text: str) -> None:
    got = talk(on_device, ["come", [[0, topic, text]]], ["wait", 10])
    assert (got["results"], got["notes"], got["sent"]) == ([None, None], [], [])


def test_wait_returns_messages_for_the_application(on_device: OnDevice) -> None:
    topic = "/sys/pk/unit-1/thing/service/property/set"
    got = talk(
        on_device,
        ["come", [[0, EXT + "combine/login_reply", "{}"], [5, topic, "on"]]],
        ["wait", 100],
        ["wait", 100],
    )
    assert got["results"] == [None, [topic, "on"], None]


# --- messages of sub-devices


@pytest.mark.parametrize(
    ("tail", "topic"),
    [
        ("thing/event/property/post", "/sys/pk/unit-1/thing/event/property/post"),
        ("/user/update", "/pk/unit-1/user/update"),
    ],
)
def test_a_sub_device_publishes_on_its_own_topic(
    on_device: OnDevice, tail: str, topic: str
) -> None:
    got = talk(on_device, ["publish", "pk", "unit-1", tail, "{}"])
    assert got["sent"][0][1:] == [topic, "{}"]


def test_the_session_does_not_repeat_a_subscription_of_a_sub_device(on_device: OnDevice) -> None:
    got = talk(on_device, ["subscribe", "pk", "unit-1", "/user/get"])
    assert got["topics"] == []


def test_the_session_does_not_repeat_a_lost_message_of_a_sub_device(on_device: OnDevice) -> None:
    got = talk(on_device, ["publish", "pk", "unit-1", "/user/break", "{}", 1])
    assert got["results"][0]["error"] == "NetworkError"
    assert not got["unacked"]


@pytest.mark.parametrize("qos", [0, 1])
def test_an_unsent_message_of_the_gateway_is_kept_for_the_next_connect(
    on_device: OnDevice, qos: int
) -> None:
    publish = ["publish", "pk", "unit-1", "/user/break", "{}", qos]
    got = talk(on_device, ["break"], ["unacked"], publish, ["reconnect"], publish)
    assert [result and result["error"] for result in got["results"]] == [
        *[None, None, "NetworkError", None, "NetworkError"]
    ]
    assert got["unacked"] == "/own"


def test_the_topology_is_passed_on_one_sub_device_at_a_time(on_device: OnDevice) -> None:
    got = talk(on_device, ["topology"])
    assert got["results"] == [3]
    assert [name for _, name, _ in got["each"]] == [f"sensor-{n:04}" for n in range(3)]


def test_a_late_answer_to_topology_does_not_call_the_application(on_device: OnDevice) -> None:
    late = reply([{"productKey": "pk", "deviceName": "unit-1"}], "$prev")
    right = reply([{"productKey": "pk", "deviceName": "unit-2", "deviceSecret": "s{["}])
    got = talk(on_device, ["topology"], edits={"1": [[5, None, late], [9, None, right]]})
    assert [name for _, name, _ in got["each"]] == ["unit-2"]
    assert got["results"] == [1]


def test_a_forgotten_sub_device_is_registered_again(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", TWO], ["forget", ONE], ["stored"], ["register", TWO])
    assert got["results"][2] == 1
    assert [len(params) for params in requests(got)] == [2, 1]
