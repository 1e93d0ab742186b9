"""The codes of the platform's replies to a gateway, and malformed replies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_helpers import ONE, TWO, OnDevice, talk


@pytest.mark.parametrize(
    ("method", "codes"),
    [
        ("register", [460, 6402, 401, 5005, 5244, 6288, 6100, 6619, 6292, 6203]),
        ("add_topology", [460, 6402, 6100, 401, 6204, 6400, 6203]),
        ("delete_topology", [460, 6100, 6401, 6203]),
        ("found", [460, 6250, 6280, 6203]),
        ("login", [460, 428, 6401, 6100, 521, 522, 6204, 6287]),
        ("logout", [460, 520]),
        ("topology", [460, 6203]),
    ],
)
def test_each_code_becomes_an_error_that_names_the_sub_device(
    on_device: OnDevice, method: str, codes: list[int]
) -> None:
    """Platform docs "Error codes for devices", and SPEC "Error messages"."""
    arguments = [] if method == "topology" else [[["pk", "unit-1"]]]
    got = talk(
        on_device,
        *([] if method == "register" else [["register", [["pk", "unit-1"]]]]),
        *[[method, *arguments] for _ in codes],
        edits={
            str(number + (method != "register")): {"code": code}
            for number, code in enumerate(codes, 1)
        },
    )
    errors = got["results"][0 if method == "register" else 1 :]
    assert [(e["error"], e["code"]) for e in errors] == [("RefusedError", c) for c in codes]
    for error, code in zip(errors, codes, strict=True):
        assert f"code {code}: " in error["text"]
        assert "see the platform's" not in error["text"]
        assert method == "topology" or "pk/unit-1" in error["text"]


@pytest.mark.parametrize("code", [429, 500])
def test_a_request_to_a_busy_platform_is_sent_three_times_with_pauses(
    on_device: OnDevice, code: int
) -> None:
    got = talk(
        on_device, ["register", ONE], edits={str(number): {"code": code} for number in (1, 2, 3)}
    )
    assert got["results"][0]["error"] == "BusyError"
    assert got["results"][0]["code"] == code
    times = [at for at, _, _ in got["sent"]]
    assert len(times) == 3
    assert times[1] - times[0] >= 20000 <= times[2] - times[1]


def test_a_busy_platform_that_recovers_is_no_error(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", ONE], ["stored"], edits={"1": {"code": 429}})
    assert got["results"] == [None, 1]


def test_an_unknown_code_is_a_refusal_with_its_number(on_device: OnDevice) -> None:
    got = talk(on_device, ["register", ONE], edits={"1": {"code": 7777}})
    assert got["results"][0]["code"] == 7777
    assert "see the platform's error codes" in got["results"][0]["text"]


def test_a_code_may_be_written_as_text(on_device: OnDevice) -> None:
    got = talk(
        on_device,
        ["register", TWO],
        ["login", TWO],
        edits={"2": [[20, None, '{"code":"200","data":[],"id":"$id"}']]},
    )
    assert got["results"] == [None, None]


@pytest.mark.parametrize(
    "reply",
    [
        '{"code":200,"data":{},"id":"$id"}',
        '{"code":200,"id":"$id"}',
        '{"code":200,"data":"x","id":"$id"}',
    ],
)
def test_a_malformed_registration_reply_is_a_protocol_error(
    on_device: OnDevice, reply: str
) -> None:
    got = talk(
        on_device,
        ["register", ONE],
        edits={number: [[20, None, reply]] for number in ("1", "2", "3")},
    )
    assert got["results"][0]["error"] == "ProtocolError"
    assert len(got["sent"]) == 3


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"productKey": "pk", "deviceName": "unit-1"}],
        [{"productKey": "pk", "deviceName": "unit-1", "deviceSecret": ""}],
        [{"productKey": "pk", "deviceName": "unit-1", "deviceSecret": 5}],
        [{"productKey": "other", "deviceName": "unit-1", "deviceSecret": "s"}],
        [None, 5, "x", []],
    ],
    ids=str,
)
def test_an_error_names_a_sub_device_that_is_missing_from_the_answer(
    on_device: OnDevice, data: Any
) -> None:
    reply = json.dumps({"code": 200, "data": data, "id": "$id"})
    got = talk(on_device, ["register", ONE], ["stored"], edits={"1": [[20, None, reply]]})
    assert got["results"][0]["error"] == "ProtocolError"
    assert "pk/unit-1" in got["results"][0]["text"]
    assert got["results"][1] == 0
