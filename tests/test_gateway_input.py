"""Refusals by the platform or the gateway name the right sub-device."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_helpers import ONE, TWO, OnDevice, requests, sensors, talk

# --- one bad sub-device


@pytest.mark.parametrize(
    ("method", "tail", "code", "requests_sent"),
    [
        ("register", "sub/register", 6100, 5 + 6),  # six in a request
        ("login", "login", 522, 10 + 3),  # three in a signed one
        ("add_topology", "add", 6204, 10 + 3),
    ],
)
def test_the_bad_sub_device_of_a_refused_batch_is_found_and_the_others_succeed(
    on_device: OnDevice, method: str, tail: str, code: int, requests_sent: int
) -> None:
    rules = [{"tail": tail, "refuse": {"sensor-0007": code}}]
    steps: list[list[Any]] = [] if method == "register" else [["register", sensors(30)]]
    got = talk(on_device, *steps, [method, sensors(30), "each"], rules=rules)
    assert [(name, error[1]) for _, name, error in got["each"] if error] == [("sensor-0007", code)]
    assert len(got["each"]) == 30
    assert len(got["sent"]) == 5 * len(steps) + requests_sent


def test_without_a_callback_the_first_error_is_raised(on_device: OnDevice) -> None:
    rules = [{"tail": "sub/register", "refuse": {"sensor-0003": 6288}}]
    got = talk(on_device, ["register", sensors(5)], ["stored"], rules=rules)
    assert got["results"][0]["code"] == 6288
    assert "a1SensorKey/sensor-0003" in got["results"][0]["text"]
    assert got["results"][1] == 4


def test_without_a_callback_the_error_is_raised_after_the_other_batches(
    on_device: OnDevice,
) -> None:
    rules = [{"tail": "sub/register", "refuse": {"sensor-0003": 6100, "sensor-0070": 6288}}]
    got = talk(on_device, ["bring_online", sensors(90)], ["stored"], rules=rules)
    assert (got["results"][0]["code"], got["results"][1]) == (6100, 88)
    assert len(requests(got, "combine/batch_login")) == 30


def test_an_unknown_sign_method_is_refused_by_the_constructor(on_device: OnDevice) -> None:
    got = talk(on_device, ["reboot", "hmacsha512"])
    assert got["results"][0]["error"] == "ValueError"
    assert got["results"][0]["text"].startswith("sign_method: expected hmacmd5, hmacsha1")


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
    wrong_type = "expected a" in text and "number" not in text and "at most" not in text
    assert got["results"][0]["error"] == ("TypeError" if wrong_type else "ValueError")
    assert text in got["results"][0]["text"]
    assert got["sent"] == []


def test_two_thousand_different_names_are_not_reported_as_duplicates(on_device: OnDevice) -> None:
    got = talk(on_device, ["logout", sensors(2000)])
    assert got["results"] == [None]


@pytest.mark.parametrize("secret", ["", "a b", "x" * 65, 5])
def test_a_bad_product_secret_is_refused_before_anything_is_sent(
    on_device: OnDevice, secret: Any
) -> None:
    got = talk(on_device, ["product_register", ONE, secret])
    assert got["results"][0]["error"] == "ValueError"
    assert got["results"][0]["text"].startswith("product_secret: expected")
    assert got["sent"] == []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (["publish", "pk", "ab", "x", "y"], "ValueError"),
        (["publish", "pk", "a/+/b", "x", "y"], "ValueError"),
        (["publish", "pk", "unit#1", "x", "y"], "ValueError"),
        (["publish", "p" * 21, "unit-1", "x", "y"], "ValueError"),
        (["publish", None, "unit-1", "x", "y"], "TypeError"),
        (["publish", "pk", 1234, "x", "y"], "TypeError"),
        (["publish", "pk", "unit-1", "", "y"], "ValueError"),
        (["publish", "pk", "unit-1", 5, "y"], "TypeError"),
        (["subscribe", "", "unit", "x"], "ValueError"),
    ],
    ids=str,
)
def test_a_message_for_a_bad_name_is_refused(
    on_device: OnDevice, call: list[Any], error: str
) -> None:
    got = talk(on_device, call)
    assert got["results"][0]["error"] == error
    assert ": expected" in got["results"][0]["text"]
    assert got["sent"] == []
