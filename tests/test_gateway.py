"""The gateway's conversation: batches, replies that go astray, bring-up, notices."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]

SYS = "/sys/a1GatewayKey/gateway-1/"
EXT = "/ext/session/a1GatewayKey/gateway-1/"
ERROR = "/ext/error/a1GatewayKey/gateway-1"
ONE = [["pk", "unit-1"]]
TWO = [["pk", "unit-1"], ["pk", "unit-2"]]


def talk(on_device: OnDevice, *steps: list[Any], **more: Any) -> Any:
    return on_device("gateway_talk.py", {"steps": list(steps), **more}, heap="16M")


def sensors(count: int, first: int = 0) -> dict[str, list[int]]:
    return {"range": [first, count]}


def requests(got: Any, tail: str | None = None) -> list[Any]:
    """The params of each request, of one kind or of all."""
    return [
        json.loads(payload)["params"]
        for _, topic, payload in got["sent"]
        if tail is None or topic.endswith("/" + tail)
    ]


def kinds(got: Any) -> list[str]:
    return [topic.removeprefix(SYS).removeprefix(EXT) for _, topic, _ in got["sent"]]


def granted(name: str, secret: str = "s") -> dict[str, str]:
    return {"productKey": "pk", "deviceName": name, "deviceSecret": secret}


def reply(data: Any, number: str = "$id", code: int = 200) -> str:
    return json.dumps({"code": code, "data": data, "id": number})


# --- batches


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (29, [29]),
        (30, [30]),
        (31, [30, 1]),
        (60, [30, 30]),
        (2000, [30] * 66 + [20]),
    ],
)
def test_registration_goes_out_in_batches_of_at_most_30(
    on_device: OnDevice, count: int, sizes: list[int]
) -> None:
    got = talk(on_device, ["register", sensors(count)], ["stored"])
    assert [len(params) for params in requests(got)] == sizes
    assert got["results"][1] == count
    asked = [entry["deviceName"] for params in requests(got) for entry in params]
    assert asked == [f"sensor-{number:04}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 29, 30, 31, 60])
def test_logins_go_out_in_batches_of_at_most_50(on_device: OnDevice, count: int) -> None:
    got = talk(on_device, ["bring_online", sensors(count), "each"])
    batches = requests(got, "combine/batch_login")
    asked = [entry["deviceName"] for params in batches for entry in params["deviceList"]]
    asked += [params["deviceName"] for params in requests(got, "combine/login")]
    assert asked == [f"sensor-{number:04}" for number in range(count)]
    assert all(len(params["deviceList"]) <= 50 for params in batches)
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
def test_a_lost_reply_is_asked_for_again_and_three_losses_are_an_error(
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


def test_after_a_lost_reply_the_latest_secret_is_the_one_stored(on_device: OnDevice) -> None:
    # The first request took effect; its reply comes when the second has been sent, and after.
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
    ids=["doubled", "foreign id", "late", "another topic's", "garbled", "last moment"],
)
def test_only_the_reply_to_this_request_counts(on_device: OnDevice, edit: Any) -> None:
    got = talk(on_device, ["register", ONE], ["stored"], ["wait", 1000], edits={"1": edit})
    assert got["results"] == [None, 1, None]
    assert (got["inbox"], len(got["sent"])) == ([], 1)


def test_a_foreign_sub_device_in_a_reply_is_not_stored(on_device: OnDevice) -> None:
    data = [granted("unit-9"), granted("unit-1")]
    got = talk(on_device, ["register", ONE], ["stored"], edits={"1": [[20, None, reply(data)]]})
    assert got["results"] == [None, 1]


def test_replies_out_of_order_inside_a_batch_reach_their_sub_devices(on_device: OnDevice) -> None:
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


def test_a_sub_device_left_out_of_a_batch_reply_is_asked_for_alone(on_device: OnDevice) -> None:
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


# --- one bad sub-device


@pytest.mark.parametrize(
    ("method", "tail", "code", "requests_sent"),
    [
        ("register", "sub/register", 6100, 1 + 30),
        ("login", "login", 522, 3 + 10),  # ten to a signed request
        ("add_topology", "add", 6204, 3 + 10),
    ],
)
def test_the_bad_one_of_a_refused_batch_is_found_and_the_others_succeed(
    on_device: OnDevice, method: str, tail: str, code: int, requests_sent: int
) -> None:
    rules = [{"tail": tail, "refuse": {"sensor-0007": code}}]
    steps: list[list[Any]] = [] if method == "register" else [["register", sensors(30)]]
    got = talk(on_device, *steps, [method, sensors(30), "each"], rules=rules)
    assert [(name, error[1]) for _, name, error in got["each"] if error] == [("sensor-0007", code)]
    assert len(got["each"]) == 30
    assert len(got["sent"]) == len(steps) + requests_sent


def test_without_a_callback_the_first_error_is_raised(on_device: OnDevice) -> None:
    rules = [{"tail": "sub/register", "refuse": {"sensor-0003": 6288}}]
    got = talk(on_device, ["register", sensors(5)], ["stored"], rules=rules)
    assert got["results"][0]["code"] == 6288
    assert "a1SensorKey/sensor-0003" in got["results"][0]["text"]
    assert got["results"][1] == 4


def test_without_a_callback_the_other_batches_are_done_before_the_error_is_raised(
    on_device: OnDevice,
) -> None:
    rules = [{"tail": "sub/register", "refuse": {"sensor-0003": 6100, "sensor-0070": 6288}}]
    got = talk(on_device, ["bring_online", sensors(90)], ["stored"], rules=rules)
    assert (got["results"][0]["code"], got["results"][1]) == (6100, 88)
    assert len(requests(got, "combine/batch_login")) == 9


def test_an_unknown_sign_method_is_refused_when_the_gateway_is_made(on_device: OnDevice) -> None:
    got = talk(on_device, ["reboot", "hmacsha512"])
    assert got["results"][0]["error"] == "ConfigError"
    assert got["results"][0]["text"].startswith("signMethod: expected hmacmd5, hmacsha1")


def test_login_without_a_certificate_says_so(on_device: OnDevice) -> None:
    got = talk(on_device, ["login", ONE], ["add_topology", ONE])
    assert [result["error"] for result in got["results"]] == ["ConfigError"] * 2
    assert got["results"][0]["text"] == "pk/unit-1: no certificate: register it"
    assert got["sent"] == []


# --- bad input


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([["pk", "unit-1"], ["pk", "abc"]], "sub-device 1: DeviceName: expected 4 to 32"),
        ([["pk", "unit 1"]], "sub-device 0: DeviceName: expected 4 to 32"),
        ([["pk", 'x"}],"id":"']], "sub-device 0: DeviceName: expected"),
        ([["pk", "x" * 33]], "sub-device 0: DeviceName: expected"),
        ([["pk", 12345]], "sub-device 0: DeviceName: expected"),
        ([["p-k", "unit-1"]], "sub-device 0: ProductKey: expected 1 to 20"),
        ([["", "unit-1"]], "sub-device 0: ProductKey: expected"),
        ([["pk", "unit-1", "x"]], "sub-device 0: expected a tuple"),
        (["unit"], "sub-device 0: expected a tuple"),
        ("pk", "sub-device 0: expected a tuple"),
        (5, "sub-devices: expected a list"),
        ({"once": sensors(2)}, "sub-devices: expected a list"),
        ([["a1GatewayKey", "gateway-1"]], "sub-device 0: it is the gateway itself"),
        ([*TWO, ["pk", "unit-1"]], "sub-device 2: same as number 0"),
        ([["pk", f"unit-{n}"] for n in [*range(1999), 1998]], "1999: same as number 1998"),
        ([["pk", f"unit-{n}"] for n in range(2001)], "expected at most 2000"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("method", ["register", "bring_online", "login"])
def test_bad_input_is_refused_before_anything_is_sent(
    on_device: OnDevice, method: str, given: Any, text: str
) -> None:
    got = talk(on_device, [method, given])
    assert got["results"][0]["error"] == "ConfigError"
    assert text in got["results"][0]["text"]
    assert got["sent"] == []


def test_two_thousand_different_names_are_not_taken_for_doubles(on_device: OnDevice) -> None:
    got = talk(on_device, ["logout", sensors(2000)])
    assert got["results"] == [None]


@pytest.mark.parametrize("secret", ["", "a b", "x" * 65, 5])
def test_a_bad_product_secret_is_refused_before_anything_is_sent(
    on_device: OnDevice, secret: Any
) -> None:
    got = talk(on_device, ["product_register", ONE, secret])
    assert got["results"][0]["error"] == "ConfigError"
    assert got["results"][0]["text"].startswith("product_secret: expected")
    assert got["sent"] == []


@pytest.mark.parametrize(
    "call", [["publish", "pk", "ab", "x", "y"], ["subscribe", "", "unit", "x"]]
)
def test_a_message_for_a_bad_name_is_refused(on_device: OnDevice, call: list[str]) -> None:
    got = talk(on_device, call)
    assert got["results"][0]["error"] == "ConfigError"
    assert got["sent"] == []


# --- from nothing to online


def test_bring_online_registers_stores_adds_and_logs_in(on_device: OnDevice) -> None:
    got = talk(on_device, ["bring_online", sensors(31), "each"])
    assert kinds(got) == [
        *["thing/sub/register", *["thing/topo/add"] * 3, *["combine/batch_login"] * 3],
        *["thing/sub/register", "thing/topo/add", "combine/login"],
    ]
    assert [(name, error) for _, name, error in got["each"]] == [
        (f"sensor-{number:04}", None) for number in range(31)
    ]
    assert got["results"] == [31]


@pytest.mark.parametrize("again", [sensors(31), None], ids=["listed", "all stored"])
def test_after_a_reboot_they_are_only_logged_in(on_device: OnDevice, again: Any) -> None:
    got = talk(on_device, ["register", sensors(31)], ["reboot"], ["bring_online", again, "each"])
    assert kinds(got)[2:] == ["combine/batch_login"] * 3 + ["combine/login"]
    assert got["results"][-1] == 31


def test_a_stored_sub_device_is_not_registered_again(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", sensors(40)], ["reboot"], ["register", sensors(41)])
    assert [len(params) for params in requests(got)] == [30, 10, 1]


def test_stored_ones_that_miss_the_topology_are_added(on_device: OnDevice) -> None:
    """What a power cut between storing and adding leaves."""
    got = talk(
        on_device,
        ["register", sensors(5)],
        ["bring_online", sensors(5), "each"],
        edits={str(n): {"code": 6401} for n in range(2, 8)},
    )
    assert Counter(kinds(got)) == {
        "thing/sub/register": 1,
        "combine/batch_login": 2,
        "combine/login": 5,
        "thing/topo/add": 1,
    }
    assert got["results"][-1] == 5


def test_a_stored_secret_that_is_no_longer_valid_is_replaced(on_device: OnDevice) -> None:
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


# --- reconnect


def test_after_a_reconnect_those_who_were_online_are_logged_in_again(on_device: OnDevice) -> None:
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


def test_who_was_forced_offline_is_not_logged_in_again(on_device: OnDevice) -> None:
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


def test_a_login_that_a_broken_connection_ended_is_made_up_for(on_device: OnDevice) -> None:
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


# --- what the platform says itself


def test_a_failed_message_is_reported_by_its_id(on_device: OnDevice) -> None:
    text = '{"id":"77","code":520,"message":"device session error"}'
    got = talk(on_device, ["come", [[0, ERROR, text]]], ["wait", 10])
    assert got["notes"] == [["notice", None, None, 520, "77"]]


def test_notices_that_come_during_a_request_are_kept_for_later(on_device: OnDevice) -> None:
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
    assert len(got["each"]) == (1 if status == 1 else 2)  # who was deleted is not logged in again


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id":"1"}', '{"id":"1","code":"x"}', "\x00"])
@pytest.mark.parametrize(
    "topic", [ERROR, SYS + "thing/topo/add/notify", SYS + "thing/topo/change"]
)
def test_a_garbled_notice_is_dropped(on_device: OnDevice, topic: str, text: str) -> None:
    got = talk(on_device, ["come", [[0, topic, text]]], ["wait", 10])
    assert (got["results"], got["notes"], got["sent"]) == ([None, None], [], [])


def test_the_applications_own_messages_pass_through_wait(on_device: OnDevice) -> None:
    topic = "/sys/pk/unit-1/thing/service/property/set"
    got = talk(
        on_device,
        ["come", [[0, EXT + "combine/login_reply", "{}"], [5, topic, "on"]]],
        ["wait", 100],
        ["wait", 100],
    )
    assert got["results"] == [None, [topic, "on"], None]


# --- sub-devices' own messages


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


def test_a_subscription_of_a_sub_device_is_not_the_sessions_to_repeat(on_device: OnDevice) -> None:
    got = talk(on_device, ["subscribe", "pk", "unit-1", "/user/get"])
    assert got["topics"] == []


def test_a_lost_message_of_a_sub_device_is_not_the_sessions_to_repeat(on_device: OnDevice) -> None:
    got = talk(on_device, ["publish", "pk", "unit-1", "/user/break", "{}", 1])
    assert got["results"][0]["error"] == "NetworkError"
    assert not got["unacked"]


def test_the_topology_is_given_sub_device_by_sub_device(on_device: OnDevice) -> None:
    got = talk(on_device, ["topology"])
    assert got["results"] == [3]
    assert [name for _, name, _ in got["each"]] == [f"sensor-{n:04}" for n in range(3)]


def test_a_late_answer_to_topology_calls_nobody(on_device: OnDevice) -> None:
    late = reply([{"productKey": "pk", "deviceName": "unit-1"}], "$prev")
    right = reply([{"productKey": "pk", "deviceName": "unit-2", "deviceSecret": "s{["}])
    got = talk(on_device, ["topology"], edits={"1": [[5, None, late], [9, None, right]]})
    assert [name for _, name, _ in got["each"]] == ["unit-2"]
    assert got["results"] == [1]


def test_what_is_forgotten_is_registered_again(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", TWO], ["forget", ONE], ["stored"], ["register", TWO])
    assert got["results"][2] == 1
    assert [len(params) for params in requests(got)] == [2, 1]
